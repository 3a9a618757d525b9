//! YAML as a tree: positions, what is refused, what scalars mean.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use rstest::rstest;
use serde_json::{Value, json};
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
fn our_own_formats_read_decimal_numbers_only() {
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
    assert_eq!(document(text).unwrap().to_json(), expected);
}

/// Each line of the table is a text and what sigs.k8s.io/yaml 1.6.0 with go.yaml.in/yaml/v2 2.4.4 makes of it: the output of
/// `yaml.YAMLToJSON`, or its error. Argo CD 3.5 reads manifests with these modules, and Kubernetes 1.36 with
/// yaml/v2 2.4.3.
const KUBERNETES: &str = include_str!("sigs-yaml-1.6.0.jsonl");

#[test]
fn manifests_are_read_as_kubernetes_reads_them() {
    let mut count = 0;
    for line in KUBERNETES.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = line["yaml"].as_str().unwrap();
        match (documents(text), line.get("json")) {
            (Ok(read), Some(expected)) => {
                assert_eq!(read.len(), 1, "{text:?}");
                assert!(same(&read[0].to_json(), expected), "{text:?}: {} instead of {expected}", read[0].to_json());
            }
            (Err(_), None) => {}
            (read, expected) => panic!("{text:?}: {read:?} instead of {expected:?}"),
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
}

/// Equal, where a number that two readers hold in different types counts by its value.
fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => match (one.as_i64(), two.as_i64()) {
            (Some(one), Some(two)) => one == two,
            _ => one.as_f64() == two.as_f64(),
        },
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len() && one.iter().all(|(key, one)| two.get(key).is_some_and(|two| same(one, two)))
        }
        _ => one == two,
    }
}

#[rstest]
#[case("a: !!binary aGVsbG8=\n", 1, "yaml-tag")]
#[case("b: {x: 1, <<: {x: 2}}\n", 1, "yaml-merge")]
#[case("b:\n  <<: {x: 1}\n  <<: {y: 2}\n", 3, "yaml-merge")]
#[case("yes: 1\ny: 2\n", 2, "yaml-duplicate-key")]
#[case("a: 1\nb: .inf\n", 2, "yaml-number")]
fn what_programs_read_differently_is_refused(#[case] text: &str, #[case] line: usize, #[case] code: &str) {
    let malformed = documents(text).unwrap_err();
    assert_eq!((malformed.at.line, malformed.code), (line, code), "{malformed}");
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_not_shift_anything() {
    let text = "\u{feff}a: {b: 'c'}\r\nd: |\r\n  e\r\nf: g\r\n";
    for tree in both(text) {
        assert_eq!(tree.to_json(), json!({"a": {"b": "c"}, "d": "e\n", "f": "g"}));
        let (c, g) = (tree.find("a.b").unwrap(), tree.get("f").unwrap());
        assert_eq!((&text[c.bytes.clone()], &text[g.bytes.clone()]), ("'c'", "g"));
        assert_eq!(g.at, at(4, 4));
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
