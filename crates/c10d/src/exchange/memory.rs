//! The mean through memory that all workers share.
//!
//! Each worker has two places for its numbers, for odd and even turns, and says by a counter which turn's are there. It writes its numbers,
//! waits until every counter has reached the turn, and adds all numbers in the order of the ranks. Nobody can write a place that
//! somebody still reads: whoever is two turns further has seen everybody say that the turn between is written, and so the first one read.
//!
//! A worker that waits for long sleeps at its connections. It says so before, and whoever comes writes a byte to it then; if a worker ends,
//! its connections close.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::Duration;

use super::mapping::Mapping;
use super::mesh::{Mesh, Watch};
use super::random;
use super::wait::{Wait, silence};
use crate::{Result, Store};

/// Numbers of one turn; more take several. So the memory is small, and a turn stays in the processor's caches.
const PLACE: usize = 1 << 18;
/// Bytes of a worker's own line, which no other worker writes: as much as processors fetch at once.
const LINE: usize = 128;
const PAGE: usize = 4096;
/// What a line holds, in bytes from its start: the turn that is written, how many numbers the exchange of an even and of an odd turn has,
/// whether the worker sleeps, and the token by which memory is recognised.
const TURN: usize = 0;
const COUNTS: [usize; 2] = [8, 16];
const ASLEEP: usize = 24;
const TOKEN: [usize; 2] = [32, 40];

/// This worker's view of the memory.
#[derive(Debug)]
pub(super) struct Memory {
    mapping: Mapping,
    rank: usize,
    world_size: usize,
    turn: u64,
    /// Peers whose connection is closed.
    closed: Vec<bool>,
}

impl Memory {
    /// Memory that all workers share; `None` if one of them does not. Rank 0 creates it, and everybody else writes a token of its own there,
    /// which rank 0 compares with what the store says: where both can be seen, the memory is the same.
    pub(super) fn agree(store: &Store, rank: usize) -> Result<Option<Self>> {
        let world_size = store.config.world_size;
        let length = slots(world_size) + 2 * world_size * PLACE * size_of::<f32>();
        if rank > 0 {
            let offer = store.get("exchange/memory")?;
            let memory = join(&String::from_utf8_lossy(&offer), rank, world_size, length);
            let token: [u8; 16] = random(store)?;
            if let Some(memory) = &memory {
                set_token(&memory.mapping, rank, token);
            }
            let answer = if memory.is_some() { &token[..] } else { b"none" };
            store.set(&format!("exchange/memory/{rank}"), answer)?;
            let is_shared = store.get("exchange/shared")? == b"yes";
            return Ok(memory.filter(|_| is_shared));
        }
        let created = Mapping::create(length).ok();
        let offer = match &created {
            Some((mapping, file)) => {
                let token = random(store)?;
                set_token(mapping, 0, token);
                format!("{} {}", Mapping::path(file), hex(token))
            }
            None => "none".to_owned(),
        };
        store.set("exchange/memory", offer.as_bytes())?;
        let mut is_shared = created.is_some();
        for other in 1..world_size {
            let answer = store.get(&format!("exchange/memory/{other}"))?;
            is_shared &= created.as_ref().is_some_and(|(mapping, _)| token(mapping, other)[..] == answer[..]);
        }
        store.set("exchange/shared", if is_shared { b"yes" } else { b"no" })?;
        // the file is closed here, after everybody has joined
        Ok(created.filter(|_| is_shared).map(|(mapping, _)| Self::new(mapping, rank, world_size)))
    }

    fn new(mapping: Mapping, rank: usize, world_size: usize) -> Self {
        Self { mapping, rank, world_size, turn: 0, closed: vec![false; world_size - 1] }
    }

    /// Replaces the numbers by their mean over all workers.
    pub(super) fn mean(&mut self, mesh: &mut Mesh, numbers: &mut [f32], limit: Duration) -> Result<(), String> {
        let count = numbers.len() as u64;
        for piece in numbers.chunks_mut(PLACE) {
            self.turn(mesh, piece, count, limit)?;
        }
        Ok(())
    }

    fn turn(&mut self, mesh: &mut Mesh, piece: &mut [f32], count: u64, limit: Duration) -> Result<(), String> {
        self.turn += 1;
        // SAFETY: nobody reads this worker's place of this turn before the counter says that it is written, and nobody still reads it
        // from two turns ago.
        unsafe { self.mapping.write(self.place(self.rank), piece) };
        self.line(self.rank, COUNTS[self.parity()]).store(count, Relaxed);
        // sequentially consistent with ASLEEP: either the other one sees the turn before it sleeps, or this one sees that it sleeps
        self.line(self.rank, TURN).store(self.turn, SeqCst);
        for peer in &mut mesh.peers {
            if self.line(peer.rank, ASLEEP).load(SeqCst) != 0 {
                // whether the peer still lives is seen when it is waited for
                let _ = peer.write(&[0]);
            }
        }
        let mut wait = Wait::new(limit);
        while !self.all_here(mesh) {
            if !wait.stay_awake() {
                self.sleep(mesh, &mut wait)?;
            }
        }
        for peer in &mesh.peers {
            let theirs = self.line(peer.rank, COUNTS[self.parity()]).load(Relaxed);
            if theirs != count {
                return Err(peer.lost(&format!("exchanges {theirs} numbers, and this one {count}")));
            }
        }
        self.average(piece);
        Ok(())
    }

