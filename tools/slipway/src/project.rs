//! The project as its files say it: experiments, datasets, environments, and what is rendered for them.

use std::collections::BTreeMap;

use slipway_experiment::{
    Dataset, DatasetRef, Experiment, Limits, Provenance, TrainJob, Trial, parse_dataset, parse_with, read_job, render,
};
use slipway_source::{Finding, position_of, suggestion};

use crate::cluster::{self, ClusterSpec};
use crate::models;
use crate::tree::Tree;

/// Everything that the files say, and what is wrong with them. What has a finding of its own is not in the other fields.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) experiments: Vec<ExperimentFile>,
    pub(crate) datasets: BTreeMap<String, DatasetFile>,
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) findings: Vec<Finding>,
}

/// An experiment with its file.
#[derive(Debug)]
pub(crate) struct ExperimentFile {
    pub(crate) file: String,
    pub(crate) experiment: Experiment,
    text: String,
}

/// A dataset with its file.
#[derive(Debug)]
pub(crate) struct DatasetFile {
    pub(crate) file: String,
    pub(crate) dataset: Dataset,
}

/// An environment: `clusters/<name>/` says what it is, `overlays/<name>/` what runs there.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) cluster: ClusterSpec,
    /// Rendered TrainJobs by path.
    pub(crate) jobs: BTreeMap<String, JobFile>,
}

/// A rendered TrainJob with its file's text.
#[derive(Debug)]
pub(crate) struct JobFile {
    pub(crate) job: TrainJob,
    pub(crate) text: String,
}

/// A TrainJob as the experiments want it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The file's text.
    pub(crate) text: String,
    /// What it trains.
    pub(crate) trial: Trial,
    /// Its place among the experiment's trials.
    pub(crate) index: usize,
    /// The most that it can use.
    pub(crate) cpu_hours: f64,
}

/// Where an environment's rendered TrainJobs are.
pub(crate) fn jobs_folder(environment: &str) -> String {
    format!("overlays/{environment}/training-jobs")
}

impl Project {
    /// Reads everything; never stops at the first mistake.
    pub(crate) fn read(tree: &Tree) -> Self {
        let mut project = Self::default();
        project.read_environments(tree);
        project.read_datasets(tree);
        project.read_experiments(tree);
        project.findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        project
    }

    /// The TrainJobs that an experiment wants in an environment, by path. A job that is rendered already keeps its image and its
    /// commit; a new one gets the environment's image and `commit`. Empty when its dataset is not pinned.
    pub(crate) fn wanted(
        &self,
        source: &ExperimentFile,
        environment: &str,
        commit: Option<&str>,
    ) -> BTreeMap<String, Wanted> {
        let experiment = &source.experiment;
        let Some(place) = self.environments.get(environment) else { return BTreeMap::new() };
        let Some(dataset) = self.dataset_of(experiment) else { return BTreeMap::new() };
        if !experiment.spec.environments.iter().any(|name| name == environment) {
            return BTreeMap::new();
        }
        let folder = jobs_folder(environment);
        let fresh = Provenance { image: place.cluster.trainer_image.clone(), commit: commit.map(str::to_owned) };
        let wanted = experiment.trials(&dataset).into_iter().enumerate().map(|(index, trial)| {
            let path = format!("{folder}/{}.yaml", trial.name);
            let kept = place.jobs.get(&path).map(|file| &file.job);
            let provenance = kept.map_or_else(|| fresh.clone(), TrainJob::provenance);
            let file = kept.and_then(TrainJob::experiment_file).unwrap_or(&source.file);
            let text = render(experiment, &trial, file, &provenance);
            (path, Wanted { text, index, cpu_hours: experiment.trial_cpu_hours(&trial), trial })
        });
        wanted.collect()
    }

