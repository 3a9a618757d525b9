//! `slipway merge`: merges a pull request.

use clap::Args;
use serde::Serialize;
use slipway_forge::{MergeMethod, PullRequestState};
use slipway_git::Repository;
use slipway_markdown::visible;

use crate::context::Context;
use crate::failure::Failure;
use crate::remote::RemoteArgs;
use crate::running::LoopArgs;

#[derive(Debug, Args)]
#[command(
    after_help = "In the loop on this machine it does what the button on GitHub does. On GitHub, the rules of the branch decide whether you may: reviews \
                  and checks are not passed over.\n\n\
                  Examples:\n  slipway merge 3\n  slipway merge 3 --method squash"
)]
pub(crate) struct Merge {
    /// The number of the pull request
    number: u64,
    /// How it is merged: `merge`, `squash` or `rebase`
    #[arg(long, default_value = "merge")]
    method: MergeMethod,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
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
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let remote = self.remote.find(&git, running.as_ref())?;
        let opened = remote.forge.get(self.number).await?;
        let (state, known) = (opened.state, opened.merge_commit.clone());
        if let (PullRequestState::Merged, Some(commit)) = (state, known) {
            let short = commit.get(..8).unwrap_or(&commit);
            context.say(format!("pull request #{} is merged already, as {short}", self.number));
            return context.json(&Merged { number: self.number, commit });
        }
        let commit = remote.forge.merge(self.number, self.method, &opened.head).await?;
        let short = commit.get(..8).unwrap_or(&commit);
        context.say(format!("merged pull request #{} ({}) as {short}", self.number, visible(&opened.title)));
        context.json(&Merged { number: self.number, commit })
    }
}
