//! Differences as a pull request shows them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::difference::{Change, Difference};

/// What a pull request's body can hold, with room for what else is said there.
const MOST_BYTES: usize = 48 * 1024;

/// A heading an environment, a foldable difference an object. Where that is too long, the objects' names alone, and it says so.
pub fn markdown(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "No object changes in any environment.\n".to_owned();
    }
    let mut environments: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for one in differences {
        environments.entry(&one.environment).or_default().push(one);
    }
    let mut text = String::new();
    for (environment, differences) in environments {
        let of = |change| differences.iter().filter(|one| one.change == change).count();
        let (added, changed, removed) = (of(Change::Added), of(Change::Changed), of(Change::Removed));
        let _ = writeln!(text, "### {environment}: {added} added, {changed} changed, {removed} removed\n");
        for one in differences {
            let mark = match one.change {
                Change::Added => "+",
                Change::Removed => "−",
                Change::Changed => "~",
            };
            let name =
                if one.namespace.is_empty() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
            let head = format!("{mark} {} {name} ({})", one.kind, one.application);
            // a fence longer than any in the content cannot be closed by it
            let fence = "`".repeat(longest_run(&one.diff).max(2) + 1);
            if text.len() + one.diff.len() > MOST_BYTES {
                let _ = writeln!(text, "- {} (too long to show here: `slipway diff`)", escaped(&head));
            } else {
                let diff = one.diff.trim_end();
                let _ = writeln!(
                    text,
                    "<details><summary>{}</summary>\n\n{fence}diff\n{diff}\n{fence}\n</details>",
                    escaped(&head)
                );
            }
        }
        text.push('\n');
    }
    text
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
