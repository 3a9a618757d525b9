//! What a change does to the experiment files themselves, line by line.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;
use slipway_markdown::{characters, code, fenced, html_code, shortened};

use crate::{Tree, count};

/// The folder of the experiments.
const FOLDER: &str = "experiments";

/// The most bytes of a file, before and after, that are compared; nobody writes such a file.
const COMPARED: usize = 256 * 1024;

/// Characters kept for the line that counts what is left out.
const REST: usize = 100;

/// The most characters of a file's name.
const NAME: usize = 200;

/// The unified diffs of the experiment files that differ between two trees, by path.
#[must_use]
pub fn differences(before: &Tree, after: &Tree) -> BTreeMap<String, String> {
    let files: BTreeSet<&str> = before.written_in(FOLDER).chain(after.written_in(FOLDER)).collect();
    let changed = files.into_iter().filter(|file| before.bytes(file) != after.bytes(file));
    changed.map(|file| (file.to_owned(), difference(before.text(file), after.text(file)))).collect()
}

fn difference(before: Option<String>, after: Option<String>) -> String {
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    if before.len() + after.len() > COMPARED {
        return format!("# {} before and {} after: too long to be compared here\n", before.len(), after.len());
    }
    TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).to_string()
}

/// The same as Markdown, each file folded away, in at most `limit` characters: what does not fit is counted. Empty if no experiment file differs,
/// and if not even the count fits.
#[must_use]
pub fn markdown(before: &Tree, after: &Tree, limit: usize) -> String {
    let Some(limit) = limit.checked_sub(REST) else { return String::new() };
    let differences = differences(before, after);
    let mut text = String::new();
    for (index, (file, difference)) in differences.iter().enumerate() {
        let name = shortened(file, NAME);
        let lines = count(difference.lines().count(), "line");
        let folded = format!(
            "\n<details><summary>What changes in {}</summary>\n\n{}\n</details>\n",
            html_code(&name),
            fenced("diff", difference)
        );
        let named = format!("\n{}: a difference of {lines}, which does not fit here.\n", code(&name));
        let left = limit.saturating_sub(characters(&text));
        if let Some(fits) = [folded, named].into_iter().find(|one| characters(one) <= left) {
            text.push_str(&fits);
        } else {
            let left_out = count(differences.len() - index, "more changed experiment file");
            text.push_str(&format!("\n… and {left_out}, which do not fit here.\n"));
            break;
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    const LIMIT: usize = 4 * 1024;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (file, text) in files {
            tree.insert(file, text.as_bytes().to_vec());
        }
        tree
    }

    #[test]
    fn a_changed_line_is_shown_and_other_files_are_not() {
        let before = tree(&[("experiments/a.yaml", "epochs: 3\nseed: 7\n"), ("datasets/b.yaml", "1\n")]);
        let after = tree(&[("experiments/a.yaml", "epochs: 2\nseed: 7\n"), ("datasets/b.yaml", "2\n")]);
        let text = markdown(&before, &after, LIMIT);
        assert!(
            text.starts_with(
                "\n<details><summary>What changes in <code>experiments/a&#46;yaml</code></summary>\n\n```diff\n"
            ),
            "{text}"
        );
        assert!(text.contains("\n-epochs: 3\n+epochs: 2\n seed: 7\n```\n\n</details>\n"), "{text}");
        assert!(!text.contains("datasets"), "{text}");
        assert_eq!(markdown(&after, &after, LIMIT), "");
    }

    #[test]
    fn hostile_lines_stay_in_the_fence() {
        let after = tree(&[("experiments/a.yaml", "# ```\n</details>\n<!-- @octo\n")]);
        let text = markdown(&Tree::default(), &after, LIMIT);
        let (_, rest) = text.split_once("\n````diff\n").unwrap();
        let (inside, rest) = rest.split_once("\n````\n").unwrap();
        assert!(inside.contains("+# ```\n+</details>\n+<!-- @octo"), "{inside}");
        assert_eq!(rest, "\n</details>\n");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let long = "a: b\n".repeat(2_000);
        let names: Vec<String> = (0..200).map(|index| format!("experiments/{index:03}.yaml")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
        let text = markdown(&Tree::default(), &tree(&files), LIMIT);
        assert!(
            text.starts_with("\n`experiments/000.yaml`: a difference of 2001 lines, which does not fit here.\n"),
            "{text}"
        );
        assert!(text.contains(" more changed experiment files, which do not fit here.\n"), "{text}");
        assert!(characters(&text) <= LIMIT, "{}", characters(&text));
        assert_eq!(markdown(&Tree::default(), &tree(&files), REST - 1), "");
        // one that is far too long is not compared at all
        let huge = "a: b\n".repeat(60_000);
        let found = differences(&Tree::default(), &tree(&[("experiments/a.yaml", huge.as_str())]));
        assert_eq!(found["experiments/a.yaml"], "# 0 before and 300000 after: too long to be compared here\n");
    }
}
