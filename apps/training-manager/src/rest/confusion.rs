//! The confusion matrix of a trial's evaluation.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Json;
use super::operation::{Asked, Named, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;
use super::tracking::{Run, unavailable};

/// Where a trainer puts it among the artifacts of its run.
const FILE: &str = "evaluation/evaluation.json";
/// The most bytes of that file.
const MOST: u64 = 8 << 20;
/// The most classes.
const CLASSES: usize = 1000;

/// `GET /api/v1/trials/{name}/confusion`
pub(crate) struct Confusion;

/// How often each class was taken for each.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Matrix {
    /// The names of the classes.
    labels: Vec<String>,
    /// How often each class, a row, was answered as each, a column.
    counts: Vec<Vec<u64>>,
}

/// What the file says.
#[derive(Deserialize)]
struct Evaluation {
    confusion: Vec<Vec<u64>>,
    #[serde(default)]
    labels: Vec<String>,
}

impl Operation for Confusion {
    const PATH: &'static str = "/api/v1/trials/{name}/confusion";
    const ID: &'static str = "getConfusion";
    const SUMMARY: &'static str = "The confusion matrix of a trial's evaluation";
    const PROBLEMS: &'static [(u16, &'static str)] =
        &[(404, "No trial has this name, or it has no confusion matrix."), (503, "MLflow does not answer.")];

    type Path = Named;
    type Query = Nothing;
    type Body = ();
    type Answer = Json<Matrix>;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let trial = shared.trial(&asked.path.name)?;
        let none = |why: &str| Problem::unknown("confusion matrix", format!("{} has none: {why}", trial.name));
        let Some(run) = Run::of(&shared, &trial).await? else {
            return Err(none("it has no run in MLflow"));
        };
        let read = shared.state.mlflow.read_artifact(&run.found.artifact_uri, FILE, MOST).await;
        match read {
            Ok(Some(text)) => matrix(&text).map(Json).map_err(|reason| none(&format!("its run's {FILE} {reason}"))),
            Ok(None) => Err(none(&format!("its run has no {FILE}; only a trial that was evaluated does"))),
            Err(error @ slipway_mlflow::Error::TooLarge { .. }) => Err(none(&error.to_string())),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// The matrix in a file, or what is wrong with it.
fn matrix(text: &[u8]) -> Result<Matrix, String> {
    let Evaluation { confusion: counts, labels } =
        serde_json::from_slice(text).map_err(|error| format!("has none that can be read: {error}"))?;
    let classes = counts.len();
    if !(1..=CLASSES).contains(&classes) || counts.iter().any(|row| row.len() != classes) {
        return Err(format!("has one that is not square, or has no class or more than {CLASSES}"));
    }
    let labels = if labels.len() == classes { labels } else { (0..classes).map(|class| class.to_string()).collect() };
    Ok(Matrix { labels, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_square_and_its_classes_have_names() {
        let read = |text: &str| matrix(text.as_bytes());
        let plain = read(r#"{"split": "test", "confusion": [[3, 1], [0, 2]], "mistakes": []}"#).unwrap();
        assert_eq!((plain.labels.as_slice(), plain.counts[0][1]), (&["0".to_owned(), "1".to_owned()][..], 1));
        let named = read(r#"{"confusion": [[3, 1], [0, 2]], "labels": ["cat", "dog"]}"#).unwrap();
        assert_eq!(named.labels, ["cat", "dog"]);
        for wrong in ["", "{}", r#"{"confusion": []}"#, r#"{"confusion": [[1, 2]]}"#, r#"{"confusion": [[-1]]}"#] {
            read(wrong).unwrap_err();
        }
    }
}
