//! Splits metrics, parameters and tags into requests within MLflow's limits.
//!
//! Limits: `mlflow/utils/validation.py` (MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH, MAX_ENTITIES_PER_BATCH,
//! MAX_BATCH_LOG_REQUEST_SIZE).

use serde::Serialize;

use crate::{Error, Metric, Param, Result, Tag};

/// The most metrics in one request, and also the most metrics, parameters and tags together.
const METRICS: usize = 1000;
const PARAMS: usize = 100;
const TAGS: usize = 100;
const BYTES: usize = 1_000_000;
/// Bytes of a request around the lists: the run's id and the names of the lists.
const ENVELOPE: usize = 256;

/// One request of `runs/log-batch`, without the run's id.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Batch<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) metrics: Vec<&'a Metric>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) params: Vec<&'a Param>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<&'a Tag>,
}

/// Splits in order: parameters and tags come first, so that a run has its description before its first metric.
pub(crate) fn cut<'a>(metrics: &'a [Metric], params: &'a [Param], tags: &'a [Tag]) -> Result<Vec<Batch<'a>>> {
    let mut cutter = Cutter { done: Vec::new(), open: Batch::default(), bytes: ENVELOPE };
    for param in params {
        cutter.make_room(size("parameter", &param.key, param)?, |batch| batch.params.len() < PARAMS);
        cutter.open.params.push(param);
    }
    for tag in tags {
        cutter.make_room(size("tag", &tag.key, tag)?, |batch| batch.tags.len() < TAGS);
        cutter.open.tags.push(tag);
    }
    for metric in metrics {
        cutter.make_room(size("metric", &metric.key, metric)?, |batch| batch.metrics.len() < METRICS);
        cutter.open.metrics.push(metric);
    }
    cutter.close();
    Ok(cutter.done)
}

struct Cutter<'a> {
    done: Vec<Batch<'a>>,
    open: Batch<'a>,
    bytes: usize,
}

impl Cutter<'_> {
    fn make_room(&mut self, bytes: usize, has_place: impl Fn(&Batch<'_>) -> bool) {
        let entities = self.open.metrics.len() + self.open.params.len() + self.open.tags.len();
        if self.bytes + bytes > BYTES || entities >= METRICS || !has_place(&self.open) {
            self.close();
        }
        self.bytes += bytes;
    }

    fn close(&mut self) {
        let batch = std::mem::take(&mut self.open);
        if !(batch.metrics.is_empty() && batch.params.is_empty() && batch.tags.is_empty()) {
            self.done.push(batch);
        }
        self.bytes = ENVELOPE;
    }
}

fn size(kind: &str, key: &str, value: &impl Serialize) -> Result<usize> {
    let invalid = |reason: String| Error::Invalid {
        what: format!("the {kind} `{}`", key.chars().take(80).collect::<String>()),
        reason,
    };
    // MLflow counts the body as Python writes it: a space after each comma and colon, so three or seven more than here
    let bytes = serde_json::to_vec(value).map_err(|error| invalid(error.to_string()))?.len() + 9;
    if bytes + ENVELOPE > BYTES {
        return Err(invalid(format!("it has {bytes} bytes; a request may have {BYTES}: log it as an artifact")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_once_in_order_within_the_limits() {
        let metrics: Vec<_> = (0..2500).map(|step| Metric::new("loss", 0.5, step, step)).collect();
        let params: Vec<_> = (0..250).map(|n| Param::new(format!("p{n}"), "x".repeat(5000))).collect();
        let tags: Vec<_> = (0..101).map(|n| Tag::new(format!("t{n}"), "v")).collect();
        let batches = cut(&metrics, &params, &tags).unwrap();
        for batch in &batches {
            assert!(batch.metrics.len() <= METRICS && batch.params.len() <= PARAMS && batch.tags.len() <= TAGS);
            assert!(batch.metrics.len() + batch.params.len() + batch.tags.len() <= METRICS);
            assert!(serde_json::to_vec(batch).unwrap().len() < BYTES);
        }
        assert!(batches.iter().flat_map(|batch| batch.metrics.iter().copied()).eq(&metrics));
        assert!(batches.iter().flat_map(|batch| batch.params.iter().copied()).eq(&params));
        assert!(batches.iter().flat_map(|batch| batch.tags.iter().copied()).eq(&tags));
    }

    #[test]
    fn bytes_are_a_limit_too() {
        let tags: Vec<_> = (0..20).map(|n| Tag::new(format!("t{n}"), "v".repeat(100_000))).collect();
        assert_eq!(cut(&[], &[], &tags).unwrap().len(), 3);
        assert!(cut(&[], &[], &[Tag::new("t", "v".repeat(BYTES))]).unwrap_err().to_string().contains("artifact"));
    }

    #[test]
    fn nothing_is_no_request() {
        assert!(cut(&[], &[], &[]).unwrap().is_empty());
    }
}
