//! What each TrainJob on main runs and what it may cost.

use std::collections::BTreeMap;

use serde::Serialize;
use slipway_experiment::{TrainJob, read_job, recorded_file};
use slipway_git::Repository;
use slipway_project::cluster::Prices;
use slipway_project::plan::hours;
use slipway_project::{Project, Tree, history};

use super::runs::Runs;
use crate::failure::Failure;
use crate::record_text;

/// What a TrainJob runs and what it may cost.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    #[serde(flatten)]
    pub(super) runs: Runs,
    /// The most CPU-hours that it can use.
    pub(super) cpu_hours: f64,
    /// The most GPU-hours that it can use.
    pub(super) gpu_hours: f64,
    /// The price of both, in `currency`; `None` if it asks for GPUs, which have no price there.
    pub(super) cost: Option<f64>,
    pub(super) currency: String,
    /// Whether its file has moved to the history.
    pub(super) archived: bool,
}

impl Described {
    /// The TrainJobs at the head of a forge's main, by name; of those that are archived, the ones that are `known`. Files with a mistake
    /// are left out.
    pub(super) fn on_main(forge: &Repository, known: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Self>, Failure> {
        if forge.reference("refs/heads/main")?.is_none() {
            return Ok(BTreeMap::new());
        }
        let tree = Tree::at(forge, "refs/heads/main")?.limited_to(&["clusters", "overlays"]);
        let project = Project::read(&tree);
        let mut all = BTreeMap::new();
        for (environment, target) in &project.environments {
            let prices = &target.cluster.prices;
            for name in target.archived.iter().filter(|name| known(name)) {
                let path = history::path(environment, name);
                let file = tree.bytes(&path).and_then(recorded_file).map(String::from_utf8_lossy);
                if let Some(Ok(job)) = file.map(|text| read_job(&path, &text)) {
                    all.insert(name.clone(), Self::new(&job, prices, true));
                }
            }
            all.extend(target.jobs.values().map(|file| (file.job.name.clone(), Self::new(&file.job, prices, false))));
        }
        Ok(all)
    }

    fn new(job: &TrainJob, prices: &Prices, archived: bool) -> Self {
        let (cpu_hours, gpu_hours) = (job.cpu_hours(), job.gpu_hours());
        Self {
            runs: job.trial().ok().flatten().map(Runs::new).unwrap_or_default(),
            cpu_hours,
            gpu_hours,
            cost: price(cpu_hours, gpu_hours, prices),
            currency: prices.currency.clone(),
            archived,
        }
    }

    /// What it may cost, such as `1 CPU-hour, 0.04 USD`.
    pub(super) fn cost(&self) -> String {
        let hours = hours(self.cpu_hours, self.gpu_hours);
        match self.cost {
            Some(cost) => format!("{hours}, {}", record_text::price(cost, &self.currency)),
            None => format!("{hours}, GPUs have no price"),
        }
    }
}

/// What hours cost; `None` if GPUs are among them and have no price.
fn price(cpu_hours: f64, gpu_hours: f64, prices: &Prices) -> Option<f64> {
    let gpus = if gpu_hours > 0.0 { gpu_hours * prices.gpu_hour? } else { 0.0 };
    Some(cpu_hours * prices.cpu_hour + gpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_without_a_price_are_not_free() {
        let prices = |gpu_hour| Prices { cpu_hour: 0.5, gpu_hour, currency: "EUR".to_owned() };
        assert_eq!(price(4.0, 2.0, &prices(None)), None);
        assert_eq!((price(4.0, 2.0, &prices(Some(3.0))), price(4.0, 0.0, &prices(None))), (Some(8.0), Some(2.0)));
    }
}
