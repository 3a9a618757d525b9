//! The curves of a trial's metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Json;
use super::operation::{Asked, Named, Operation};
use super::problem::Problem;
use super::shared::Shared;
use super::tracking::{Run, unavailable};

/// The most points of a metric.
const POINTS: u16 = 2000;
/// The most metrics.
const METRICS: usize = 50;
/// How many are asked for at once.
const AT_ONCE: usize = 8;
/// What MLflow measures of a machine by itself; it comes after what the training measures.
const SYSTEM: &str = "system/";

/// `GET /api/v1/trials/{name}/metrics`
pub(crate) struct Curves;

/// Which metrics.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only this metric.
    metric: Option<String>,
}

/// Metrics over time.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Metrics {
    /// For each metric its points: step, value (`null` if it is not a finite number), and milliseconds since 1970. At most 50 metrics have
    /// at most 2,000 points each, chosen evenly; the first and the last are among them.
    metrics: BTreeMap<String, Vec<Point>>,
}

/// Step, value, milliseconds since 1970.
type Point = (i64, Option<f64>, i64);

impl Operation for Curves {
    const PATH: &'static str = "/api/v1/trials/{name}/metrics";
    const ID: &'static str = "getCurves";
    const SUMMARY: &'static str = "The curves of a trial's metrics";
    const PROBLEMS: &'static [(u16, &'static str)] =
        &[(404, "No trial has this name, or it has no such metric."), (503, "MLflow does not answer.")];

    type Path = Named;
    type Query = Which;
    type Body = ();
    type Answer = Json<Metrics>;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let trial = shared.trial(&asked.path.name)?;
        let run = Run::of(&shared, &trial).await?;
        let mut names: Vec<&String> = run.iter().flat_map(|run| run.found.metrics.keys()).collect();
        names.sort_by_key(|name| name.starts_with(SYSTEM));
        if let Some(metric) = &asked.query.metric {
            names.retain(|name| *name == metric);
            if names.is_empty() {
                return Err(Problem::unknown("metric", format!("{} has not logged a metric {metric}", trial.name)));
            }
        }
        names.truncate(METRICS);
        let Some(run) = &run else { return Ok(Json(Metrics { metrics: BTreeMap::new() })) };
        let names: Vec<String> = names.into_iter().cloned().collect();
        let curves = stream::iter(names).map(|name| curve(&shared, &run.found.run_id, name));
        let metrics = curves.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Json(Metrics { metrics }))
    }
}

async fn curve(shared: &Shared, run: &str, name: String) -> Result<(String, Vec<Point>), Problem> {
    let points = shared.state.mlflow.metric_points(run, &name, POINTS).await.map_err(|error| unavailable(&error))?;
    let points = points.into_iter().take(POINTS.into());
    let points = points.map(|point| (point.step, Some(point.value).filter(|value| value.is_finite()), point.timestamp));
    Ok((name, points.collect()))
}
