//! Records of ended TrainJobs: what is written reads back, whatever a worker said, and what does not belong together is found.

use std::collections::BTreeMap;

use proptest::option;
use proptest::prelude::*;
use rstest::rstest;
use slipway_experiment::{
    JobResult, JobState, Record, TrainJob, check_record, read_job, read_record, recorded_file, render,
};
use time::OffsetDateTime;

use crate::text::{CNN, dataset, experiment, provenance, with};

const FILE: &str = "overlays/local/history/mnist-cnn-x.yaml";

/// The file of a TrainJob, and what it says.
fn rendered() -> (String, TrainJob) {
    let experiment = experiment(CNN);
    let text = render(&experiment, &experiment.trials(&dataset())[0], "experiments/mnist-cnn.yaml", &provenance());
    let job = read_job("job.yaml", &text).unwrap();
    (text, job)
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
}

fn result() -> JobResult {
    JobResult {
        reason: Some("worker 1: exit code 137: no memory".to_owned()),
        started: Some(at(0)),
        metrics: [("accuracy".to_owned(), 0.97), ("val loss".to_owned(), 0.125)].into(),
        run: Some("0123456789abcdef0123456789abcdef".to_owned()),
        run_experiment: Some("5".to_owned()),
        model: Some("mnist".to_owned()),
        version: Some(3),
        digest: Some(format!("sha256:{}", "b".repeat(64))),
        pull_request: Some(12),
        pull_request_url: Some("https://github.com/acme/digits/pull/12".to_owned()),
        ..JobResult::new(JobState::Failed, at(90))
    }
}

fn file() -> String {
    let (text, job) = rendered();
    String::from_utf8(Record::new(&job, result()).to_bytes(text.as_bytes())).unwrap()
}

