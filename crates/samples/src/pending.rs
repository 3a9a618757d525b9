//! Samples that are not written yet.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::{Hour, Sample};

/// What becomes one file: answers of a version in an hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) model: String,
    pub(crate) version: u64,
    pub(crate) hour: Hour,
}

/// The samples of a group, with the memory that they take.
pub(crate) struct Held {
    pub(crate) samples: Vec<Sample>,
    pub(crate) memory: OwnedSemaphorePermit,
    bytes: usize,
    since: Instant,
}

/// All groups.
#[derive(Default)]
pub(crate) struct Pending {
    groups: BTreeMap<Group, Held>,
    /// The hour that each model was last asked in, and its rows so far.
    rows: BTreeMap<String, (Hour, usize)>,
}

impl Pending {
    /// Takes the rows of a request, unless the hour has as many as it may; gives how many it left out. A request is taken whole or not at
    /// all.
    pub(crate) fn add(
        &mut self,
        group: Group,
        mut samples: Vec<Sample>,
        memory: OwnedSemaphorePermit,
        rows_per_hour: usize,
    ) -> usize {
        let (hour, rows) = self.rows.entry(group.model.clone()).or_insert((group.hour, 0));
        // an hour that is over has what it has; an answer that arrives late counts for the hour that runs
        if group.hour > *hour {
            (*hour, *rows) = (group.hour, 0);
        }
        if *rows + samples.len() > rows_per_hour {
            return samples.len();
        }
        *rows += samples.len();
        let bytes: usize = samples.iter().map(Sample::bytes).sum();
        match self.groups.get_mut(&group) {
            Some(held) => {
                held.samples.append(&mut samples);
                held.memory.merge(memory);
                held.bytes += bytes;
            }
            None => {
                self.groups.insert(group, Held { samples, memory, bytes, since: Instant::now() });
            }
        }
        0
    }

    /// Takes out a group that has waited for so long, takes so many bytes, or whose hour is over.
    pub(crate) fn due(&mut self, age: Duration, file: usize, now: Hour) -> Option<(Group, Held)> {
        let is_due =
            |(group, held): &(&Group, &Held)| held.since.elapsed() >= age || held.bytes >= file || group.hour < now;
        let group = self.groups.iter().find(is_due)?.0.clone();
        self.groups.remove_entry(&group)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn group(model: &str, hour: i64) -> Group {
        Group { model: model.to_owned(), version: 3, hour: Hour::of(0).after(hour) }
    }

    /// How many rows are left out of requests of a model, each in an hour and with so many rows.
    fn left_out(requests: &[(&str, i64, u32)], rows_per_hour: usize) -> Vec<usize> {
        let mut pending = Pending::default();
        let memory = Arc::new(Semaphore::new(100));
        let each = requests.iter().map(|(model, hour, rows)| {
            let samples = (0..*rows).map(|row| Sample::new(0, "", row, 3, Vec::new(), Vec::new())).collect();
            let memory = Arc::clone(&memory).try_acquire_owned().unwrap();
            pending.add(group(model, *hour), samples, memory, rows_per_hour)
        });
        each.collect()
    }

    #[test]
    fn an_hour_has_no_more_rows_than_it_may() {
        let requests = [("a", 1, 3), ("a", 1, 3), ("a", 1, 2), ("b", 1, 5), ("a", 2, 5), ("a", 1, 1), ("a", 2, 1)];
        assert_eq!(left_out(&requests, 5), [0, 3, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn a_group_is_due_by_its_age_its_size_or_the_end_of_its_hour() {
        let memory = Arc::new(Semaphore::new(1));
        let mut pending = Pending::default();
        let permit = Arc::clone(&memory).try_acquire_owned().unwrap();
        pending.add(group("a", 1), vec![Sample::new(0, "", 0, 3, vec![0.0; 100], Vec::new())], permit, 9);
        let (long, hour) = (Duration::from_secs(3600), |hour| Hour::of(0).after(hour));
        let expected = Some((group("a", 1), 1));
        assert!(pending.due(long, 593, hour(1)).is_none());
        assert_eq!(pending.due(long, 592, hour(1)).map(|(group, held)| (group, held.samples.len())), expected);
        assert!(pending.due(Duration::ZERO, 0, hour(9)).is_none());
        for (age, now) in [(Duration::ZERO, 1), (long, 2)] {
            let permit = Arc::clone(&memory).try_acquire_owned().unwrap();
            pending.add(group("a", 1), vec![Sample::new(0, "", 0, 3, Vec::new(), Vec::new())], permit, 9);
            assert_eq!(pending.due(age, 1000, hour(now)).map(|(group, held)| (group, held.samples.len())), expected);
        }
    }
}
