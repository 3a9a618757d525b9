//! What Prometheus reads, in its text format, with names and units as it recommends.

use prometheus::core::Collector;
use prometheus::{Encoder, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::watched::Watched;

/// The monitor's metrics. Cheap to clone; clones share the values.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Retrain pull requests that were opened.
    pub retrainings: IntCounter,
    /// Promotions that were opened.
    pub promotions: IntCounter,
    /// Issues that were opened.
    pub issues: IntCounter,
    /// Heads that builds have moved.
    pub builds: IntCounter,
    /// Attempts that failed, by what was attempted.
    pub failures: IntCounterVec,
    /// Notifications by what came of them.
    pub events: IntCounterVec,
    registry: Registry,
    leader: IntGauge,
    ready: IntGauge,
    capital: GaugeVec,
    loss: GaugeVec,
    new: IntGaugeVec,
    request_capital: GaugeVec,
    request_loss: GaugeVec,
    request_rows: IntGaugeVec,
}

impl Metrics {
    /// Registers every metric, at zero.
    ///
    /// # Errors
    /// Never, as long as the names are unique and well-formed.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build = IntGaugeVec::new(Opts::new("slipway_monitor_build_info", "1, with the version"), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let of = |name: &str, help: &str| Opts::new(name, help);
        let metrics = Self {
            retrainings: IntCounter::new("slipway_retrainings_total", "Retrain pull requests that were opened")?,
            promotions: IntCounter::new("slipway_monitor_promotions_total", "Promotions that were opened")?,
            issues: IntCounter::new(
                "slipway_drift_issues_total",
                "Issues about changed or broken data that were opened",
            )?,
            builds: IntCounter::new("slipway_dataset_builds_total", "Heads that builds of the monitor have moved")?,
            failures: IntCounterVec::new(
                of("slipway_monitor_failures_total", "Attempts that failed, and are made again"),
                &["step"],
            )?,
            events: IntCounterVec::new(
                of("slipway_monitor_events_total", "Notifications of the object store by what came of them"),
                &["outcome"],
            )?,
            leader: IntGauge::new("slipway_leader", "1 while this monitor is the one that writes")?,
            ready: IntGauge::new("slipway_monitor_ready", "1 once the monitor is ready")?,
            capital: GaugeVec::new(
                of("slipway_drift_capital", "The largest capital of a dataset's detector; an alarm is 1"),
                &["dataset"],
            )?,
            loss: GaugeVec::new(
                of("slipway_drift_loss", "What the version in service loses on what is new, as a share of accuracy"),
                &["dataset"],
            )?,
            new: IntGaugeVec::new(
                of("slipway_dataset_new_items", "Items of the head that the version in service does not know"),
                &["dataset"],
            )?,
            request_capital: GaugeVec::new(
                of(
                    "slipway_request_drift_capital",
                    "The largest capital of the detector of the requests to the version trained on a dataset; an alarm is 1",
                ),
                &["dataset"],
            )?,
            request_loss: GaugeVec::new(
                of(
                    "slipway_request_drift_loss",
                    "What that version loses on the requests by an estimate without labels, as a share of accuracy",
                ),
                &["dataset"],
            )?,
            request_rows: IntGaugeVec::new(
                of("slipway_request_drift_rows", "Rows of the sample of the requests that the detector has seen"),
                &["dataset"],
            )?,
            registry,
        };
        let all: [Box<dyn Collector>; 15] = [
            Box::new(build),
            Box::new(metrics.retrainings.clone()),
            Box::new(metrics.promotions.clone()),
            Box::new(metrics.issues.clone()),
            Box::new(metrics.builds.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.events.clone()),
            Box::new(metrics.leader.clone()),
            Box::new(metrics.ready.clone()),
            Box::new(metrics.capital.clone()),
            Box::new(metrics.loss.clone()),
            Box::new(metrics.new.clone()),
            Box::new(metrics.request_capital.clone()),
            Box::new(metrics.request_loss.clone()),
            Box::new(metrics.request_rows.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        // memory, processor time, descriptors, threads, start
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// All metrics, with what is known now.
    pub(crate) fn text(&self, watched: &Watched, is_leader: bool, is_ready: bool) -> prometheus::Result<Vec<u8>> {
        self.leader.set(i64::from(is_leader));
        self.ready.set(i64::from(is_ready));
        self.capital.reset();
        self.loss.reset();
        self.new.reset();
        self.request_capital.reset();
        self.request_loss.reset();
        self.request_rows.reset();
        for (name, state) in watched {
            if let Some(evidence) = state.requests.as_ref().and_then(|requests| requests.evidence.as_ref()) {
                let rows = i64::try_from(evidence.change.observations).unwrap_or(i64::MAX);
                self.request_capital.with_label_values(&[name]).set(evidence.change.capital);
                self.request_rows.with_label_values(&[name]).set(rows);
                if let Some(loss) = &evidence.loss {
                    self.request_loss.with_label_values(&[name]).set(loss.loss);
                }
            }
            let Some(evidence) = &state.evidence else { continue };
            self.capital.with_label_values(&[name]).set(evidence.change.capital);
            self.new.with_label_values(&[name]).set(i64::try_from(evidence.new).unwrap_or(i64::MAX));
            if let Some(loss) = &evidence.loss {
                self.loss.with_label_values(&[name]).set(loss.loss);
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
