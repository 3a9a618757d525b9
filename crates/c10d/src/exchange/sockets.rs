//! The mean over TCP: each worker averages one part of the numbers for all (a reduce-scatter and an all-gather in one).
//!
//! To each peer goes a header, then this worker's numbers of the part that the peer averages, then the means of this worker's own part
//! as far as they are known. So no worker sends or receives more than twice the numbers, however many workers there are, and the second
//! half begins while the first is still on its way.

use std::ops::Range;
use std::time::Duration;

use super::bytes::{bytes, bytes_mut};
use super::mesh::{Mesh, Peer, Watch};
use super::wait::{Wait, silence};

/// Bytes that may go to a peer that has not begun the exchange. Each connection has room for them, so a peer that is busy elsewhere does
/// not look like one that has vanished.
const AHEAD: usize = 32 << 10;
/// Numbers that are added at a time, so that they stay in the processor's nearest cache.
const BLOCK: usize = 1024;
const HEADER: usize = 16;

/// The state between exchanges.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Number of this exchange, from 1.
    turn: u64,
    /// From each peer, its numbers of the part that this worker averages.
    arrived: Vec<Vec<f32>>,
}

/// What has travelled between this worker and one peer in this exchange, in bytes.
struct Flow {
    sent: usize,
    received: usize,
    header: [u8; HEADER],
    /// The part that the peer averages.
    part: Range<usize>,
}

impl Sockets {
    /// Replaces the numbers by their mean over all workers.
    pub(super) fn mean(&mut self, mesh: &mut Mesh, numbers: &mut [f32], limit: Duration) -> Result<(), String> {
        let world_size = mesh.world_size();
        let count = numbers.len();
        let part = |rank: usize| rank * count / world_size..(rank + 1) * count / world_size;
        let own = part(mesh.rank);
        self.turn += 1;
        self.arrived.resize_with(mesh.peers.len(), Vec::new);
        self.arrived.iter_mut().for_each(|numbers| numbers.resize(own.len(), 0.0));
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&self.turn.to_le_bytes());
        header[8..].copy_from_slice(&(count as u64).to_le_bytes());
        let flow = |peer: &Peer| Flow { sent: 0, received: 0, header: [0; HEADER], part: part(peer.rank) };
        let mut flows: Vec<Flow> = mesh.peers.iter().map(flow).collect();
        let mut averaged = 0;
        let mut wait = Wait::new(limit);
        loop {
            let mut moved = false;
            for ((peer, flow), arrived) in mesh.peers.iter_mut().zip(&mut flows).zip(&mut self.arrived) {
                moved |= flow.send(peer, &header, numbers, &own, averaged)?;
                moved |= flow.receive(peer, &header, numbers, arrived)?;
            }
            let known = flows.iter().map(|flow| flow.arrived(own.len())).min().unwrap_or(own.len());
            if known > averaged {
                average(&mut numbers[own.clone()], &self.arrived, mesh.rank, averaged..known);
                averaged = known;
                moved = true;
            }
            if flows.iter().all(|flow| flow.is_over(own.len())) {
                return Ok(());
            }
            if moved {
                wait.progress();
            } else if !wait.stay_awake() {
                let Some(left) = wait.left() else { return Err(hung(mesh, &flows, own.len(), wait.limit())) };
                let watch = |at: usize| flows[at].watch(&own, averaged);
                mesh.sleep(watch, left)?;
            }
        }
    }
}

impl Flow {
    /// What can be sent now: bytes of the header, of this worker's numbers, or of its means.
    fn outgoing<'a>(&self, header: &'a [u8], numbers: &'a [f32], own: &Range<usize>, averaged: usize) -> &'a [u8] {
        let theirs = bytes(&numbers[self.part.clone()]);
        if self.sent < HEADER {
            return &header[self.sent..];
        }
        let sent = self.sent - HEADER;
        if sent < theirs.len() {
            let most = if self.received < HEADER { AHEAD.min(theirs.len()) } else { theirs.len() };
            return &theirs[sent..most.max(sent)];
        }
        &bytes(&numbers[own.start..own.start + averaged])[sent - theirs.len()..]
    }

