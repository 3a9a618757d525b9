//! What came of a TrainJob that has ended, as a file that holds the TrainJob's own file as well.
//!
//! ```text
//! apiVersion, kind: TrainingRecord, metadata, spec (what was asked for), result (what came of it)
//! ---
//! the TrainJob's file, byte for byte as it was rendered
//! ```
//!
//! Every text of the first document is within one line, so nothing that a worker says can end that document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Number, Value};
use slipway_digest::Digest;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::parse::API_VERSION;
use crate::render::{quoted, scalar, visible};
use crate::spec::words;
use crate::{DatasetRef, TrainJob, Work};

/// The kind of the first document.
pub(crate) const KIND: &str = "TrainingRecord";

/// The line between the record and the TrainJob's file.
pub(crate) const SEPARATOR: &str = "---\n";

/// The most metrics that a record keeps: the run has all of them.
const METRICS: usize = 100;

/// The most characters of a reason that a record keeps: the run has all of it.
const REASON: usize = 2000;

/// What came of a TrainJob that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The TrainJob's name.
    pub name: String,
    /// What was asked for; it follows from the TrainJob's file.
    pub spec: RecordSpec,
    /// What came of it.
    pub result: JobResult,
}

/// What a TrainJob asks for, as far as a record repeats it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordSpec {
    /// Its experiment; empty if it names none.
    pub experiment: String,
    /// The dataset; `None` if its file does not hold a trial.
    pub dataset: Option<DatasetRef>,
    /// The number of workers.
    pub workers: u32,
    /// The CPU of each worker, in thousandths.
    pub cpu_millis: u64,
    /// The GPUs of each worker.
    pub gpus: u32,
    /// The epochs that it trains for; `None` for a program of one's own.
    pub epochs: Option<u32>,
    /// Its values of the swept parameters.
    pub parameters: BTreeMap<String, Value>,
}

/// What came of a TrainJob.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResult {
    /// How it ended.
    pub state: JobState,
    /// Why it was refused, failed or was cancelled.
    pub reason: Option<String>,
    /// When its first worker started.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended: OffsetDateTime,
    /// How long it ran, in seconds. [`Record::new`] takes the time from its start to its end if this is `None`.
    pub seconds: Option<f64>,
    /// The CPU-hours that it used. [`Record::new`] takes what its workers hold in `seconds` if this is `None`.
    pub cpu_hours: Option<f64>,
    /// The GPU-hours that it used, in the same way.
    pub gpu_hours: Option<f64>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, f64>,
    /// The id of its run in MLflow.
    pub run: Option<String>,
    /// The id of that run's experiment in MLflow: with both, the page of the run is known.
    pub run_experiment: Option<String>,
    /// The registered model that it became a version of.
    pub model: Option<String>,
    /// The number of that version.
    pub version: Option<u64>,
    /// The digest of that version's content.
    pub digest: Option<String>,
    /// The number of the pull request that started it: git knows the commit, and only the forge knows this.
    pub pull_request: Option<u64>,
    /// The page of that pull request.
    pub pull_request_url: Option<String>,
}

/// How a TrainJob ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It finished.
    Finished,
    /// It finished, and its gate refused the model.
    Refused,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

words!(JobState { Finished = "finished", Refused = "refused", Failed = "failed", Cancelled = "cancelled" });

impl JobResult {
    /// A result of which nothing else is known.
    #[must_use]
    pub fn new(state: JobState, ended: OffsetDateTime) -> Self {
        Self {
            state,
            reason: None,
            started: None,
            ended,
            seconds: None,
            cpu_hours: None,
            gpu_hours: None,
            metrics: BTreeMap::new(),
            run: None,
            run_experiment: None,
            model: None,
            version: None,
            digest: None,
            pull_request: None,
            pull_request_url: None,
        }
    }
}

impl RecordSpec {
    /// What a TrainJob asks for.
    #[must_use]
    pub fn of(job: &TrainJob) -> Self {
        let trial = job.trial().ok().flatten();
        let epochs = trial.as_ref().and_then(|trial| match &trial.work {
            Work::BuiltIn { training, .. } => Some(training.epochs),
            Work::Program(_) => None,
        });
        let (dataset, parameters) = trial.map(|trial| (trial.dataset, trial.parameters)).unzip();
        Self {
            experiment: job.experiment().unwrap_or_default().to_owned(),
            dataset,
            workers: job.num_nodes,
            cpu_millis: job.cpu_millis,
            gpus: job.gpus,
            epochs,
            parameters: parameters.unwrap_or_default(),
        }
    }
}

