//! `slipway plan`: what would start, stop and stay, and what it costs.

use std::panic::resume_unwind;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_git::Repository;
use slipway_project::plan_markdown::markdown;
use slipway_project::{Plan as Planned, Project, Tree};

use crate::cancelled::warn_of_cancelled;
use crate::context::Context;
use crate::draft_state::forge_ahead;
use crate::failure::Failure;
use crate::missing_data;
use crate::named::named;
use crate::plan_text;
use crate::revision::tree_at;
use crate::running::LoopArgs;
use crate::runtime::wait;
use crate::warnings::warn;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway plan experiments/mnist-cnn.yaml\n  slipway plan --base origin/main -o json"
)]
pub(crate) struct Plan {
    /// Experiment files [default: all of experiments/]
    files: Vec<PathBuf>,
    /// The revision to compare with: its rendered TrainJobs are those that run now [default: main of the loop on this machine, otherwise
    /// HEAD]
    #[arg(long, value_name = "REV", conflicts_with = "state")]
    base: Option<String>,
    #[command(flatten)]
    running: LoopArgs,
    /// Print Markdown, as the pull request shows it
    #[arg(long)]
    markdown: bool,
}

/// The plan, and what it was compared with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    #[serde(flatten)]
    plan: Planned,
    compared_with: String,
}

/// What a plan is compared with.
struct Base {
    name: String,
    project: Project,
    /// Its repository and its revision; `None` before the first commit.
    at: Option<(Repository, String)>,
    /// What runs and is not in it.
    warning: Option<String>,
}

impl Plan {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        // both sides are read at the same time
        let (project, base) = std::thread::scope(|scope| {
            let base = scope.spawn(|| self.base(context));
            let project = Tree::of_work_tree(&context.root).map(|tree| Project::read(&tree));
            // a panic there is one of this program: it goes on here
            (project, base.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let project = project?;
        let only = named(context, &project, &self.files)?;
        let Base { name: compared_with, project: base, at, warning } = base?;
        if let Some(warning) = warning {
            context.warn(warning);
        }
        let plan = Planned::new(&base, &project, only.as_ref());
        warn(context, &project.warnings);
        if !context.is_json() {
            context.say(if self.markdown { markdown(&plan) } else { plan_text::terminal(&plan, context) });
            if !self.markdown {
                context.say(format!("compared with {compared_with}"));
            }
        }
        if self.base.is_none()
            && let Some((folder, state)) = self.running.find(context)?
        {
            wait(async {
                missing_data::warn(context, &folder, &state, &project, &plan).await;
                Ok::<_, Failure>(())
            })?;
        }
        if let Some((git, revision)) = &at {
            warn_of_cancelled(context, git, revision, &plan)?;
        }
        context.json(&Compared { plan, compared_with })
    }

    /// What runs now: what was merged on this machine need not be in this repository.
    fn base(&self, context: &Context) -> Result<Base, Failure> {
        let git = Repository::project(&context.root)?;
        let read = |name: String, tree: Tree, at| Base { name, project: Project::read(&tree), at, warning: None };
        if let Some(name) = &self.base {
            let tree = tree_at(&git, "--base", name)?;
            // a tree that is no commit has no history
            let commit = git.resolve(name)?;
            return Ok(read(name.clone(), tree, commit.map(|commit| (git, commit))));
        }
        if let Some((_, state)) = self.running.find(context)? {
            let forge = Repository::open(&state.forge)?.below(git.prefix());
            let name = format!("main of the loop on this machine ({})", state.forge.display());
            let main = "refs/heads/main".to_owned();
            return Ok(read(name, Tree::at(&forge, &main)?, Some((forge, main))));
        }
        let warning = forge_ahead(context, &git)?.map(|forge| {
            let forge = forge.root().display();
            format!("HEAD lacks what was merged in the loop's forge; `git pull {forge} main` brings it")
        });
        // before the first commit, nothing runs
        let head = git.head()?;
        let tree = if head.is_some() { Tree::at(&git, "HEAD")? } else { Tree::default() };
        Ok(Base { warning, ..read("HEAD".to_owned(), tree, head.map(|head| (git, head))) })
    }
}