#[test]
fn a_record_says_what_was_asked_for_and_what_came_of_it() {
    let (text, job) = rendered();
    let expected = format!(
        "# What came of this TrainJob, above its file as it was rendered. Written by `slipway archive`: do not edit.
apiVersion: slipway.dev/v1alpha1
kind: TrainingRecord
metadata: {{name: {name}}}
spec:
  experiment: mnist-cnn
  dataset: {{name: mnist-10k, digest: \"{digest}\"}}
  workers: 2
  cpuMillis: 1000
  gpus: 0
  epochs: 3
  parameters:
    training.optimizer.learningRate: 0.001
result:
  state: failed
  reason: \"worker 1: exit code 137: no memory\"
  started: \"2027-01-15T08:00:00Z\"
  ended: \"2027-01-15T08:01:30Z\"
  seconds: 90.0
  cpuHours: 0.05
  gpuHours: 0.0
  metrics:
    accuracy: 0.97
    \"val loss\": 0.125
  run: \"0123456789abcdef0123456789abcdef\"
  runExperiment: \"5\"
  model: \"mnist\"
  version: 3
  digest: \"sha256:{version}\"
  pullRequest: 12
  pullRequestUrl: \"https://github.com/acme/digits/pull/12\"
---
{text}",
        name = job.name,
        digest = dataset().digest,
        version = "b".repeat(64),
    );
    assert_eq!(file(), expected);
    assert_eq!(check_record(FILE, &expected), Ok(Record::new(&job, result())));
    assert_eq!(read_record(FILE, &expected), Ok(Record::new(&job, result())));
    assert_eq!(recorded_file(expected.as_bytes()), Some(text.as_bytes()));
}

#[test]
fn a_record_that_names_no_pull_request_and_no_experiment_of_its_run_is_read() {
    // as they were written before there were such lines
    let file = file();
    let new = ["  runExperiment: ", "  pullRequest: ", "  pullRequestUrl: "];
    let old: Vec<&str> = file.lines().filter(|line| !new.iter().any(|name| line.starts_with(name))).collect();
    let record = check_record(FILE, &(old.join("\n") + "\n")).unwrap();
    let (_, job) = rendered();
    let known = JobResult { run_experiment: None, pull_request: None, pull_request_url: None, ..result() };
    assert_eq!(record, Record::new(&job, known));
}

#[test]
fn a_job_that_holds_no_trial_has_a_record_too() {
    let (text, _) = rendered();
    let text = with(&text, "name: SLIPWAY_TRIAL", "name: OTHER");
    let text = with(&text, "  labels: {slipway.dev/experiment: mnist-cnn}\n", "");
    let job = read_job("job.yaml", &text).unwrap();
    let record = Record::new(&job, JobResult::new(JobState::Cancelled, at(0)));
    let file = String::from_utf8(record.to_bytes(text.as_bytes())).unwrap();
    assert!(!file.contains("parameters:") && !file.contains("dataset: {"), "{file}");
    assert_eq!(check_record(FILE, &file), Ok(record));
}

#[test]
fn hours_are_what_the_workers_hold_unless_they_are_known() {
    let (_, job) = rendered();
    let hours = |change: fn(&mut JobResult)| {
        let mut result = result();
        change(&mut result);
        let result = Record::new(&job, result).result;
        (result.seconds, result.cpu_hours)
    };
    assert_eq!(hours(|_| {}), (Some(90.0), Some(0.05)));
    assert_eq!(hours(|result| result.cpu_hours = Some(0.125)), (Some(90.0), Some(0.125)));
    assert_eq!(hours(|result| result.seconds = Some(36.0)), (Some(36.0), Some(0.02)));
    assert_eq!(hours(|result| result.started = None), (None, None));
    assert_eq!(hours(|result| result.started = Some(at(1000))), (None, None), "it ended before it started");
    assert_eq!(hours(|result| result.cpu_hours = Some(f64::NAN)), (Some(90.0), Some(0.05)));
}

#[test]
fn what_is_without_a_bound_is_bounded() {
    let (text, job) = rendered();
    let mut result = result();
    result.reason = Some("\u{1F4A5}\n".repeat(100_000));
    result.metrics = (0..100_000).map(|index| (format!("layer {index}"), f64::from(index))).collect();
    let record = Record::new(&job, result);
    let file = String::from_utf8(record.to_bytes(text.as_bytes())).unwrap();
    assert!(file.len() < 16 * 1024, "{}", file.len());
    assert_eq!(check_record(FILE, &file), Ok(record));
}

// One mistake in each line: what is replaced, by what, line, column, code, part of the message.
#[rstest]
#[case("kind: TrainingRecord", "kind: TrainJob", 3, 7, "wrong-kind", "kind is `TrainJob`")]
#[case("kind: TrainingRecord", "kind: Experiment", 3, 7, "wrong-kind", "this is a file of kind Experiment")]
#[case("slipway.dev/v1alpha1", "slipway.dev/v1", 2, 13, "wrong-api-version", "apiVersion is `slipway.dev/v1`")]
#[case("  state: failed", "  state: done", 15, 10, "wrong-value", "result.state cannot be `done`")]
#[case("  state: failed\n", "", 15, 3, "missing-field", "missing field `state` in result")]
#[case("  ended: \"2027-", "  ended: \"27-", 18, 10, "wrong-value", "which is not a time")]
#[case("  seconds: 90.0", "  seconds: -1", 19, 12, "out-of-range", "result.seconds is -1")]
#[case("  cpuHours: 0.05", "  cpuHours: many", 20, 13, "wrong-type", "result.cpuHours must be a number")]
#[case("accuracy: 0.97", "accuracy: high", 23, 15, "wrong-type", "result.metrics.accuracy must be a number")]
#[case("  version: 3", "  version: 0", 28, 12, "out-of-range", "result.version is 0")]
#[case("  digest: \"sha256:b", "  digest: \"sha256:x", 29, 11, "wrong-value", "which is not a digest")]
#[case("  pullRequest: 12", "  pullRequest: 0", 30, 16, "out-of-range", "result.pullRequest is 0")]
#[case("  run: ", "  ran: ", 25, 3, "unknown-field", "unknown field `ran` in result")]
#[case("  workers: 2", "  workers: 3", 8, 12, "another-spec", "spec.workers is not what the TrainJob below asks for")]
#[case("  experiment: mnist-cnn", "  experiment: other", 6, 15, "another-spec", "spec.experiment")]
#[case("learningRate: 0.001\nresult", "learningRate: 0.002\nresult", 13, 5, "another-spec", "spec.parameters")]
#[case("  epochs: 3\n", "", 6, 3, "another-spec", "spec.epochs")]
#[case("metadata: {name: mnist", "metadata: {name: other", 4, 18, "another-job", "this is the record of other-cnn-")]
#[case("\n---\n", "\n...\n", 1, 1, "record-without-job", "the TrainJob of this record is missing")]
#[case("\n---\n", "\n--- \n", 1, 1, "record-without-job", "the TrainJob of this record is missing")]
#[case("\nresult:", "\n--- \nresult:", 14, 1, "yaml-multiple-documents", "a second document starts here")]
fn one_mistake(
    #[case] old: &str,
    #[case] new: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] code: &str,
    #[case] message: &str,
) {
    let findings = check_record(FILE, &with(&file(), old, new)).expect_err("the record should be refused");
    let finding = &findings[0];
    assert_eq!((finding.line, finding.column, finding.code), (line, column, code), "{findings:#?}");
    assert!(finding.message.contains(message) && finding.file == FILE, "{finding:#?}");
    assert!(finding.help.is_some(), "{finding:#?}");
}

#[test]
fn a_mistake_in_the_job_below_is_found_at_its_line_of_the_file() {
    let file = with(&file(), "    numNodes: 2", "    numNode: 2");
    let line = file.lines().position(|line| line.contains("numNode:")).unwrap() + 1;
    let findings = check_record(FILE, &file).unwrap_err();
    assert_eq!((findings[0].line, findings[0].column, findings[0].code), (line, 5, "unknown-field"), "{findings:#?}");
    // what only needs the record does not read the job
    assert!(read_record(FILE, &file).is_ok());
}

/// Everything that a worker, a program or MLflow can make part of a result.
fn results() -> impl Strategy<Value = JobResult> {
    let states = [JobState::Finished, JobState::Refused, JobState::Failed, JobState::Cancelled];
    let text = || prop_oneof![any::<String>(), hostile()];
    let times = (-60_000_000_000_i64..200_000_000_000, option::of(0..100_000_000_i64), 0..1_000_000_000_u32);
    let amounts = (option::of(0.0..1e12_f64), option::of(any::<f64>()), option::of(0.0..1e-3_f64));
    let registered =
        (option::of(text()), option::of(any::<u64>()), option::of(prop_oneof![text(), Just(dataset().digest)]));
    let metrics = prop::collection::btree_map(text(), any::<f64>(), 0..6);
    let known = (option::of(text()), option::of(text()), metrics);
    let origin = (option::of(text()), option::of(any::<u64>()), option::of(text()));
    (prop::sample::select(states.to_vec()), times, amounts, registered, known, origin).prop_map(
        |(
            state,
            (ended, took, nanos),
            (seconds, cpu_hours, gpu_hours),
            (model, version, digest),
            (reason, run, metrics),
            (run_experiment, pull_request, pull_request_url),
        )| {
            let time = |seconds: i64| {
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
                    .unwrap()
            };
            JobResult {
                reason,
                started: took.map(|took| time(ended - took)),
                seconds,
                cpu_hours,
                gpu_hours,
                metrics,
                run,
                run_experiment,
                model,
                version,
                digest,
                pull_request,
                pull_request_url,
                ..JobResult::new(state, time(ended))
            }
        },
    )
}

/// Texts that would end a document, a scalar or a line if they were written as they are.
fn hostile() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            Just("\n---\n"),
            Just("\n...\n"),
            Just("---"),
            Just("\r\n"),
            Just("\n"),
            Just("\""),
            Just("'"),
            Just("\\"),
            Just(": "),
            Just(" #"),
            Just("&a *a !t"),
            Just("%YAML 1.1"),
            Just("\u{0}"),
            Just("\u{1b}[31m"),
            Just("\u{85}"),
            Just("\u{2028}"),
            Just("\u{feff}"),
            Just("\t"),
            Just("kind: TrainJob"),
            Just("~"),
            Just("0x1f"),
            Just("ü\u{10ffff}"),
        ],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

/// The same record; NaN is no equal of itself.
fn same(a: &Record, b: &Record) -> bool {
    let bits = |record: &Record| -> BTreeMap<String, u64> {
        let metrics = record.result.metrics.iter();
        metrics
            .map(|(name, value)| (name.clone(), if value.is_nan() { u64::MAX } else { (value + 0.0).to_bits() }))
            .collect()
    };
    let without = |record: &Record| {
        let mut record = record.clone();
        record.result.metrics.clear();
        record
    };
    bits(a) == bits(b) && without(a) == without(b)
}

proptest! {
    #[test]
    fn whatever_a_worker_says_the_record_reads_back_and_the_job_stays_to_the_byte(result in results()) {
        let (text, job) = rendered();
        let record = Record::new(&job, result);
        let bytes = record.to_bytes(text.as_bytes());
        prop_assert_eq!(recorded_file(&bytes), Some(text.as_bytes()));
        let file = String::from_utf8(bytes.clone()).unwrap();
        let read = check_record(FILE, &file).map_err(|found| TestCaseError::fail(format!("{file}\n{found:#?}")))?;
        prop_assert!(same(&read, &record), "{read:#?}\n{record:#?}");
        prop_assert_eq!(read.to_bytes(text.as_bytes()), bytes, "the same record is the same bytes");
    }

    #[test]
    fn no_text_panics(text in "\\PC*|[\\[\\]{}:,&*!|>'\"%@`#a-c0-9 \n\t-]{0,200}") {
        let _ = check_record("r.yaml", &text);
        let _ = recorded_file(text.as_bytes());
    }

    #[test]
    fn no_damaged_record_panics(at in any::<prop::sample::Index>(), length in 0..400_usize, new in "[\\[\\]{}:,&*!|>'\"#a-z0-9.\n -]{0,12}") {
        let mut text = file();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &new);
            if let Err(findings) = check_record("r.yaml", &text) {
                let lines = text.lines().count();
                prop_assert!(!findings.is_empty());
                prop_assert!(findings.iter().all(|one| one.line >= 1 && one.line <= lines + 1 && one.column >= 1), "{findings:#?}");
            }
        }
    }
}
