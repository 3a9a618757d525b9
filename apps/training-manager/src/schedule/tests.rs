//! Ten thousand random schedules of changes, failures and kills, against a model of the outside.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::{Pace, Schedule, Urgency};

const PACE: Pace = Pace {
    interval: Duration::from_secs(10),
    lead: Duration::ZERO,
    soon: Duration::from_secs(8),
    calm: Duration::from_secs(5),
    first_pause: Duration::from_secs(5),
    longest_pause: Duration::from_secs(60),
    at_once: 3,
};

/// The same, where something is begun before it may be written.
const EARLY: Pace = Pace { lead: Duration::from_secs(2), ..PACE };

/// What is outside: the state of each key, and when it was written.
#[derive(Default)]
struct Outside {
    states: BTreeMap<u8, u64>,
    writes: BTreeMap<u8, Vec<Instant>>,
}

impl Outside {
    /// Brings a key to a state; what is there already is not written again, as a forge does it.
    fn write(&mut self, key: u8, state: u64, now: Instant) -> bool {
        if self.states.insert(key, state) == Some(state) {
            return false;
        }
        self.writes.entry(key).or_default().push(now);
        true
    }
}

/// One life of a manager, and what it is doing.
struct Life {
    schedule: Schedule<u8>,
    /// What is being done: the state as it was at the beginning, when it is written, and when that has been looked at.
    doing: Vec<(u8, u64, Instant, Instant)>,
}

impl Life {
    /// After a start everything is looked at again.
    fn begin(truth: &BTreeMap<u8, u64>, now: Instant) -> Self {
        let mut schedule = Schedule::new(EARLY, now);
        for (key, state) in truth {
            schedule.want(key, *state, if key % 2 == 0 { Urgency::Now } else { Urgency::Calm }, i64::from(*key), now);
        }
        Self { schedule, doing: Vec::new() }
    }

    /// Does what is due, and ends what takes until now.
    fn turn(
        &mut self,
        truth: &BTreeMap<u8, u64>,
        outside: &mut Outside,
        now: Instant,
        fails: &mut impl FnMut() -> u8,
        takes: Duration,
    ) {
        let (ended, still): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.doing).into_iter().partition(|(.., end)| *end <= now);
        self.doing = still;
        for (key, state, written, _) in ended {
            match fails() {
                // nothing was written
                0 => self.schedule.failed(&key, now),
                // it was written, and the answer was lost
                1 => {
                    outside.write(key, state, written);
                    self.schedule.failed(&key, now);
                }
                _ => {
                    let written = outside.write(key, state, written).then_some(written);
                    self.schedule.done(&key, now, written, None);
                }
            }
        }
        while let Some(key) = self.schedule.next(now) {
            assert!(self.doing.iter().all(|(other, ..)| *other != key), "one key is never done twice at once");
            let written = (now + takes).max(self.schedule.may_write(&key));
            self.doing.push((key, truth[&key], written, written + takes));
            assert!(self.doing.len() <= PACE.at_once);
        }
    }
}

fn random(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let begun = Instant::now();
    let mut now = begun;
    let mut outside = Outside::default();
    let mut truth: BTreeMap<u8, u64> = (0..rng.u8(1..6)).map(|key| (key, 1)).collect();
    let mut life = Life::begin(&truth, now);
    let bad = rng.u8(0..60);
    for _ in 0..rng.usize(1..80) {
        now += Duration::from_millis(rng.u64(0..6_000));
        match rng.u8(0..20) {
            0 => life = Life::begin(&truth, now),
            1..=9 => {
                let key = rng.u8(0..truth.len() as u8);
                // back to an earlier state sometimes
                let state = rng.u64(1..5);
                truth.insert(key, state);
                let urgency = [Urgency::Now, Urgency::Soon, Urgency::Calm][rng.usize(0..3)];
                life.schedule.want(&key, state, urgency, 0, now);
            }
            _ => {}
        }
        let takes = Duration::from_millis(rng.u64(0..3_000));
        life.turn(
            &truth,
            &mut outside,
            now,
            &mut || rng.u8(0..100).checked_sub(bad).map_or(rng.u8(0..2), |_| 2),
            takes,
        );
    }
    // afterwards everything works
    for _ in 0..600 {
        now += Duration::from_millis(500);
        life.turn(&truth, &mut outside, now, &mut || 2, Duration::from_millis(100));
    }
    assert_eq!(outside.states, truth, "seed {seed}: nothing is lost");
    assert_eq!(life.schedule.wait(now), None, "seed {seed}: nothing is left to do");
    for (key, writes) in &outside.writes {
        for pair in writes.windows(2) {
            // what is being done when the manager is killed may still arrive; here it does not
            assert!(pair[1] - pair[0] >= PACE.interval, "seed {seed}: {key} was written {:?} apart", pair[1] - pair[0]);
        }
    }
}

