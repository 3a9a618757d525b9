//! What `/metrics` shows, in Prometheus' text form.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The server's figures. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Inference requests by HTTP status.
    pub requests: IntCounterVec,
    /// Seconds from a request's arrival to its answer.
    pub seconds: Histogram,
    /// Images in one call of a model.
    pub batch: Histogram,
    /// Requests that wait for a worker.
    pub waiting: IntGauge,
    /// 1 for each version in service.
    pub in_service: IntGaugeVec,
    /// Attempts to put a version into service, or to read the list, that failed.
    pub failed_loads: IntCounter,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// Never, as long as names are different and well-formed.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let seconds = HistogramOpts::new("slipway_request_seconds", "Seconds from a request's arrival to its answer")
            .buckets(prometheus::exponential_buckets(0.0002, 2.0, 14)?);
        let batch = HistogramOpts::new("slipway_batch_images", "Images in one call of a model")
            .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        let metrics = Self {
            requests: IntCounterVec::new(Opts::new("slipway_requests_total", "Inference requests"), &["code"])?,
            seconds: Histogram::with_opts(seconds)?,
            batch: Histogram::with_opts(batch)?,
            waiting: IntGauge::new("slipway_waiting_requests", "Requests that wait for a worker")?,
            in_service: IntGaugeVec::new(
                Opts::new("slipway_model_in_service", "1 for each version in service"),
                &["model", "version", "digest"],
            )?,
            failed_loads: IntCounter::new(
                "slipway_failed_loads_total",
                "Attempts to follow models.yaml that failed; the log says why",
            )?,
            registry,
        };
        let Self { registry, requests, seconds, batch, waiting, in_service, failed_loads } = &metrics;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(batch.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        registry.register(Box::new(in_service.clone()))?;
        registry.register(Box::new(failed_loads.clone()))?;
        Ok(metrics)
    }

    /// The text.
    ///
    /// # Errors
    /// When a figure cannot be written as text.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