    /// The rendered TrainJobs of an experiment, by path.
    pub(crate) fn rendered<'a>(
        &'a self,
        experiment: &'a str,
        environment: &str,
    ) -> impl Iterator<Item = (&'a str, &'a JobFile)> {
        let jobs = self.environments.get(environment).into_iter().flat_map(|place| &place.jobs);
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
                    self.findings.extend(models::read(tree, &name).err());
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
        for file in tree.yaml_in("datasets") {
            let text = tree.text(file).unwrap_or_default();
            match parse_dataset(file, &text) {
                Ok(dataset) => {
                    let name = dataset.name.clone();
                    if let Some(first) = self.datasets.get(&name) {
                        self.findings.push(same_name(file, &text, "dataset", &name, &first.file));
                    } else {
                        self.datasets.insert(name, DatasetFile { file: file.to_owned(), dataset });
                    }
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
    }

    fn read_experiments(&mut self, tree: &Tree) {
        // What one environment allows, a parser that knows no environment must allow; each is asked below.
        let most = self.environments.values().filter_map(|place| place.cluster.max_trials).max();
        let limits = Limits { max_trials: most.unwrap_or(Limits::MAX_TRIALS) };
        let mut by_name: BTreeMap<String, String> = BTreeMap::new();
        for file in tree.yaml_in("experiments") {
            let text = tree.text(file).unwrap_or_default();
            match parse_with(file, &text, &limits) {
                Ok(experiment) => {
                    if let Some(first) = by_name.get(&experiment.name) {
                        self.findings.push(same_name(file, &text, "experiment", &experiment.name, first));
                        continue;
                    }
                    by_name.insert(experiment.name.clone(), file.to_owned());
                    let source = ExperimentFile { file: file.to_owned(), experiment, text };
                    let findings = self.check_references(&source);
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

    /// What an experiment refers to must be there.
    fn check_references(&self, source: &ExperimentFile) -> Vec<Finding> {
        let ExperimentFile { file, experiment, text } = source;
        let finding = |path, code, message: String, help: String| {
            Finding::at(file, position_of(text, path), code, message).with_help(help)
        };
        let mut findings = Vec::new();
        let dataset = &experiment.spec.dataset;
        match self.datasets.get(dataset) {
            None => {
                let known: Vec<&str> = self.datasets.keys().map(String::as_str).collect();
                let message = format!("dataset `{dataset}` is not declared");
                let help =
                    format!("{}; declare a new one in datasets/<name>.yaml", suggestion(dataset, "known", &known));
                findings.push(finding("spec.dataset", "unknown-dataset", message, help));
            }
            Some(declared) if declared.dataset.spec.digest.is_none() => {
                let message = format!("dataset `{dataset}` has no digest yet, so its content is not certain");
                let help = format!("`slipway dataset add {}` stores it and pins it", declared.file);
                findings.push(finding("spec.dataset", "unpinned-dataset", message, help));
            }
            Some(_) => {}
        }
        for name in &experiment.spec.environments {
            let trials = experiment.trial_count();
            match self.environments.get(name).map(|place| place.cluster.max_trials) {
                None => {
                    let known: Vec<&str> = self.environments.keys().map(String::as_str).collect();
                    let message = format!("unknown environment `{name}`");
                    let help = format!(
                        "{}; an environment is a folder clusters/<name> with a cluster.yaml",
                        suggestion(name, "known", &known)
                    );
                    findings.push(finding("spec.environments", "unknown-environment", message, help));
                }
                Some(Some(most)) if trials > most => {
                    let message = format!("the sweep has {trials} trials; {name} allows {most}");
                    let help = format!("take values out, or raise maxTrials in {}", cluster::path(name));
                    findings.push(finding("spec.sweep", "too-many-trials", message, help));
                }
                Some(_) => {}
            }
        }
        findings
    }
}

fn same_name(file: &str, text: &str, kind: &str, name: &str, first: &str) -> Finding {
    Finding::at(
        file,
        position_of(text, "metadata.name"),
        "duplicate-name",
        format!("{first} is {kind} `{name}` already"),
    )
    .with_help("give this one another metadata.name")
}
