//! A trial as the history has it.

use slipway_experiment::{DatasetRef, JobState, read_job, read_record, recorded_file};
use slipway_outcome::run_page;
use slipway_project::cluster::Prices;
use slipway_project::history;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::DeclaredJob;
use crate::trial::cost;
use crate::view::{Lineage, PullRequest, Run, Trial, TrialState};

/// What a record does not say itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// Where the trial ran.
    pub(super) environment: &'a str,
    /// What CPUs and GPUs cost today.
    pub(super) prices: Option<&'a Prices>,
    /// Where a browser finds MLflow.
    pub(super) pages: Option<&'a str>,
    /// The commit that brought the TrainJob's file; empty if that is not known.
    pub(super) commit: &'a str,
}

/// The trial of a file of the history that is named after a TrainJob; `None` if it cannot be read. What the trial was made from is in the
/// TrainJob's own file, which is below the record.
pub(super) fn archived(job: &str, text: &str, around: Around<'_>) -> Option<Trial> {
    let Around { environment, prices, pages, commit } = around;
    let path = history::path(environment, job);
    let record = read_record(&path, text).ok()?;
    let below = recorded_file(text.as_bytes()).and_then(|bytes| str::from_utf8(bytes).ok());
    // without its file there is still what the record repeats of it
    let rendered = below.and_then(|text| read_job(&path, text).ok());
    let rendered = rendered.map(|job| DeclaredJob::of(&job)).unwrap_or_default();
    let (spec, result) = (record.spec, record.result);
    let time = |time: OffsetDateTime| time.format(&Rfc3339).ok();
    let (dataset, dataset_digest) =
        spec.dataset.map_or_else(Default::default, |DatasetRef { name, digest }| (name, digest));
    let page = pages.zip(result.run_experiment);
    let pull_request = result.pull_request.map(|number| {
        let url = result.pull_request_url.unwrap_or_default();
        PullRequest { number, url }
    });
    Some(Trial {
        name: record.name,
        experiment: spec.experiment,
        environment: environment.to_owned(),
        state: match result.state {
            JobState::Finished => TrialState::Finished,
            JobState::Refused => TrialState::Refused,
            JobState::Failed => TrialState::Failed,
            JobState::Cancelled => TrialState::Cancelled,
        },
        reason: result.reason,
        parameters: if rendered.parameters.is_empty() { spec.parameters } else { rendered.parameters },
        fixed: rendered.fixed,
        started: result.started.and_then(time),
        ended: time(result.ended),
        seconds: result.seconds,
        metrics: result.metrics,
        workers: spec.workers,
        cpu_hours: result.cpu_hours,
        gpu_hours: result.gpu_hours,
        cost: cost(result.cpu_hours, result.gpu_hours, prices),
        run: result.run.map(|id| {
            let url = page.map(|(pages, experiment)| run_page(pages, &experiment, &id));
            Run { id, url }
        }),
        model: result.model.or(rendered.model),
        version: result.version,
        lineage: Lineage {
            dataset,
            dataset_digest,
            experiment_file: rendered.experiment_file,
            experiment_blob: rendered.experiment_blob,
            commit: commit.to_owned(),
            pull_request,
            image: rendered.image,
        },
        archived: true,
        ..Trial::default()
    })
}
