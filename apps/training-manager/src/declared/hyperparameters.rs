//! What tells a trial from others: the point of its sweep, or what it is trained with. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_experiment::{Trial, Work};

/// The most that are kept of a trial without a sweep.
const MOST: usize = 24;

/// The values of the swept parameters; without a sweep those of the network and its training, or of the program, by the same names.
pub(super) fn hyperparameters(trial: Trial) -> BTreeMap<String, Value> {
    if !trial.parameters.is_empty() {
        return trial.parameters;
    }
    let mut found = BTreeMap::new();
    match &trial.work {
        Work::Program(program) => flatten("parameters".to_owned(), json!(program.parameters), &mut found),
        Work::BuiltIn { model, training } => {
            flatten("model".to_owned(), json!(model), &mut found);
            flatten("training".to_owned(), json!(training), &mut found);
        }
    }
    found.into_iter().take(MOST).collect()
}

fn flatten(path: String, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(format!("{path}.{name}"), value, found);
            }
        }
        Value::Null | Value::Array(_) => {}
        value => drop(found.insert(path, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(swept: &Value, work: &Value) -> Trial {
        let mut trial = json!({
            "name": "digits-1a2b3c4d", "experiment": "digits", "workers": 2, "parameters": swept,
            "dataset": {"name": "ten", "digest": format!("sha256:{}", "0".repeat(64))},
        });
        for (name, value) in work.as_object().unwrap() {
            trial[name] = value.clone();
        }
        Trial::from_json(&trial.to_string()).unwrap()
    }

    #[test]
    fn a_trial_without_a_sweep_has_what_it_is_trained_with() {
        let work = json!({
            "model": {"architecture": "cnn", "dropout": 0.25},
            "training": {"epochs": 3, "batchSize": 64, "optimizer": {"name": "adam", "learningRate": 0.001}, "seed": 7},
        });
        let found = hyperparameters(trial(&json!({}), &work));
        assert_eq!(found["training.optimizer.learningRate"], 0.001);
        assert_eq!((&found["model.architecture"], &found["training.epochs"]), (&json!("cnn"), &json!(3)));
        let swept = json!({"training.optimizer.learningRate": 0.001});
        assert_eq!(json!(hyperparameters(trial(&swept, &work))), swept);
    }
}
