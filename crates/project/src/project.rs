//! What the files of a project declare: experiments, datasets, environments, and what is rendered for them.

use std::collections::{BTreeMap, BTreeSet};

use slipway_experiment::{
    Code, Dataset, DatasetRef, Experiment, Limits, Provenance, TrainJob, Trial, Work, parse_dataset, parse_with,
    read_job, render,
};
use slipway_git::blob_id;
use slipway_names::env;
use slipway_source::{Finding, position_of};

use crate::cluster::{self, ClusterSpec};
use crate::history;
use crate::references;
use crate::serving;
use crate::tree::{TRAINERS, Tree};

/// Everything that the files declare, and every mistake in them. A file with a mistake is left out of the other fields.
#[derive(Debug, Default)]
pub struct Project {
    /// The experiments, in the order of their files.
    pub experiments: Vec<ExperimentFile>,
    /// The datasets by name.
    pub datasets: BTreeMap<String, DatasetFile>,
    /// The trainers, programs of one's own, by name.
    pub trainers: BTreeMap<String, TrainerFolder>,
    /// The environments by name.
    pub environments: BTreeMap<String, Environment>,
    /// Every mistake, sorted by file, line and column.
    pub findings: Vec<Finding>,
    /// What is probably not meant, but is not a mistake; sorted as the findings.
    pub warnings: Vec<Finding>,
}

/// The code of a program: `trainers/<name>/`.
#[derive(Debug)]
pub struct TrainerFolder {
    /// The id that git gives to it: that of its tree.
    pub tree: String,
    /// Whether a file of it reads the parameters from the environment.
    pub(crate) reads_parameters: bool,
}

/// An experiment with its file.
#[derive(Debug)]
pub struct ExperimentFile {
    /// The file's path in the project.
    pub file: String,
    /// What it declares.
    pub experiment: Experiment,
    /// The id that git gives to the file's content: that of its blob.
    pub blob: String,
    /// The text of the file.
    pub text: String,
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
    /// The names of TrainJobs whose record is in the history: they have run.
    pub archived: BTreeSet<String>,
}

