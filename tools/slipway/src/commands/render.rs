//! `slipway render`: renders the experiments into TrainJobs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::on_one_line;
use slipway_project::rendered::Draft;
use slipway_project::{Changes, Project, Tree, count, rendered};
use slipway_proposal::{Remote, Rendered};
use slipway_source::{Finding, Position};

use crate::context::Context;
use crate::failure::Failure;
use crate::named::named;
use crate::pull_request::{MOVED, of_head, parse_number};
use crate::remote::ForgeArgs;
use crate::replace::replace;
use crate::uncommitted::mark_uncommitted;
use crate::warnings::warn;

#[derive(Debug, Args)]
#[command(
    after_help = "`slipway propose` renders by itself. With --check, nothing is written, and the exit code is 4 if the same command without --check \
                  would write or remove a file.\n\n\
                  With --pull-request, the experiments that the pull request adds or changes are rendered as they are once it is merged. If the base \
                  branch has other TrainJobs of the same experiments by now, it is merged into the branch.\n\n\
                  Examples:\n  slipway render experiments/mnist-cnn.yaml\n  slipway render --check\n  slipway render --pull-request 7\n  \
                  slipway render --head octo:topic --commit 01234567"
)]
pub(crate) struct Render {
    /// Experiment files [default: all of experiments/]
    files: Vec<PathBuf>,
    /// Write nothing; fail if anything is out of date or not rendered yet
    #[arg(long, conflicts_with = "pull_request")]
    check: bool,
    /// Render what this pull request lacks, and push it to its branch; the work tree stays as it is
    #[arg(long, value_name = "NUMBER", value_parser = parse_number, conflicts_with = "files")]
    pull_request: Option<u64>,
    /// In place of the number: the owner of the repository that holds the branch, and the branch, as a workflow's event names them
    #[arg(long, value_name = "OWNER:BRANCH", requires = "commit", conflicts_with_all = ["files", "check", "pull_request"])]
    head: Option<String>,
    /// The newest commit of that branch; if it is not the newest any more, nothing is done
    #[arg(long, requires = "head")]
    commit: Option<String>,
    #[command(flatten)]
    forge: ForgeArgs,
}

#[derive(Serialize)]
struct Written {
    written: Vec<String>,
    removed: Vec<String>,
}

impl Render {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        if let Some(number) = self.pull_request {
            let (git, remote) = self.forge.find(context)?;
            let opened = remote.forge.get(number).await?;
            return self.pull_request(context, &git, &remote, &opened).await;
        }
        if let (Some(head), Some(commit)) = (&self.head, &self.commit) {
            return self.head(context, head, commit).await;
        }
        let tree = Tree::of_work_tree(&context.root)?;
        let mut project = Project::read(&tree);
        let only = named(context, &project, &self.files)?;
        mark_uncommitted(context, &mut project)?;
        if self.check {
            let mut findings: Vec<Finding> =
                rendered::drafts(&project, only.as_ref()).iter().map(not_rendered).collect();
            findings.extend(rendered::findings(&project, only.as_ref()));
            return if findings.is_empty() {
                self.done(context, &Changes::new())
            } else {
                Err(Failure::OutOfDate(findings))
            };
        }
        let changes = rendered::changes(&project, only.as_ref());
        for (path, content) in &changes {
            let full = context.root.join(path);
            let failed = |error| Failure::Environment(format!("cannot write {path}: {error}"));
            match content {
                Some(bytes) => replace(&full, bytes).map_err(failed)?,
                None => std::fs::remove_file(&full).map_err(failed)?,
            }
        }
        self.done(context, &changes)
    }

    /// The same as [`pull_request`](Self::pull_request) for a workflow: what is over meanwhile, or is for the author to mend, is no failure.
    async fn head(&self, context: &Context, head: &str, commit: &str) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let Some(opened) = of_head(&remote.forge, head, commit).await? else {
            context.say(MOVED);
            return self.done(context, &Changes::new());
        };
        if opened.is_fork {
            context.say(format!("#{} is of a fork, where nobody here may push, so nothing is done", opened.number));
            return self.done(context, &Changes::new());
        }
        match self.pull_request(context, &git, &remote, &opened).await {
            Err(failure) if of_head(&remote.forge, head, commit).await?.is_none() => {
                context.warn(failure.to_string());
                context.say(MOVED);
                self.done(context, &Changes::new())
            }
            // the report says the same to its author
            Err(failure @ (Failure::Invalid(_) | Failure::Input(_))) => {
                match &failure {
                    Failure::Invalid(findings) => warn(context, findings),
                    other => context.warn(other.to_string()),
                }
                context.say("nothing is rendered until its author has mended that");
                self.done(context, &Changes::new())
            }
            done => done,
        }
    }

    /// Renders what a pull request lacks, and pushes it to its branch.
    async fn pull_request(
        &self,
        context: &Context,
        git: &Repository,
        remote: &Remote,
        opened: &Opened,
    ) -> Result<(), Failure> {
        let rendered = Rendered::prepare(git, remote, opened).await?;
        if !rendered.is_empty() {
            let commit = rendered.push(git, remote).await?;
            let merge =
                if rendered.merges_base { format!(" with {} merged into it", opened.base) } else { String::new() };
            context.say(format!("pushed {} to {}{merge}", commit.get(..8).unwrap_or(&commit), opened.branch));
        }
        self.done(context, &rendered.changes)
    }

    fn done(&self, context: &Context, changes: &Changes) -> Result<(), Failure> {
        let of = |kept: bool| {
            changes.iter().filter(move |(_, content)| content.is_some() == kept).map(|(path, _)| path.clone()).collect()
        };
        let done = Written { written: of(true), removed: of(false) };
        if !context.is_json() {
            for path in &done.written {
                context.say(context.paint("32", &format!("+ {}", on_one_line(path))));
            }
            for path in &done.removed {
                context.say(context.paint("31", &format!("- {}", on_one_line(path))));
            }
            context.say(if changes.is_empty() {
                "everything is up to date".to_owned()
            } else {
                format!("{} written, {} removed", count(done.written.len(), "file"), done.removed.len())
            });
        }
        context.json(&done)
    }
}

fn not_rendered(draft: &Draft) -> Finding {
    let Draft { file, environment, jobs } = draft;
    let are = if *jobs == 1 { "is" } else { "are" };
    let message = format!("{} {are} not rendered yet for {environment}", count(*jobs, "TrainJob"));
    let help = format!(
        "`slipway render {file}` writes them; `slipway propose {file}` opens the pull request that starts them"
    );
    Finding::at(file, Position::START, "not-rendered", message).with_help(help)
}
