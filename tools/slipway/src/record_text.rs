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

/// A price as text, such as `0.08 USD`; what is not nothing is not shown as nothing.
pub(crate) fn price(amount: f64, currency: &str) -> String {
    if amount > 0.0 && amount < 0.005 {
        format!("less than 0.01 {currency}")
    } else {
        format!("{amount:.2} {currency}")
    }
}

/// The metrics that say most about a model; of others, the names decide.
fn metrics(result: &JobResult) -> String {
    let mut all: Vec<(&String, &f64)> = result.metrics.iter().collect();
    all.sort_by_key(|(name, _)| (rank(name), *name));
    let shown = all.into_iter().take(METRICS);
    let mut shown: Vec<String> = shown.map(|(name, value)| format!("{}={value:.4}", text(name))).collect();
    if result.metrics.len() > METRICS {
        shown.push("…".to_owned());
    }
    shown.join(" ")
}

/// Where a metric comes in a row: what a model can do first, how fast it was trained last.
fn rank(name: &str) -> u8 {
    match name {
        "test_accuracy" => 0,
        "accuracy" => 1,
        _ if name.contains("accuracy") => 2,
        _ if name.contains("second") => 5,
        _ if name.contains("loss") => 4,
        // of a program: its own measure, such as `f1`
        _ => 3,
    }
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

    #[test]
    fn what_a_model_can_do_is_shown_before_how_fast_it_was_trained() {
        let mut result =
            JobResult::new(JobState::Finished, OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        let names = ["images_per_second", "loss", "seconds", "test_accuracy", "validation_accuracy", "f1"];
        result.metrics = names.map(|name| (name.to_owned(), 0.5)).into();
        assert_eq!(metrics(&result), "test_accuracy=0.5000 validation_accuracy=0.5000 f1=0.5000 …");
        for name in ["test_accuracy", "validation_accuracy", "f1"] {
            result.metrics.remove(name);
        }
        assert_eq!(metrics(&result), "loss=0.5000 images_per_second=0.5000 seconds=0.5000");
    }

    #[test]
    fn a_little_money_is_not_nothing() {
        let shown = [0.0, 0.001, 0.005, 2.0].map(|amount| price(amount, "USD"));
        assert_eq!(shown, ["0.00 USD", "less than 0.01 USD", "0.01 USD", "2.00 USD"]);
    }
}
