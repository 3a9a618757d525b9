//! Fetching over HTTP without the program git.
//!
//! git's protocol, version 2 (<https://git-scm.com/docs/protocol-v2>), over the project's own HTTP client: a remote is asked for some of
//! its references, then for a pack with everything that they lead to and that is not here. Where nothing is new, that is one small request.

mod answer;
mod capabilities;
mod endpoint;
mod haves;
mod incoming;
mod pack_index;
mod packets;
mod tidy;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use git2::Oid;
use tokio::sync::{Mutex, mpsc};

pub use endpoint::Limits;
pub use token::Token;

use crate::references::Move;
use crate::{Error, Repository, Result};
use capabilities::Known;
use endpoint::{Endpoint, SMALL};
use incoming::{Incoming, Refusal};
use packets::{Band, Packet};

/// How often it is looked again when others move the same references.
const ATTEMPTS: usize = 5;
/// How many pieces of a pack wait for the disk.
const WAITING: usize = 16;

/// A remote that is fetched from over HTTP, without the program git. Clones share what is known of it.
#[derive(Clone)]
pub struct HttpRemote {
    endpoint: Endpoint,
    /// What the remote has said of itself.
    known: Arc<Mutex<Option<Arc<Known>>>>,
    /// One pack at a time: the second fetch mostly finds that the first one brought everything.
    fetching: Arc<Mutex<()>>,
}

impl fmt::Debug for HttpRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRemote({})", self.endpoint.shown())
    }
}

/// A piece of a pack.
enum Piece {
    Bytes(bytes::Bytes),
    /// All of it has come.
    End,
}

