//! A finding for a terminal or a log: its place, what is wrong, and below it what to do.

use slipway_markdown::{on_one_line, visible};
use slipway_source::Finding;

/// The lines of a finding. All but the first are indented, so none of them is taken for another finding, whatever names and texts are in it.
pub(crate) fn finding_text(finding: &Finding) -> String {
    let Finding { file, line, column, code, message, help } = finding;
    let message = visible(message.trim_end()).replace('\n', "\n    ");
    let mut text = format!("{}:{line}:{column}: {message} [{code}]", on_one_line(file));
    for line in help.iter().flat_map(|help| help.lines()) {
        text.push_str("\n    ");
        text.push_str(&visible(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_message_stay_in_their_finding() {
        let finding = Finding::new("a\nb\u{1b}[2J.yaml", 3, 5, "wrong-name", "`x\ny:1:1: z` is\r no name")
            .with_help("rename it\nor not");
        assert_eq!(
            finding_text(&finding),
            "a b\u{fffd}[2J.yaml:3:5: `x\n    y:1:1: z` is\u{fffd} no name [wrong-name]\n    rename it\n    or not"
        );
    }
}
