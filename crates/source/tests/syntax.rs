//! Text that is not YAML: the place of the mistake, and what to write instead.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use rstest::rstest;
use slipway_source::{document, documents, typed};

// A text, line and column of the mistake, part of the message, part of the help.
#[rustfmt::skip]
#[rstest]
#[case::tab("a: 1\nspec:\n\tb: 1\n", (3, 1), "a tab indents this line", "spaces")]
#[case::tab_below_a_value("spec:\n  a: 1\n\tb: 2\n", (3, 1), "a tab indents this line", "spaces")]
#[case::tab_behind_spaces("spec:\n  a: 1\n  \tb: 2\n", (3, 3), "a tab indents this line", "spaces")]
#[case::tab_of_an_item("a:\n\t- b\n", (2, 1), "a tab indents this line", "spaces")]
#[case::no_colon_of_the_first_key("spec:\n  dataset mnist\n  model: x\n", (2, 3), "there is no colon after the key `dataset`", "write `dataset: mnist`")]
#[case::no_colon("spec:\n  a: 1\n  dataset mnist # the small one\n  model: x\n", (3, 3), "there is no colon after the key `dataset`", "write `dataset: mnist`")]
#[case::no_colon_of_the_last_key("spec:\n  a: 1\n  dataset mnist\n", (3, 3), "there is no colon after the key `dataset`", "write `dataset: mnist`")]
#[case::no_colon_of_a_map("a: 1\nspec\n  b: 1\n", (2, 1), "there is no colon after the key `spec`", "write `spec:`")]
#[case::no_colon_of_the_first_map("s:\n  model\n    b: 1\n  c: 2\n", (2, 3), "there is no colon after the key `model`", "write `model:`")]
#[case::no_colon_in_a_list("a:\n  - name x\n    value: y\n", (2, 5), "there is no colon after the key `name`", "write `name: x`")]
#[case::no_colon_of_an_address("a: 1\nurl https://ann:s3cret@example.org\nb: 2\n", (2, 1), "there is no colon after the key `url`", "write `url: …`")]
#[case::equals("a = 1\nb: 2\n", (1, 1), "there is no colon after the key `a`", "write `a: 1`")]
#[case::semicolon("spec:\n  a; 1\n  b: 2\n", (2, 3), "there is no colon after the key `a`", "write `a: 1`")]
#[case::full_width("spec:\n  a： x\n  b: 1\n", (2, 3), "the colon is a full-width one after the key `a`", "write `a: x`")]
#[case::no_space_after_the_first_key("spec:\n  dataset:mnist\n  model: x\n", (2, 3), "no space after the colon of the key `dataset`", "write `dataset: mnist`")]
#[case::no_space("spec:\n  a: 1\n  dataset:mnist\n  model: x\n", (3, 3), "no space after the colon of the key `dataset`", "write `dataset: mnist`")]
#[case::no_space_in_a_list("a:\n  - name:x\n    value: y\n", (2, 5), "no space after the colon of the key `name`", "write `name: x`")]
#[case::no_space_before_a_list("a: {b:[1], c: 2}\n", (1, 6), "there is no space after a colon", "write a space")]
#[case::no_space_after_a_dash("a:\n  - b\n  -c\n", (3, 3), "no space after the dash", "write `- c`")]
#[case::colon_in_a_value("a: see this: that\nb: 1\n", (1, 12), "a value has `: ` in it", "quote it: `a: \"see this: that\"`")]
#[case::too_deep("spec:\n  a: 1\n    b: 2\n", (3, 5), "indented as a part of line 2, which has a value already", "indent it by 2 spaces")]
#[case::too_deep_below_a_quoted_text("a: \"x\"\n\n  # text\n  y: 2\n", (4, 3), "as a part of line 1", "indent it by 0 spaces")]
#[case::too_deep_in_a_list("a:\n  - b: 1\n      c: 2\n", (3, 7), "as a part of line 2", "indent it by 4 spaces")]
#[case::between("spec:\n    a: 1\n  b: 2\n", (3, 3), "this line is indented by 2 spaces, as none above", "indent it by 0 or 4 spaces")]
#[case::between_deeper("x: 1\nspec:\n  a:\n      c: 1\n    d: 2\n", (5, 5), "indented by 4 spaces, as none above", "by 2 or 6 spaces")]
#[case::between_items("spec:\n  - a\n - b\n", (3, 2), "indented by 1 space, as none above", "by 0 or 2 spaces")]
#[case::in_an_item("a:\n  - b: 1\n   c: 2\n", (3, 4), "indented by 3 spaces, as none above", "by 0 or 4 spaces")]
#[case::whole_file("  a: 1\nb: 2\n", (2, 1), "indented by 0 spaces, as none above", "by 2 spaces, or the lines above by 0 spaces")]
#[case::key_among_items("a:\n  - b\n  c: 1\n", (3, 3), "a key stands among the items of a list", "begin it with `- `")]
#[case::item_among_keys("a:\n  c: 1\n  - b\n", (3, 3), "a list item stands among the keys of a map", "indent it as the items")]
#[case::item_beside_its_key("a: - b\n", (1, 4), "a list item is on the line of its key", "a line of its own")]
#[case::unclosed_quote("a: \"x\nb: 1\nc: 2\n", (1, 4), "a quote is never closed", "write \" at the end")]
#[case::unclosed_quote_before_another("a: \"x\nb: \"y\"\nc: 2\n", (1, 4), "a quote is not closed in its line", "write \" at the end")]
#[case::unclosed_single_quote("a: 'x\nb: 1\n", (1, 4), "a quote is never closed", "write ' at the end")]
#[case::unclosed_single_quote_before_another("s:\n  a: 'x\n  b: 1\n  c: 'y'\n", (2, 6), "a quote is not closed in its line", "write ' at the end")]
#[case::apostrophe("a: 'don't'\nb: 1\n", (1, 9), "something follows a closing quote", "a quote inside as `''`")]
#[case::after_a_quote("a: \"x\" y\nb: 1\n", (1, 8), "something follows a closing quote", "around all of the value")]
#[case::backslash("a: \"\\d\"\n", (1, 4), "begins none of YAML's escapes", "single quotes")]
#[case::unclosed_list("a: [1, 2\nb: 3\n", (1, 4), "`[` is never closed", "write `]` where the list ends")]
#[case::unclosed_list_at_the_end("b: 3\na: [1, 2\n", (2, 4), "`[` is never closed", "write `]` where the list ends")]
#[case::unclosed_list_of_texts("s:\n  a: [1, \"x\"\n  b: \"y\"\n  c: 3\n", (2, 6), "`[` is never closed", "write `]`")]
#[case::unclosed_map("s:\n  a: {x: 1, y: 2\n  b: 3\n", (2, 6), "`{` is never closed", "write `}` where the map ends")]
#[case::unclosed_map_in_a_map("s:\n  a: {x: {u: 1}\n  b: {y: 1}\n", (2, 6), "`{` is never closed", "write `}`")]
#[case::unclosed_list_in_a_map("s:\n  a: {x: [1, y: 2}\n  b: 3\n", (2, 10), "`[` is closed by `}`", "close it with `]` first")]
#[case::closed_twice("a: [1]]\nb: 1\n", (1, 7), "`]` closes nothing", "remove it")]
#[case::no_comma("a: {x: 1 y: 2}\nb: 1\n", (1, 10), "a comma is missing before `y`", "write a comma")]
#[case::no_comma_at_the_end_of_a_line("a: {\n  x: 1\n  y: 2\n}\nb: 1\n", (3, 3), "a comma is missing before `y`", "write a comma")]
#[case::no_comma_in_a_list("a: [\n  \"x\"\n  \"y\"\n]\nb: 1\n", (3, 3), "a comma is missing before `\"y\"`", "close the bracket of line 1")]
#[case::colon_in_a_value_in_brackets("a: {x: a, y: b: c}\n", (1, 15), "a value has `: ` in it", "quote the value")]
#[case::bound("a: >= 1\n", (1, 4), "a value that begins with > or |", "quote a value that starts with >")]
#[case::bound_in_brackets("a: {b: >= 1}\n", (1, 8), "a value that begins with > or |", "quote a value that starts with >")]
#[case::reserved("a: @x\n", (1, 4), "a value may not begin with @", "quote the value")]
#[case::comment("a: \"x\"#c\n", (1, 7), "there is no space before a comment", "write a space")]
#[case::conflict("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> x\n", (2, 1), "a conflict of a merge is not resolved", "remove the lines that begin with <<<<<<<")]
fn a_mistake_has_its_place_and_what_to_write(
    #[case] text: &str,
    #[case] place: (usize, usize),
    #[case] message: &str,
    #[case] help: &str,
) {
    // people's lines end in other ways too
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        for found in [document(&text).unwrap_err(), documents(&text).unwrap_err()] {
            assert_eq!(((found.at.line, found.at.column), found.code), (place, "yaml-syntax"), "{text:?}: {found:?}");
            assert!(found.message.starts_with("not valid YAML: ") && found.message.contains(message), "{found:?}");
            assert!(found.help.as_deref().unwrap_or_default().contains(help), "{found:?}");
        }
        let found = typed::<serde_json::Value>("f.yaml", &text).unwrap_err();
        assert_eq!(((found.line, found.column), found.code), (place, "yaml"), "{text:?}: {found:?}");
        assert!(found.message.contains(message) && found.help.unwrap_or_default().contains(help), "{text:?}");
    }
}

#[test]
fn any_beginning_of_a_text_is_read_or_refused() {
    let text =
        "s:\n  - {a: [1, 'x'], \"ü\": \"\\\"\"} # c\n  -\tb\n\td： e\n   f: g: h\n<<<<<<< x\n=======\nk l\n'm' n]\n";
    let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
    for (index, start) in starts.iter().enumerate() {
        for end in &starts[index..] {
            if let Err(found) = document(&text[*start..*end]) {
                assert!(found.at.line > 0 && found.at.column > 0, "{found:?}");
            }
        }
    }
}