/// A rendered TrainJob.
#[derive(Debug)]
pub struct JobFile {
    /// What it declares.
    pub job: TrainJob,
    /// The file's text.
    pub text: String,
    /// Whether it is committed. Nothing has started one that is not.
    pub is_committed: bool,
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
    /// The most GPU-hours that it can use.
    pub gpu_hours: f64,
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
        project.read_trainers(tree);
        project.read_experiments(tree);
        project.findings.extend(tree.unread(&["clusters", "datasets", "experiments", "overlays", TRAINERS]));
        for findings in [&mut project.findings, &mut project.warnings] {
            findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        }
        project
    }

    /// Whether the files declare nothing at all, as in a folder that is not a project.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.experiments.is_empty()
            && self.datasets.is_empty()
            && self.trainers.is_empty()
            && self.environments.is_empty()
            && self.findings.is_empty()
    }

    /// Marks the rendered TrainJobs that are not among `committed`, a list of paths.
    pub fn mark_uncommitted(&mut self, committed: &BTreeSet<String>) {
        for (path, file) in self.environments.values_mut().flat_map(|environment| &mut environment.jobs) {
            file.is_committed = committed.contains(path);
        }
    }

    /// Takes the TrainJobs of `base` for those that are committed, as they are there: a merge into it starts the others, whatever commit has them.
    pub fn compare_with(&mut self, base: &Tree) {
        for (path, file) in self.environments.values_mut().flat_map(|environment| &mut environment.jobs) {
            let before = base.bytes(path);
            file.is_committed = before.is_some();
            if before.is_some_and(|bytes| bytes != file.text.as_bytes())
                && let Ok(job) = read_job(path, &base.text(path).unwrap_or_default())
            {
                file.job = job;
            }
        }
    }

    /// Renders the TrainJobs of an experiment for an environment, by path, without those that are archived there. A job that is rendered
    /// and committed keeps its image, the code of its program and the content of the experiment that it names; any other gets those of now.
    /// Empty if the experiment is not for this environment, its dataset is not pinned, or its program has no image there.
    #[must_use]
    pub fn render(&self, source: &ExperimentFile, environment: &str) -> BTreeMap<String, Rendering> {
        let experiment = &source.experiment;
        let Some(target) = self.environments.get(environment) else { return BTreeMap::new() };
        let Some(dataset) = self.dataset_of(experiment) else { return BTreeMap::new() };
        if !experiment.spec.environments.iter().any(|name| name == environment) {
            return BTreeMap::new();
        }
        let folder = jobs_folder(environment);
        let Some(image) = image(experiment, &target.cluster) else { return BTreeMap::new() };
        let program_tree = self.trainer_of(experiment).map(|trainer| trainer.tree.clone());
        let fresh = Provenance { image, blob: Some(source.blob.clone()), commit: None, program_tree };
        let trials = experiment.trials(&dataset).into_iter().enumerate();
        let has_run = |trial: &Trial| target.archived.contains(&trial.name);
        let wanted = trials.filter(|(_, trial)| !has_run(trial) && !experiment.spec.cancelled.contains(&trial.name));
        let renderings = wanted.map(|(index, trial)| {
            let path = format!("{folder}/{}.yaml", trial.name);
            let kept = target.jobs.get(&path).filter(|file| file.is_committed).map(|file| &file.job);
            let provenance = kept.map_or_else(|| fresh.clone(), TrainJob::provenance);
            let file = kept.and_then(TrainJob::experiment_file).unwrap_or(&source.file);
            let text = render(experiment, &trial, file, &provenance);
            let rendering = Rendering {
                text,
                index,
                cpu_hours: experiment.trial_cpu_hours(&trial),
                gpu_hours: experiment.trial_gpu_hours(&trial),
                trial,
            };
            (path, rendering)
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

    /// Whether a TrainJob is archived in an environment: it has run.
    #[must_use]
    pub fn is_archived(&self, job: &str, environment: &str) -> bool {
        self.environments.get(environment).is_some_and(|target| target.archived.contains(job))
    }

    /// The names of all trials that an experiment asks for, cancelled and archived ones among them. Empty if its dataset is not pinned.
    #[must_use]
    pub fn trial_names(&self, experiment: &Experiment) -> BTreeSet<String> {
        let trials = self.dataset_of(experiment).map(|dataset| experiment.trials(&dataset)).unwrap_or_default();
        trials.into_iter().map(|trial| trial.name).collect()
    }

    /// The experiment's dataset at its pinned content.
    pub(crate) fn dataset_of(&self, experiment: &Experiment) -> Option<DatasetRef> {
        let name = &experiment.spec.dataset;
        let digest = self.datasets.get(name)?.dataset.spec.digest.clone()?;
        Some(DatasetRef { name: name.clone(), digest })
    }

    /// The code of the experiment's program; `None` for the built-in trainer, for an image that was built elsewhere, and if there is no such
    /// folder.
    pub(crate) fn trainer_of(&self, experiment: &Experiment) -> Option<&TrainerFolder> {
        self.trainers.get(experiment.spec.work.program()?.trainer()?)
    }

    fn read_environments(&mut self, tree: &Tree) {
        let mut names = tree.folders_in("clusters");
        names.extend(tree.folders_in("overlays"));
        names.sort();
        names.dedup();
        for name in names {
            match cluster::read(tree, &name) {
                Ok(cluster) => {
                    self.findings.extend(cluster::misnamed(tree, &name, &cluster));
                    self.findings.extend(cluster::unpinned_images(tree, &name, &cluster.spec));
                    let jobs = self.read_jobs(tree, &name);
                    self.findings.extend(serving::read(tree, &name).err());
                    let archived = history::jobs(tree, &name).map(str::to_owned).collect();
                    self.environments.insert(name, Environment { cluster: cluster.spec, jobs, archived });
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
                    jobs.insert(path.to_owned(), JobFile { job, text, is_committed: true });
                }
                Err(finding) => self.findings.push(finding),
            }
        }
        jobs
    }

    fn read_datasets(&mut self, tree: &Tree) {
        let mut read = Vec::new();
        for file in tree.written_in("datasets") {
            let text = tree.text(file).unwrap_or_default();
            match parse_dataset(file, &text) {
                Ok(dataset) => read.push((file, text, dataset)),
                Err(findings) => self.findings.extend(findings),
            }
        }
        read.sort_by_key(|(file, _, dataset)| stem(file) != dataset.name);
        for (file, text, dataset) in read {
            let name = dataset.name.clone();
            if let Some(first) = self.datasets.get(&name) {
                self.findings.push(duplicate_name(file, &text, "dataset", &name, &first.file));
                continue;
            }
            self.findings.extend(misnamed(file, &text, "dataset", &name));
            self.datasets.insert(name, DatasetFile { file: file.to_owned(), dataset });
        }
    }

    fn read_trainers(&mut self, tree: &Tree) {
        for name in tree.folders_in(TRAINERS) {
            let folder = trainer_folder(&name);
            let Some(id) = tree.folder_id(&folder) else { continue };
            let reads_parameters = tree.mentions(&folder, env::PARAMETERS);
            self.trainers.insert(name, TrainerFolder { tree: id, reads_parameters });
        }
    }

    fn read_experiments(&mut self, tree: &Tree) {
        // the parser does not know the environments, so it applies the highest limit; `references` checks each environment's own
        let most = self.environments.values().filter_map(|environment| environment.cluster.max_trials).max();
        let limits = Limits { max_trials: most.unwrap_or(Limits::MAX_TRIALS) };
        let mut read = Vec::new();
        for file in tree.written_in("experiments") {
            let text = tree.text(file).unwrap_or_default();
            match parse_with(file, &text, &limits) {
                Ok(experiment) => {
                    let blob = blob_id(tree.bytes(file).unwrap_or_default());
                    read.push(ExperimentFile { file: file.to_owned(), experiment, blob, text });
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
        read.sort_by_key(|source| stem(&source.file) != source.experiment.name);
        let mut by_name: BTreeMap<String, String> = BTreeMap::new();
        let mut trains_on: BTreeMap<String, String> = BTreeMap::new();
        for source in read {
            let ExperimentFile { file, experiment, text, .. } = &source;
            if let Some(first) = by_name.get(&experiment.name) {
                self.findings.push(duplicate_name(file, text, "experiment", &experiment.name, first));
                continue;
            }
            by_name.insert(experiment.name.clone(), file.clone());
            trains_on.insert(experiment.name.clone(), experiment.spec.dataset.clone());
            self.findings.extend(misnamed(file, text, "experiment", &experiment.name));
            let findings = references::check(self, &source);
            self.warnings.extend(references::unused_parameters(self, &source));
            self.warnings.extend(references::unknown_cancelled(self, &source));
            if findings.is_empty() {
                self.experiments.push(source);
            } else {
                self.findings.extend(findings);
            }
        }
        self.experiments.sort_by(|a, b| a.file.cmp(&b.file));
        for declared in self.datasets.values() {
            let text = tree.text(&declared.file).unwrap_or_default();
            self.findings.extend(references::retrained(declared, &text, &trains_on));
        }
    }
}

/// The folder of a trainer's code.
#[must_use]
pub fn trainer_folder(name: &str) -> String {
    format!("{TRAINERS}/{name}")
}

/// The image that runs an experiment in an environment; `None` if the environment has none of its trainer.
fn image(experiment: &Experiment, cluster: &ClusterSpec) -> Option<String> {
    match &experiment.spec.work {
        Work::BuiltIn { .. } => Some(cluster.trainer_image.clone()),
        Work::Program(program) => match &program.code {
            Code::Trainer(name) => cluster.trainers.get(name).cloned(),
            Code::Image(image) => Some(image.clone()),
        },
    }
}

/// A file's name without its folder and its extension.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A finding if the file is not named after what it declares. People look for the one by the name of the other.
fn misnamed(file: &str, text: &str, kind: &str, name: &str) -> Option<Finding> {
    if stem(file) == name {
        return None;
    }
    let message = format!("{file} declares the {kind} `{name}`: file and metadata.name must have the same name");
    let help = format!("rename the file to {name}.yaml, or set metadata.name to `{}`", stem(file));
    Some(Finding::at(file, position_of(text, "metadata.name"), "misnamed", message).with_help(help))
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
