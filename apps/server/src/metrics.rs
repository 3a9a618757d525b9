//! The metrics at `/metrics`, in Prometheus' text format, with names and units as Prometheus recommends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use slipway_samples::Counts;

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
    /// Versions that are tried beside those in service.
    pub challengers: Challengers,
    /// The sample of requests.
    pub samples: Samples,
}

/// Metrics of the sample of requests.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Requests by result: drawn and taken, drawn and dropped because the memory was full, or not drawn because they only measure.
    requests: IntCounterVec,
    /// Rows by result: written, dropped because the hour had as many as it may, or lost because they could not be stored before the end.
    rows: IntCounterVec,
    /// Files by result: written, failed (attempts) or deleted because they were old.
    files: IntCounterVec,
    /// Held while the counts are copied.
    copying: Arc<Mutex<()>>,
}

impl Samples {
    /// Shows what the sampler has counted.
    pub fn show(&self, counts: &Counts) {
        let _copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        for (counter, result, count) in [
            (&self.requests, "taken", &counts.requests),
            (&self.requests, "dropped", &counts.without_memory),
            (&self.requests, "measuring", &counts.measuring),
            (&self.rows, "written", &counts.rows),
            (&self.rows, "dropped", &counts.beyond_hour),
            (&self.rows, "lost", &counts.lost),
            (&self.files, "written", &counts.files),
            (&self.files, "failed", &counts.failures),
            (&self.files, "deleted", &counts.deleted),
        ] {
            let counter = counter.with_label_values(&[result]);
            counter.inc_by(count.load(Ordering::Relaxed).saturating_sub(counter.get()));
        }
    }
}

/// Metrics of versions that are tried beside those in service.
#[derive(Clone, Debug)]
pub struct Challengers {
    /// Requests that one should have got, by model, version, mode and result: answered, failed or dropped.
    requests: IntCounterVec,
    /// Rows that both versions have answered, by model, version and result: agreed or disagreed.
    rows: IntCounterVec,
    /// Seconds that a challenger took to answer, by model and version.
    seconds: HistogramVec,
    /// 1 while one is tried, 0 while it waits or after it was switched off, by model, version and mode.
    pub running: IntGaugeVec,
    /// 1 for each that was switched off, by model, version and reason: errors, latency or corrections.
    pub switched_off: IntGaugeVec,
    /// E-values of the tests, by model, version and what they are evidence for: errors, latency, corrections, or that it is better.
    pub e_value: GaugeVec,
}

/// What is counted of one challenger.
#[derive(Clone, Debug)]
pub struct Challenged {
    /// Requests that it answered.
    pub answered: IntCounter,
    /// Requests that it failed on.
    pub failed: IntCounter,
    /// Requests that it did not get because it was behind.
    pub dropped: IntCounter,
    /// Rows that it answered as the champion did.
    pub agreed: IntCounter,
    /// Rows that it answered otherwise.
    pub disagreed: IntCounter,
    /// Seconds that it took to answer.
    pub seconds: Histogram,
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
        let of_challenger = ["model", "version"];
        let challengers = Challengers {
            requests: counters(
                "challenger_requests_total",
                "Requests for a version that is tried; the version in service answers those that fail",
                &["model", "version", "mode", "result"],
            )?,
            rows: counters(
                "challenger_rows_total",
                "Rows that both versions have answered, alike or not",
                &["model", "version", "result"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::from(opts(
                    "challenger_request_duration_seconds",
                    "Seconds that a version that is tried took to answer",
                ))
                .buckets(seconds.clone()),
                &of_challenger,
            )?,
            running: gauges(
                "challenger_running",
                "1 while a version is tried, 0 while it is not loaded or after it was switched off",
                &["model", "version", "mode"],
            )?,
            switched_off: gauges(
                "challenger_switched_off",
                "1 for each version that was switched off because it was worse",
                &["model", "version", "reason"],
            )?,
            e_value: GaugeVec::new(
                opts(
                    "challenger_e_value",
                    "How strongly what was seen speaks for errors, for latency, for more corrections, or for a better version; /challengers says at which value it decides",
                ),
                &["model", "version", "evidence"],
            )?,
        };
        let samples = Samples {
            requests: counters(
                "sampled_requests_total",
                "Requests for the sample: taken, dropped because its memory was full, or left out because they only measure",
                &["result"],
            )?,
            rows: counters(
                "sampled_rows_total",
                "Rows of the sample: written, or dropped because their hour had as many as it may, or lost",
                &["result"],
            )?,
            files: counters(
                "sample_files_total",
                "Files of the sample: written, attempts that failed, and deleted because they were old",
                &["result"],
            )?,
            copying: Arc::default(),
        };
        let metrics = Self {
            challengers,
            samples,
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
        let all: [Box<dyn Collector>; 25] = [
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
            Box::new(metrics.challengers.requests.clone()),
            Box::new(metrics.challengers.rows.clone()),
            Box::new(metrics.challengers.seconds.clone()),
            Box::new(metrics.challengers.running.clone()),
            Box::new(metrics.challengers.switched_off.clone()),
            Box::new(metrics.challengers.e_value.clone()),
            Box::new(metrics.samples.requests.clone()),
            Box::new(metrics.samples.rows.clone()),
            Box::new(metrics.samples.files.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        // memory, processor time, descriptors, threads, start
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// What is counted of a challenger, from the start at zero.
    pub fn challenged(&self, model: &str, version: &str, mode: &str) -> Challenged {
        let Challengers { requests, rows, seconds, .. } = &self.challengers;
        let request = |result: &str| requests.with_label_values(&[model, version, mode, result]);
        let row = |result: &str| rows.with_label_values(&[model, version, result]);
        Challenged {
            answered: request("answered"),
            failed: request("failed"),
            dropped: request("dropped"),
            agreed: row("agreed"),
            disagreed: row("disagreed"),
            seconds: seconds.with_label_values(&[model, version]),
        }
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
