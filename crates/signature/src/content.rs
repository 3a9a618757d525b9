//! The identity of a version's content.

use std::path::Path;

use slipway_digest::Digest;

use crate::servable::{FOLDER, MODEL_FILE};
use crate::{Error, Result};

/// A built-in network's configuration, as JSON.
pub const CONFIG_FILE: &str = "config.json";
/// A built-in network's weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// What a version's folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A bundle of the built-in networks.
    Bundle,
    /// A folder `slipway/` with `model.json`.
    Servable,
}

impl Content {
    /// Which of its files count: their paths in the version's folder, sorted. Of a bundle the TorchScript copy is left out: it is derived
    /// from the two others, and its bytes depend on libtorch's version.
    ///
    /// # Errors
    /// When a folder cannot be read, or a file has a name that no line of `sha256sum` can hold.
    pub fn files(self, folder: &Path) -> Result<Vec<String>> {
        match self {
            Self::Bundle => Ok(vec![CONFIG_FILE.to_owned(), WEIGHTS_FILE.to_owned()]),
            Self::Servable => {
                let mut files = Vec::new();
                list(folder, FOLDER, &mut files)?;
                files.sort();
                Ok(files)
            }
        }
    }
}

/// What a version's folder holds.
///
/// # Errors
/// [`Error::NotServable`] when it is neither.
pub fn content(folder: &Path) -> Result<Content> {
    if folder.join(MODEL_FILE).is_file() {
        return Ok(Content::Servable);
    }
    let is_bundle = [CONFIG_FILE, WEIGHTS_FILE].iter().all(|file| folder.join(file).is_file());
    if is_bundle { Ok(Content::Bundle) } else { Err(Error::NotServable { folder: folder.to_owned() }) }
}

/// The digest of a version's folder: the SHA-256 over the lines that `sha256sum` prints for its files (see [`Content::files`]), given in
/// the order of their paths. Only these files of `slipway/` and no others of the folder count:
/// `find slipway -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.
///
/// # Errors
/// [`Error::NotServable`]; when a file cannot be read.
pub fn digest(folder: &Path) -> Result<Digest> {
    let mut lines = String::new();
    for name in content(folder)?.files(folder)? {
        let path = folder.join(&name);
        let (digest, _) = Digest::of_file(&path).map_err(Error::read(&path))?;
        lines += &format!("{}  {name}\n", digest.hex());
    }
    Ok(Digest::of(lines))
}

/// Adds every file below `at`.
fn list(folder: &Path, at: &str, files: &mut Vec<String>) -> Result<()> {
    let path = folder.join(at);
    for entry in std::fs::read_dir(&path).map_err(Error::read(&path))? {
        let entry = entry.map_err(Error::read(&path))?;
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.contains(|c: char| c.is_control() || c == '\\'));
        let Some(name) = name else {
            let problem = format!("the name of the file {:?} has a character that no digest covers", entry.file_name());
            return Err(Error::invalid(at, problem));
        };
        let name = format!("{at}/{name}");
        let kind = entry.file_type().map_err(Error::read(&path))?;
        if kind.is_dir() {
            list(folder, &name, files)?;
        } else if kind.is_file() {
            files.push(name);
        } else {
            return Err(Error::invalid(&name, "it is neither a file nor a folder"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_digest_of_a_bundle_is_that_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let of = |config: &str, weights: &str| {
            write(folder.path(), &[(CONFIG_FILE, config), (WEIGHTS_FILE, weights), ("data/model.pth", config)]);
            digest(folder.path()).unwrap().to_string()
        };
        // printf a >config.json; printf b >model.safetensors; sha256sum config.json model.safetensors | sha256sum
        assert_eq!(of("a", "b"), "sha256:2ec03c7ff898c7ab725c8d58af6d528d62b7f17133ca75e8ec918887bc0ce1c7");
        assert_ne!(of("a", "b"), of("b", "a"));
    }

    #[test]
    fn the_digest_of_a_servable_covers_its_folder_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, &[("slipway/model.json", "a"), ("slipway/model.ts", "b"), ("slipway/a/x", "c"), ("MLmodel", "d")]);
        let files = ["slipway/a/x", "slipway/model.json", "slipway/model.ts"];
        assert_eq!(content(path).unwrap().files(path).unwrap(), files);
        // mkdir -p slipway/a; printf a >slipway/model.json; printf b >slipway/model.ts; printf c >slipway/a/x;
        // find slipway -type f | LC_ALL=C sort | xargs sha256sum | sha256sum
        let expected = "sha256:de71727e2e9923af44ebaf8ec507c57e38d7a0ae520a573b041460a36ec853c1";
        assert_eq!(digest(path).unwrap().to_string(), expected);
        // what a bundle is made of does not count beside it
        write(path, &[(CONFIG_FILE, "x"), (WEIGHTS_FILE, "y"), ("MLmodel", "z")]);
        assert_eq!(digest(path).unwrap().to_string(), expected);
        std::os::unix::fs::symlink("/etc/passwd", path.join("slipway/link")).unwrap();
        let error = digest(path).unwrap_err().to_string();
        assert_eq!(error, "slipway/link: it is neither a file nor a folder");
    }

    #[test]
    fn a_folder_with_neither_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[(CONFIG_FILE, "{}")]);
        let error = digest(folder.path()).unwrap_err();
        assert!(
            matches!(error, Error::NotServable { .. }) && error.to_string().contains("slipway/model.json"),
            "{error}"
        );
    }
}