    fn all_here(&self, mesh: &Mesh) -> bool {
        mesh.peers.iter().all(|peer| self.is_here(peer.rank))
    }

    fn is_here(&self, rank: usize) -> bool {
        // what was written before the counter is seen after it
        self.line(rank, TURN).load(Acquire) >= self.turn
    }

    fn sleep(&mut self, mesh: &mut Mesh, wait: &mut Wait) -> Result<(), String> {
        let Some(left) = wait.left() else {
            let late = mesh.peers.iter().map(|peer| peer.rank).filter(|rank| !self.is_here(*rank));
            return Err(silence(&late.collect::<Vec<_>>(), wait.limit()));
        };
        self.line(self.rank, ASLEEP).store(1, SeqCst);
        let slept = if mesh.peers.iter().all(|peer| self.line(peer.rank, TURN).load(SeqCst) >= self.turn) {
            Ok(())
        } else {
            mesh.sleep(|at| (!self.closed[at]).then_some(Watch::Read), left)
        };
        self.line(self.rank, ASLEEP).store(0, SeqCst);
        slept?;
        for (at, peer) in mesh.peers.iter_mut().enumerate().filter(|(at, _)| !self.closed[*at]).collect::<Vec<_>>() {
            // bytes only wake
            let closed = peer.read(&mut [0; 64]).err();
            self.closed[at] = closed.is_some();
            // a peer that has ended after its part of this turn takes nothing from it
            if let Some(reason) = closed.filter(|_| !self.is_here(peer.rank)) {
                return Err(reason);
            }
        }
        Ok(())
    }

    /// Adds everybody's numbers in the order of the ranks.
    fn average(&self, piece: &mut [f32]) {
        const BLOCK: usize = 1024;
        let share = 1.0 / self.world_size as f32;
        // SAFETY: everybody has written its place of this turn, and writes it again only after this worker has begun the next turn.
        let written = (0..self.world_size)
            .map(|rank| unsafe { self.mapping.floats(self.place(rank), piece.len()) })
            .collect::<Vec<_>>();
        for (at, means) in piece.chunks_mut(BLOCK).enumerate() {
            let block = at * BLOCK..at * BLOCK + means.len();
            means.copy_from_slice(&written[0][block.clone()]);
            for numbers in &written[1..] {
                means.iter_mut().zip(&numbers[block.clone()]).for_each(|(sum, number)| *sum += number);
            }
            means.iter_mut().for_each(|mean| *mean *= share);
        }
    }

    fn line(&self, rank: usize, at: usize) -> &AtomicU64 {
        self.mapping.number(rank * LINE + at)
    }

    fn parity(&self) -> usize {
        (self.turn % 2) as usize
    }

    /// Where a worker's numbers of this turn are, in bytes.
    fn place(&self, rank: usize) -> usize {
        slots(self.world_size) + (self.parity() * self.world_size + rank) * PLACE * size_of::<f32>()
    }
}

/// Where the places begin: after everybody's line.
fn slots(world_size: usize) -> usize {
    (world_size * LINE).next_multiple_of(PAGE)
}

/// Joins the memory that rank 0 offers, if it can be seen here and holds rank 0's token.
fn join(offer: &str, rank: usize, world_size: usize, length: usize) -> Option<Memory> {
    let (path, token) = offer.split_once(' ')?;
    let mapping = Mapping::join(path, length).ok()?;
    (hex(self::token(&mapping, 0)) == token).then(|| Memory::new(mapping, rank, world_size))
}

fn set_token(mapping: &Mapping, rank: usize, token: [u8; 16]) {
    let token = u128::from_le_bytes(token);
    for (at, half) in TOKEN.into_iter().zip([token as u64, (token >> 64) as u64]) {
        mapping.number(rank * LINE + at).store(half, SeqCst);
    }
}

fn token(mapping: &Mapping, rank: usize) -> [u8; 16] {
    let [low, high] = TOKEN.map(|at| mapping.number(rank * LINE + at).load(SeqCst));
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

fn hex(token: [u8; 16]) -> String {
    format!("{:032x}", u128::from_le_bytes(token))
}
