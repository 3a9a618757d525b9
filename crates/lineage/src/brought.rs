//! Which commit brought a content to a branch.

use slipway_git::{Commit, PathHistory};

use crate::History;

/// Which commit brought a content to a branch.
pub(crate) enum Brought {
    /// The first commit with it.
    By(Commit),
    /// The oldest commit of a shallow clone has it already.
    BeforeTheCut,
    /// No commit that is here has it; whether the history is cut off.
    Never(bool),
}

impl Brought {
    /// Looks for the content `blob` at `path`. Content that came, went and came again was brought by the first of these commits.
    pub(crate) fn find(history: &PathHistory, path: &str, blob: &str) -> Self {
        if let Some((_, held)) = &history.cut
            && held.get(path).is_some_and(|held| held == blob)
        {
            return Self::BeforeTheCut;
        }
        let brings = history.changes.iter().rev().find(|one| one.path == path && one.blob.as_deref() == Some(blob));
        brings.map_or(Self::Never(history.cut.is_some()), |change| Self::By(change.commit.clone()))
    }

    /// The commit, or why it is not known and what to do. `what` is what was looked for.
    pub(crate) fn commit(self, what: &str, history: &History) -> Result<Commit, String> {
        match self {
            Self::By(commit) => Ok(commit),
            Self::BeforeTheCut => Err(format!(
                "this clone is shallow, and the oldest commit that it has holds {what} already, so an earlier one brought it: {DEEPEN}"
            )),
            Self::Never(is_cut) => Err(never(is_cut, what, history)),
        }
    }
}

const DEEPEN: &str = "`git fetch --unshallow` gets the rest";

/// Why no commit that is here brought `what`.
pub(crate) fn never(is_cut: bool, what: &str, history: &History) -> String {
    if is_cut {
        return format!("this clone is shallow, and no commit that it has brought {what}: {DEEPEN}");
    }
    let update = history.update.as_ref().map(|command| format!(", or was merged after the last `{command}`"));
    format!("no commit of {} brought {what}: it is not merged{}", history.branch, update.unwrap_or_default())
}
