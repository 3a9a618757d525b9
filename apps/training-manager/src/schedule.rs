//! When something is done that others wait for: at once or soon, again after a failure, and never more often than allowed. Pure.
//!
//! Each key has a state that is wanted. What is done brings the outside to that state; while it is done, another state may be wanted. So nothing
//! is lost, and nothing is done twice for one state. Nothing is kept on a disk: after a start everything is wanted again.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use slipway_service::backoff;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How fast things are done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one writing of a key to the next.
    pub interval: Duration,
    /// How long before a key may be written something is begun for it, since it takes a while until there is something to write.
    pub lead: Duration,
    /// How long something waits that is [`Urgency::Soon`].
    pub soon: Duration,
    /// From one [`Urgency::Calm`] thing to the next, whatever their keys.
    pub calm: Duration,
    /// How long the first failure is waited for; each later one twice as long as the one before.
    pub first_pause: Duration,
    /// The longest of these pauses.
    pub longest_pause: Duration,
    /// How many things are done at once.
    pub at_once: usize,
}

/// How urgent something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// At once.
    Now,
    /// Within seconds: what is most often followed by something else.
    Soon,
    /// Sometime: what is only looked at again.
    Calm,
}

/// What is to be done, by keys of type `K`.
#[derive(Debug)]
pub struct Schedule<K> {
    pace: Pace,
    entries: BTreeMap<K, Entry>,
    /// Before this nothing is written, since nobody knows when it was last.
    quiet_until: Instant,
    /// Before this nothing is done that is calm.
    calm_at: Instant,
    running: usize,
}

impl Pace {
    /// From one writing of a key until something is begun for it again.
    fn rest(&self) -> Duration {
        self.interval.saturating_sub(self.lead)
    }
}

#[derive(Debug)]
struct Entry {
    wanted: u64,
    /// The state that the outside is in, as far as is known.
    reached: Option<u64>,
    /// The state that is being brought about.
    doing: Option<u64>,
    urgency: Urgency,
    /// Of several calm ones the one with the highest rank is the first.
    rank: i64,
    due: Instant,
    written: Option<Instant>,
    failures: u32,
    /// Whether the wanted state was reached already and is only looked at again.
    is_again: bool,
}

impl<K: Ord + Clone> Schedule<K> {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, entries: BTreeMap::new(), quiet_until: now + pace.interval, calm_at: now, running: 0 }
    }

    /// Wants a state of a key; wanting the same again may only make it more urgent. `rank` decides which of several is the first.
    pub fn want(&mut self, key: &K, state: u64, urgency: Urgency, rank: i64, now: Instant) {
        let after = match urgency {
            Urgency::Now | Urgency::Calm => Duration::ZERO,
            Urgency::Soon => self.pace.soon,
        };
        let due = (now + after).max(self.quiet_until);
        let Some(entry) = self.entries.get_mut(key) else {
            let (reached, doing, written) = (None, None, None);
            let entry =
                Entry { wanted: state, reached, doing, urgency, rank, due, written, failures: 0, is_again: false };
            self.entries.insert(key.clone(), entry);
            return;
        };
        if entry.wanted == state {
            if entry.is_pending() && !entry.is_again && entry.failures == 0 && urgency < entry.urgency {
                entry.urgency = urgency;
                entry.due = entry.due.min(entry.written.map_or(due, |written| due.max(written + self.pace.rest())));
            }
            return;
        }
        let was_pending = entry.reached != Some(entry.wanted) && entry.doing.is_none();
        (entry.wanted, entry.is_again) = (state, false);
        let earliest = entry.written.map_or(due, |written| due.max(written + self.pace.rest()));
        if entry.failures > 0 {
            // what did not answer is not asked more often because there is more to say
        } else if was_pending {
            entry.due = entry.due.min(earliest);
            entry.urgency = entry.urgency.min(urgency);
        } else {
            (entry.due, entry.urgency) = (earliest, urgency);
        }
    }

    /// The first moment at which a key may be written. What is begun for it may be ready earlier, and waits.
    #[must_use]
    pub fn may_write(&self, key: &K) -> Instant {
        let written = self.entries.get(key).and_then(|entry| entry.written);
        written.map_or(self.quiet_until, |written| self.quiet_until.max(written + self.pace.interval))
    }

    /// Whether a state of a key was wanted before.
    #[must_use]
    pub fn knows(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether a key is only looked at again, since its state was reached already.
    #[must_use]
    pub fn is_again(&self, key: &K) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.is_again)
    }

    /// No state of a key is wanted any more.
    pub fn forget(&mut self, key: &K) {
        if self.entries.get(key).is_some_and(|entry| entry.doing.is_none()) {
            self.entries.remove(key);
        }
    }

    /// The next thing to do, which begins with this; `None` if nothing is due.
    pub fn next(&mut self, now: Instant) -> Option<K> {
        if self.running >= self.pace.at_once {
            return None;
        }
        let may_be_calm = now >= self.calm_at;
        let due = self.entries.iter().filter(|(_, entry)| entry.is_pending() && entry.due <= now);
        let due = due.filter(|(_, entry)| may_be_calm || entry.urgency != Urgency::Calm);
        let (key, _) = due.min_by_key(|(_, entry)| (entry.urgency, Reverse(entry.rank), entry.due))?;
        let key = key.clone();
        let entry = self.entries.get_mut(&key)?;
        entry.doing = Some(entry.wanted);
        if entry.urgency == Urgency::Calm {
            self.calm_at = now + self.pace.calm;
        }
        self.running += 1;
        Some(key)
    }

    /// How long nothing will be due; `None` if nothing is wanted.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        if self.running >= self.pace.at_once {
            return None;
        }
        let pending = self.entries.values().filter(|entry| entry.is_pending());
        let due =
            pending.map(|entry| if entry.urgency == Urgency::Calm { entry.due.max(self.calm_at) } else { entry.due });
        due.min().map(|due| due.saturating_duration_since(now))
    }

    /// It was done. `written` is when it was written, if anything had to be; `again` is after how long it is to be looked at again, if it is.
    pub fn done(&mut self, key: &K, now: Instant, written: Option<Instant>, again: Option<Duration>) {
        self.running = self.running.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.reached = entry.doing.take();
        entry.failures = 0;
        entry.written = written.or(entry.written);
        if entry.is_pending() {
            // something new came meanwhile
            entry.due = entry.written.map_or(now, |written| now.max(written + self.pace.rest()));
        } else if let Some(again) = again {
            entry.reached = None;
            (entry.due, entry.urgency, entry.is_again) = (now + again, Urgency::Calm, true);
        }
    }

    /// It could not be done, or nobody knows whether it was.
    pub fn failed(&mut self, key: &K, now: Instant) {
        self.running = self.running.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.doing = None;
        entry.reached = None;
        // it may have been written all the same
        entry.written = Some(now);
        let pause = backoff(self.pace.first_pause, entry.failures, self.pace.longest_pause);
        entry.failures = entry.failures.saturating_add(1);
        entry.due = now + pause.max(self.pace.interval);
    }
}

impl Entry {
    /// Whether there is something to do that is not being done.
    fn is_pending(&self) -> bool {
        self.doing.is_none() && self.reached != Some(self.wanted)
    }
}
