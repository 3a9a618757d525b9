//! What is printed, with texts of others in it: nothing in them acts upon a terminal, and none is a command for the runner of a workflow.

use std::io::{Result, Write};

use slipway_markdown::visible;

/// A text without characters that act upon a terminal, but for line ends, tabs and colours. What GitHub's runner would take for its command, `::` at
/// the beginning of a line and `##[` anywhere in it, gets a backslash.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
pub(crate) fn harmless(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    let mut rest = text;
    // of this line, without colours, because a log has none
    let (mut last, mut before, mut begun) = ('\n', '\n', 0_usize);
    while let Some(first) = rest.chars().next() {
        if let Some(length) = color(rest) {
            printed.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let first = first.len_utf8();
        let end = rest[first..].find('\u{1b}').map_or(rest.len(), |at| first + at);
        for c in visible(&rest[..end]).chars() {
            let is_command = match c {
                // the runner skips blanks
                ':' => begun == 1 && last == ':',
                '[' => (before, last) == ('#', '#'),
                _ => false,
            };
            if is_command {
                printed.push('\\');
            }
            printed.push(c);
            if c == '\n' {
                (last, before, begun) = ('\n', '\n', 0);
            } else {
                (last, before, begun) = (c, last, begun + usize::from(begun > 0 || !c.is_whitespace()));
            }
        }
        rest = &rest[end..];
    }
    printed
}

/// JSON that says the same, without what GitHub's runner would take for its command. A line of JSON never begins with `::`.
pub(crate) fn harmless_json(json: &str) -> String {
    json.replace("##[", "#\\u0023[")
}

/// The length of one of our colours at the beginning of a text. Others, such as one that hides what follows, are none.
fn color(text: &str) -> Option<usize> {
    const BEGIN: &str = "\u{1b}[";
    let rest = text.strip_prefix(BEGIN)?;
    let end = rest.bytes().take(3).position(|byte| byte == b'm')?;
    let is_ours = rest[..end].bytes().all(|byte| byte.is_ascii_digit())
        && matches!(rest[..end].parse::<u8>(), Ok(0..=4 | 30..=37));
    is_ours.then_some(BEGIN.len() + end + 1)
}

/// Where whole messages are written, such as a log's.
#[derive(Debug)]
pub(crate) struct Harmless<W>(pub(crate) W);

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, message: &[u8]) -> Result<usize> {
        self.0.write_all(harmless(&String::from_utf8_lossy(message)).as_bytes())?;
        Ok(message.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a runner finds in a log, where colours are dropped.
    fn has_command(printed: &str) -> bool {
        let plain = anstream::adapter::strip_str(printed).to_string();
        plain.split(['\n', '\r']).any(|line| line.trim_start().starts_with("::") || line.contains("##["))
    }

    #[test]
    fn no_text_is_a_command_for_the_runner_of_a_workflow() {
        for (text, printed) in [
            ("::error::x", ":\\:error::x"),
            ("a\n \t::add-mask::x", "a\n \t:\\:add-mask::x"),
            ("a\u{3000}b\n\u{3000}::x", "a\u{3000}b\n\u{3000}:\\:x"),
            ("\u{1b}[33m::x\u{1b}[0m", "\u{1b}[33m:\\:x\u{1b}[0m"),
            (":\u{1b}[0m:x", ":\u{1b}[0m\\:x"),
            ("a ##[error]b", "a ##\\[error]b"),
            ("#\u{1b}[1m##[error]b", "#\u{1b}[1m##\\[error]b"),
            ("a\r::x", "a\u{fffd}::x"),
        ] {
            assert_eq!(harmless(text), printed, "{text:?}");
            assert!(!has_command(printed), "{printed:?}");
        }
        for text in ["", "a::b", "a: b", ":", ": :x", "a\n:b:\n", "# [a] #[b]", "ä\tö\n"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn nothing_but_a_colour_acts_upon_a_terminal() {
        let colored = "\u{1b}[32m✓\u{1b}[0m \u{1b}[1ma\u{1b}[0m";
        assert_eq!(harmless(colored), colored);
        for hostile in
            ["\u{1b}[8mx", "\u{1b}[2Jx", "\u{1b}]0;t\u{7}", "\u{1b}[", "\u{1b}[+3m", "\u{202e}x", "\u{9b}2J", "\0"]
        {
            let printed = harmless(hostile);
            assert!(!printed.contains(|c: char| c.is_control() || c == '\u{202e}'), "{printed:?}");
        }
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({ "a": "###[error]b", "c": ["##[", "\\##["] });
        let printed = harmless_json(&format!("{value:#}"));
        assert!(!has_command(&printed), "{printed}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), value);
    }

    #[test]
    fn a_message_is_written_as_one() {
        let mut log = Harmless(Vec::new());
        writeln!(log, "a\n::error::b").unwrap();
        log.write_all(b"::stop\n").unwrap();
        log.flush().unwrap();
        assert!(!has_command(&String::from_utf8(log.0).unwrap()));
    }
}
