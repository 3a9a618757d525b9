//! An experiment as a pull request.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use slipway_forge::Opened;
use slipway_proposal::{ExperimentProposal, Opening};

use super::body::Written;
use super::operation::{Asked, Nothing, Operation, Verb};
use super::problem::Problem;
use super::shared::Shared;
use super::writer::Writer;
use super::writing::{Change, LIMIT, PROBLEMS, Proposed, Refused, invalid, write};

/// The longest name of a file, far beyond what an experiment can have.
const LONGEST: usize = 63;

/// `POST /api/v1/experiments`
pub(crate) struct Propose;

/// An experiment that is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExperiment {
    /// Its name, which is that of its file, and its `metadata.name`.
    #[schemars(length(max = LONGEST), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    name: String,
    /// The content of `experiments/<name>.yaml`.
    source: String,
    /// Whether the pull request is opened as a draft.
    #[serde(default)]
    draft: bool,
}

impl Operation for Propose {
    const VERB: Verb = Verb::Post;
    const PATH: &'static str = "/api/v1/experiments";
    const ID: &'static str = "proposeExperiment";
    const SUMMARY: &'static str = "Opens the pull request that starts an experiment, or changes it";
    const DESCRIPTION: &'static str = "The experiment goes on top of the default branch, with the TrainJobs that it \
        renders to. The same request again gives the same pull request.";
    const PROBLEMS: &'static [(u16, &'static str)] = &PROBLEMS;
    const LIMIT: Duration = LIMIT;

    type Path = Nothing;
    type Query = Nothing;
    type Body = Written<NewExperiment>;
    type Answer = Proposed;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let Written { token, content } = asked.body;
        check_name(&content.name)?;
        write(shared, &token, content.draft, content).await
    }
}

impl Change for NewExperiment {
    fn describe(&self) -> String {
        format!("experiment {}", self.name)
    }

    async fn open(&self, writer: &Writer, opening: Opening) -> Result<Opened, Refused> {
        let file = format!("experiments/{}.yaml", self.name);
        let texts = [(file, self.source.clone())].into();
        let proposal = ExperimentProposal::of_texts(&writer.git, &writer.remote, &texts).await?;
        if proposal.is_empty() {
            let detail = format!("the default branch already has exactly this experiment {}", self.name);
            return Err(Problem::conflict(detail).into());
        }
        Ok(proposal.open(&writer.git, &writer.remote, None, opening).await?)
    }
}

/// The name becomes that of a file, so it is checked before anything is done.
fn check_name(name: &str) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if begins && !name.ends_with('-') && name.len() <= LONGEST && name.bytes().all(allowed) {
        return Ok(());
    }
    let rule = "a lower-case letter, then lower-case letters, digits and `-`";
    Err(invalid(format!(
        "the name `{}` cannot be that of an experiment: give {rule}",
        slipway_markdown::shortened(name, 80)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["a", "mnist-cnn", "a1", &"a".repeat(LONGEST)] {
            check_name(name).unwrap();
        }
        let long = "a".repeat(LONGEST + 1);
        for name in ["", "-a", "a-", "1a", "A", "../a", "a/b", "a.yaml", ".git", "a\0", "a\n", "ä", "a b", &long] {
            assert_eq!(check_name(name).unwrap_err().status, 422, "{name:?}");
        }
    }
}
