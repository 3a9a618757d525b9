//! The attempts of TrainJobs: the newest run of each, and what those before it took. Pure.

use std::collections::BTreeMap;

use slipway_names::tag;

use crate::Run;

/// The runs of a TrainJob before its newest one. An attempt that finds no checkpoint to go on from begins a run of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// When each began and ended, in milliseconds since 1970; the one that began first is the first.
    spans: Vec<(i64, Option<i64>)>,
}

impl Earlier {
    /// When the first one began, in milliseconds since 1970; `None` if there is none.
    #[must_use]
    pub fn began(&self) -> Option<i64> {
        self.spans.first().map(|(began, _)| *began)
    }

    /// How long they took until a moment, in milliseconds since 1970, at which the next attempt began; in seconds. Attempts never overlap: one
    /// whose end nobody could write ended when the next one began.
    #[must_use]
    pub fn seconds_before(&self, moment: i64) -> f64 {
        let (mut next, mut milliseconds) = (moment, 0_i64);
        for (began, ended) in self.spans.iter().rev() {
            let until = ended.unwrap_or(i64::MAX).min(next);
            milliseconds = milliseconds.saturating_add(until.saturating_sub(*began).max(0));
            next = next.min(*began);
        }
        milliseconds as f64 / 1000.0
    }
}

/// The newest run of each TrainJob that these are runs of, by its name, with those before it.
#[must_use]
pub fn newest_runs(runs: impl IntoIterator<Item = Run>) -> BTreeMap<String, (Run, Earlier)> {
    let mut of_jobs: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for run in runs {
        if let Some(job) = run.tags.get(tag::TRAINJOB).cloned() {
            of_jobs.entry(job).or_default().push(run);
        }
    }
    let newest = of_jobs.into_iter().filter_map(|(job, mut runs)| {
        runs.sort_by_key(|run| run.start_time);
        let newest = runs.pop()?;
        let spans = runs.iter().filter_map(|run| Some((run.start_time?, run.end_time))).collect();
        Some((job, (newest, Earlier { spans })))
    });
    newest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunStatus;

    fn run(id: &str, job: &str, start_time: Option<i64>, end_time: Option<i64>) -> Run {
        Run {
            run_id: id.to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status: RunStatus::Failed,
            start_time,
            end_time,
            artifact_uri: String::new(),
            metrics: BTreeMap::new(),
            steps: BTreeMap::new(),
            params: BTreeMap::new(),
            tags: [(tag::TRAINJOB.to_owned(), job.to_owned())].into(),
        }
    }

    #[test]
    fn what_the_attempts_before_took_is_added_up_once() {
        let runs = [
            run("second", "a", Some(10_000), None),
            run("newest", "a", Some(30_000), Some(31_000)),
            run("first", "a", Some(1_000), Some(4_500)),
            run("without a start", "a", None, Some(4_500)),
            run("only", "b", Some(1_000), Some(2_000)),
        ];
        let found = newest_runs(runs);
        let (newest, earlier) = &found["a"];
        assert_eq!((newest.run_id.as_str(), earlier.began()), ("newest", Some(1_000)));
        // the second one was never closed
        assert_eq!(earlier.seconds_before(30_000), 3.5 + 20.0);
        // one that is counted from an earlier moment takes the time of those after it
        assert_eq!(earlier.seconds_before(2_000), 1.0);
        assert_eq!(earlier.seconds_before(0), 0.0);
        let (only, none) = &found["b"];
        assert_eq!((only.run_id.as_str(), none, none.seconds_before(9_000)), ("only", &Earlier::default(), 0.0));
    }

    #[test]
    fn times_that_cannot_be_right_do_no_harm() {
        let runs = [
            run("newest", "a", Some(i64::MAX), None),
            run("first", "a", Some(i64::MIN), Some(i64::MAX)),
            run("second", "a", Some(5_000), Some(4_000)),
        ];
        let (_, earlier) = &newest_runs(runs)["a"];
        assert!(earlier.seconds_before(i64::MAX) > 0.0);
    }
}