impl Record {
    /// The record of a TrainJob. A long reason is cut, of very many metrics some are left out, and numbers are rounded: times to
    /// milliseconds, hours to millionths. What is not a digest, or not a number of a version or of a pull request, is left out.
    #[must_use]
    pub fn new(job: &TrainJob, result: JobResult) -> Self {
        let JobResult {
            state,
            reason,
            started,
            ended,
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
        } = result;
        let (started, ended) = (started.map(milliseconds), milliseconds(ended));
        let passed = started.map(|started| (ended - started).as_seconds_f64());
        let seconds = seconds.or(passed).filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let hours = |held: f64| seconds.map(|seconds| seconds / 3600.0 * f64::from(job.num_nodes) * held);
        let amount = |given: Option<f64>, held: f64| {
            given.filter(|hours| hours.is_finite() && *hours >= 0.0).or(hours(held)).map(|hours| rounded(hours, 1e6))
        };
        let reason = reason.map(|reason| reason.chars().take(REASON).collect::<String>());
        let known = |text: Option<String>| text.filter(|text| !text.is_empty());
        let pull_request = pull_request.filter(|number| *number > 0);
        Self {
            name: job.name.clone(),
            spec: RecordSpec::of(job),
            result: JobResult {
                state,
                reason: known(reason),
                started,
                ended,
                seconds: seconds.map(|seconds| rounded(seconds, 1e3)),
                cpu_hours: amount(cpu_hours, job.cpu_millis as f64 / 1000.0),
                gpu_hours: amount(gpu_hours, f64::from(job.gpus)),
                metrics: metrics.into_iter().take(METRICS).collect(),
                run: known(run),
                run_experiment: known(run_experiment),
                model,
                version: version.filter(|version| *version > 0),
                digest: digest.filter(|digest| digest.parse::<Digest>().is_ok()),
                pull_request,
                pull_request_url: known(pull_request_url).filter(|_| pull_request.is_some()),
            },
        }
    }

    /// The file: this record above the bytes of the TrainJob's file. The same record and the same file give the same bytes.
    #[must_use]
    pub fn to_bytes(&self, job_file: &[u8]) -> Vec<u8> {
        let mut bytes = self.to_yaml().into_bytes();
        bytes.extend_from_slice(SEPARATOR.as_bytes());
        bytes.extend_from_slice(job_file);
        bytes
    }

    /// The first document of the file.
    fn to_yaml(&self) -> String {
        let RecordSpec { experiment, dataset, workers, cpu_millis, gpus, epochs, parameters } = &self.spec;
        let mut text = format!(
            "# What came of this TrainJob, above its file as it was rendered. Written by `slipway archive`: do not edit.
apiVersion: {API_VERSION}
kind: {KIND}
metadata: {{name: {}}}
spec:
",
            scalar(&self.name)
        );
        if !experiment.is_empty() {
            line(&mut text, "experiment", scalar(experiment));
        }
        if let Some(DatasetRef { name, digest }) = dataset {
            line(&mut text, "dataset", format!("{{name: {}, digest: {}}}", scalar(name), quoted(digest)));
        }
        line(&mut text, "workers", workers);
        line(&mut text, "cpuMillis", cpu_millis);
        line(&mut text, "gpus", gpus);
        if let Some(epochs) = epochs {
            line(&mut text, "epochs", epochs);
        }
        map(&mut text, "parameters", parameters.iter().map(|(path, value)| (path, literal(value))));
        text.push_str("result:\n");
        self.result.write(&mut text);
        text
    }
}

impl JobResult {
    fn write(&self, text: &mut String) {
        line(text, "state", self.state);
        let texts = |text: &Option<String>| text.as_deref().map(quoted);
        let numbers = |value: Option<f64>| value.map(number);
        for (name, value) in [
            ("reason", texts(&self.reason)),
            ("started", self.started.map(time)),
            ("ended", Some(time(self.ended))),
            ("seconds", numbers(self.seconds)),
            ("cpuHours", numbers(self.cpu_hours)),
            ("gpuHours", numbers(self.gpu_hours)),
        ] {
            if let Some(value) = value {
                line(text, name, &value);
            }
        }
        map(text, "metrics", self.metrics.iter().map(|(name, value)| (name, number(*value))));
        for (name, value) in [
            ("run", texts(&self.run)),
            ("runExperiment", texts(&self.run_experiment)),
            ("model", texts(&self.model)),
            ("version", self.version.map(|version| version.to_string())),
            ("digest", texts(&self.digest)),
            ("pullRequest", self.pull_request.map(|number| number.to_string())),
            ("pullRequestUrl", texts(&self.pull_request_url)),
        ] {
            if let Some(value) = value {
                line(text, name, &value);
            }
        }
    }
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "  {name}: {value}");
}

/// A map with a line for each entry; nothing if there are none.
fn map<'a>(text: &mut String, name: &str, entries: impl Iterator<Item = (&'a String, String)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        let _ = writeln!(text, "  {name}:");
    }
    for (key, value) in entries {
        let _ = writeln!(text, "    {}: {value}", scalar(key));
    }
}

/// A value of JSON, which YAML reads as the same value.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        value => visible(&value.to_string()),
    }
}

/// A number, also one that JSON does not have.
fn number(value: f64) -> String {
    // `+ 0.0` makes -0 the same text as 0
    match Number::from_f64(value + 0.0) {
        Some(number) => number.to_string(),
        None if value.is_nan() => ".nan".to_owned(),
        None if value > 0.0 => ".inf".to_owned(),
        None => "-.inf".to_owned(),
    }
}

/// A time as RFC 3339 has it, in quotes.
fn time(time: OffsetDateTime) -> String {
    // a year of five digits has no such text, and no reader takes the empty one
    quoted(&time.format(&Rfc3339).unwrap_or_default())
}

fn milliseconds(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(UtcOffset::UTC);
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}

fn rounded(value: f64, parts: f64) -> f64 {
    let rounded = (value * parts).round() / parts;
    if rounded.is_finite() { rounded } else { value }
}