impl HttpRemote {
    /// A remote by its URL: HTTPS, or HTTP on loopback.
    ///
    /// # Errors
    /// [`Error::Address`] for another kind of URL, or one that holds a login.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { endpoint: Endpoint::new(url)?, known: Arc::default(), fetching: Arc::default() })
    }

    /// The same, asked with a token that `token` gives for each request, or says why there is none. It goes to the host of the URL and to
    /// no other.
    #[must_use]
    pub fn with_token<F>(self, token: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = std::result::Result<Token, String>> + Send + 'static,
    {
        Self { endpoint: self.endpoint.with_token(Arc::new(move || Box::pin(token()))), ..self }
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// [`Error::Address`] if TLS cannot be set up.
    pub fn with_limits(self, limits: Limits) -> Result<Self> {
        Ok(Self { endpoint: self.endpoint.with_limits(limits)?, ..self })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.shown()
    }

    /// Brings references of the remote, by their full names such as `refs/heads/main` and `refs/pull/7/head`, into a bare repository, which
    /// is then its mirror as far as these are concerned. Returns the id that each leads to; `None` for one that the remote does not have,
    /// which the mirror then does not have either.
    ///
    /// A fetch that breaks off changes nothing. Objects come in as a whole and with everything that they refer to, and references move
    /// after them by compare-and-swap.
    ///
    /// # Errors
    /// [`Error::NotAMirror`], [`Error::NoRevision`] for what is not a reference's name; [`Error::NoToken`], [`Error::Refused`];
    /// [`Error::Unreachable`], [`Error::Silent`], [`Error::TooSlow`]; [`Error::Unreadable`], [`Error::TooLarge`]; [`Error::Busy`]; when the
    /// repository cannot be written.
    pub async fn fetch(&self, into: &Repository, names: &[&str]) -> Result<Vec<Option<String>>> {
        if !into.is_bare() {
            return Err(Error::NotAMirror(into.root().to_owned()));
        }
        let is_valid = |name: &&str| name.starts_with("refs/") && git2::Reference::is_valid_name(name);
        if let Some(name) = names.iter().find(|name| !is_valid(name)) {
            return Err(Error::NoRevision((*name).to_owned()));
        }
        let total = self.endpoint.limits().total;
        let too_slow = |_| Error::TooSlow { remote: self.url(), seconds: total.as_secs() };
        tokio::time::timeout(total, self.mirror(into, names)).await.map_err(too_slow)?
    }

    async fn mirror(&self, into: &Repository, names: &[&str]) -> Result<Vec<Option<String>>> {
        for _ in 0..ATTEMPTS {
            // Before the remote is asked: what another fetch has put here meanwhile is newer.
            let before = names.iter().map(|name| into.reference(name)).collect::<Result<Vec<_>>>()?;
            let there = self.references(names).await?;
            self.bring(into, there.values().copied()).await?;
            let after: Vec<_> = names.iter().map(|name| there.get(*name).map(Oid::to_string)).collect();
            let moves = names.iter().zip(&before).zip(&after).filter(|((_, before), after)| before != after);
            let moves =
                moves.map(|((name, from), to)| (*name, Move { name, from: from.as_deref(), to: to.as_deref() }));
            // each once, whoever named one twice
            let moves: BTreeMap<_, _> = moves.collect();
            let moves: Vec<_> = moves.into_values().collect();
            if moves.is_empty() || into.mirror(&moves)? {
                return Ok(after);
            }
        }
        Err(Error::Busy(into.root().to_owned()))
    }

    /// Asks which references there are. What the remote said of itself before is asked again if it does not fit any more.
    async fn references(&self, names: &[&str]) -> Result<BTreeMap<String, Oid>> {
        let remembered = self.known.lock().await.clone();
        if let Some(known) = remembered {
            match known.references(&self.endpoint, names).await {
                Err(Error::Refused { .. } | Error::Unreadable { .. }) => {}
                other => return other,
            }
        }
        let known = Arc::new(Known::ask(&self.endpoint).await?);
        let found = known.references(&self.endpoint, names).await?;
        *self.known.lock().await = Some(known);
        Ok(found)
    }

    /// Brings objects, with everything that they refer to.
    async fn bring(&self, into: &Repository, wanted: impl Iterator<Item = Oid> + Clone) -> Result<()> {
        if into.lacking(wanted.clone())?.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.fetching.lock().await;
        let wanted = into.lacking(wanted)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let known = self.known.lock().await.clone();
        let known = known.ok_or_else(|| self.endpoint.unreadable("it has not said what it can do"))?;
        let request = known.pack(&wanted, &haves::haves(into)?);
        if !self.download(&known, into, request, &wanted).await? {
            // Something is missing here that should be here: all of it is fetched again.
            let request = known.pack(&wanted, &[]);
            if !self.download(&known, into, request, &wanted).await? {
                return Err(self.endpoint.unreadable("objects are missing in its pack"));
            }
        }
        let repository = into.clone();
        // what was fetched is there, tidy or not; the next fetch tries again
        let _ = tokio::task::spawn_blocking(move || tidy::tidy(&repository)).await;
        Ok(())
    }

    /// Downloads a pack. Returns whether it holds everything that is missing here; otherwise nothing of it was kept.
    async fn download(&self, known: &Known, into: &Repository, request: Vec<u8>, wanted: &[Oid]) -> Result<bool> {
        let most = self.endpoint.limits().pack;
        // framing takes a part of it
        let mut answer = self.endpoint.command(&known.base, request, most.saturating_add(most / 64 + SMALL)).await?;
        loop {
            match answer.needed().await? {
                Packet::Data(data) if data.as_ref() == b"packfile\n" => break,
                Packet::Data(data) => {
                    if let Some(said) = data.strip_prefix(b"ERR ") {
                        return Err(self.endpoint.failure(said).await);
                    }
                }
                // a section that was not asked for
                Packet::Delimiter => {}
                Packet::Flush | Packet::End => return Err(self.endpoint.unreadable("it sends no pack")),
            }
        }
        let (pieces, mut received) = mpsc::channel(WAITING);
        let (repository, wanted) = (into.clone(), wanted.to_vec());
        // libgit2 writes and reads the disk, and is busy with a large pack for seconds
        let writing = tokio::task::spawn_blocking(move || {
            let mut incoming = Incoming::new(&repository, most)?;
            loop {
                match received.blocking_recv() {
                    Some(Piece::Bytes(bytes)) => incoming.write(&bytes)?,
                    Some(Piece::End) => return incoming.enter(&wanted),
                    // whoever fetches has given up, and knows why
                    None => return Ok(()),
                }
            }
        });
        let sent = self.pass_on(&mut answer, pieces, most).await;
        let written = writing.await.map_err(|error| Error::io("writing what is fetched")(error.into()))?;
        sent?;
        match written {
            Ok(()) => Ok(true),
            Err(Refusal::Incomplete) => Ok(false),
            Err(Refusal::Wrong(reason)) => Err(self.endpoint.unreadable(&reason)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    /// Passes a pack on, piece by piece. If nobody takes it any more, whoever took it says why.
    async fn pass_on(&self, answer: &mut answer::Answer<'_>, pieces: mpsc::Sender<Piece>, most: u64) -> Result<()> {
        let mut left = most;
        loop {
            let piece = match answer.needed().await? {
                Packet::Data(data) => match Band::of(data).map_err(|reason| self.endpoint.unreadable(reason))? {
                    Band::Pack(bytes) => {
                        let remaining = left.checked_sub(bytes.len() as u64);
                        left = remaining.ok_or_else(|| Error::TooLarge { remote: self.url(), most })?;
                        Piece::Bytes(bytes)
                    }
                    Band::Progress => continue,
                    Band::Failure(said) => return Err(self.endpoint.failure(&said).await),
                },
                Packet::Flush => Piece::End,
                Packet::Delimiter | Packet::End => return Err(self.endpoint.unreadable("its pack has sections")),
            };
            let is_last = matches!(piece, Piece::End);
            if pieces.send(piece).await.is_err() || is_last {
                return Ok(());
            }
        }
    }
}

impl Repository {
    /// Those of these objects that are not here.
    fn lacking(&self, wanted: impl Iterator<Item = Oid>) -> Result<Vec<Oid>> {
        let handle = self.handle()?;
        let objects = handle.odb().map_err(self.failed("reading"))?;
        let mut lacking: Vec<Oid> = wanted.filter(|id| !objects.exists(*id)).collect();
        lacking.sort_unstable();
        lacking.dedup();
        Ok(lacking)
    }
}
