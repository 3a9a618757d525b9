//! YAML as a tree: positions, what is refused, what scalars mean.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use rstest::rstest;
use serde_json::json;
use slipway_source::{Node, Position, document, documents, position_of};

fn at(line: usize, column: usize) -> Position {
    Position { line, column }
}

fn both(text: &str) -> [Node; 2] {
    [document(text).unwrap(), documents(text).unwrap().remove(0)]
}

#[test]
fn every_key_and_value_has_its_position() {
    for tree in both("a:\n  b: [1, {\"ü\": x, c: 'two'}]\n  d:\n") {
        let b = tree.find("a.b").unwrap();
        assert_eq!((b.at, b.items()[0].at), (at(2, 6), at(2, 7)));
        let c = &b.items()[1].entries()[1];
        assert_eq!((c.key_at, c.value.at, c.value.bytes.len()), (at(2, 19), at(2, 22), "'two'".len()));
        let d = tree.find("a.d").unwrap();
        assert_eq!((d.at, d.text(), d.is_null()), (at(3, 3), Some(""), true), "what is left out is where its key is");
        assert_eq!(tree.text_at("a.d"), None);
    }
}

#[test]
fn decimal_scalars_are_what_the_core_schema_says() {
    let text = "[1, -2, +3, 1.5, 1e3, '1', true, yes, ~, 1Gi, 100m, 0x1f, 0o17, 1.2.3, .inf, .nan, \"-\", '', 18446744073709551615]";
    let expected = json!([
        1,
        -2,
        3,
        1.5,
        1000.0,
        "1",
        true,
        "yes",
        null,
        "1Gi",
        "100m",
        "0x1f",
        "0o17",
        "1.2.3",
        ".inf",
        ".nan",
        "-",
        "",
        u64::MAX
    ]);
    for tree in both(text) {
        assert_eq!(tree.to_json(), expected);
    }
}

#[test]
fn manifests_are_several_documents() {
    let all = documents("---\n# nothing\n---\na: 1\n---\nd: &k {x: 5}\ne: *k\n---\n~\n").unwrap();
    assert_eq!(
        all.iter().map(Node::to_json).collect::<Vec<_>>(),
        [json!({"a": 1}), json!({"d": {"x": 5}, "e": {"x": 5}})]
    );
    assert_eq!(documents("").unwrap().len(), 0);
}

#[rstest]
#[case("a: [", 1, "yaml-syntax")]
#[case("a: 1\na: 2\n", 2, "yaml-duplicate-key")]
#[case("? [x]\n: 1\n", 1, "yaml-syntax")]
#[case("a: *b\n", 1, "yaml-syntax")]
#[case("a: &b [*b]\n", 1, "yaml-alias")]
fn a_malformed_manifest_has_its_position(#[case] text: &str, #[case] line: usize, #[case] code: &str) {
    let malformed = documents(text).unwrap_err();
    assert_eq!((malformed.at.line, malformed.code), (line, code), "{malformed}");
    assert!(malformed.in_file("f.yaml").to_string().starts_with(&format!("f.yaml:{line}:")));
}

#[test]
fn a_key_that_is_given_twice_is_found_in_a_long_map() {
    let long: String = (0..1000).map(|key| format!("k{key}: 1\n")).collect();
    for repeated in [0, 15, 16, 17, 999] {
        let text = format!("{long}k{repeated}: 2\n");
        assert_eq!(document(&text).unwrap_err().at, at(1001, 1));
        assert_eq!(documents(&text).unwrap_err().at, at(1001, 1));
    }
    assert!(document(&long).is_ok());
}

#[test]
fn aliases_are_bounded_in_number_and_depth() {
    let many = format!("a: &a [{}]\n", "x, ".repeat(1000)) + "b: *a\n";
    assert_eq!(documents(&many).unwrap()[0].items_at("b").len(), 1000);

    let mut wide = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..9 {
        wide += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    assert!(documents(&wide).unwrap_err().message.contains("too large"));

    let mut deep = format!("a0: &a0 {}x{}\n", "[".repeat(40), "]".repeat(40));
    for i in 1..5 {
        deep += &format!("a{i}: &a{i} {}*a{}{}\n", "[".repeat(40), i - 1, "]".repeat(40));
    }
    let malformed = documents(&deep).unwrap_err();
    assert_eq!((malformed.at.line, malformed.code), (3, "yaml-too-deep"));
    assert_eq!(documents(&"[".repeat(10_000)).unwrap_err().code, "yaml-too-deep");
}

#[test]
fn the_position_of_a_path_is_that_of_its_deepest_part() {
    let text = "spec:\n  dataset: d\n  list: [1]\n";
    assert_eq!(position_of(text, "spec.dataset"), at(2, 12));
    assert_eq!(position_of(text, "spec.list.none"), at(3, 9));
    assert_eq!(position_of(text, "none"), at(1, 1));
    assert_eq!(position_of("{", "spec"), Position::START);
}
