//! What Prometheus reads, in its text format, with names and units as it recommends.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::response::Response;
use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use serde_json::json;

use super::answer::{Answer, Described, text_response};
use super::document::Schemas;
use super::operation::{Asked, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;
use super::summary::states;
use crate::view::TrialState;

const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// From a job on a warm node to one that waited for a day.
const SECONDS: [f64; 12] = [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0, 21_600.0, 86_400.0];

/// The manager's metrics. Cheap to clone; clones share the values.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Seconds from the merge of a TrainJob's file to the first step of its training.
    pub merge_to_first_step: Histogram,
    /// Reports that were written to pull requests.
    pub report_writes: IntCounter,
    /// Reports that could not be written, and are tried again.
    pub report_failures: IntCounter,
    /// Promotions that were opened or found.
    pub promotions: IntCounter,
    /// Answers by operation and HTTP status.
    pub(crate) requests: IntCounterVec,
    registry: Registry,
    jobs: IntGaugeVec,
    cpu_hours: GaugeVec,
    leader: IntGauge,
    ready: IntGauge,
    streams: IntGaugeVec,
    /// What is taken from the newest state is set and written by one request after the other.
    scraping: Arc<Mutex<()>>,
}

impl Metrics {
    /// Registers every metric, at zero.
    ///
    /// # Errors
    /// Never, as long as the names are unique and well-formed.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build = IntGaugeVec::new(Opts::new("slipway_manager_build_info", "1, with the version"), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let first_step = HistogramOpts::new(
            "slipway_merge_to_first_step_seconds",
            "Seconds from the merge of a TrainJob's file to the first step of its training",
        );
        let metrics = Self {
            merge_to_first_step: Histogram::with_opts(first_step.buckets(SECONDS.to_vec()))?,
            report_writes: IntCounter::new(
                "slipway_report_writes_total",
                "Reports that were written to pull requests",
            )?,
            report_failures: IntCounter::new(
                "slipway_report_failures_total",
                "Reports that could not be written, and are tried again",
            )?,
            promotions: IntCounter::new("slipway_promotions_total", "Promotions that were opened or found")?,
            requests: IntCounterVec::new(
                Opts::new("slipway_manager_requests_total", "Answers by operation and HTTP status"),
                &["operation", "code"],
            )?,
            jobs: IntGaugeVec::new(
                Opts::new("slipway_jobs", "TrainJobs by state, without those in the history"),
                &["state"],
            )?,
            // not a counter: what a cancelled trial has used goes with its TrainJob
            cpu_hours: GaugeVec::new(
                Opts::new(
                    "slipway_experiment_cpu_hours",
                    "CPU-hours that the trials of an experiment have used which are in the cluster, on the default branch or in the history",
                ),
                &["experiment"],
            )?,
            leader: IntGauge::new("slipway_leader", "1 while this manager is the one that writes")?,
            ready: IntGauge::new("slipway_manager_ready", "1 once the manager is ready")?,
            streams: IntGaugeVec::new(Opts::new("slipway_manager_streams", "Long answers by kind"), &["kind"])?,
            scraping: Arc::default(),
            registry,
        };
        let all: [Box<dyn Collector>; 11] = [
            Box::new(build),
            Box::new(metrics.merge_to_first_step.clone()),
            Box::new(metrics.report_writes.clone()),
            Box::new(metrics.report_failures.clone()),
            Box::new(metrics.promotions.clone()),
            Box::new(metrics.requests.clone()),
            Box::new(metrics.jobs.clone()),
            Box::new(metrics.cpu_hours.clone()),
            Box::new(metrics.leader.clone()),
            Box::new(metrics.ready.clone()),
            Box::new(metrics.streams.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        // memory, processor time, descriptors, threads, start
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// All metrics, with what the newest state says.
    fn text(&self, shared: &Shared) -> prometheus::Result<Vec<u8>> {
        let _one = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        let now = shared.now();
        let states = states(&now);
        for state in TrialState::ALL {
            let jobs = states.get(&state).copied().unwrap_or_default();
            self.jobs.with_label_values(&[state.name()]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
        }
        self.cpu_hours.reset();
        for experiment in now.experiments.values() {
            self.cpu_hours.with_label_values(&[&experiment.name]).set(experiment.cpu_hours);
        }
        self.leader.set(i64::from(shared.is_leader()));
        self.ready.set(i64::from(shared.state.missing.borrow().is_empty()));
        for (kind, places) in [("events", &shared.events), ("logs", &shared.logs)] {
            self.streams.with_label_values(&[kind]).set(i64::try_from(places.taken()).unwrap_or(i64::MAX));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// `GET /metrics`
pub(crate) struct Scrape;

/// Metrics as text.
pub(crate) struct Text(Vec<u8>);

impl Answer for Text {
    fn described(_: &mut Schemas) -> Vec<Described> {
        vec![Described::new(200, "Metrics in Prometheus' text format.", MEDIA_TYPE, json!({ "type": "string" }))]
    }

    fn respond(self, _: &HeaderMap) -> Response {
        text_response(MEDIA_TYPE, self.0)
    }
}

impl Operation for Scrape {
    const PATH: &'static str = "/metrics";
    const ID: &'static str = "getMetrics";
    const SUMMARY: &'static str = "Metrics for Prometheus";

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Text;

    async fn answer(shared: Arc<Shared>, _: Asked<Self>) -> Result<Self::Answer, Problem> {
        shared.state.metrics.text(&shared).map(Text).map_err(Problem::unexpected)
    }
}
