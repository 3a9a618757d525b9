//! What tells a trial from others: the point of its sweep, and what else it is trained with. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_experiment::{Trial, Work};

/// The most that are kept of what is not swept.
const MOST: usize = 24;

/// Values by the names of parameters.
type Values = BTreeMap<String, Value>;

/// The values of the swept parameters, and the others of the network and its training, or of the program, by the same names. Without a sweep
/// these are the first, and there are no others.
pub(super) fn hyperparameters(trial: Trial) -> (Values, Values) {
    let mut found = BTreeMap::new();
    match &trial.work {
        Work::Program(program) => flatten("parameters".to_owned(), json!(program.parameters), &mut found),
        Work::BuiltIn { model, training } => {
            flatten("model".to_owned(), json!(model), &mut found);
            flatten("training".to_owned(), json!(training), &mut found);
        }
    }
    let swept = trial.parameters;
    let others = found.into_iter().filter(|(name, _)| !swept.contains_key(name)).take(MOST).collect();
    if swept.is_empty() { (others, Values::new()) } else { (swept, others) }
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
        let (found, others) = hyperparameters(trial(&json!({}), &work));
        assert!(others.is_empty());
        assert_eq!(found["training.optimizer.learningRate"], 0.001);
        assert_eq!((&found["model.architecture"], &found["training.epochs"]), (&json!("cnn"), &json!(3)));
        let swept = json!({"training.optimizer.learningRate": 0.001});
        let (found, others) = hyperparameters(trial(&swept, &work));
        assert_eq!(json!(found), swept);
        assert_eq!((&others["model.architecture"], &others["training.epochs"]), (&json!("cnn"), &json!(3)));
        assert!(!others.contains_key("training.optimizer.learningRate"), "it is swept");
    }
}
