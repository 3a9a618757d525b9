//! What the files of a project declare: experiments, datasets, environments, and what is rendered for them.

use std::collections::BTreeMap;

use slipway_experiment::{
    Dataset, DatasetRef, Experiment, Limits, Provenance, TrainJob, Trial, parse_dataset, parse_with, read_job, render,
};
use slipway_source::{Finding, position_of};

use crate::cluster::{self, ClusterSpec};
use crate::references;
use crate::serving;
use crate::tree::Tree;

/// Everything that the files declare, and every mistake in them. A file with a mistake is left out of the other fields.
#[derive(Debug, Default)]
pub struct Project {
    /// The experiments, in the order of their files.
    pub experiments: Vec<ExperimentFile>,
    /// The datasets by name.
    pub datasets: BTreeMap<String, DatasetFile>,
    /// The environments by name.
    pub environments: BTreeMap<String, Environment>,
    /// Every mistake, sorted by file, line and column.
    pub findings: Vec<Finding>,
}

/// An experiment with its file.
#[derive(Debug)]
pub struct ExperimentFile {
    /// The file's path in the project.
    pub file: String,
    /// What it declares.
    pub experiment: Experiment,
    pub(crate) text: String,
}

/// A dataset with its file.
#[derive(Debug)]
pub struct DatasetFile {
    /// The file's path in the project.
    pub file: String,
    /// What it declares.
    pub dataset: Dataset,
}

/// An environment: `clusters/<name>/` describes its cluster, `overlays/<name>/` holds what runs there.
#[derive(Debug)]
pub struct Environment {
    /// Its prices, limits and requirements.
    pub cluster: ClusterSpec,
    /// Rendered TrainJobs by path.
    pub jobs: BTreeMap<String, JobFile>,
}

/// A rendered TrainJob.
#[derive(Debug)]
pub struct JobFile {
    /// What it declares.
    pub job: TrainJob,
    /// The file's text.
    pub text: String,
}

/// A TrainJob as its experiment renders to now.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// The file's text.
    pub text: String,
    /// What it trains.
    pub trial: Trial,
    /// Its index among the experiment's trials, in the order of the sweep.
    pub index: usize,
    /// The most CPU-hours that it can use.
    pub cpu_hours: f64,
}

/// The folder of an environment's rendered TrainJobs.
#[must_use]
pub fn jobs_folder(environment: &str) -> String {
    format!("overlays/{environment}/training-jobs")
}

