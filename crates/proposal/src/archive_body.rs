//! What the pull request says that moves ended TrainJobs to the history.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use slipway_experiment::{JobState, Record};
use slipway_markdown::{cell, code, shortened};
use slipway_project::plan::number;
use slipway_project::{count, history, jobs_folder};
use time::format_description::well_known::Rfc3339;

/// The most TrainJobs in the table; more are counted.
const LISTED: usize = 50;

/// The most metrics of a TrainJob in the table.
const METRICS: usize = 3;

/// The most characters of a reason, and of a metric's name.
const CHARACTERS: usize = 120;

/// The description: counts first, then what happens, then a table.
pub(crate) fn body(environment: &str, records: &[Record], left: usize) -> String {
    let have = if records.len() == 1 { "has" } else { "have" };
    let mut text = format!(
        "**{} {have} ended in {}: {}**\n\nEach file moves from {} to {}, unchanged below what came of its job, and Argo CD removes the \
         object. Runs and versions stay in MLflow. Undoing this merge puts the files back; a job that is there again asks MLflow first, and ends at once \
         if it has finished.\n\n| TrainJob | ended | | CPU-hours | metrics | version |\n|---|---|---|---:|---|---|\n",
        count(records.len(), "TrainJob"),
        code(&shortened(environment, CHARACTERS)),
        summary(records),
        code(&format!("{}/", jobs_folder(environment))),
        code(&format!("{}/", history::folder(environment))),
    );
    for record in records.iter().take(LISTED) {
        text.push_str(&row(record));
    }
    if records.len() > LISTED {
        let _ = writeln!(text, "| … and {} more | | | | | |", records.len() - LISTED);
    }
    if left > 0 {
        let (more, have) = (count(left, "more TrainJob"), if left == 1 { "has" } else { "have" });
        let _ = writeln!(text, "\n{more} {have} ended: the next pull request records them.");
    }
    text
}

/// How they ended and what they used, such as `2 finished, 1 failed; 1.25 CPU-hours`.
fn summary(records: &[Record]) -> String {
    let mut states: BTreeMap<JobState, usize> = BTreeMap::new();
    records.iter().for_each(|record| *states.entry(record.result.state).or_default() += 1);
    let states: Vec<String> = states.into_iter().map(|(state, number)| format!("{number} {state}")).collect();
    let sum = |of: fn(&Record) -> Option<f64>| records.iter().filter_map(of).fold(0.0, |sum, hours| sum + hours);
    let gpu_hours = sum(|record| record.result.gpu_hours);
    let gpus = if gpu_hours > 0.0 { format!(" and {} GPU-hours", hours(gpu_hours)) } else { String::new() };
    format!("{}; {} CPU-hours{gpus}", states.join(", "), hours(sum(|record| record.result.cpu_hours)))
}

/// Hours as text; what is not nothing is not shown as nothing.
fn hours(hours: f64) -> String {
    if hours > 0.0 && hours < 0.005 { "less than 0.01".to_owned() } else { number(hours) }
}

fn row(record: &Record) -> String {
    let result = &record.result;
    let ended = result.ended.format(&Rfc3339).unwrap_or_default();
    let ended = ended.get(..16).unwrap_or(&ended).replace('T', " ");
    let state = match &result.reason {
        Some(reason) => format!("{}: {}", result.state, cell(&shortened(reason, CHARACTERS))),
        None => result.state.to_string(),
    };
    let metrics = result.metrics.iter().take(METRICS);
    let metrics: Vec<String> =
        metrics.map(|(name, value)| cell(&format!("{}={value:.4}", shortened(name, CHARACTERS)))).collect();
    let more = if result.metrics.len() > METRICS { " …" } else { "" };
    let version = match (&result.model, result.version) {
        (Some(model), Some(version)) => cell(&format!("{} {version}", shortened(model, CHARACTERS))),
        _ => String::new(),
    };
    format!(
        "| {} | {ended} | {state} | {} | {}{more} | {version} |\n",
        cell(&shortened(&record.name, CHARACTERS)),
        result.cpu_hours.map(hours).unwrap_or_default(),
        metrics.join(" "),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use slipway_experiment::{JobResult, RecordSpec};
    use time::OffsetDateTime;

    use super::*;

    fn record(index: usize, state: JobState, reason: Option<&str>) -> Record {
        let mut result = JobResult::new(state, OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        result.reason = reason.map(str::to_owned);
        result.cpu_hours = Some(0.25);
        result.metrics = [("a|b".to_owned(), 0.5), ("loss".to_owned(), f64::NAN)].into();
        Record { name: format!("digits-{index:08x}"), spec: RecordSpec::default(), result }
    }

    #[test]
    fn counts_stand_first_and_hostile_texts_stay_in_their_cells() {
        let hostile = "no memory | left\n## Approved\n</td><script>alert(1)</script> @octo".repeat(100);
        let records = [record(1, JobState::Finished, None), record(2, JobState::Failed, Some(&hostile))];
        let text = body("staging", &records, 3);
        assert!(
            text.starts_with("**2 TrainJobs have ended in `staging`: 1 finished, 1 failed; 0.5 CPU-hours**\n"),
            "{text}"
        );
        assert!(text.contains("\n3 more TrainJobs have ended: the next pull request records them.\n"), "{text}");
        let row = text.lines().find(|line| line.contains("digits-00000002")).unwrap();
        assert!(row.starts_with("| `digits-00000002` | 2027-01-15 08:00 | failed: <code>"), "{row}");
        assert!(!text.contains("<script>") && !text.contains("\n##"), "{text}");
        assert_eq!(row.matches('|').count(), 7, "{row}");
    }

    #[test]
    fn no_environment_is_markup() {
        let text = body("`x` @org/team\n\n# <b>", &[record(1, JobState::Finished, None)], 0);
        assert!(text.starts_with("**1 TrainJob has ended in `` `x` @org/team  # <b> ``: 1 finished"), "{text}");
        assert!(
            text.contains("to ``overlays/`x` @org/team  # <b>/history/``, unchanged") && !text.contains("\n#"),
            "{text}"
        );
    }

    #[test]
    fn a_body_for_hundreds_is_one_that_github_takes() {
        let reason = "x".repeat(5000);
        let records: Vec<Record> = (0..500).map(|index| record(index, JobState::Failed, Some(&reason))).collect();
        let text = body("local", &records, 0);
        assert!(text.contains("| … and 450 more | | | | | |") && text.chars().count() < 60_000, "{}", text.len());
    }
}
