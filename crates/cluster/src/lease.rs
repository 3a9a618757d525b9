//! Which of several programs acts: the one that holds a Lease.
//!
//! A `coordination.k8s.io/v1` Lease, as client-go's leader election uses it: the holder renews it every few seconds, and whoever sees it
//! unchanged for its whole duration takes it. Every write is a compare-and-swap by `resourceVersion`.
//!
//! No two clocks are compared. A holder counts from the moment before it sent the last renewal that was confirmed, and stops after
//! [`Timing::renew`]. The others count from the moment at which they saw the Lease change, which is later, and wait for [`Timing::lease`],
//! which is longer. So the holder has stopped when another one begins, as long as no clock runs half as fast again as another. The times in
//! the Lease are for people.

#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::connection::Cluster;
use crate::error::{Error, Result};

/// How often one step looks again when others write at the same time.
const LOOKS: usize = 3;
/// How long a program that ends tries to give the Lease back.
const FAREWELL: Duration = Duration::from_secs(3);

/// The times of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a Lease must be unchanged until another one takes it: 15 s.
    pub lease: Duration,
    /// How long a holder goes on without a renewal: 10 s. At most two thirds of `lease`.
    pub renew: Duration,
    /// The pause between two renewals, or two looks: 2 s.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let [lease, renew, retry] = [15, 10, 2].map(Duration::from_secs);
        Self { lease, renew, retry }
    }
}

/// A candidate for a Lease, before it begins.
pub struct Election {
    api: Api<Lease>,
    server: String,
    name: String,
    identity: String,
    timing: Timing,
    /// What people read in the Lease.
    wall: fn() -> Timestamp,
}

/// Whether this program is the leader.
#[derive(Clone, Debug)]
pub struct Leadership {
    is_leader: watch::Receiver<bool>,
    until: watch::Receiver<Option<Instant>>,
}

/// A candidate that renews its Lease, or waits for it, until it is dropped. Give it back with [`release`](Self::release).
#[derive(Debug)]
pub struct Candidacy {
    leadership: Leadership,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Leadership {
    /// One that no Lease decides: it follows what these say. For tests of what only a leader does.
    #[must_use]
    pub fn told(is_leader: watch::Receiver<bool>, until: watch::Receiver<Option<Instant>>) -> Self {
        Self { is_leader, until }
    }

    /// Whether this program is the leader now, by its own clock: also right after the machine or the process stood still, when
    /// [`changes`](Self::changes) does not say so yet. To be asked before everything that only a leader does.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Follows whether this program is the leader.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.is_leader.clone()
    }
}

impl Candidacy {
    /// Whether this program is the leader, for whoever needs to know.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Stops, and gives the Lease back, so that another one need not wait until it expires. What only a leader does must have ended before.
    pub async fn release(mut self) {
        let (never, _) = oneshot::channel();
        let stop = std::mem::replace(&mut self.stop, never);
        // one that has ended gave it back already
        let _ = stop.send(());
        let _ = (&mut self.task).await;
    }
}

impl Drop for Candidacy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Election {
    /// An election by the Lease of this name. `identity` says in the Lease who holds it, such as a pod's name; what makes it unique is
    /// added, because a process that restarts is another candidate.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn new(cluster: &Cluster, namespace: &str, name: &str, identity: &str) -> Result<Self> {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(|error| Error::Random(error.to_string()))?;
        let api = Api::namespaced(cluster.client().clone(), namespace);
        let identity = format!("{identity}_{:016x}", u64::from_ne_bytes(unique));
        let (server, name) = (cluster.server().to_owned(), name.to_owned());
        Ok(Self { api, server, name, identity, timing: Timing::default(), wall: Timestamp::now })
    }

    /// The same with other times.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing: Timing { renew: timing.renew.min(timing.lease * 2 / 3), ..timing }, ..self }
    }

    /// Begins, in a task of its own. While the API server is away there is no leader after a while, and no failure.
    #[must_use]
    pub fn start(self) -> Candidacy {
        let (leadership, stop, run) = self.prepare();
        Candidacy { leadership, stop, task: tokio::spawn(run) }
    }

    fn prepare(self) -> (Leadership, oneshot::Sender<()>, impl Future<Output = ()> + Send) {
        let (is_leader, until) = (watch::Sender::new(false), watch::Sender::new(None));
        let leadership = Leadership { is_leader: is_leader.subscribe(), until: until.subscribe() };
        let (stop, stopped) = oneshot::channel();
        let candidate = Candidate { election: self, seen: None, is_leader, until, complaint: String::new() };
        (leadership, stop, candidate.run(stopped))
    }
}