#[test]
fn nothing_is_lost_nothing_is_written_twice_and_the_rate_is_held() {
    (0..10_000).for_each(random);
}

fn at(begun: Instant, seconds: u64) -> Instant {
    begun + Duration::from_secs(seconds)
}

#[test]
fn a_change_is_shown_within_ten_seconds() {
    let begun = Instant::now();
    let mut schedule = Schedule::new(PACE, begun);
    schedule.want(&1, 1, Urgency::Now, 0, at(begun, 20));
    assert_eq!(schedule.next(at(begun, 20)), Some(1));
    schedule.done(&1, at(begun, 20), Some(at(begun, 20)), None);
    schedule.want(&1, 2, Urgency::Now, 0, at(begun, 21));
    assert_eq!((schedule.next(at(begun, 29)), schedule.wait(at(begun, 29))), (None, Some(Duration::from_secs(1))));
    assert_eq!(schedule.next(at(begun, 30)), Some(1));
    // another one comes while it is written
    schedule.want(&1, 3, Urgency::Now, 0, at(begun, 30));
    assert_eq!(schedule.next(at(begun, 31)), None);
    schedule.done(&1, at(begun, 31), Some(at(begun, 31)), None);
    assert_eq!(schedule.next(at(begun, 41)), Some(1));
    schedule.done(&1, at(begun, 41), Some(at(begun, 41)), None);
    schedule.want(&1, 4, Urgency::Soon, 0, at(begun, 60));
    schedule.want(&1, 5, Urgency::Soon, 0, at(begun, 65));
    assert_eq!(schedule.next(at(begun, 67)), None);
    assert_eq!(schedule.next(at(begun, 68)), Some(1), "it does not move because there is more of it");
}

#[test]
fn what_comes_right_after_a_write_is_written_ten_seconds_after_that_write() {
    let begun = Instant::now();
    let mut schedule = Schedule::new(EARLY, begun);
    schedule.want(&1, 1, Urgency::Now, 0, at(begun, 20));
    assert_eq!(schedule.next(at(begun, 20)), Some(1));
    assert!(schedule.may_write(&1) <= at(begun, 20), "nothing holds back the first one");
    // it is written after a second, and looked at for three more
    schedule.want(&1, 2, Urgency::Now, 0, at(begun, 22));
    schedule.done(&1, at(begun, 24), Some(at(begun, 21)), None);
    // the next one is begun two seconds before it may be written
    assert_eq!((schedule.next(at(begun, 28)), schedule.wait(at(begun, 28))), (None, Some(Duration::from_secs(1))));
    assert_eq!((schedule.next(at(begun, 29)), schedule.may_write(&1)), (Some(1), at(begun, 31)));
    // what had not to be written holds back nothing
    schedule.done(&1, at(begun, 31), None, None);
    schedule.want(&1, 3, Urgency::Now, 0, at(begun, 32));
    assert_eq!(schedule.next(at(begun, 32)), Some(1));
}

#[test]
fn what_comes_back_to_what_is_there_is_not_written() {
    let begun = Instant::now();
    let mut schedule = Schedule::new(PACE, begun);
    schedule.want(&1, 1, Urgency::Now, 0, at(begun, 20));
    assert_eq!(schedule.next(at(begun, 20)), Some(1));
    schedule.done(&1, at(begun, 20), Some(at(begun, 20)), None);
    schedule.want(&1, 2, Urgency::Soon, 0, at(begun, 40));
    schedule.want(&1, 1, Urgency::Now, 0, at(begun, 42));
    assert_eq!((schedule.next(at(begun, 60)), schedule.wait(at(begun, 60))), (None, None));
}

