//! `slipway plan`: what would start, stop and stay, and what it costs.

use std::path::PathBuf;

use clap::Args;
use slipway_git::Repository;
use slipway_project::plan_markdown::markdown;
use slipway_project::{Plan as Planned, Project, Tree};

use crate::context::Context;
use crate::failure::Failure;
use crate::named::named;
use crate::plan_text;
use crate::revision::tree_at;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway plan experiments/mnist-cnn.yaml\n  slipway plan --base origin/main -o json"
)]
pub(crate) struct Plan {
    /// Experiment files [default: all of experiments/]
    files: Vec<PathBuf>,
    /// The revision to compare with: its rendered TrainJobs are those that run now
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    base: String,
    /// Print Markdown, as the pull request shows it
    #[arg(long)]
    markdown: bool,
}

impl Plan {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let project = Project::read(&Tree::of_work_tree(&context.root)?);
        let only = named(context, &project, &self.files)?;
        let git = Repository::project(&context.root)?;
        let base = if self.base == "HEAD" && git.head()?.is_none() {
            // nothing is committed yet
            Project::default()
        } else {
            Project::read(&tree_at(&git, "--base", &self.base)?)
        };
        let plan = Planned::new(&base, &project, only.as_ref());
        if !context.is_json() {
            context.say(if self.markdown { markdown(&plan) } else { plan_text::terminal(&plan, context) });
        }
        context.json(&plan)
    }
}
