//! The commit that an image is built from.

use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its hash; with `-dirty` when tracked files were changed since.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub time: i64,
}

impl Revision {
    /// Asks git.
    ///
    /// # Errors
    /// When git is not there, or the folder is no repository with a commit.
    pub fn of(root: &Path) -> Result<Self> {
        let commit = git(root, &["rev-parse", "HEAD"])?.trim().to_owned();
        let time = git(root, &["show", "-s", "--format=%ct", "HEAD"])?;
        let time = time.trim().parse().map_err(|error| Error::malformed("the time of the commit", error))?;
        let dirty = !git(root, &["status", "--porcelain", "--untracked-files=no"])?.trim().is_empty();
        Ok(Self { commit: if dirty { commit + "-dirty" } else { commit }, time })
    }

    /// Its time as RFC 3339.
    #[must_use]
    pub fn created(&self) -> String {
        let time = time::OffsetDateTime::from_unix_timestamp(self.time).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
    }
}

/// What git prints.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let failed = |reason: String| Error::Program { program: format!("git {}", arguments.join(" ")), reason };
    let done = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        // the reader's own settings change neither the index nor the format
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()
        .map_err(|error| failed(format!("{error}; git says which commit an image is of: install it")))?;
    if !done.status.success() {
        return Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
