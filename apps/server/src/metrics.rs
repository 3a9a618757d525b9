//! The metrics at `/metrics`, in Prometheus' text format, with names and units as Prometheus recommends.

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The prefix of every metric's name.
const NAMESPACE: &str = "slipway_server";

/// The server's metrics. Cheap to clone; clones share the values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Inference requests by model, version (both empty when none was found) and HTTP status.
    pub requests: IntCounterVec,
    /// Seconds from a request's arrival to its answer.
    pub seconds: Histogram,
    /// Requests that have arrived and are not answered yet.
    pub in_flight: IntGauge,
    /// Memory for the bodies of requests that are not answered yet, in bytes.
    pub bodies: IntGauge,
    /// Requests that wait for a worker.
    pub waiting: IntGauge,
    /// Seconds that a request waited for a worker.
    pub waited: Histogram,
    /// Rows in one call of a model.
    pub batch: Histogram,
    /// Seconds of one call of a model.
    pub inference: Histogram,
    /// Threads that run models.
    pub workers: IntGauge,
    /// 1 for each version in service.
    pub in_service: IntGaugeVec,
    /// The memory of each loaded version, in bytes.
    pub model_memory: IntGaugeVec,
    /// 1 while requests should be sent here.
    pub ready: IntGauge,
    /// Reloads of `models.yaml`.
    pub reloads: Reloads,
}

/// Metrics of reloading `models.yaml`, modelled on those for Prometheus' own configuration.
#[derive(Clone, Debug)]
pub struct Reloads {
    /// Attempts by `result`: success or failure.
    pub total: IntCounterVec,
    /// 1 when the last attempt put the file's list into service.
    pub last_successful: IntGauge,
    /// Seconds since 1970 of the last success.
    pub last_success: Gauge,
}

impl Metrics {
    /// Registers every metric, at zero.
    ///
    /// # Errors
    /// Never, as long as the names are unique and well-formed.
    pub fn new() -> prometheus::Result<Self> {
        // from a fifth of a millisecond to three seconds
        let seconds = prometheus::exponential_buckets(0.0002, 2.0, 15)?;
        let registry = Registry::new();
        let build = gauges("build_info", "1, with the server's version", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            requests: counters("requests_total", "Inference requests", &["model", "version", "code"])?,
            seconds: histogram("request_duration_seconds", "Seconds from a request's arrival to its answer", &seconds)?,
            in_flight: gauge("requests_in_flight", "Inference requests that are not answered yet")?,
            bodies: gauge("request_bodies_bytes", "Memory for the bodies of requests that are not answered yet")?,
            waiting: gauge("requests_waiting", "Inference requests that wait for a worker")?,
            waited: histogram("wait_duration_seconds", "Seconds that a request waited for a worker", &seconds)?,
            batch: histogram(
                "batch_images",
                "Images, or rows, in one call of a model",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
            )?,
            inference: histogram("inference_duration_seconds", "Seconds of one call of a model", &seconds)?,
            workers: gauge("workers", "Threads that run models")?,
            in_service: gauges("model_info", "1 for each version in service", &["model", "version", "digest"])?,
            model_memory: gauges("model_memory_bytes", "Memory of each loaded version", &["model", "version"])?,
            ready: gauge("ready", "1 while requests should be sent here")?,
            reloads: Reloads {
                total: counters("models_reloads_total", "Attempts to serve what models.yaml says", &["result"])?,
                last_successful: gauge(
                    "models_last_reload_successful",
                    "1 when what models.yaml says is in service; otherwise the log says why not",
                )?,
                last_success: Gauge::with_opts(opts(
                    "models_last_reload_success_timestamp_seconds",
                    "When what models.yaml says was last put into service, since 1970",
                ))?,
            },
            registry,
        };
        // present from the start, so that an alert can tell zero from missing
        for result in ["success", "failure"] {
            metrics.reloads.total.with_label_values(&[result]);
        }
        let all: [Box<dyn Collector>; 16] = [
            Box::new(build),
            Box::new(metrics.requests.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.in_flight.clone()),
            Box::new(metrics.bodies.clone()),
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.waited.clone()),
            Box::new(metrics.batch.clone()),
            Box::new(metrics.inference.clone()),
            Box::new(metrics.workers.clone()),
            Box::new(metrics.in_service.clone()),
            Box::new(metrics.model_memory.clone()),
            Box::new(metrics.ready.clone()),
            Box::new(metrics.reloads.total.clone()),
            Box::new(metrics.reloads.last_successful.clone()),
            Box::new(metrics.reloads.last_success.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        // memory, processor time, descriptors, threads, start
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Registers counters of a part of the server that is not always on.
    ///
    /// # Errors
    /// When there is such a name already.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let made = counters(name, help, labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}

fn gauge(name: &str, help: &str) -> prometheus::Result<IntGauge> {
    IntGauge::with_opts(opts(name, help))
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(opts(name, help), labels)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(opts(name, help), labels)
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    Histogram::with_opts(HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec()))
}
