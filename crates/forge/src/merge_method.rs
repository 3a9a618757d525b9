//! How a pull request becomes part of its base branch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How a pull request becomes part of its base branch; the names are GitHub's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A commit with two parents.
    #[default]
    Merge,
    /// One commit on the base branch that holds the whole change.
    Squash,
    /// The commits of the branch, made again on the base branch.
    Rebase,
}

impl MergeMethod {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Merge, Self::Squash, Self::Rebase];
}

impl fmt::Display for MergeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        })
    }
}

impl FromStr for MergeMethod {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|method| method.to_string() == name);
        known.ok_or_else(|| Error::UnknownMergeMethod(name.to_owned()))
    }
}
