//! The commit that an image is built from.

use std::path::Path;

use slipway_git::Repository;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Result;

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its hash; with `-dirty` when tracked files were changed since.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub time: i64,
}

impl Revision {
    /// The commit that is checked out in the repository around a folder.
    ///
    /// # Errors
    /// When the folder is not in a repository with a commit.
    pub fn of(root: &Path) -> Result<Self> {
        let repository = Repository::open(root)?;
        let slipway_git::Commit { id, time, .. } = repository.commit_of("HEAD")?;
        Ok(Self { commit: if repository.is_dirty()? { id + "-dirty" } else { id }, time })
    }

    /// Its time as RFC 3339; the start of 1970 if that format cannot express it.
    #[must_use]
    pub fn created(&self) -> String {
        let time = OffsetDateTime::from_unix_timestamp(self.time).ok();
        let text = time.and_then(|time| time.format(&Rfc3339).ok());
        text.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
    }
}
