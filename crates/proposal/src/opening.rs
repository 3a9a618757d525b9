//! How a pull request is opened.

/// How a pull request is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// As a draft: nobody is asked for a review yet.
    pub draft: bool,
    /// Labels besides the one for its kind.
    pub labels: Vec<String>,
    /// Users and teams (`org/team`) to ask for a review besides the code owners.
    pub reviewers: Vec<String>,
    /// Markdown above the rest, such as who asked for it; empty for none.
    pub preface: String,
    /// Whether a report shows what changes in the clusters, so that the body says nothing about it: whoever opens it has no kustomize.
    pub is_reported: bool,
}
