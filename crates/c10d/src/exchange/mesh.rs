//! One TCP connection between each two workers.
//!
//! A worker connects to those of lower rank and accepts those of higher rank. Their addresses are in the store, and so is a secret that
//! both sides show, so that neither a stranger nor a worker of another job is taken for a peer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use super::random;
use crate::store::rendezvous;
use crate::{Result, Store};

/// Connections of a worker.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) rank: usize,
    /// In the order of their ranks, without this worker.
    pub(super) peers: Vec<Peer>,
}

/// Another worker. Its connection never blocks.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) rank: usize,
    stream: TcpStream,
}

/// Bytes of the word that who connects says first, and of the one that answers it.
const WORD: usize = 32;
/// A word and the rank of who says it.
const HELLO: usize = WORD + 4;
/// Strangers that may be connected without having said who they are.
const STRANGERS: usize = 64;
/// A machine that has vanished without closing its connections is lost after this time, whether or not something is on its way to it.
const VANISHED: Duration = Duration::from_secs(20);

impl Mesh {
    /// Connects all workers; each calls this with its own rank and address.
    pub(super) fn connect(store: &Store, rank: usize, own: IpAddr, until: Instant) -> Result<Self> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| rendezvous(&store.config, format!("{what}: {error}"))
        };
        let listener = TcpListener::bind((own, 0)).map_err(failed(&format!("listening at {own}")))?;
        let address = listener.local_addr().map_err(failed("listening"))?;
        if rank == 0 {
            store.set("exchange/words", &random::<{ 2 * WORD }>(store)?)?;
        }
        store.set(&format!("exchange/address/{rank}"), address.to_string().as_bytes())?;
        let words = store.get("exchange/words")?;
        let Some((hello, welcome)) = words.split_at_checked(WORD).filter(|(_, welcome)| welcome.len() == WORD) else {
            return Err(rendezvous(&store.config, "the store has no words of greeting".to_owned()));
        };
        let mut peers = Vec::new();
        for lower in 0..rank {
            let address = store.get(&format!("exchange/address/{lower}"))?;
            let address = String::from_utf8_lossy(&address);
            let stream = introduce(&address, rank, hello, welcome, until)
                .map_err(failed(&format!("connecting to worker {lower} at {address}")))?;
            peers.push(Peer { rank: lower, stream });
        }
        let higher = rank + 1..store.config.world_size;
        peers.extend(
            accept(&listener, higher, hello, welcome, until)
                .map_err(failed("waiting for the connections of others"))?,
        );
        for peer in &peers {
            peer.set_up().map_err(failed("setting up a connection"))?;
        }
        Ok(Self { rank, peers })
    }

    pub(super) fn world_size(&self) -> usize {
        self.peers.len() + 1
    }

    /// Sleeps until something can be read from a peer, or written to it where `writes` says so; until the time is up at most. Peers for
    /// which `watch` is `None` are left out.
    pub(super) fn sleep(&self, watch: impl Fn(usize) -> Option<Watch>, left: Duration) -> Result<(), String> {
        let watched = self.peers.iter().enumerate().filter_map(|(at, peer)| {
            let flags = match watch(at)? {
                Watch::Read => PollFlags::IN,
                Watch::Write => PollFlags::OUT,
                Watch::Both => PollFlags::IN | PollFlags::OUT,
            };
            Some(PollFd::new(&peer.stream, flags))
        });
        wait_for(&mut watched.collect::<Vec<_>>(), left).map_err(|error| format!("waiting for others: {error}"))
    }
}

/// What a worker waits for at a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watch {
    Read,
    Write,
    Both,
}

impl Peer {
    fn set_up(&self) -> io::Result<()> {
        let stream = &self.stream;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(None)?;
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, VANISHED / 4)?;
        sockopt::set_tcp_keepintvl(stream, VANISHED / 4)?;
        sockopt::set_tcp_keepcnt(stream, 3)?;
        #[cfg(target_os = "linux")]
        sockopt::set_tcp_user_timeout(stream, VANISHED.as_millis() as u32)?;
        Ok(())
    }

    /// Writes what the connection takes now; 0 if it is full.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, String> {
        self.done((&self.stream).write(bytes), "is lost")
    }

    /// Reads what has arrived; 0 if nothing has.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<usize, String> {
        let read = (&self.stream).read(bytes);
        if matches!(read, Ok(0)) {
            return Err(self.lost("has closed its connection"));
        }
        self.done(read, "is lost")
    }

    fn done(&self, done: io::Result<usize>, what: &str) -> Result<usize, String> {
        done.or_else(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(0),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Err(self.lost("has closed its connection")),
            _ => Err(self.lost(&format!("{what}: {error}"))),
        })
    }

    /// A message about this peer.
    pub(super) fn lost(&self, what: &str) -> String {
        format!("worker {} {what}", self.rank)
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::Error::new(ErrorKind::TimedOut, "the time is up")) } else { Ok(left) }
}

