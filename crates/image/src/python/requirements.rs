//! Reads a requirements file with hashes, as `uv pip compile --generate-hashes` and `pip-compile` write it.

use slipway_digest::Digest;
use slipway_source::Finding;

use crate::error::{Error, Result};

/// One package of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// The line that it begins in, from 1.
    pub(crate) line: usize,
    /// `name==version`
    pub(crate) pin: String,
    /// The condition under which it is installed; `None` for always.
    pub(crate) marker: Option<String>,
    /// The digests of the files that are accepted.
    pub(crate) hashes: Vec<Digest>,
}

impl Requirement {
    /// The package's name, as the file has it.
    pub(crate) fn name(&self) -> &str {
        self.pin.split("==").next().unwrap_or_default()
    }
}

/// The requirements. Whatever is not a pin with hashes is a mistake, because it could change without notice.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Requirement>> {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut whole = line.to_owned();
        while whole.trim_end().ends_with('\\') {
            whole.truncate(whole.trim_end().len() - 1);
            whole.push_str(lines.next().map_or("", |(_, more)| more));
        }
        let whole = whole.split(" #").next().unwrap_or_default().trim();
        if whole.is_empty() || whole.starts_with('#') {
            continue;
        }
        match requirement(number + 1, whole) {
            Ok(requirement) => found.push(requirement),
            Err(message) => mistakes.push(Finding::new(file, number + 1, 1, "image", message)),
        }
    }
    if mistakes.is_empty() { Ok(found) } else { Err(Error::Declaration(mistakes)) }
}

fn requirement(line: usize, whole: &str) -> std::result::Result<Requirement, String> {
    let mut parts = whole.split("--hash=");
    let head = parts.next().unwrap_or_default().trim();
    let mut hashes = Vec::new();
    for hash in parts {
        hashes.push(hash.trim().parse().map_err(|error: slipway_digest::NotADigest| error.to_string())?);
    }
    let (pin, marker) = match head.split_once(';') {
        Some((pin, marker)) => (pin.trim(), Some(marker.trim().to_owned())),
        None => (head, None),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
    let is_pin =
        pin.split_once("==").is_some_and(|(name, version)| name.chars().all(allowed) && version.chars().all(allowed));
    if !is_pin {
        return Err(format!(
            "{pin:?} is not `name==version`: compile the file with `uv pip compile --generate-hashes`"
        ));
    }
    if hashes.is_empty() {
        return Err(format!("{pin} has no hash: compile the file with `uv pip compile --generate-hashes`"));
    }
    Ok(Requirement { line, pin: pin.to_owned(), marker, hashes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_with_markers_and_hashes() {
        let hash = "0".repeat(64);
        let text = format!(
            "# c\na==1.0 ; os_name == 'posix' \\\n    --hash=sha256:{hash} \\\n    --hash=sha256:{hash}\nb==2 --hash=sha256:{hash}\n"
        );
        let found = parse("r", &text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].pin.as_str(), found[0].hashes.len(), found[1].line), ("a==1.0", 2, 5));
        assert_eq!(found[0].name(), "a");
        assert_eq!(found[0].marker.as_deref(), Some("os_name == 'posix'"));
    }

    #[test]
    fn what_is_not_pinned_is_a_mistake_with_its_line() {
        let error = parse("r.txt", "# c\na>=1.0\nb==1\n").unwrap_err().to_string();
        assert!(error.contains("r.txt:2:1: \"a>=1.0\"") && error.contains("r.txt:3:1: b==1 has no hash"), "{error}");
    }
}
