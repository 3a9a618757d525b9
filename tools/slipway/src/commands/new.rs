//! `slipway new`: a commented experiment file to start from, and with `--program` a program that it runs.

mod skeleton;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;
use slipway_embedded::State;
use slipway_experiment::{Architecture, Source, parse};
use slipway_project::{Project, Tree};
use slipway_source::{Finding, suggestion};

use crate::context::Context;
use crate::failure::Failure;
use crate::missing_data::warn_of_missing;
use crate::replace::replace;
use crate::runtime::wait;
use skeleton::Skeleton;

#[derive(Debug, Args)]
#[command(
    after_help = "With --program, the experiment runs the code in trainers/TRAINER/. If that folder does not exist, it is made, with a PyTorch \
                  program to start from.\n\n\
                  Examples:\n  slipway new mnist-wide\n  slipway new mnist-deep --architecture mlp --dataset mnist-10k\n  \
                  slipway new digits --program my-cnn"
)]
pub(crate) struct New {
    /// Names the experiment, its file and its TrainJobs: lower-case letters, digits and hyphens
    name: String,
    /// The network of the built-in trainer
    #[arg(long, default_value = "cnn", conflicts_with = "program", value_parser = PossibleValuesParser::new(Architecture::WORDS.iter().map(|(word, _)| *word)))]
    architecture: String,
    /// A dataset that datasets/ declares [default: the one that most experiments here train on, otherwise the first]
    #[arg(long)]
    dataset: Option<String>,
    /// Run a program of your own: the code in trainers/TRAINER/
    #[arg(long, value_name = "TRAINER")]
    program: Option<String>,
}

#[derive(Serialize)]
struct Created {
    /// The experiment.
    file: String,
    /// Every file that was written or changed, the experiment's included.
    files: Vec<String>,
}

impl New {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let file = format!("experiments/{}.yaml", self.name);
        let tree = Tree::of_work_tree(&context.root)?;
        let project = Project::read(&tree);
        let dataset = match &self.dataset {
            Some(name) if project.datasets.contains_key(name) => name.clone(),
            Some(name) => {
                let known: Vec<&str> = project.datasets.keys().map(String::as_str).collect();
                let help = suggestion(name, "known", &known);
                return Err(Failure::Input(format!("--dataset {name}: unknown dataset; {help}")));
            }
            None => usual_dataset(&project).map(str::to_owned).ok_or_else(|| {
                Failure::Input("no dataset is declared yet: declare one in datasets/<name>.yaml first".to_owned())
            })?,
        };
        let skeleton = self.program.as_deref().map(|trainer| Skeleton::new(&tree, &project, trainer)).transpose()?;
        let text = match &skeleton {
            Some(skeleton) => skeleton.experiment(&self.name, &dataset),
            None => text(&self.name, &self.architecture, &dataset),
        };
        parse(&file, &text).map_err(|findings| self.invalid_name(&findings))?;
        if let Some(same) = project.experiments.iter().find(|source| source.experiment.name == self.name) {
            return Err(Failure::Input(format!(
                "the experiment `{}` is already in {}: choose another name",
                self.name, same.file
            )));
        }
        let path = context.root.join(&file);
        std::fs::File::create_new(&path)
            .and_then(|mut new| std::io::Write::write_all(&mut new, text.as_bytes()))
            .map_err(|error| Failure::Environment(format!("cannot write {file}: {error}")))?;
        let mut files = vec![file.clone()];
        for (path, content) in skeleton.iter().flat_map(Skeleton::files) {
            let full = context.root.join(path);
            let folder = full.parent().unwrap_or(&context.root);
            std::fs::create_dir_all(folder)
                .and_then(|()| replace(&full, content.as_bytes()))
                .map_err(|error| Failure::Environment(format!("cannot write {path}: {error}")))?;
            files.push(path.clone());
        }
        match &skeleton {
            Some(skeleton) => {
                skeleton.say(context, &files);
                let source = project.datasets.get(&dataset).map(|declared| &declared.dataset.spec.source);
                if !matches!(source, Some(Source::Idx(_) | Source::Npm(_))) {
                    skeleton.warn_of_other_files(context, &dataset);
                }
            }
            None => {
                context.say(format!("wrote {file}; next: edit it, `slipway plan {file}`, `slipway propose {file}`"));
            }
        }
        if let Some((folder, state)) = State::of_repository(&context.root)? {
            let datasets = BTreeSet::from([dataset.as_str()]);
            wait(async {
                warn_of_missing(context, &folder, &state, &project, &datasets).await;
                Ok::<_, Failure>(())
            })?;
        }
        context.json(&Created { file, files })
    }
}

/// The dataset that most experiments train on, so that it is probably stored; the first of several, or of all if there is no experiment.
fn usual_dataset(project: &Project) -> Option<&str> {
    let uses = |name: &str| project.experiments.iter().filter(|source| source.experiment.spec.dataset == name).count();
    project.datasets.keys().map(String::as_str).min_by_key(|name| Reverse(uses(name)))
}

impl New {
    /// Only the name can be wrong. It was an argument, so the mistake is in no file.
    fn invalid_name(&self, findings: &[Finding]) -> Failure {
        let help = findings.iter().find_map(|finding| finding.help.as_deref()).unwrap_or("choose another name");
        Failure::Input(format!("`{}` cannot be the name of an experiment: {help}", self.name))
    }
}

fn text(name: &str, architecture: &str, dataset: &str) -> String {
    format!(
        "# yaml-language-server: $schema=schema.json
apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata:
  name: {name}
spec:
  dataset: {dataset}
  model: {{architecture: {architecture}}}
  training:
    epochs: 3
    batchSize: 64                 # global, divided over the workers
    optimizer: {{name: adam, learningRate: 0.001}}
    seed: 7
  # A grid: each point is one trial, one TrainJob. Without it there is one trial.
  sweep:
    training.optimizer.learningRate: [0.001, 0.003]
  workers: {{count: 2, cpu: \"1\", memory: 512Mi}}
  # trials × workers × cpu × deadline must fit; the job enforces the deadline.
  budget: {{cpuHours: 4, deadline: 30m}}
  # A version is registered when the trial passes this gate. It is a low one to begin with.
  register: {{model: mnist, require: {{accuracy: \">= 0.6\"}}}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_a_valid_experiment() {
        for (architecture, _) in Architecture::WORDS {
            let experiment = parse("e.yaml", &text("my-net", architecture, "digits")).unwrap();
            assert_eq!((experiment.name.as_str(), experiment.trial_count()), ("my-net", 2));
        }
        assert!(parse("e.yaml", &text("No Name", "cnn", "digits")).is_err());
    }
}
