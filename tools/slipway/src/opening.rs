//! How a pull request is opened.

use slipway_proposal::Opening;

/// The options that say how a pull request is opened.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OpeningArgs {
    /// Open it as a draft: nobody is asked for a review yet
    #[arg(long)]
    draft: bool,
    /// Give it this label as well; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Ask this user, or team (`org/team`), for a review, besides the code owners; may be repeated
    #[arg(long = "reviewer", value_name = "NAME")]
    reviewers: Vec<String>,
}

impl OpeningArgs {
    pub(crate) fn opening(&self) -> Opening {
        Opening {
            draft: self.draft,
            labels: self.labels.clone(),
            reviewers: self.reviewers.clone(),
            ..Opening::default()
        }
    }
}
