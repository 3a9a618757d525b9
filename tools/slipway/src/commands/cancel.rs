//! `slipway cancel`: the pull request that stops TrainJobs once it is merged.

use clap::Args;
use serde::Serialize;
use slipway_project::Plan;
use slipway_proposal::Cancellation;

use crate::context::Context;
use crate::failure::Failure;
use crate::opening::OpeningArgs;
use crate::plan_text;
use crate::pull_request::{PullRequestReport, is_open};
use crate::remote::ForgeArgs;
use crate::renderers::KustomizeArgs;

#[derive(Debug, Args)]
#[command(
    after_help = "The pull request deletes their rendered files, so that Argo CD, or the loop on this machine, removes the TrainJobs. One that has \
                  finished stays finished, and what it registered stays. A single trial of a sweep is also named in its experiment's `cancelled`, so \
                  that rendering does not bring it back.\n\n\
                  Examples:\n  slipway cancel mnist-cnn\n  slipway cancel mnist-cnn-1e60b98a --dry-run\n  slipway cancel mnist-cnn --environment staging"
)]
pub(crate) struct Cancel {
    /// Experiments or TrainJobs
    #[arg(required = true)]
    names: Vec<String>,
    /// Only in this environment [default: in all]
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Show what would stop, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    forge: ForgeArgs,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    plan: Plan,
    /// `None` on a dry run.
    pull_request: Option<PullRequestReport>,
}

impl Cancel {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let cancellation = Cancellation::prepare(&git, &remote, &self.names, self.environment.as_deref()).await?;
        let plan = cancellation.plan.clone();
        context.say(plan_text::terminal(&plan, context));
        let pull_request = if self.dry_run {
            context.say("dry run: no pull request was opened");
            None
        } else {
            let opened =
                cancellation.open(&git, &remote, self.kustomize.find()?.as_ref(), self.opening.opening()).await?;
            context.say(is_open(&opened));
            Some(opened.into())
        };
        context.json(&Cancelled { plan, pull_request })
    }
}
