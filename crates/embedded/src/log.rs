//! The end of a child's log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

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

    #[tokio::test]
    async fn a_tail_is_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"one\ntwo\n\nthree\n").unwrap();
        assert_eq!(tail(&path, 2).await, "two\nthree");
        assert!(tail(&folder.path().join("none"), 2).await.contains("No such file"));
    }
}