    fn send(
        &mut self,
        peer: &mut Peer,
        header: &[u8],
        numbers: &[f32],
        own: &Range<usize>,
        averaged: usize,
    ) -> Result<bool, String> {
        let outgoing = self.outgoing(header, numbers, own, averaged);
        if outgoing.is_empty() {
            return Ok(false);
        }
        let sent = peer.write(outgoing)?;
        self.sent += sent;
        Ok(sent > 0)
    }

    /// Means that arrive overwrite this worker's numbers: the peer knows them because it has received those.
    fn receive(
        &mut self,
        peer: &mut Peer,
        header: &[u8],
        numbers: &mut [f32],
        arrived: &mut [f32],
    ) -> Result<bool, String> {
        let before = self.received;
        if self.received < HEADER {
            self.received += peer.read(&mut self.header[before..])?;
            if self.received == HEADER && self.header != header {
                return Err(peer.lost(&format!("is at {}, and this one at {}", place(&self.header), place(header))));
            }
            return Ok(self.received > before);
        }
        let arrived = bytes_mut(arrived);
        let at = before - HEADER;
        let incoming = if at < arrived.len() {
            &mut arrived[at..]
        } else {
            let at = at - arrived.len();
            &mut bytes_mut(&mut numbers[self.part.clone()])[at..]
        };
        if incoming.is_empty() {
            return Ok(false);
        }
        self.received += peer.read(incoming)?;
        Ok(self.received > before)
    }

    /// How many of the peer's numbers for this worker's part have arrived.
    fn arrived(&self, own: usize) -> usize {
        (self.received.saturating_sub(HEADER) / size_of::<f32>()).min(own)
    }

    fn total(&self, own: usize) -> usize {
        HEADER + size_of::<f32>() * (self.part.len() + own)
    }

    fn is_over(&self, own: usize) -> bool {
        self.sent == self.total(own) && self.received == self.total(own)
    }

    fn watch(&self, own: &Range<usize>, averaged: usize) -> Option<Watch> {
        let theirs = size_of::<f32>() * self.part.len();
        let may_send = match self.sent {
            0..HEADER => true,
            sent if sent - HEADER < theirs => self.received >= HEADER || sent - HEADER < AHEAD.min(theirs),
            sent => sent < HEADER + theirs + size_of::<f32>() * averaged,
        };
        match (may_send, self.received < self.total(own.len())) {
            (true, true) => Some(Watch::Both),
            (true, false) => Some(Watch::Write),
            (false, true) => Some(Watch::Read),
            (false, false) => None,
        }
    }
}

/// Averages a range of the own part, in the order of the ranks.
fn average(own: &mut [f32], arrived: &[Vec<f32>], rank: usize, range: Range<usize>) {
    let share = 1.0 / (arrived.len() + 1) as f32;
    let mut sums = [0f32; BLOCK];
    for start in range.clone().step_by(BLOCK) {
        let block = start..(start + BLOCK).min(range.end);
        let sums = &mut sums[..block.len()];
        // not 0.0 + the first: that would make 0.0 of -0.0
        let (lower, higher) = arrived.split_at(rank);
        let mut terms = lower
            .iter()
            .map(|numbers| &numbers[block.clone()])
            .chain([&own[block.clone()]])
            .chain(higher.iter().map(|numbers| &numbers[block.clone()]));
        if let Some(first) = terms.next() {
            sums.copy_from_slice(first);
        }
        for term in terms {
            sums.iter_mut().zip(term).for_each(|(sum, number)| *sum += number);
        }
        own[block].iter_mut().zip(sums).for_each(|(mean, sum)| *mean = *sum * share);
    }
}

/// Where a worker is, as its header says.
fn place(header: &[u8]) -> String {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    format!("exchange {} of {} numbers", number(&header[..8]), number(&header[8..]))
}

/// Who has sent nothing: a peer whose own numbers are missing, or else one whose means are.
fn hung(mesh: &Mesh, flows: &[Flow], own: usize, limit: Duration) -> String {
    let without = |missing: &dyn Fn(&Flow) -> bool| {
        let late = mesh.peers.iter().zip(flows).filter(|(_, flow)| missing(flow)).map(|(peer, _)| peer.rank);
        late.collect::<Vec<_>>()
    };
    let silent = without(&|flow| flow.received < HEADER || flow.arrived(own) < own);
    let late = if silent.is_empty() { without(&|flow| flow.received < flow.total(own)) } else { silent };
    silence(&late, limit)
}
