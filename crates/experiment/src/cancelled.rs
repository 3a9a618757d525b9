//! Adding TrainJobs to `spec.cancelled` of an experiment file, as text: comments and order stay.

use slipway_source::{Entry, Node, Value, document};

use crate::{Limits, parse_with};

/// The text of an experiment file with more names in `spec.cancelled`, which stands behind `spec.sweep`. Returns `None` if the text is not written
/// in a way that a line can be added to, such as all of it within braces; a person adds the names then.
#[must_use]
pub fn with_cancelled(text: &str, names: &[&str]) -> Option<String> {
    let tree = document(text).ok()?;
    let spec = tree.get("spec")?;
    let known: Vec<&str> = spec.items_at("cancelled").iter().filter_map(Node::text).collect();
    let new: Vec<&str> = names.iter().copied().filter(|name| !known.contains(name)).collect();
    if new.is_empty() {
        return Some(text.to_owned());
    }
    let changed = match spec.get("cancelled") {
        Some(list) => added_to(text, list, &new)?,
        None => added_behind_sweep(text, spec, &new)?,
    };
    // an edit that does not mean what it should is not made
    let limits = Limits { max_trials: usize::MAX };
    let (before, after) = (parse_with("", text, &limits).ok()?, parse_with("", &changed, &limits).ok()?);
    let mut expected = before;
    expected.spec.cancelled = known.into_iter().chain(new).map(str::to_owned).collect();
    (after == expected).then_some(changed)
}

/// Names at the end of a list that has some.
fn added_to(text: &str, list: &Node, names: &[&str]) -> Option<String> {
    let last = list.items().last()?;
    let line_start = text[..last.bytes.start].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line_start..last.bytes.start];
    let more: String = match text[list.bytes.start..].starts_with('[') {
        true => names.iter().map(|name| format!(", {name}")).collect(),
        // a list of lines: each is like the last one
        false if before.trim() == "-" => names.iter().map(|name| format!("\n{before}{name}")).collect(),
        false => return None,
    };
    let (head, tail) = text.split_at(last.bytes.end);
    Some(format!("{head}{more}{tail}"))
}

/// A line behind that of the sweep, which may have several.
fn added_behind_sweep(text: &str, spec: &Node, names: &[&str]) -> Option<String> {
    let Value::Map(entries) = &spec.value else { return None };
    let at = entries.iter().position(|entry| entry.key == "sweep")?;
    let sweep = &entries[at];
    let is_line_of_its_own = |entry: &Entry| {
        let line = text.lines().nth(entry.key_at.line.checked_sub(1)?)?;
        Some(line.trim_start().starts_with(entry.key.as_str()))
    };
    if !is_line_of_its_own(sweep)? {
        return None;
    }
    let indent = " ".repeat(sweep.key_at.column.checked_sub(1)?);
    let line = format!("{indent}cancelled: [{}]\n", names.join(", "));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // comments above the next field belong to that
    let mut next = entries.get(at + 1).map_or(lines.len(), |entry| entry.key_at.line - 1);
    while next > sweep.key_at.line && matches!(lines[next - 1].trim().as_bytes().first(), None | Some(b'#')) {
        next -= 1;
    }
    let (head, tail) = (lines[..next].concat(), lines[next..].concat());
    let gap = if head.ends_with('\n') { "" } else { "\n" };
    Some(format!("{head}{gap}{line}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: slipway.dev/v1alpha1\nkind: Experiment\nmetadata: {name: digits}\nspec:\n  dataset: mnist\n  \
                        model: {architecture: cnn}\n  training: {epochs: 1, batchSize: 64, optimizer: {name: adam, learningRate: 0.1}, seed: 1}\n  sweep:\n    \
                        training.seed: [1, 2]  # two\n  # who works\n  workers: {count: 1, cpu: 1, memory: 1Gi}\n  budget: {cpuHours: 9, deadline: 1h}\n";

    #[test]
    fn a_line_is_added_behind_the_sweep_and_nothing_else_changes() {
        let once = with_cancelled(TEXT, &["digits-00000001"]).unwrap();
        assert_eq!(once, TEXT.replace("  # who", "  cancelled: [digits-00000001]\n  # who"));
        let twice = with_cancelled(&once, &["digits-00000001", "digits-00000002"]).unwrap();
        assert_eq!(twice, once.replace("[digits-00000001]", "[digits-00000001, digits-00000002]"));
        assert_eq!(with_cancelled(&twice, &["digits-00000002"]).unwrap(), twice);
    }

    #[test]
    fn a_list_of_lines_gets_lines() {
        let text = TEXT.replace("  # who", "  cancelled:\n    - digits-00000001 # it diverged\n  # who");
        let changed = with_cancelled(&text, &["digits-00000002"]);
        // the comment stays with a name, the result is what is meant
        assert_eq!(changed.unwrap(), text.replace("00000001 #", "00000001\n    - digits-00000002 #"));
    }

    #[test]
    fn what_is_not_written_in_lines_is_left_to_a_person() {
        assert_eq!(
            with_cancelled(&TEXT.replace("  sweep:\n    training.seed: [1, 2]  # two\n", ""), &["digits-00000001"]),
            None
        );
        assert_eq!(with_cancelled("spec: {sweep: {training.seed: [1]}}", &["digits-00000001"]), None);
        assert_eq!(with_cancelled(&TEXT.replace("  # who", "  cancelled: []\n  # who"), &["digits-00000001"]), None);
    }
}
