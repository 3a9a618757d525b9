//! What the demo shows at the end, as a table and as JSON.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::{Map, Value};
use slipway_embedded::State;
use slipway_project::plan::parameters;

use super::drift::DriftReport;
use crate::context::Context;
use crate::local_loop::addresses;

/// The demo's one JSON object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) trials: Vec<TrialReport>,
    pub(crate) prediction: Prediction,
    /// The second act, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drift: Option<DriftReport>,
    /// Seconds by phase; `total` is from the start to the first served prediction.
    pub(crate) seconds: Map<String, Value>,
    /// Where everything is; `None` with `--exit`, since nothing is there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) addresses: Option<State>,
}

/// A trained trial.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrialReport {
    /// The TrainJob's name.
    pub(crate) name: String,
    /// The point of the sweep.
    pub(crate) parameters: BTreeMap<String, Value>,
    /// Accuracy on the test split, from 0 to 1.
    pub(crate) accuracy: f64,
    /// Training speed of all workers together.
    pub(crate) images_per_second: f64,
    /// From the job's start to its end.
    pub(crate) seconds: f64,
    /// `None` if it did not pass its gate.
    pub(crate) version: Option<String>,
}

/// What the served model says about a digit that no training has seen.
#[derive(Debug, Serialize)]
pub(crate) struct Prediction {
    /// What the digit is.
    pub(crate) label: u8,
    /// What the model says it is.
    pub(crate) answer: u8,
    /// Of each of the ten digits.
    pub(crate) probabilities: Vec<f64>,
}

impl Prediction {
    /// Reads the server's answer (Open Inference Protocol); `None` if it is not one.
    pub(crate) fn of(label: u8, answer: &Value) -> Option<Self> {
        let output = |name: &str| {
            let outputs = answer.get("outputs")?.as_array()?;
            outputs.iter().find(|output| output["name"] == name)?.get("data")?.as_array()
        };
        let answer = u8::try_from(output("label")?.first()?.as_u64()?).ok()?;
        let probabilities: Vec<f64> = output("probabilities")?.iter().filter_map(Value::as_f64).collect();
        Some(Self { label, answer, probabilities })
    }
}

impl Report {
    /// The report as a person reads it.
    pub(crate) fn table(&self, context: &Context) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([
            "trial",
            "parameters",
            "accuracy",
            "images/s",
            "seconds",
            "version",
        ]);
        let retrained = self.drift.as_ref().map(|drift| &drift.trial);
        for trial in self.trials.iter().chain(retrained) {
            table.add_row([
                trial.name.clone(),
                parameters(&trial.parameters),
                format!("{:.4}", trial.accuracy),
                format!("{:.0}", trial.images_per_second),
                format!("{:.1}", trial.seconds),
                trial.version.clone().unwrap_or_else(|| "did not pass its gate".to_owned()),
            ]);
        }
        for column in 2..5 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let Prediction { label, answer, probabilities } = &self.prediction;
        let confidence = probabilities.get(usize::from(*answer)).copied().unwrap_or_default() * 100.0;
        let total = self.seconds.get("total").and_then(Value::as_f64).unwrap_or_default();
        let drift = self.drift.as_ref().map(|drift| drift.said(context)).unwrap_or_default();
        let addresses = self.addresses.as_ref().map(addresses).unwrap_or_default();
        format!(
            "\n{table}\n\nAsked about a {label} that no training has seen, the served model says {} ({confidence:.1} %), {total:.1} s after the start.\n{drift}\n{addresses}",
            context.paint("1", &answer.to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Output;

    fn trial(name: &str, version: &str) -> TrialReport {
        TrialReport {
            name: name.to_owned(),
            parameters: BTreeMap::new(),
            accuracy: 0.97,
            images_per_second: 9000.0,
            seconds: 4.5,
            version: Some(version.to_owned()),
        }
    }

    fn report() -> Report {
        let prediction = Prediction { label: 3, answer: 3, probabilities: vec![0.1; 10] };
        Report {
            trials: vec![trial("mnist-cnn-0", "1")],
            prediction,
            drift: None,
            seconds: Map::new(),
            addresses: None,
        }
    }

    #[test]
    fn what_has_ended_names_no_address() {
        let context = Context { root: std::path::PathBuf::new(), output: Output::Text };
        let mut ended = report();
        assert!(!ended.table(&context).contains("http://"));
        assert!(!serde_json::to_string(&ended).unwrap().contains("addresses"));
        let page = || "http://127.0.0.1:1".to_owned();
        ended.addresses = Some(State {
            pid: 7,
            s3: page(),
            mlflow: page(),
            server: page(),
            manager: page(),
            monitor: page(),
            page: page(),
            kubeconfig: "kubeconfig".into(),
            forge: "forge.git".into(),
        });
        assert!(ended.table(&context).contains("page    http://127.0.0.1:1"));
    }
}
