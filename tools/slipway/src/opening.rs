//! How a pull request is opened.

use slipway_proposal::Opening;

/// The options that say how a pull request is opened.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OpeningArgs {
    /// Open it as a draft: nobody is asked for a review yet
    #[arg(long)]
    draft: bool,
    /// Give it this label as well; may be repeated
    #[arg(long = "label", value_name = "LABEL", value_parser = parse_label)]
    labels: Vec<String>,
    /// Ask this user, or team (`org/team`), for a review, besides the code owners; may be repeated
    #[arg(long = "reviewer", value_name = "NAME")]
    reviewers: Vec<String>,
}

/// The most characters of a label on GitHub.
const LABEL: usize = 50;

/// A label that GitHub can have; the bare repository of one machine takes the same.
fn parse_label(text: &str) -> Result<String, String> {
    let is_plain = !text.contains(|c: char| c == ',' || c.is_control());
    if is_plain && !text.trim().is_empty() && text.chars().count() <= LABEL {
        return Ok(text.to_owned());
    }
    Err(format!("a label has 1 to {LABEL} characters and no comma: repeat --label for several"))
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
