//! `slipway revert`: the pull request that undoes a merged one.

use clap::Args;
use serde::Serialize;
use slipway_project::Plan;
use slipway_project::plan::Change;
use slipway_proposal::Reversion;
use slipway_report::InService;

use crate::context::Context;
use crate::failure::Failure;
use crate::opening::OpeningArgs;
use crate::plan_text;
use crate::pull_request::{PullRequestReport, is_open, parse_number};
use crate::remote::ForgeArgs;
use crate::renderers::KustomizeArgs;

#[derive(Debug, Args)]
#[command(
    after_help = "Undoing a promotion puts the previous version back into service. Undoing a proposal cancels its TrainJobs. The pull request may have \
                  been merged in any way: by a merge commit, by squash or by rebase.\n\n\
                  Examples:\n  slipway revert 7\n  slipway revert 7 --dry-run"
)]
pub(crate) struct Revert {
    /// The number of the merged pull request
    #[arg(value_parser = parse_number)]
    number: u64,
    /// Show what would start and stop, and which version would come into service, and do nothing
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
struct Reverted {
    plan: Plan,
    /// Which versions come into service, or go out of it.
    in_service: Vec<InService>,
    /// `None` on a dry run, or if nothing of it is left.
    pull_request: Option<PullRequestReport>,
}

impl Revert {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let reversion = Reversion::prepare(&git, &remote, self.number).await?;
        let plan = reversion.plan.clone();
        let (before, after) = reversion.trees(&git)?;
        let in_service = InService::all(before, &after);
        // what only changes a version in service starts and stops nothing
        let does = |change: &Change| [change.starts.len(), change.stops.len(), change.archived.len()] != [0; 3];
        let changes = plan.changes.iter().any(does);
        let show = |changes: bool| {
            if changes {
                context.say(plan_text::terminal(&plan, context));
            }
            for one in &in_service {
                context.say(comes(one));
            }
        };
        let pull_request = if reversion.is_empty(&git)? {
            context.say(format!("nothing of pull request #{} is left to undo", self.number));
            None
        } else if self.dry_run {
            show(changes);
            context.say("dry run: no pull request was opened");
            None
        } else {
            show(changes);
            let opened = reversion.open(&git, &remote, self.kustomize.find()?.as_ref(), self.opening.opening()).await?;
            context.say(is_open(&opened));
            Some(opened.into())
        };
        context.json(&Reverted { plan, in_service, pull_request })
    }
}

/// Which version would come into service, in a line.
fn comes(change: &InService) -> String {
    let InService { environment, model, before, after } = change;
    match (before, after) {
        (Some(before), Some(after)) => {
            format!("version {after} of {model} would come into service in {environment}, instead of version {before}")
        }
        (None, Some(after)) => format!("version {after} of {model} would come into service in {environment}"),
        (_, None) => format!("no version of {model} would be in service in {environment} any more"),
    }
}
