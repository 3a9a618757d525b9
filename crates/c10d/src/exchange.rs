//! The exchange of gradients: the mean of all workers' numbers, element by element.
//!
//! libtorch's CPU build has gloo over TCP and nothing else, and gloo takes ten times as long as the loopback needs, most of it for waking
//! its threads. So there are two ways of our own, on the calling thread: through memory that all workers share ([`memory`]), and over a
//! TCP connection between each two workers ([`sockets`]). Both add the workers' numbers in the order of their ranks and hand the same sum
//! to everybody, so the result has the same bits on all workers, whichever way it took and however long each worker did.

mod bytes;
#[cfg(target_os = "linux")]
mod mapping;
#[cfg(target_os = "linux")]
mod memory;
mod mesh;
mod sockets;
mod wait;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::store::rendezvous;
use crate::{Error, Result, Store};

use mesh::Mesh;

/// How workers exchange gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Through memory that all of them share: processes of one machine that see each other in `/proc`, on Linux.
    Memory,
    /// Over one TCP connection between each two workers.
    Tcp,
    /// By gloo.
    Gloo,
}

impl Exchange {
    const WORDS: [(&str, Self); 3] = [("memory", Self::Memory), ("tcp", Self::Tcp), ("gloo", Self::Gloo)];
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Tcp => "tcp",
            Self::Gloo => "gloo",
        })
    }
}

impl FromStr for Exchange {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let found = Self::WORDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, exchange)| *exchange).ok_or_else(|| {
            Error::Argument(format!("{word:?} is no exchange of gradients: use `memory`, `tcp` or `gloo`"))
        })
    }
}

/// An exchange of our own.
#[derive(Debug)]
pub(crate) struct Means {
    mesh: Mesh,
    way: Way,
    timeout: Duration,
    /// Why an exchange failed; the streams are at an unknown place since.
    failed: Option<String>,
}

#[derive(Debug)]
enum Way {
    #[cfg(target_os = "linux")]
    Memory(memory::Memory),
    Tcp(sockets::Sockets),
}

impl Means {
    /// Agrees with all other workers on how to exchange; `None` is gloo. `wish` must be the same on all of them.
    pub(crate) fn agree(
        store: &Store,
        rank: usize,
        own: IpAddr,
        timeout: Duration,
        wish: Option<Exchange>,
    ) -> Result<Option<Self>> {
        let until = Instant::now() + store.config.timeout;
        same_wish(store, rank, wish)?;
        let way = match wish {
            Some(Exchange::Gloo) => return Ok(None),
            Some(Exchange::Tcp) => None,
            Some(Exchange::Memory) | None => shared(store, rank)?,
        };
        if wish == Some(Exchange::Memory) && way.is_none() {
            return Err(Error::Argument(
                "the workers share no memory, which the setting `memory` asks for: use `tcp`, or leave the choice to them".to_owned(),
            ));
        }
        let mesh = Mesh::connect(store, rank, own, until)?;
        let way = way.unwrap_or_else(|| Way::Tcp(sockets::Sockets::default()));
        Ok(Some(Self { mesh, way, timeout, failed: None }))
    }

    pub(crate) fn exchange(&self) -> Exchange {
        match &self.way {
            #[cfg(target_os = "linux")]
            Way::Memory(_) => Exchange::Memory,
            Way::Tcp(_) => Exchange::Tcp,
        }
    }

    /// Replaces the numbers by their mean over all workers. Nothing may come from another worker for as long as `limit`, or as the time limit
    /// says that was agreed on.
    pub(crate) fn mean(&mut self, numbers: &mut [f32], limit: Option<Duration>) -> Result<()> {
        let limit = limit.unwrap_or(self.timeout);
        let done = match (&self.failed, &mut self.way) {
            (Some(reason), _) => Err(reason.clone()),
            #[cfg(target_os = "linux")]
            (None, Way::Memory(memory)) => memory.mean(&mut self.mesh, numbers, limit),
            (None, Way::Tcp(sockets)) => sockets.mean(&mut self.mesh, numbers, limit),
        };
        done.map_err(|reason| {
            self.failed = Some(reason.clone());
            Error::Collective { operation: "averaging", reason }
        })
    }
}

/// Fails on all workers if their settings differ: some would wait for others that never come.
fn same_wish(store: &Store, rank: usize, wish: Option<Exchange>) -> Result<()> {
    let word = wish.map_or_else(|| "none".to_owned(), |exchange| exchange.to_string());
    store.set(&format!("exchange/wish/{rank}"), word.as_bytes())?;
    let others = if rank == 0 { 1..store.config.world_size } else { 0..1 };
    for other in others {
        let theirs = store.get(&format!("exchange/wish/{other}"))?;
        if theirs != word.as_bytes() {
            return Err(Error::Argument(format!(
                "the exchange of gradients is set to {word} on worker {rank}, and to {} on worker {other}: set the same on all workers",
                String::from_utf8_lossy(&theirs)
            )));
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn shared(store: &Store, rank: usize) -> Result<Option<Way>> {
    Ok(memory::Memory::agree(store, rank)?.map(Way::Memory))
}

#[cfg(not(target_os = "linux"))]
fn shared(_: &Store, _: usize) -> Result<Option<Way>> {
    Ok(None)
}

/// Random bytes of the system, which nobody else can guess.
fn random<const N: usize>(store: &Store) -> Result<[u8; N]> {
    use std::io::Read;

    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| rendezvous(&store.config, format!("reading /dev/urandom: {error}")))?;
    Ok(bytes)
}
