//! The JSON schema for editors agrees with the types and with the files.

use serde_json::Value;
use slipway_experiment::schema;

use crate::text::{CNN, MLP, RESNET, with};

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn value(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_file_is_what_the_types_say() {
    let file = include_str!("../../../../experiments/schema.json");
    let renew = "cargo run --release -q -p slipway-experiment --example renew_schema > experiments/schema.json";
    assert!(file == schema(), "experiments/schema.json is out of date; renew it with\n    {renew}");
}

#[test]
fn the_examples_fit() {
    let promoted = ["never", "propose", "{merge: [local]}"];
    let promoted = promoted.map(|promote| with(CNN, "  register", &format!("  promote: {promote}\n  register")));
    for text in [CNN, MLP, RESNET].into_iter().chain(promoted.iter().map(String::as_str)) {
        if let Err(error) = validator().validate(&value(text)) {
            panic!("{}: {error}", error.instance_path());
        }
    }
}

#[test]
fn mistakes_do_not() {
    for (old, new) in [
        ("dropout", "dropuot"),
        ("dropout: 0.25", "dropout: 1"),
        ("dropout: 0.25", "dropout: null"),
        ("architecture: cnn", "architecture: vgg"),
        ("seed: 7", "seed: 7, schedule: {name: cosin}"),
        ("seed: 7", "seed: 7, schedule: {warmupEpochs: 1}"),
        ("seed: 7", "seed: 7, schedule: {name: step, every: 0, factor: 0.1}"),
        ("seed: 7", "seed: 7, augmentation: {}"),
        ("seed: 7", "seed: 7, augmentation: {rotation: 181}"),
        ("seed: 7", "seed: 7, augmentation: null"),
        ("seed: 7", "seed: 7, earlyStopping: {}"),
        ("[0.001, 0.003]", "[0.1]\n    training.schedule.name: [none]"),
        ("epochs: 3", "epochs: 3.5"),
        ("[0.001, 0.003]", "[]"),
        ("[0.001, 0.003]", "[0]"),
        ("training.optimizer.learningRate: [", "training.learningRate: ["),
        ("memory: 512Mi", "memory: 2gb"),
        ("deadline: 30m", "deadline: 30"),
        ("accuracy", "acuracy"),
        (">= 0.95", "=> 0.95"),
        ("kind: Experiment", "kind: Dataset"),
        ("  register", "  promote: always\n  register"),
        ("  register", "  promote: {merge: []}\n  register"),
        ("  register", "  promote: {open: [local]}\n  register"),
    ] {
        assert!(!validator().is_valid(&value(&with(CNN, old, new))), "{new}");
    }
}