/// Connects to a worker of lower rank, and is accepted by it.
fn introduce(address: &str, rank: usize, hello: &[u8], welcome: &[u8], until: Instant) -> io::Result<TcpStream> {
    let address: SocketAddr =
        address.parse().map_err(|_| io::Error::new(ErrorKind::InvalidData, "this is no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, left(until)?)?;
    let mut word = hello.to_vec();
    word.extend((rank as u32).to_le_bytes());
    stream.write_all(&word)?;
    stream.set_read_timeout(Some(left(until)?))?;
    let mut answer = [0; WORD];
    stream.read_exact(&mut answer)?;
    if !is_same(&answer, welcome) {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it does not know the job's word"));
    }
    Ok(stream)
}

/// A connection whose hello has not arrived as a whole.
struct Stranger {
    stream: TcpStream,
    said: Vec<u8>,
}

impl Stranger {
    /// Reads on. `Some` when the hello is complete, or can never be.
    fn listen(&mut self) -> Option<io::Result<()>> {
        let mut more = [0; HELLO];
        match (&self.stream).read(&mut more[..HELLO - self.said.len()]) {
            Ok(0) => Some(Err(ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.said.extend_from_slice(&more[..read]);
                (self.said.len() == HELLO).then_some(Ok(()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The rank, if it said the right word.
    fn rank(&self, hello: &[u8]) -> Option<usize> {
        let (word, rank) = self.said.split_at(WORD);
        is_same(word, hello).then(|| rank.try_into().map(u32::from_le_bytes).ok()).flatten().map(|rank| rank as usize)
    }
}

/// Accepts the workers of higher rank, in whichever order they come. Whoever does not say the right word is sent away, and delays nobody.
fn accept(
    listener: &TcpListener,
    higher: Range<usize>,
    hello: &[u8],
    welcome: &[u8],
    until: Instant,
) -> io::Result<Vec<Peer>> {
    listener.set_nonblocking(true)?;
    let mut peers: Vec<Peer> = Vec::new();
    let mut strangers: Vec<Stranger> = Vec::new();
    while peers.len() < higher.len() {
        let mut watched = vec![PollFd::new(listener, PollFlags::IN)];
        watched.extend(strangers.iter().map(|stranger| PollFd::new(&stranger.stream, PollFlags::IN)));
        wait_for(&mut watched, left(until)?)?;
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                if strangers.len() == STRANGERS + higher.len() {
                    strangers.remove(0);
                }
                strangers.push(Stranger { stream, said: Vec::new() });
            }
            // also a connection that was closed before it was accepted
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                ) => {}
            Err(error) => return Err(error),
        }
        for mut stranger in std::mem::take(&mut strangers) {
            match stranger.listen() {
                None => strangers.push(stranger),
                Some(Err(_)) => {}
                Some(Ok(())) => {
                    let rank = stranger.rank(hello).filter(|rank| higher.contains(rank));
                    let Some(rank) = rank.filter(|rank| peers.iter().all(|peer| peer.rank != *rank)) else { continue };
                    // 32 bytes always fit into a new connection
                    stranger.stream.write_all(welcome)?;
                    peers.push(Peer { rank, stream: stranger.stream });
                }
            }
        }
    }
    peers.sort_by_key(|peer| peer.rank);
    Ok(peers)
}

/// Compares in a time that does not depend on where the words differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// Sleeps until one of these is ready, or the time is up.
fn wait_for(watched: &mut [PollFd<'_>], left: Duration) -> io::Result<()> {
    let left = Timespec { tv_sec: left.as_secs().min(86_400) as _, tv_nsec: left.subsec_nanos().into() };
    match poll(watched, Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const HI: [u8; WORD] = [1; WORD];
    const WELCOME: [u8; WORD] = [2; WORD];

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn strangers_are_sent_away_and_delay_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = thread::spawn(move || accept(&listener, 1..3, &HI, &WELCOME, soon()));
        // one says nothing, one too little and leaves, one the wrong word, and one the right word with a rank that is not expected
        let _silent = TcpStream::connect(address).unwrap();
        TcpStream::connect(address).unwrap().write_all(&HI[..5]).unwrap();
        let mut wrong = TcpStream::connect(address).unwrap();
        wrong.write_all(&[[3; WORD].as_slice(), &1u32.to_le_bytes()].concat()).unwrap();
        let mut unknown = TcpStream::connect(address).unwrap();
        unknown.write_all(&[HI.as_slice(), &7u32.to_le_bytes()].concat()).unwrap();
        for stranger in [&mut wrong, &mut unknown] {
            let mut answer = Vec::new();
            // closed, maybe with a reset
            let _ = stranger.read_to_end(&mut answer);
            assert!(answer.is_empty());
        }
        let text = address.to_string();
        let second = introduce(&text, 2, &HI, &WELCOME, soon()).unwrap();
        let first = introduce(&text, 1, &HI, &WELCOME, soon()).unwrap();
        let peers = accepting.join().unwrap().unwrap();
        assert_eq!(peers.iter().map(|peer| peer.rank).collect::<Vec<_>>(), [1, 2]);
        let ends = peers.iter().map(|peer| peer.stream.peer_addr().unwrap()).collect::<Vec<_>>();
        assert_eq!(ends, [first.local_addr().unwrap(), second.local_addr().unwrap()]);
    }

    #[test]
    fn whoever_does_not_answer_with_the_jobs_word_is_no_worker() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = listener.local_addr().unwrap().to_string();
        let other_job = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; HELLO]).unwrap();
            stream.write_all(&[9; WORD]).unwrap();
            stream
        });
        let error = introduce(&text, 1, &HI, &WELCOME, soon()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        drop(other_job.join().unwrap());
        let late = introduce(&text, 1, &HI, &WELCOME, Instant::now()).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_worker_that_does_not_come_is_waited_for_until_the_time_is_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let soon = Instant::now() + Duration::from_millis(50);
        let error = accept(&listener, 1..2, &HI, &WELCOME, soon).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
