//! `slipway check`: everything in the repository, offline.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, count};
use crate::project::Project;
use crate::rendered;
use crate::tree::Tree;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  slipway check\n  slipway check -o json | jq '.findings[] | .file'")]
pub(crate) struct Check {}

#[derive(Serialize)]
struct Checked {
    experiments: usize,
    datasets: usize,
    environments: usize,
    jobs: usize,
    findings: [(); 0],
}

impl Check {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let project = Project::read(&Tree::of_work_tree(&context.root)?);
        let out_of_date = rendered::findings(&project);
        if !project.findings.is_empty() {
            return Err(Failure::Invalid([project.findings, out_of_date].concat()));
        }
        if !out_of_date.is_empty() {
            return Err(Failure::OutOfDate(out_of_date));
        }
        let jobs = project.environments.values().map(|place| place.jobs.len()).sum();
        let (experiments, datasets, environments) =
            (project.experiments.len(), project.datasets.len(), project.environments.len());
        if !context.is_json() {
            context.say(format!(
                "{} {}, {}, {}, {}: all right",
                context.paint("32", "✓"),
                count(experiments, "experiment"),
                count(datasets, "dataset"),
                count(environments, "environment"),
                count(jobs, "TrainJob"),
            ));
        }
        context.json(&Checked { experiments, datasets, environments, jobs, findings: [] })
    }
}
