//! The end of a child's log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

/// Enough for some lines; a log may be large.
const WINDOW: u64 = 8 * 1024;

/// The last lines of a log that are not blank, at most `lines` of them. A log that cannot be read gives one line that says why.
pub(crate) async fn tail(path: &Path, lines: usize) -> String {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || end_of(&path)).await.map_err(std::io::Error::other).flatten();
    match read {
        Ok(end) => last(&String::from_utf8_lossy(&end), lines),
        Err(error) => format!("the log cannot be read: {error}"),
    }
}

/// What the end of a log says to a person: of the lines that a program of Slipway logged, the messages of errors, and every other line. All of it
/// if nothing would be left.
pub(crate) fn said(end: &str) -> String {
    let said: Vec<String> = end
        .lines()
        .filter_map(|line| match event(line) {
            Some((level, message)) => (level == "ERROR").then_some(message),
            None => Some(line.to_owned()),
        })
        .collect();
    if said.is_empty() { end.to_owned() } else { said.join("\n") }
}

/// Level and message of a line that a program of Slipway logged.
fn event(line: &str) -> Option<(String, String)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| event.get(key)?.as_str().map(str::to_owned);
    Some((text("level")?, text("message")?))
}

fn end_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(end)
}

fn last(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_logged_only_errors_are_said() {
        let line = |level: &str, message: &str| {
            format!(r#"{{"timestamp":"t","level":"{level}","message":"{message}","event":"e"}}"#)
        };
        let (began, failed) = (line("INFO", "epoch 1"), line("ERROR", "no such data"));
        assert_eq!(said(&format!("{began}\n{failed}")), "no such data");
        assert_eq!(said(&format!("{began}\nTraceback\n  {{}}\n{failed}")), "Traceback\n  {}\nno such data");
        assert_eq!(said(&began), began, "something must be said");
        assert_eq!(said(r#"{"level": 1}"#), r#"{"level": 1}"#);
        assert_eq!(said(""), "");
    }

    #[tokio::test]
    async fn a_tail_is_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"one\ntwo\n\nthree\n").unwrap();
        assert_eq!(tail(&path, 2).await, "two\nthree");
        assert!(tail(&folder.path().join("none"), 2).await.contains("No such file"));
    }
}