#[test]
fn failures_are_repeated_ever_more_slowly() {
    let begun = Instant::now();
    let mut schedule = Schedule::new(PACE, begun);
    schedule.want(&1, 1, Urgency::Now, 0, begun);
    let mut now = at(begun, 10);
    let mut pauses = Vec::new();
    for state in 2..10 {
        assert_eq!(schedule.next(now), Some(1));
        schedule.failed(&1, now);
        // more to say does not make it faster
        schedule.want(&1, state, Urgency::Now, 0, now);
        let pause = schedule.wait(now).unwrap();
        pauses.push(pause.as_secs());
        now += pause;
    }
    assert_eq!(pauses, [10, 10, 20, 40, 60, 60, 60, 60]);
    assert_eq!(schedule.next(now), Some(1));
    schedule.done(&1, now, Some(now), None);
    schedule.want(&1, 99, Urgency::Now, 0, now);
    assert_eq!(schedule.wait(now), Some(Duration::from_secs(10)));
}

#[test]
fn what_is_urgent_comes_before_what_is_looked_at_again() {
    let begun = Instant::now();
    let mut schedule = Schedule::new(PACE, begun);
    for key in 0..10 {
        schedule.want(&key, 1, Urgency::Calm, i64::from(key), begun);
    }
    schedule.want(&100, 1, Urgency::Now, 0, begun);
    let now = at(begun, 10);
    assert_eq!((schedule.next(now), schedule.next(now), schedule.next(now)), (Some(100), Some(9), None));
    assert_eq!(schedule.wait(now), Some(Duration::from_secs(5)));
    schedule.want(&101, 1, Urgency::Now, 0, now);
    assert_eq!((schedule.next(now), schedule.next(now)), (Some(101), None));
    assert_eq!(schedule.wait(now), None, "as much as allowed is being done");
    schedule.done(&9, now, None, None);
    schedule.want(&3, 1, Urgency::Now, 0, now);
    assert_eq!(schedule.next(now), Some(3), "it has become urgent");
    schedule.done(&3, now, None, None);
    assert_eq!(schedule.next(at(begun, 15)), Some(8));
}

#[test]
fn what_is_only_looked_at_again_is_not_hurried_by_wanting_the_same() {
    let now = Instant::now();
    let mut schedule = Schedule::new(PACE, now);
    schedule.want(&1, 1, Urgency::Now, 0, now);
    let at = now + PACE.interval;
    assert_eq!(schedule.next(at), Some(1));
    // nothing had to be written, so nothing else holds it back
    schedule.done(&1, at, None, Some(Duration::from_secs(60)));
    for second in 0..60 {
        let at = at + Duration::from_secs(second);
        schedule.want(&1, 1, Urgency::Now, 0, at);
        assert_eq!(schedule.next(at), None, "after {second} s");
    }
    assert_eq!(schedule.next(at + Duration::from_secs(60)), Some(1));
    schedule.done(&1, at + Duration::from_secs(60), None, Some(Duration::from_secs(60)));
    // something new is told at once
    schedule.want(&1, 2, Urgency::Now, 0, at + Duration::from_secs(61));
    assert_eq!(schedule.next(at + Duration::from_secs(61)), Some(1));
}

#[test]
fn what_is_incomplete_is_looked_at_again() {
    let begun = Instant::now();
    let mut schedule = Schedule::new(PACE, begun);
    schedule.want(&1, 1, Urgency::Now, 0, begun);
    assert_eq!(schedule.next(at(begun, 10)), Some(1));
    schedule.done(&1, at(begun, 10), Some(at(begun, 10)), Some(Duration::from_secs(60)));
    assert_eq!(schedule.wait(at(begun, 10)), Some(Duration::from_secs(60)));
    assert_eq!(schedule.next(at(begun, 70)), Some(1));
    schedule.forget(&1);
    schedule.done(&1, at(begun, 70), None, None);
    schedule.forget(&1);
    assert_eq!(schedule.wait(at(begun, 70)), None);
}
