//! What is known about the pull request besides its files.

/// What is known about the pull request besides its files.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its number; `None` before it is open.
    pub number: Option<u64>,
    /// Whether it is a draft, and so cannot be merged.
    pub is_draft: bool,
    /// Whether its branch is in another repository, to which nothing can be pushed from here.
    pub is_fork: bool,
    /// The branch that it is merged into.
    pub base_branch: String,
    /// What a person does about a conflict, as Markdown within a line; empty if nobody has said.
    pub resolution: String,
    /// Who still has to approve it, such as `octo` or `org/team`, without an `@`.
    pub reviewers: Vec<String>,
    /// What else is still missing for the merge, as text: one each.
    pub missing: Vec<String>,
    /// What of it is not known, and why, as text: one each.
    pub unknown: Vec<String>,
    /// The address of everything that does not fit, such as a workflow's artifact; only one that begins with `https://` or `http://` is shown.
    pub everything: Option<String>,
}
