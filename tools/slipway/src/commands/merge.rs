//! `slipway merge`: merges a pull request.

use clap::Args;
use serde::Serialize;
use slipway_embedded::State;
use slipway_forge::{Conclusion, Forge, MergeMethod, Opened, PullRequestState};
use slipway_git::Repository;
use slipway_markdown::visible;
use slipway_proposal::Remote;

use crate::context::Context;
use crate::failure::Failure;
use crate::pull_request::parse_number;
use crate::remote::ForgeArgs;
use crate::renderers::KustomizeArgs;
use crate::reports::{report, sources};

#[derive(Debug, Args)]
#[command(
    after_help = "In the loop on this machine it does what the button on GitHub does, and like a branch that requires the check `slipway` it refuses what is red. On GitHub, the rules of the branch decide whether you may: reviews \
                  and checks are not passed over.\n\n\
                  Examples:\n  slipway merge 3\n  slipway merge 3 --method squash"
)]
pub(crate) struct Merge {
    /// The number of the pull request
    #[arg(value_parser = parse_number)]
    number: u64,
    /// How it is merged: `merge`, `squash` or `rebase`
    #[arg(long, default_value = "merge")]
    method: MergeMethod,
    /// In the loop on this machine: merge it although its check is red; a draft and a conflict stay what they are
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    forge: ForgeArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Merged {
    number: u64,
    /// The commit of the base branch.
    commit: String,
}

impl Merge {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let opened = remote.forge.get(self.number).await?;
        let (state, known) = (opened.state, opened.merge_commit.clone());
        if let (PullRequestState::Merged, Some(commit)) = (state, known) {
            let short = commit.get(..8).unwrap_or(&commit);
            context.say(format!("pull request #{} is merged already, as {short}", self.number));
            return context.json(&Merged { number: self.number, commit });
        }
        if matches!(remote.forge, Forge::Bare(_)) && opened.is_open() && !self.force {
            self.refuse_red(&git, &remote, &opened, self.forge.running(context)?.as_ref()).await?;
        }
        let commit = remote.forge.merge(self.number, self.method, &opened.head).await?;
        let short = commit.get(..8).unwrap_or(&commit);
        context.say(format!("merged pull request #{} ({}) as {short}", self.number, visible(&opened.title)));
        context.json(&Merged { number: self.number, commit })
    }

    /// Fails if what would be merged is not what was reviewed, or has mistakes, as a rule of the branch does on GitHub.
    async fn refuse_red(
        &self,
        git: &Repository,
        remote: &Remote,
        opened: &Opened,
        running: Option<&State>,
    ) -> Result<(), Failure> {
        let kustomize = KustomizeArgs::default().find()?;
        let report = report(&sources(git, kustomize.as_ref(), running), running, None, (remote, opened, &[])).await?;
        match report.document.check {
            Some(check) if check.conclusion == Conclusion::Failure => {
                let (number, title) = (opened.number, check.title);
                let says = format!("`slipway report {number}` and then `slipway show {number}` say what to do");
                // the report has fetched both; what git cannot merge, and a draft, no option merges
                let base = remote.fetch(git, &opened.base).await?;
                let merges = !opened.is_draft && matches!(git.merge(&base, &opened.head)?, slipway_git::Merge::Tree(_));
                let force = if merges { " (--force merges it as it is)" } else { "" };
                Err(Failure::Input(format!("pull request #{number} is red: {title}; {says}{force}")))
            }
            _ => Ok(()),
        }
    }
}