impl Project {
    /// Reads all files, and does not stop at the first mistake.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        let mut project = Self::default();
        project.read_environments(tree);
        project.read_datasets(tree);
        project.read_experiments(tree);
        project.findings.extend(tree.unread(&["clusters", "datasets", "experiments", "overlays"]));
        project.findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        project
    }

    /// Whether the files declare nothing at all, as in a folder that is no project.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.experiments.is_empty()
            && self.datasets.is_empty()
            && self.environments.is_empty()
            && self.findings.is_empty()
    }

    /// Renders the TrainJobs of an experiment for an environment, by path. A job that is rendered already keeps its image and its
    /// commit; a new one gets the environment's image and `commit`. Empty if the experiment is not for this environment or its
    /// dataset is not pinned.
    #[must_use]
    pub fn render(
        &self,
        source: &ExperimentFile,
        environment: &str,
        commit: Option<&str>,
    ) -> BTreeMap<String, Rendering> {
        let experiment = &source.experiment;
        let Some(target) = self.environments.get(environment) else { return BTreeMap::new() };
        let Some(dataset) = self.dataset_of(experiment) else { return BTreeMap::new() };
        if !experiment.spec.environments.iter().any(|name| name == environment) {
            return BTreeMap::new();
        }
        let folder = jobs_folder(environment);
        let fresh = Provenance { image: target.cluster.trainer_image.clone(), commit: commit.map(str::to_owned) };
        let renderings = experiment.trials(&dataset).into_iter().enumerate().map(|(index, trial)| {
            let path = format!("{folder}/{}.yaml", trial.name);
            let kept = target.jobs.get(&path).map(|file| &file.job);
            let provenance = kept.map_or_else(|| fresh.clone(), TrainJob::provenance);
            let file = kept.and_then(TrainJob::experiment_file).unwrap_or(&source.file);
            let text = render(experiment, &trial, file, &provenance);
            (path, Rendering { text, index, cpu_hours: experiment.trial_cpu_hours(&trial), trial })
        });
        renderings.collect()
    }

    /// The rendered TrainJobs of an experiment, by path.
    pub fn rendered<'a>(
        &'a self,
        experiment: &'a str,
        environment: &str,
    ) -> impl Iterator<Item = (&'a str, &'a JobFile)> {
        let jobs = self.environments.get(environment).into_iter().flat_map(|target| &target.jobs);
        jobs.filter(move |(_, file)| file.job.experiment() == Some(experiment))
            .map(|(path, file)| (path.as_str(), file))
    }

    /// The experiment's dataset at its pinned content.
    fn dataset_of(&self, experiment: &Experiment) -> Option<DatasetRef> {
        let name = &experiment.spec.dataset;
        let digest = self.datasets.get(name)?.dataset.spec.digest.clone()?;
        Some(DatasetRef { name: name.clone(), digest })
    }

    fn read_environments(&mut self, tree: &Tree) {
        let mut names = tree.folders_in("clusters");
        names.extend(tree.folders_in("overlays"));
        names.sort();
        names.dedup();
        for name in names {
            match cluster::read(tree, &name) {
                Ok(cluster) => {
                    self.findings.extend(cluster::unpinned_image(tree, &name, &cluster.spec));
                    let jobs = self.read_jobs(tree, &name);
                    self.findings.extend(serving::read(tree, &name).err());
                    self.environments.insert(name, Environment { cluster: cluster.spec, jobs });
                }
                Err(finding) => self.findings.push(finding),
            }
        }
    }

    fn read_jobs(&mut self, tree: &Tree, environment: &str) -> BTreeMap<String, JobFile> {
        let folder = jobs_folder(environment);
        let mut jobs = BTreeMap::new();
        for path in tree.yaml_in(&folder) {
            let text = tree.text(path).unwrap_or_default();
            match read_job(path, &text) {
                Ok(job) => {
                    jobs.insert(path.to_owned(), JobFile { job, text });
                }
                Err(finding) => self.findings.push(finding),
            }
        }
        jobs
    }

    fn read_datasets(&mut self, tree: &Tree) {
        for file in tree.written_in("datasets") {
            let text = tree.text(file).unwrap_or_default();
            match parse_dataset(file, &text) {
                Ok(dataset) => {
                    let name = dataset.name.clone();
                    if let Some(first) = self.datasets.get(&name) {
                        self.findings.push(duplicate_name(file, &text, "dataset", &name, &first.file));
                    } else {
                        self.datasets.insert(name, DatasetFile { file: file.to_owned(), dataset });
                    }
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
    }

    fn read_experiments(&mut self, tree: &Tree) {
        // the parser does not know the environments, so it applies the highest limit; `references` checks each environment's own
        let most = self.environments.values().filter_map(|environment| environment.cluster.max_trials).max();
        let limits = Limits { max_trials: most.unwrap_or(Limits::MAX_TRIALS) };
        let mut by_name: BTreeMap<String, String> = BTreeMap::new();
        for file in tree.written_in("experiments") {
            let text = tree.text(file).unwrap_or_default();
            match parse_with(file, &text, &limits) {
                Ok(experiment) => {
                    if let Some(first) = by_name.get(&experiment.name) {
                        self.findings.push(duplicate_name(file, &text, "experiment", &experiment.name, first));
                        continue;
                    }
                    by_name.insert(experiment.name.clone(), file.to_owned());
                    let source = ExperimentFile { file: file.to_owned(), experiment, text };
                    let findings = references::check(self, &source);
                    if findings.is_empty() {
                        self.experiments.push(source);
                    } else {
                        self.findings.extend(findings);
                    }
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
    }
}

fn duplicate_name(file: &str, text: &str, kind: &str, name: &str, first: &str) -> Finding {
    Finding::at(
        file,
        position_of(text, "metadata.name"),
        "duplicate-name",
        format!("{first} already declares {kind} `{name}`"),
    )
    .with_help("give this one another metadata.name")
}