/// A Lease as it was seen last.
struct Seen {
    lease: Lease,
    /// Whether it was gone when it was looked for last.
    is_gone: bool,
    /// Since when that is so, by this machine's clock.
    since: Instant,
}

/// A candidate at work.
struct Candidate {
    election: Election,
    seen: Option<Seen>,
    is_leader: watch::Sender<bool>,
    /// Until when the Lease is surely ours.
    until: watch::Sender<Option<Instant>>,
    /// What went wrong last.
    complaint: String,
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.resign();
    }
}

impl Candidate {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let Timing { renew, retry, .. } = self.election.timing;
        loop {
            let begun = Instant::now();
            // a request that hangs must not be the only one before the time is up
            let limit = self.leads_until().map_or(begun + renew, |until| until.min(begun + renew / 2));
            let stepped = tokio::select! {
                biased;
                _ = &mut stopped => break,
                stepped = timeout_at(limit, self.step()) => stepped,
            };
            self.note(match stepped {
                Ok(stepped) => stepped.err(),
                Err(_) => Some(self.election.silence()),
            });
            let next = begun + retry;
            if let Some(until) = self.leads_until().filter(|until| *until < next) {
                tokio::select! {
                    biased;
                    _ = &mut stopped => break,
                    () = sleep_until(until) => {}
                }
            }
            if self.leads_until().is_some_and(|until| until <= Instant::now()) {
                self.resign();
            }
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                () = sleep_until(next) => {}
            }
        }
        self.resign();
        // if this fails, the Lease expires
        let _ = timeout_at(Instant::now() + FAREWELL, self.give_back()).await;
    }

    fn leads_until(&self) -> Option<Instant> {
        *self.until.borrow()
    }

    /// Renews the Lease, takes it, or sees that it is another's.
    async fn step(&mut self) -> Result<()> {
        // as the leader, without looking first
        let mut known = self.leads_until().and(self.seen.as_ref()).map(|seen| seen.lease.clone());
        let mut failed = None;
        for _ in 0..LOOKS {
            let lease = match known.take() {
                Some(lease) => Some(lease),
                None => self.look().await?,
            };
            if !self.may_take(lease.as_ref()) {
                self.resign();
                return Ok(());
            }
            let sent = Instant::now();
            match self.election.take(lease).await {
                Ok(lease) => {
                    self.see(lease);
                    self.lead(sent + self.election.timing.renew);
                    return Ok(());
                }
                // someone else wrote, or removed it
                Err(error @ (Error::Conflict { .. } | Error::Refused { code: 404, .. })) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The Lease as it is now.
    async fn look(&mut self) -> Result<Option<Lease>> {
        let found = self.election.api.get_opt(&self.election.name).await;
        let found = found.map_err(|error| self.election.failed(error))?;
        match (&found, &mut self.seen) {
            (Some(lease), _) => self.see(lease.clone()),
            (None, Some(seen)) if !seen.is_gone => (seen.is_gone, seen.since) = (true, Instant::now()),
            (None, _) => {}
        }
        Ok(found)
    }

    /// Remembers a Lease, and since when it is as it is.
    fn see(&mut self, lease: Lease) {
        let version = |lease: &Lease| (lease.metadata.uid.clone(), lease.metadata.resource_version.clone());
        match &mut self.seen {
            Some(seen) if !seen.is_gone && version(&seen.lease) == version(&lease) => {}
            seen => *seen = Some(Seen { lease, is_gone: false, since: Instant::now() }),
        }
    }

    /// Whether a Lease is ours, nobody's, or expired. One that is gone counts as it was when it was last seen: its holder may not know yet.
    fn may_take(&self, lease: Option<&Lease>) -> bool {
        let Some(seen) = &self.seen else { return lease.is_none() };
        let holder = holder(&seen.lease);
        let promised = seen.lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let promised = Duration::from_secs(promised.and_then(|seconds| seconds.try_into().ok()).unwrap_or_default());
        let is_expired = seen.since.elapsed() >= self.election.timing.lease.max(promised);
        holder.is_empty() || holder == self.election.identity || is_expired
    }

    fn lead(&mut self, until: Instant) {
        // its answer came too late to be of use
        if until <= Instant::now() {
            return self.resign();
        }
        self.until.send_replace(Some(until));
        if self.say(true) {
            tracing::info!("this is the leader now, by the {}", self.election.title());
        }
    }

    fn resign(&mut self) {
        self.until.send_replace(None);
        if self.say(false) {
            tracing::info!("this is no longer the leader, by the {}", self.election.title());
        }
    }

    /// Tells whoever follows it, if it is new. Returns whether it is.
    fn say(&self, leads: bool) -> bool {
        self.is_leader.send_if_modified(|before| std::mem::replace(before, leads) != leads)
    }

    /// Says what goes wrong, once as long as it is the same.
    fn note(&mut self, error: Option<Error>) {
        let complaint = error.map(|error| error.to_string()).unwrap_or_default();
        if complaint != self.complaint && !complaint.is_empty() {
            tracing::warn!("who leads cannot be told: {complaint}");
        }
        self.complaint = complaint;
    }

    async fn give_back(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            let Some(mut lease) = self.look().await?.filter(|lease| holder(lease) == self.election.identity) else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime((self.election.wall)()));
            match self.election.replace(&lease).await {
                Err(Error::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
        Ok(())
    }
}

impl Election {
    /// Writes a Lease as ours, if it is still as it was; or makes it.
    async fn take(&self, lease: Option<Lease>) -> Result<Lease> {
        let now = (self.wall)();
        let before = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let is_ours = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        // the API server makes no new version of what is the same, and others would see no sign of life
        let is_same = before.renew_time.as_ref().is_some_and(|time| time.0.as_microsecond() == now.as_microsecond());
        let little = Duration::from_micros(1);
        let other = || now.checked_add(little).or_else(|_| now.checked_sub(little)).unwrap_or(now);
        let now = if is_same { other() } else { now };
        let spec = LeaseSpec {
            acquire_time: if is_ours { before.acquire_time.clone() } else { Some(MicroTime(now)) },
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds(self.timing.lease)),
            lease_transitions: Some(if is_ours || lease.is_none() { transitions } else { transitions.wrapping_add(1) }),
            renew_time: Some(MicroTime(now)),
            ..before
        };
        match lease {
            Some(lease) => self.replace(&Lease { spec: Some(spec), ..lease }).await,
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(spec) };
                let made = self.api.create(&PostParams::default(), &lease).await;
                made.map_err(|error| self.failed(error))
            }
        }
    }

    /// Writes a Lease if nobody has written it since it was read.
    async fn replace(&self, lease: &Lease) -> Result<Lease> {
        if lease.metadata.resource_version.is_none() {
            let message = "the API server gives it no resourceVersion".to_owned();
            return Err(Error::Malformed { what: self.title(), message });
        }
        let written = self.api.replace(&self.name, &PostParams::default(), lease).await;
        written.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: kube::Error) -> Error {
        Error::of_request(&self.server, &self.title(), error)
    }

    fn silence(&self) -> Error {
        Error::Unreachable { server: self.server.clone(), message: "a request took too long".to_owned() }
    }

    fn title(&self) -> String {
        format!("Lease {}", self.name)
    }
}

/// Who holds a Lease; empty if nobody does.
fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> i32 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(i32::MAX)
}
