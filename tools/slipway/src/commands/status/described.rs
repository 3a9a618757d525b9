//! What each TrainJob on main runs and what it may cost.

use std::collections::BTreeMap;

use serde::Serialize;
use slipway_experiment::TrainJob;
use slipway_git::Repository;
use slipway_project::cluster::Prices;
use slipway_project::plan::hours;
use slipway_project::{Project, Tree};

use super::runs::Runs;
use crate::failure::Failure;

/// What a TrainJob runs and what it may cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    #[serde(flatten)]
    pub(super) runs: Runs,
    /// The most CPU-hours that it can use.
    cpu_hours: f64,
    /// The most GPU-hours that it can use.
    gpu_hours: f64,
    /// The price of both, in `currency`.
    cost: f64,
    currency: String,
}

impl Described {
    /// The TrainJobs at the head of a forge's main, by name. Files with a mistake are left out.
    pub(super) fn on_main(forge: &Repository) -> Result<BTreeMap<String, Self>, Failure> {
        if forge.reference("refs/heads/main")?.is_none() {
            return Ok(BTreeMap::new());
        }
        let project = Project::read(&Tree::at(forge, "refs/heads/main")?.limited_to(&["clusters", "overlays"]));
        let environments = project.environments.values();
        let jobs = environments.flat_map(|one| one.jobs.values().map(|file| (&one.cluster.prices, &file.job)));
        Ok(jobs.map(|(prices, job)| (job.name.clone(), Self::new(job, prices))).collect())
    }

    fn new(job: &TrainJob, prices: &Prices) -> Self {
        let (cpu_hours, gpu_hours) = (job.cpu_hours(), job.gpu_hours());
        Self {
            runs: job.trial().ok().flatten().map(Runs::new).unwrap_or_default(),
            cpu_hours,
            gpu_hours,
            cost: cpu_hours * prices.cpu_hour + gpu_hours * prices.gpu_hour.unwrap_or(0.0),
            currency: prices.currency.clone(),
        }
    }

    /// What it may cost, such as `1 CPU-hour, 0.04 USD`.
    pub(super) fn cost(&self) -> String {
        format!("{}, {:.2} {}", hours(self.cpu_hours, self.gpu_hours), self.cost, self.currency)
    }
}
