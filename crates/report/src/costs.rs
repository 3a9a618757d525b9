//! What TrainJobs can use, and what they are expected to use.

use std::fmt::Write as _;

use slipway_markdown::cell;
use slipway_project::cluster::Prices;

use crate::amount::{Price, hours};
use crate::document::{count, thousands};
use crate::expectation::{Estimates, Expected};
use crate::jobs::{EnvironmentJobs, Job};

/// What TrainJobs can use and are expected to use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) jobs: usize,
    pub(crate) cpu_most: f64,
    pub(crate) gpu_most: f64,
    pub(crate) price_most: Price,
    cpu_expected: f64,
    gpu_expected: f64,
    price_expected: Price,
    /// Jobs without a past run to expect something by.
    pub(crate) without_history: usize,
    /// Jobs in an environment whose prices are not known, or on GPUs that have none.
    pub(crate) without_price: usize,
    /// Jobs that are expected to be stopped at their deadline.
    pub(crate) too_long: usize,
}

impl Costs {
    pub(crate) fn of<'a>(environment: &'a EnvironmentJobs, estimates: &Estimates<'a>) -> Self {
        // a changed file is no new run, but nobody knows that before the cluster has answered
        Self::of_jobs(environment.starts.iter(), &environment.prices, estimates)
    }

    pub(crate) fn of_jobs<'a>(
        jobs: impl Iterator<Item = &'a Job>,
        prices: &Result<Prices, String>,
        estimates: &Estimates<'a>,
    ) -> Self {
        let mut costs = Self::default();
        for job in jobs {
            costs.jobs += 1;
            costs.cpu_most += job.cpu_hours;
            costs.gpu_most += job.gpu_hours;
            let prices = prices.as_ref().ok();
            let price = |cpu: f64, gpu: f64| prices.and_then(|prices| price(prices, cpu, gpu));
            match price(job.cpu_hours, job.gpu_hours) {
                Some((currency, amount)) => costs.price_most.add(currency, amount),
                None => costs.without_price += 1,
            }
            match estimates.of(job) {
                Some(Expected { cpu_hours, gpu_hours, reaches_deadline }) => {
                    costs.cpu_expected += cpu_hours;
                    costs.gpu_expected += gpu_hours;
                    costs.too_long += usize::from(reaches_deadline);
                    if let Some((currency, amount)) = price(cpu_hours, gpu_hours) {
                        costs.price_expected.add(currency, amount);
                    }
                }
                None => costs.without_history += 1,
            }
        }
        costs
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.cpu_most += other.cpu_most;
        self.gpu_most += other.gpu_most;
        self.price_most.extend(&other.price_most);
        self.cpu_expected += other.cpu_expected;
        self.gpu_expected += other.gpu_expected;
        self.price_expected.extend(&other.price_expected);
        self.without_history += other.without_history;
        self.without_price += other.without_price;
        self.too_long += other.too_long;
    }

    /// A table of what is expected beside the most. What is not known is said in its place.
    pub(crate) fn table(&self) -> String {
        let known = self.jobs - self.without_history;
        // a sum over some of the jobs is not the sum
        let expected = |sum: String| match known {
            0 => "⚠ no history".to_owned(),
            known if known < self.jobs => format!("⚠ {sum} for {} of {}", thousands(known), thousands(self.jobs)),
            _ => sum,
        };
        let priced = |price: &Price| match (price.text(), self.without_price) {
            (text, 0) => cell(&text),
            (text, _) if text.is_empty() => "⚠ no price".to_owned(),
            (text, without) => format!("⚠ {}, and {} without a price", cell(&text), count(without, "TrainJob")),
        };
        let mut text = "| | expected | at most |\n|---|---:|---:|\n".to_owned();
        let _ = writeln!(text, "| CPU-hours | {} | {} |", expected(hours(self.cpu_expected)), hours(self.cpu_most));
        if self.gpu_most > 0.0 {
            let _ = writeln!(text, "| GPU-hours | {} | {} |", expected(hours(self.gpu_expected)), hours(self.gpu_most));
        }
        let _ = writeln!(text, "| price | {} | {} |", expected(priced(&self.price_expected)), priced(&self.price_most));
        text
    }
}

/// What hours cost, with the currency; `None` if there are GPU-hours, and those have no price.
pub(crate) fn price(prices: &Prices, cpu_hours: f64, gpu_hours: f64) -> Option<(&str, f64)> {
    let gpus = if gpu_hours > 0.0 { gpu_hours * prices.gpu_hour? } else { 0.0 };
    Some((&prices.currency, cpu_hours * prices.cpu_hour + gpus))
}
