//! Raising `spec.rerun` of an experiment file, as text: comments and order stay.

use slipway_source::document;

use crate::{Limits, parse_with};

/// The text of an experiment file that asks to run again: `spec.rerun` is one more. Returns `None` if the text is no experiment, or has had
/// the last number.
#[must_use]
pub fn with_rerun(text: &str) -> Option<String> {
    let limits = Limits { max_trials: usize::MAX };
    let before = parse_with("", text, &limits).ok()?;
    let next = before.spec.rerun.unwrap_or(1).checked_add(1)?;
    let tree = document(text).ok()?;
    let spec = tree.get("spec")?;
    let mut changed = text.to_owned();
    match spec.get("rerun") {
        Some(old) => changed.replace_range(old.bytes.clone(), &next.to_string()),
        None if text[spec.bytes.start..].starts_with('{') => {
            changed.insert_str(spec.bytes.start + 1, &format!("rerun: {next}, "));
        }
        None => {
            let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            let indent = " ".repeat(spec.at.column.checked_sub(1)?);
            changed.insert_str(spec.bytes.start, &format!("rerun: {next}{line_end}{indent}"));
        }
    }
    // an edit that does not mean what it should is not made
    let mut expected = before;
    expected.spec.rerun = Some(next);
    (parse_with("", &changed, &limits).ok()? == expected).then_some(changed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: slipway.dev/v1alpha1\nkind: Experiment\nmetadata: {name: digits}\nspec: # what it is\n  dataset: mnist\n  \
                        model: {architecture: cnn}\n  training: {epochs: 1, batchSize: 64, optimizer: {name: adam, learningRate: 0.1}, seed: 1}\n  \
                        workers: {count: 1, cpu: 1, memory: 1Gi}\n  budget: {cpuHours: 9, deadline: 1h}\n";

    #[test]
    fn the_number_is_raised_and_nothing_else_changes() {
        let once = with_rerun(TEXT).unwrap();
        assert_eq!(once, TEXT.replace("  dataset", "  rerun: 2\n  dataset"));
        assert_eq!(with_rerun(&once).unwrap(), once.replace("rerun: 2", "rerun: 3"));
        let commented = once.replace("rerun: 2", "rerun: 4294967294 # often");
        let last = with_rerun(&commented).unwrap();
        assert_eq!(last, commented.replace("4294967294", "4294967295"));
        assert_eq!(with_rerun(&last), None);
        assert_eq!(with_rerun("spec: {}"), None);
    }
}
