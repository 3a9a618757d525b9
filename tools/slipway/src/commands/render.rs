//! `slipway render`: renders the experiments into TrainJobs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_project::{Changes, Project, Tree, count, rendered};

use crate::context::Context;
use crate::drafts::mark_drafts;
use crate::failure::Failure;
use crate::named::named;
use crate::replace::replace;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway render experiments/mnist-cnn.yaml\n  slipway render --check    # writes nothing; exit code 4 if something is out of date"
)]
pub(crate) struct Render {
    /// Experiment files [default: all of experiments/]
    files: Vec<PathBuf>,
    /// Write nothing; fail if anything is out of date
    #[arg(long)]
    check: bool,
}

#[derive(Serialize)]
struct Written {
    written: Vec<String>,
    removed: Vec<String>,
}

impl Render {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = Tree::of_work_tree(&context.root)?;
        let mut project = Project::read(&tree);
        let only = named(context, &project, &self.files)?;
        mark_drafts(context, &mut project)?;
        if self.check {
            let findings = rendered::findings(&project);
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

    fn done(&self, context: &Context, changes: &Changes) -> Result<(), Failure> {
        let of = |kept: bool| {
            changes.iter().filter(move |(_, content)| content.is_some() == kept).map(|(path, _)| path.clone()).collect()
        };
        let done = Written { written: of(true), removed: of(false) };
        if !context.is_json() {
            for path in &done.written {
                context.say(context.paint("32", &format!("+ {path}")));
            }
            for path in &done.removed {
                context.say(context.paint("31", &format!("- {path}")));
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
