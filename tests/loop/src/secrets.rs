//! Finds a marked secret in what programs say and write, in each form in which it could stand there.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What every secret of these tests contains.
pub const MARK: &str = "m4rked";

/// Fails if `text` holds a marked secret; `what` says where the text is from.
pub fn holds_none(what: &str, text: &[u8]) -> Result<()> {
    for form in forms() {
        if let Some(at) = text.windows(form.len()).position(|window| window == form.as_bytes()) {
            let around = &text[at.saturating_sub(200)..text.len().min(at + 100)];
            anyhow::bail!("{what} shows a secret: …{}…", String::from_utf8_lossy(around));
        }
    }
    Ok(())
}

/// Fails if a file below `folder` holds a marked secret, other than those for which `is_input` is true.
pub fn files_hold_none(folder: &Path, is_input: &dyn Fn(&Path) -> bool) -> Result<usize> {
    let mut searched = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = path.symlink_metadata()?.file_type();
        if is_input(&path) {
            continue;
        }
        if kind.is_dir() {
            searched += files_hold_none(&path, is_input)?;
        } else if kind.is_file() {
            holds_none(&path.display().to_string(), &std::fs::read(&path)?)?;
            searched += 1;
        }
    }
    Ok(searched)
}

/// The mark as it is, and in base64 at each of its three positions, without the characters that depend on what is beside it.
fn forms() -> Vec<String> {
    let encoded = |before: usize| {
        let text = STANDARD_NO_PAD.encode(format!("{}{MARK}", &"\0\0"[..before]));
        let end = (before + MARK.len()) / 3 * 4;
        text[(before * 4).div_ceil(3)..end].to_owned()
    };
    [MARK.to_owned()].into_iter().chain((0..3).map(encoded)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_form() {
        for before in ["", "a", "ab"] {
            let login = STANDARD_NO_PAD.encode(format!("{before}:{MARK}-password"));
            assert!(holds_none("a login", format!("Authorization: Basic {login}").as_bytes()).is_err(), "{login}");
        }
        assert!(holds_none("an address", format!("http://ann:{MARK}@h").as_bytes()).is_err());
        assert!(holds_none("a text", b"nothing").is_ok());
    }
}
