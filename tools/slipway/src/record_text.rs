//! Records of ended TrainJobs in the terminal.

use slipway_experiment::{JobResult, Record};
use slipway_markdown::{shortened, visible};
use slipway_project::plan::number;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most metrics in a row.
const METRICS: usize = 3;

/// The most characters of a text of others in a row.
const CHARACTERS: usize = 60;

/// The columns of [`row`].
pub(crate) const COLUMNS: [&str; 7] = ["TRAINJOB", "STATE", "ENDED", "DURATION", "CPU-HOURS", "METRICS", "VERSION"];

/// A record as a row of a table.
pub(crate) fn row(record: &Record) -> [String; 7] {
    let result = &record.result;
    let state = match &result.reason {
        Some(reason) => format!("{}: {}", result.state, text(reason)),
        None => result.state.to_string(),
    };
    [
        record.name.clone(),
        state,
        minute(result.ended),
        result.seconds.map(duration).unwrap_or_default(),
        result.cpu_hours.map(hours).unwrap_or_default(),
        metrics(result),
        result
            .version
            .map(|version| format!("{} {version}", text(result.model.as_deref().unwrap_or_default())))
            .unwrap_or_default(),
    ]
}

/// Hours as text; what is not nothing is not shown as nothing.
pub(crate) fn hours(hours: f64) -> String {
    if hours > 0.0 && hours < 0.005 { "< 0.01".to_owned() } else { number(hours) }
}

fn metrics(result: &JobResult) -> String {
    let shown = result.metrics.iter().take(METRICS);
    let mut shown: Vec<String> = shown.map(|(name, value)| format!("{}={value:.4}", text(name))).collect();
    if result.metrics.len() > METRICS {
        shown.push("…".to_owned());
    }
    shown.join(" ")
}

/// A text of others on one line.
fn text(text: &str) -> String {
    visible(&shortened(text, CHARACTERS)).replace(['\n', '\t'], " ")
}

/// A time to the minute, in UTC: `2026-11-28 12:00`.
fn minute(time: OffsetDateTime) -> String {
    let text = time.format(&Rfc3339).unwrap_or_default();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// Seconds as `9.2 s`, `3 min 20 s` or `5 h 07 min`.
fn duration(seconds: f64) -> String {
    // a duration in whole seconds: rounded, and within range for any job
    let all = seconds.round() as u64;
    match (all / 3600, all / 60 % 60, all % 60) {
        (0, 0, _) => format!("{seconds:.1} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use slipway_experiment::{JobState, RecordSpec};

    use super::*;

    #[test]
    fn a_row_shows_what_others_wrote_on_one_line() {
        let mut result = JobResult::new(JobState::Failed, OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        result.reason = Some("worker 1:\n\u{1b}[31mno memory".to_owned());
        result.seconds = Some(3725.0);
        result.cpu_hours = Some(0.001);
        result.metrics = (0..5).map(|index| (format!("m{index}"), 0.5)).collect();
        let record = Record { name: "digits-0123abcd".to_owned(), spec: RecordSpec::default(), result };
        let row = row(&record);
        assert_eq!(row[1], "failed: worker 1: �[31mno memory");
        assert_eq!(row[2..5], ["2027-01-15 08:00", "1 h 02 min", "< 0.01"]);
        assert_eq!(row[5], "m0=0.5000 m1=0.5000 m2=0.5000 …");
    }
}
