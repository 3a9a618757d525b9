//! `slipway report`: what a pull request would do, and once it is merged, what came of it, on its own page.

mod artifact;
mod finished;
mod past_runs;
mod planned;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_forge::{CheckOutcome, Conclusion, Opened, Published};
use slipway_git::Repository;
use slipway_mlflow::Client;
use slipway_proposal::Remote;
use slipway_report::Report as Packed;

use crate::context::Context;
use crate::failure::Failure;
use crate::remote::RemoteArgs;
use crate::renderers::KustomizeArgs;
use crate::running::LoopArgs;
use crate::services;

#[derive(Debug, Args)]
#[command(
    after_help = "Writes one comment on the pull request, and updates it in place; comments of others are never touched. As a GitHub App, or in a \
                  workflow, it also writes a check, which is red if what was reviewed is not what would run.\n\n\
                  Everything comes from git objects: nothing of the branch is checked out or run. Runs of the past, and the results after the merge, come \
                  from MLflow, if MLFLOW_TRACKING_URI is set or a loop runs here.\n\n\
                  Examples:\n  slipway report 7\n  slipway report 7 --dry-run\n  slipway report --base main --head-commit topic --dry-run\n  \
                  slipway report --head octo:topic --commit 0123abcd… --to report\n  slipway report --head octo:topic --commit 0123abcd… --from report"
)]
pub(crate) struct Report {
    /// The number of the pull request
    #[arg(conflicts_with_all = ["head", "base"])]
    number: Option<u64>,
    /// In place of the number: the owner of the repository that holds the branch, and the branch, as a workflow's event names them
    #[arg(long, value_name = "OWNER:BRANCH", requires = "commit", conflicts_with = "base")]
    head: Option<String>,
    /// The newest commit of that branch; if it is not the newest any more, nothing is done
    #[arg(long, requires = "head")]
    commit: Option<String>,
    /// Without a pull request: the revision that it would be merged into
    #[arg(long, value_name = "REV", requires = "head_commit")]
    base: Option<String>,
    /// Without a pull request: the revision that would be merged
    #[arg(long, value_name = "REV", requires = "base")]
    head_commit: Option<String>,
    /// Publish nothing: write the report into this folder, as `report.json` for --from and, with nothing left out, as `report.md`
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "dry_run"])]
    to: Option<PathBuf>,
    /// Publish the report that --to wrote into this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base", "dry_run"])]
    from: Option<PathBuf>,
    /// Publish nothing: print the report as Markdown
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    /// `None` without a pull request.
    number: Option<u64>,
    /// The commit that the report is about; `None` if nothing was done.
    head: Option<String>,
    /// What the check says; `None` if nothing was done, or after the merge.
    conclusion: Option<Conclusion>,
    /// One line.
    summary: String,
    /// Whether anything had to be written.
    changed: bool,
    /// What came of the check; `None` if nothing was published.
    check: Option<CheckOutcome>,
    /// The comment's page.
    url: Option<String>,
}

impl Report {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let mlflow = services::mlflow(running.as_ref());
        if let (Some(base), Some(head)) = (&self.base, &self.head_commit) {
            let planned = planned::Planned::of(&git, base, head, None, self.kustomize.find()?.as_ref(), mlflow).await?;
            return self.unpublished(context, None, &planned.document, &planned.head);
        }
        let remote = self.remote.find(&git, running.as_ref())?;
        let Some(opened) = self.pull_request(&remote).await? else {
            let why = "no open pull request has this branch at this commit any more, so nothing is reported";
            context.say(why);
            return context.json(&Reported::nothing(why));
        };
        if let Some(folder) = &self.from {
            let packed = artifact::read(folder)?;
            if packed.head != opened.head {
                let why = format!("the report is about {}, and #{} is at {} now: a newer report takes its place", packed.head, opened.number, opened.head);
                context.say(&why);
                return context.json(&Reported::nothing(&why));
            }
            return self.published(context, &remote, opened.number, &packed).await;
        }
        if self.to.is_some() || self.dry_run {
            let (document, head) = self.document(&git, &remote, &opened, mlflow).await?;
            return self.unpublished(context, Some(opened.number), &document, &head);
        }
        let mlflow = mlflow.map_err(|failure| failure.to_string());
        let mut last = None;
        let published = remote.forge.publish(opened.number, async |opened: &Opened, previous: Option<&str>| {
            let mlflow = mlflow.clone().map_err(Failure::Service);
            let (document, head) = self.document(&git, &remote, opened, mlflow).await?;
            let packed = Packed::pack(&document, &head);
            Ok::<_, Failure>(packed.publication(previous))
        });
        let published = published.await?;
        let _ = last.take().unwrap_or(());
        self.done(context, &published, None)
    }

    /// The pull request that is meant; `None` if it is named by a branch that has moved, or is not open any more.
    async fn pull_request(&self, remote: &Remote) -> Result<Option<Opened>, Failure> {
        match (self.number, &self.head, &self.commit) {
            (Some(number), ..) => Ok(Some(remote.forge.get(number).await?)),
            (None, Some(head), Some(commit)) => {
                let (owner, branch) = head.split_once(':').ok_or_else(|| {
                    Failure::Input(format!("--head {head}: give the owner and the branch, such as octo:topic"))
                })?;
                Ok(remote.forge.find(owner, branch, commit).await?)
            }
            _ => Err(Failure::Input("name a pull request: `slipway report 7`; `slipway status` lists the open ones".to_owned())),
        }
    }
}
