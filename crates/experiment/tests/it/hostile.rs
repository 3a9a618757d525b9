//! YAML written to do harm: refused at a position, never a panic, never slow.

use proptest::prelude::*;
use rstest::rstest;
use slipway_experiment::{Trial, parse, parse_dataset, read_job};

use crate::programs::FASHION;
use crate::text::{CNN, with};

fn refused(text: &str) -> (usize, usize, &'static str) {
    let found = parse("e.yaml", text).expect_err("the text should be refused");
    (found[0].line, found[0].column, found[0].code)
}

#[rstest]
#[case("a: &x 1\n", (1, 4, "yaml-alias"))]
#[case("a: 1\nb: *x\n", (2, 4, "yaml-alias"))]
#[case("a: &x [1]\nb: [*x, *x]\n", (1, 4, "yaml-alias"))]
#[case("a: &x {b: *x}\n", (1, 4, "yaml-alias"))]
#[case("a: !!python/object:os.system x\n", (1, 4, "yaml-tag"))]
#[case("a: !secret x\n", (1, 4, "yaml-tag"))]
#[case("a: 1\na: 2\n", (2, 1, "yaml-duplicate-key"))]
#[case("a: {b: 1, \"b\": 2}\n", (1, 11, "yaml-duplicate-key"))]
#[case("a: 1\n---\nb: 2\n", (2, 1, "yaml-multiple-documents"))]
#[case("? [a]\n: 1\n", (1, 3, "yaml-syntax"))]
#[case("a: [1\n", (1, 4, "yaml-syntax"))]
#[case("a: \"\n", (1, 4, "yaml-syntax"))]
#[case("a:\n\t- b\n", (2, 1, "yaml-syntax"))]
#[case("%YAML 1.1\n---\na: 1\n", (1, 1, "yaml-syntax"))]
#[case("", (1, 1, "yaml-syntax"))]
#[case("# nothing\n", (1, 1, "yaml-syntax"))]
#[case("a: \u{0}\n", (1, 4, "yaml-syntax"))]
fn is_refused(#[case] text: &str, #[case] expected: (usize, usize, &'static str)) {
    assert_eq!(refused(text), expected);
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(refused(&"[".repeat(100_000)), (1, 33, "yaml-too-deep"));
    assert_eq!(refused(&"- ".repeat(100_000)), (1, 65, "yaml-too-deep"));
    assert_eq!(refused(&"{a: ".repeat(60_000)), (1, 129, "yaml-too-deep"));
}

#[test]
fn large_files_are_refused() {
    assert_eq!(refused(&"a".repeat(10 << 20)), (1, 1, "yaml-too-large"));
    assert!(parse("e.yaml", &format!("{CNN}# {}\n", "x".repeat(200_000))).is_ok());
}

#[test]
fn many_mistakes_are_counted_not_listed() {
    let fields: String = (0..20_000).map(|index| format!("f{index}: 1\n")).collect();
    let found = parse("e.yaml", &fields).expect_err("every field is unknown");
    assert_eq!(found.len(), 501);
    assert!(found[500].message.contains("and 19504 more"), "{}", found[500].message);
}

#[test]
fn long_values_are_shortened_in_messages() {
    let found = parse("e.yaml", &with(CNN, "cnn,", &format!("{},", "c".repeat(100_000))))
        .expect_err("the architecture is unknown");
    assert!(found[0].message.len() < 200);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|[\\[\\]{}:,&*!|>'\"%@`#a-c0-9 \n\t-]{0,200}") {
        let _ = parse("e.yaml", &text);
        let _ = parse_dataset("d.yaml", &text);
        let _ = read_job("j.yaml", &text);
        let _ = Trial::from_json(&text);
    }

    #[test]
    fn no_damaged_experiment_panics(whole in prop_oneof![Just(CNN), Just(FASHION)], at in any::<prop::sample::Index>(), length in 0..40_usize, new in "[\\[\\]{}$:,&*!|>'\"#a-z0-9.\n -]{0,12}") {
        let at = at.index(whole.len());
        let end = (at + length).min(whole.len());
        if whole.is_char_boundary(at) && whole.is_char_boundary(end) {
            let mut text = whole.to_owned();
            text.replace_range(at..end, &new);
            if let Err(findings) = parse("e.yaml", &text) {
                let lines = text.lines().count();
                prop_assert!(!findings.is_empty());
                prop_assert!(findings.iter().all(|f| f.line >= 1 && f.line <= lines + 1 && f.column >= 1 && !f.message.is_empty()));
            }
        }
    }
}
