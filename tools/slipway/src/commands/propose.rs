//! `slipway propose`: the pull request that starts an experiment once it is merged.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_forge::{Forge, Opened};
use slipway_git::Repository;
use slipway_project::{Plan, Project, Tree};
use slipway_proposal::{ExperimentProposal, Remote};

use crate::cancelled::warn_of_cancelled;
use crate::context::Context;
use crate::failure::Failure;
use crate::missing_data;
use crate::named::{in_project, with_close_file};
use crate::opening::OpeningArgs;
use crate::plan_text;
use crate::pull_request::{PullRequestReport, is_open};
use crate::remote::RemoteArgs;
use crate::renderers::KustomizeArgs;
use crate::running::LoopArgs;
use crate::warnings::warn;

#[derive(Debug, Args)]
#[command(
    after_help = "The pull request holds what you have changed in the named files, in the declarations of their datasets and in the code of \
                  their programs in trainers/ with its images, and the rendered TrainJobs, on top of the remote's default branch: what others have \
                  merged there since your last pull stays. The work tree, the index and the current branch stay as they are. A named file that no \
                  longer exists withdraws its experiment.\n\n\
                  Examples:\n  slipway propose experiments/mnist-cnn.yaml\n  slipway propose experiments/mnist-cnn.yaml --dry-run"
)]
pub(crate) struct Propose {
    /// Experiment files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    kustomize: KustomizeArgs,
    #[command(flatten)]
    opening: OpeningArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proposed {
    plan: Plan,
    /// `None` on a dry run, or if there is nothing to propose.
    pull_request: Option<PullRequestReport>,
}

/// What a person does next.
fn next(remote: &Remote, opened: &Opened) -> String {
    let number = opened.number;
    let then = match (&remote.forge, opened.is_draft) {
        (_, true) => "the same command without --draft makes it ready to be merged".to_owned(),
        (Forge::Bare(_), false) => format!("`slipway merge {number}` merges it"),
        (Forge::GitHub(_), false) => "merging it there starts what it says".to_owned(),
    };
    format!("next: `slipway show {number}` shows its report; {then}")
}

impl Propose {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?;
        let remote = self.remote.find(&git, running.as_ref().map(|(_, state)| state))?;
        let files = self.files.iter().map(|file| in_project(context, file)).collect::<Result<Vec<_>, _>>()?;
        let here = Tree::of_work_tree(&context.root)?;
        let proposal = ExperimentProposal::prepare(&git, &remote, &here, &files).await;
        let proposal = proposal.map_err(|error| with_close_file(context, &here, error))?;
        // the JSON says all of it
        let say = |text: String| {
            if !context.is_json() {
                context.say(text);
            }
        };
        warn(context, &proposal.warnings);
        if let Some((folder, state)) = &running {
            // an experiment whose program is not there would count as wrong
            let declared = Project::read(&here.limited_to(&["clusters", "datasets", "experiments", "trainers"]));
            missing_data::warn(context, folder, state, &declared, &proposal.plan).await;
        }
        let shown = plan_text::terminal(&proposal.plan, context);
        let above = shown.strip_suffix(&proposal.plan.summary()).unwrap_or(&shown);
        say(format!("{above}{}", proposal.summary()));
        warn_of_cancelled(context, &git, proposal.base_commit(), &proposal.plan)?;
        let plan = proposal.plan.clone();
        let pull_request = if self.dry_run {
            say("dry run: no pull request was opened".to_owned());
            None
        } else if proposal.is_empty() {
            None
        } else {
            let kustomize = self.kustomize.find()?;
            let (opened, is_new) =
                proposal.open_or_find(&git, &remote, kustomize.as_ref(), self.opening.opening()).await?;
            say(is_open(&opened));
            if !is_new {
                say("it was open already, with the same change, so no second one was opened".to_owned());
            }
            say(next(&remote, &opened));
            Some(opened.into())
        };
        context.json(&Proposed { plan, pull_request })
    }
}
