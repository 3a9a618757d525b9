//! A trial as the history has it.

use slipway_experiment::{DatasetRef, JobState, Record};
use slipway_project::cluster::Prices;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::trial::cost;
use crate::view::{Lineage, Run, Trial, TrialState};

/// A trial as the history has it. Costs are those of today's prices.
pub(super) fn archived(record: Record, environment: &str, prices: Option<&Prices>) -> Trial {
    let Record { name, spec, result } = record;
    let time = |time: OffsetDateTime| time.format(&Rfc3339).ok();
    let (dataset, dataset_digest) =
        spec.dataset.map_or_else(Default::default, |DatasetRef { name, digest }| (name, digest));
    Trial {
        name,
        experiment: spec.experiment,
        environment: environment.to_owned(),
        state: match result.state {
            JobState::Finished => TrialState::Finished,
            JobState::Refused => TrialState::Refused,
            JobState::Failed => TrialState::Failed,
            JobState::Cancelled => TrialState::Cancelled,
        },
        reason: result.reason,
        parameters: spec.parameters,
        started: result.started.and_then(time),
        ended: time(result.ended),
        seconds: result.seconds,
        metrics: result.metrics,
        workers: spec.workers,
        cpu_hours: result.cpu_hours,
        gpu_hours: result.gpu_hours,
        cost: cost(result.cpu_hours, result.gpu_hours, prices),
        run: result.run.map(|id| Run { id, url: None }),
        model: result.model,
        version: result.version,
        lineage: Lineage { dataset, dataset_digest, ..Lineage::default() },
        archived: true,
        ..Trial::default()
    }
}
