//! Texts that are too long for GitHub.

use crate::github::bounded::{bounded, bounded_title};

#[test]
fn what_fits_stays_as_it_is() {
    for text in ["", "plan\n", &"ä".repeat(65_536)] {
        assert_eq!(bounded(text), text);
    }
    assert_eq!(bounded_title("Train a"), "Train a");
    assert_eq!(bounded_title(&"x".repeat(300)).chars().count(), 256);
}

#[test]
fn what_is_too_long_is_cut_at_a_line_and_says_so() {
    let line = "| größer | 1 |\n";
    let body = line.repeat(10_000);
    let cut = bounded(&body);
    assert!(cut.chars().count() <= 65_536, "{}", cut.chars().count());
    let (kept, note) = cut.split_once("\n\n… and ").unwrap();
    assert!(kept.lines().all(|kept| kept == line.trim_end()), "a line is cut");
    let left: usize = note.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(kept.chars().count() + left, body.chars().count());
    // one line alone
    assert!(bounded(&"ä".repeat(70_000)).chars().count() <= 65_536);
}

#[test]
fn what_was_open_is_closed_before_the_note() {
    let body = format!("<details>\n<summary>x</summary>\n\n```diff\n{}```\n</details>\n", "+ a\n".repeat(30_000));
    let cut = bounded(&body);
    assert!(cut.chars().count() <= 65_536);
    assert_eq!(cut.matches("```").count(), 2);
    assert!(cut.contains("\n```\n</details>\n\n… and "), "{}", &cut[cut.len() - 200..]);
}
