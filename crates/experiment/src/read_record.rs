//! Reads the record of a TrainJob, and checks that it is the one of the file below it.

use slipway_digest::Digest;
use slipway_source::{Finding, Node, Position, Scalar, Value, document, excerpt, position_of};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::parse::{header, is_of_another_kind, optional};
use crate::reader::{Fields, ROOT, Reader};
use crate::record::KIND;
use crate::{DatasetRef, JobResult, JobState, Record, RecordSpec, read_job};

/// What stands between the two documents, with the end of the first.
const BETWEEN: &str = "\n---\n";

/// Reads the record in a file; `file` is named in messages. The TrainJob below it is not read: [`check_record`] does that.
///
/// # Errors
/// Every mistake in the record, in the order of the text.
pub fn read_record(file: &str, text: &str) -> Result<Record, Vec<Finding>> {
    let (first, _) = documents(file, text).map_err(|finding| vec![finding])?;
    read_first(file, first)
}

/// Reads the record in a file, and the TrainJob below it.
///
/// # Errors
/// Every mistake in the record, the first one in the TrainJob, and where the two do not belong together.
pub fn check_record(file: &str, text: &str) -> Result<Record, Vec<Finding>> {
    let (first, second) = documents(file, text).map_err(|finding| vec![finding])?;
    let record = read_first(file, first)?;
    let job = read_job(file, second).map_err(|mut finding| {
        finding.line += first.matches('\n').count() + 1;
        vec![finding]
    })?;
    let at = |path: &str| position_of(first, path);
    if record.name != job.name {
        let message = format!("this is the record of {}, and the TrainJob below it is {}", record.name, job.name);
        let help = "restore the file that was merged: the two are written together";
        return Err(vec![Finding::at(file, at("metadata.name"), "another-job", message).with_help(help)]);
    }
    let asked = RecordSpec::of(&job);
    let spec = &record.spec;
    let fields = [
        ("spec.experiment", spec.experiment == asked.experiment),
        ("spec.dataset", spec.dataset == asked.dataset),
        ("spec.workers", spec.workers == asked.workers),
        ("spec.cpuMillis", spec.cpu_millis == asked.cpu_millis),
        ("spec.gpus", spec.gpus == asked.gpus),
        ("spec.epochs", spec.epochs == asked.epochs),
        ("spec.parameters", spec.parameters == asked.parameters),
    ];
    let finding = |path: &str| {
        let message = format!("{path} is not what the TrainJob below asks for");
        Finding::at(file, at(path), "another-spec", message)
            .with_help("restore the file that was merged: a record repeats what its TrainJob says")
    };
    let findings: Vec<Finding> = fields.iter().filter(|(_, same)| !same).map(|(path, _)| finding(path)).collect();
    if findings.is_empty() { Ok(record) } else { Err(findings) }
}

/// The TrainJob's file in a file with a record, byte for byte as it was rendered. Returns `None` if this is not one.
#[must_use]
pub fn recorded_file(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(BETWEEN.len()).position(|part| part == BETWEEN.as_bytes())?;
    bytes.get(at + BETWEEN.len()..)
}

/// The record and the TrainJob's file. The first line that is `---` ends the record, since all of its own texts are within a line.
fn documents<'t>(file: &str, text: &'t str) -> Result<(&'t str, &'t str), Finding> {
    let at = text.find(BETWEEN).ok_or_else(|| {
        let message = "the TrainJob of this record is missing";
        let help = "its file stands below the record, after a line `---`; restore the file that was merged";
        Finding::at(file, Position::START, "record-without-job", message).with_help(help)
    })?;
    Ok((&text[..=at], &text[at + BETWEEN.len()..]))
}

fn read_first(file: &str, text: &str) -> Result<Record, Vec<Finding>> {
    let tree = document(text).map_err(|malformed| vec![malformed.in_file(file)])?;
    let reader = Reader::new(file);
    let record = record(&reader, &tree);
    reader.finish(record)
}

fn record(reader: &Reader<'_>, tree: &Node) -> Option<Record> {
    if is_of_another_kind(reader, tree, KIND) {
        return None;
    }
    let root = reader.map(tree, ROOT, &["apiVersion", "kind", "metadata", "spec", "result"])?;
    let name = header(reader, &root, KIND).and_then(|node| reader.label(node, "metadata.name"));
    let spec = reader.required(&root, "spec").and_then(|node| spec(reader, node));
    let result = reader.required(&root, "result").and_then(|node| result(reader, node));
    Some(Record { name: name?.to_owned(), spec: spec?, result: result? })
}

fn spec(reader: &Reader<'_>, node: &Node) -> Option<RecordSpec> {
    let allowed = ["experiment", "dataset", "workers", "cpuMillis", "gpus", "epochs", "parameters"];
    let fields = reader.map(node, "spec", &allowed)?;
    let experiment = text(reader, &fields, "experiment");
    let dataset = optional(&fields, "dataset", |node| dataset(reader, node));
    let count = |name: &'static str, least: u32| {
        reader.required(&fields, name).and_then(|node| reader.integer32(node, &fields.at(name), least..=u32::MAX))
    };
    let (workers, gpus) = (count("workers", 1), count("gpus", 0));
    let cpu_millis =
        reader.required(&fields, "cpuMillis").and_then(|node| reader.integer(node, "spec.cpuMillis", 0..=u64::MAX));
    let epochs = optional(&fields, "epochs", |node| reader.integer32(node, "spec.epochs", 0..=u32::MAX));
    let parameters = optional(&fields, "parameters", |node| {
        let entries = reader.entries(node, "spec.parameters", "a map of values")?;
        Some(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
    });
    Some(RecordSpec {
        experiment: experiment?.unwrap_or_default(),
        dataset: dataset?,
        workers: workers?,
        cpu_millis: cpu_millis?,
        gpus: gpus?,
        epochs: epochs?,
        parameters: parameters?.unwrap_or_default(),
    })
}

