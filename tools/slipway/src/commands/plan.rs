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

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway plan experiments/mnist-cnn.yaml\n  slipway plan --base origin/main -o json"
)]
pub(crate) struct Plan {
    /// Experiment files; all of experiments/ when none is named
    files: Vec<PathBuf>,
    /// What to compare with: the revision whose rendered TrainJobs run now
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    base: String,
    /// Print it as the pull request shows it
    #[arg(long)]
    markdown: bool,
}

impl Plan {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let project = Project::read(&Tree::of_work_tree(&context.root)?);
        let only = named(context, &project, &self.files)?;
        let git = Repository::project(&context.root)?;
        let base = match git.resolve(&self.base)? {
            Some(commit) => Project::read(&Tree::at(&git, &commit)?),
            None if self.base == "HEAD" => Project::default(),
            None => {
                return Err(Failure::Input(format!(
                    "--base {}: this revision does not exist; name a branch, a tag or a commit",
                    self.base
                )));
            }
        };
        let plan = Planned::new(&base, &project, only.as_ref());
        if !context.is_json() {
            context.say(if self.markdown { markdown(&plan) } else { plan_text::terminal(&plan, context) });
        }
        context.json(&plan)
    }
}
