//! The committed schema is that of the types, and every declaration of the repository is valid.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn the_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let expected = slipway_image::schema_text().unwrap();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "crates/image/schema.json is out of date: UPDATE_SCHEMA=1 cargo test -p slipway-image --test schema"
    );
}

#[test]
fn declarations_fit_the_schema_and_are_locked() {
    let schema: serde_json::Value = serde_json::from_str(&slipway_image::schema_text().unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let all = slipway_image::declared(&root()).unwrap();
    let names: Vec<&str> = all.iter().map(slipway_image::Declared::name).collect();
    for name in ["dataset-monitor", "demo-ui", "mlflow", "server", "trainer", "training-manager"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for declared in &all {
        let document = serde_json::to_value(&declared.image).unwrap();
        let mistakes: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", declared.name());
        let locked = slipway_image::locked_platforms(declared).unwrap();
        assert_eq!(locked, slipway_image::Platform::ALL, "{}: run `slipway image lock`", declared.name());
    }
}
