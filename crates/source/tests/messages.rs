//! What people read: suggestions, excerpts, typed YAML.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use rstest::rstest;
use serde::Deserialize;
use slipway_source::{closest, excerpt, suggestion, typed};

#[rstest]
#[case("ccn", &["mlp", "cnn"], Some("cnn"))]
#[case("batch_size", &["epochs", "batchSize"], Some("batchSize"))]
#[case("Local", &["local", "production"], Some("local"))]
#[case("web-passwort", &["web-password", "web-pass"], Some("web-password"))]
#[case("a", &["b"], None)]
#[case("staging", &["local", "production"], None)]
fn the_closest_name_is_suggested(#[case] name: &str, #[case] known: &[&str], #[case] expected: Option<&str>) {
    assert_eq!(closest(name, known.iter().copied()), expected);
}

#[test]
fn suggestions_list_what_is_known_and_stay_short() {
    assert_eq!(suggestion("ccn", "allowed", &["mlp", "cnn"]), "did you mean `cnn`? allowed: mlp, cnn");
    assert_eq!(suggestion("x", "known", &["local"]), "known: local");
    assert_eq!(suggestion("x", "known", &[]), "known: none");
    let names: Vec<String> = (0..1000).map(|index| format!("experiment-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = suggestion("experimint-999", "known", &names);
    assert!(text.starts_with("did you mean `experiment-999`? known: experiment-0, "), "{text}");
    assert!(text.ends_with(" and 980 more"), "{text}");
    assert_eq!(closest(&"x".repeat(100_000), names), None);
}

#[test]
fn excerpts_are_one_short_line() {
    assert_eq!(excerpt("a\nb"), "a\u{fffd}b");
    assert_eq!(excerpt(&"ü".repeat(60)), "ü".repeat(60));
    assert_eq!(excerpt(&"ü".repeat(61)), format!("{}…", "ü".repeat(60)));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Small {
    count: u32,
}

#[test]
fn typed_yaml_has_its_first_mistake_with_its_position() {
    assert_eq!(typed::<Small>("f.yaml", "count: 3\n").unwrap().count, 3);
    for (text, place, part) in [
        ("count: many\n", (1, 8), "u32"),
        ("a: 1\ncount: 1\n", (1, 1), "unknown field"),
        ("{}\n", (1, 1), "missing field `count`"),
        ("count: [1]\n", (1, 8), "expected"),
    ] {
        let finding = typed::<Small>("f.yaml", text).unwrap_err();
        assert_eq!(((finding.line, finding.column), finding.code), (place, "yaml"), "{finding}");
        assert!(finding.message.contains(part) && !finding.message.contains(" at line "), "{finding}");
    }
}
