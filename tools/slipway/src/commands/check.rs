//! `slipway check`: everything in the repository, offline.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::deployment;
use crate::failure::{Failure, count};
use crate::kustomize::KustomizeArgs;
use crate::project::Project;
use crate::rendered;
use crate::tree::Tree;

#[derive(Debug, Args)]
#[command(
    after_help = "Looks at experiments, datasets, rendered TrainJobs, and at everything that Argo CD would deploy: each overlay is built and each\n\
                  reference in it followed. Needs kustomize for the latter, and says so where it is missing.\n\n\
                  Examples:\n  slipway check\n  slipway check -o json | jq '.findings[] | .file'"
)]
pub(crate) struct Check {
    /// Fail when anything had to be left out, as when kustomize is missing
    #[arg(long)]
    complete: bool,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

#[derive(Serialize)]
struct Checked {
    experiments: usize,
    datasets: usize,
    environments: usize,
    jobs: usize,
    kustomizations: usize,
    objects: usize,
    skipped: Vec<String>,
    findings: [(); 0],
}

impl Check {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = Tree::of_work_tree(&context.root)?;
        let project = Project::read(&tree);
        let out_of_date = rendered::findings(&project);
        let kustomize = self.kustomize.find()?;
        let deployment = deployment::examine(&tree, &context.root, &project, kustomize.as_ref())?;
        if let Some(skipped) = &deployment.skipped {
            context.warn(format!("skipped: {skipped}"));
        }
        let invalid = [project.findings.as_slice(), &deployment.findings].concat();
        if !invalid.is_empty() {
            return Err(Failure::Invalid([invalid, out_of_date].concat()));
        }
        if !out_of_date.is_empty() {
            return Err(Failure::OutOfDate(out_of_date));
        }
        if let Some(skipped) = deployment.skipped.as_ref().filter(|_| self.complete) {
            return Err(Failure::Environment(format!("not complete: {skipped}")));
        }
        let checked = Checked {
            experiments: project.experiments.len(),
            datasets: project.datasets.len(),
            environments: project.environments.len(),
            jobs: project.environments.values().map(|place| place.jobs.len()).sum(),
            kustomizations: deployment.built,
            objects: deployment.environments.iter().map(|environment| environment.objects().count()).sum(),
            skipped: deployment.skipped.into_iter().collect(),
            findings: [],
        };
        if !context.is_json() {
            let deployed = if checked.kustomizations == 0 {
                String::new()
            } else {
                format!(", {}, {}", count(checked.kustomizations, "kustomization"), count(checked.objects, "object"))
            };
            context.say(format!(
                "{} {}, {}, {}, {}{deployed}: all right",
                context.paint("32", "✓"),
                count(checked.experiments, "experiment"),
                count(checked.datasets, "dataset"),
                count(checked.environments, "environment"),
                count(checked.jobs, "TrainJob"),
            ));
        }
        context.json(&checked)
    }
}