fn dataset(reader: &Reader<'_>, node: &Node) -> Option<DatasetRef> {
    let fields = reader.map(node, "spec.dataset", &["name", "digest"])?;
    let name = reader.required(&fields, "name").and_then(|node| reader.text(node, "spec.dataset.name"));
    let digest = reader.required(&fields, "digest").and_then(|node| digest(reader, node, "spec.dataset.digest"));
    Some(DatasetRef { name: name?.to_owned(), digest: digest? })
}

fn result(reader: &Reader<'_>, node: &Node) -> Option<JobResult> {
    let allowed = [
        "state",
        "reason",
        "started",
        "ended",
        "seconds",
        "cpuHours",
        "gpuHours",
        "metrics",
        "run",
        "runExperiment",
        "model",
        "version",
        "digest",
        "pullRequest",
        "pullRequestUrl",
    ];
    let fields = reader.map(node, "result", &allowed)?;
    let state = reader.required(&fields, "state").and_then(|node| reader.word(node, "result.state", JobState::WORDS));
    let reason = text(reader, &fields, "reason");
    let started = optional(&fields, "started", |node| time(reader, node, "result.started"));
    let ended = reader.required(&fields, "ended").and_then(|node| time(reader, node, "result.ended"));
    let amount = |name: &'static str| {
        optional(&fields, name, |node| reader.number(node, &fields.at(name), |value| value >= 0.0, "a number from 0"))
    };
    let (seconds, cpu_hours, gpu_hours) = (amount("seconds"), amount("cpuHours"), amount("gpuHours"));
    let metrics = optional(&fields, "metrics", |node| {
        let entries = reader.entries(node, "result.metrics", "a map of numbers")?;
        entries.iter().map(|entry| Some((entry.key.clone(), metric(reader, &entry.value, &entry.key)?))).collect()
    });
    let (run, model) = (text(reader, &fields, "run"), text(reader, &fields, "model"));
    let run_experiment = text(reader, &fields, "runExperiment");
    let version = optional(&fields, "version", |node| reader.integer(node, "result.version", 1..=u64::MAX));
    let digest = optional(&fields, "digest", |node| digest(reader, node, "result.digest"));
    let pull_request =
        optional(&fields, "pullRequest", |node| reader.integer(node, "result.pullRequest", 1..=u64::MAX));
    let pull_request_url = text(reader, &fields, "pullRequestUrl");
    Some(JobResult {
        state: state?,
        reason: reason?,
        started: started?,
        ended: ended?,
        seconds: seconds?,
        cpu_hours: cpu_hours?,
        gpu_hours: gpu_hours?,
        metrics: metrics?.unwrap_or_default(),
        run: run?,
        run_experiment: run_experiment?,
        model: model?,
        version: version?,
        digest: digest?,
        pull_request: pull_request?,
        pull_request_url: pull_request_url?,
    })
}

/// A text that may be absent.
fn text(reader: &Reader<'_>, fields: &Fields<'_>, name: &'static str) -> Option<Option<String>> {
    optional(fields, name, |node| reader.text(node, &fields.at(name)).map(str::to_owned))
}

fn digest(reader: &Reader<'_>, node: &Node, path: &str) -> Option<String> {
    let text = reader.text(node, path)?;
    if text.parse::<Digest>().is_err() {
        let message = format!("{path} is `{}`, which is not a digest", excerpt(text));
        reader.add(node.at, "wrong-value", message, "sha256: and 64 hexadecimal digits");
        return None;
    }
    Some(text.to_owned())
}

fn time(reader: &Reader<'_>, node: &Node, path: &str) -> Option<OffsetDateTime> {
    let text = reader.text(node, path)?;
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    if time.is_none() {
        let help = "a time as RFC 3339 has it, such as \"2026-11-28T12:00:00Z\"";
        reader.add(node.at, "wrong-value", format!("{path} is `{}`, which is not a time", excerpt(text)), help);
    }
    time
}

/// A metric: any number, and what a diverged training logs in its place.
fn metric(reader: &Reader<'_>, node: &Node, name: &str) -> Option<f64> {
    let path = format!("result.metrics.{}", excerpt(name));
    let Value::Scalar { text, meaning: Scalar::Integer(_) | Scalar::Float(_) | Scalar::NotFinite, .. } = &node.value
    else {
        return reader.wrong_type(node, &path, "a number", "such as 0.97, .inf or .nan");
    };
    // YAML's `.nan` and `.inf` have a point that Rust's do not have
    text.parse::<f64>().or_else(|_| text.replace('.', "").parse()).ok()
}
