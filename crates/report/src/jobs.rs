//! The TrainJobs that a change starts, stops and changes, from the rendered files alone: the file is the job.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use slipway_experiment::{Code, TrainJob, Work, read_job};
use slipway_project::cluster::{self, Prices};
use slipway_project::{Project, Tree, history, jobs_folder, trainer_folder};

/// What a change does to the TrainJobs of an environment.
#[derive(Clone, Debug)]
pub struct EnvironmentJobs {
    /// The environment.
    pub name: String,
    /// What CPUs and GPUs cost there; why that is not known otherwise.
    pub prices: Result<Prices, String>,
    /// TrainJobs that start.
    pub starts: Vec<Job>,
    /// TrainJobs whose file is removed: a running one is cancelled.
    pub stops: Vec<Job>,
    /// TrainJobs whose file moves to the history, as it is: they have ended.
    pub archived: Vec<Job>,
    /// TrainJobs whose file changes in place.
    pub changes: Vec<Job>,
    /// Files of TrainJobs that start or change and cannot be read, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// How many TrainJobs stay as they are.
    pub stays: usize,
    /// Records of the history, by path, that come, change or go although no file of their TrainJob moves.
    pub other_records: Vec<String>,
}

/// A TrainJob as its file has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// The TrainJob's name.
    pub name: String,
    /// Its experiment; empty if it names none.
    pub experiment: String,
    /// Its values of the swept parameters.
    pub parameters: BTreeMap<String, Value>,
    /// The number of workers.
    pub workers: u32,
    /// The CPUs of all workers together.
    pub cpus: f64,
    /// The GPUs of all workers together.
    pub gpus: f64,
    /// How long it may run, in seconds.
    pub deadline: u64,
    /// The epochs that it trains for; `None` for a program of one's own, or if the file does not say it.
    pub epochs: Option<u32>,
    /// The most CPU-hours that it can use.
    pub cpu_hours: f64,
    /// The most GPU-hours that it can use.
    pub gpu_hours: f64,
    /// The dataset's name and digest; `None` if the file does not say them.
    pub dataset: Option<(String, String)>,
    /// The image that it runs.
    pub image: String,
    /// The program that it runs, in one line; `None` for the built-in trainer.
    pub program: Option<String>,
}

impl EnvironmentJobs {
    /// An environment in which nothing happens.
    #[must_use]
    pub fn new(name: String, prices: Result<Prices, String>) -> Self {
        let (starts, stops, archived, changes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            name,
            prices,
            starts,
            stops,
            archived,
            changes,
            unreadable: Vec::new(),
            stays: 0,
            other_records: Vec::new(),
        }
    }

    /// Compares the rendered files of every environment before and after a change. Files that are the same are not read, nor are those that
    /// `project`, that of the tree after, has read.
    pub(crate) fn all(before: &Tree, after: &Tree, project: &Project) -> Vec<Self> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for tree in [before, after] {
            names.extend(tree.folders_in("clusters"));
            names.extend(tree.folders_in("overlays"));
        }
        names.into_iter().map(|name| Self::of(before, after, project, name)).collect()
    }

    fn of(before: &Tree, after: &Tree, project: &Project, name: String) -> Self {
        let known = project.environments.get(&name).map(|environment| &environment.jobs);
        let folder = jobs_folder(&name);
        let prices = cluster::read(after, &name).or_else(|after| cluster::read(before, &name).map_err(|_| after));
        let prices = prices.map(|cluster| cluster.spec.prices).map_err(|finding| finding.to_string());
        let mut jobs = Self::new(name, prices);
        for path in after.yaml_in(&folder) {
            let was = before.bytes(path);
            if was.is_some_and(|bytes| Some(bytes) == after.bytes(path)) {
                jobs.stays += 1;
                continue;
            }
            let read = match known.and_then(|jobs| jobs.get(path)) {
                Some(file) => Ok(Job::of(&file.job)),
                None => read_job(path, &after.text(path).unwrap_or_default()).map(|job| Job::of(&job)),
            };
            match read {
                Ok(job) if was.is_some() => jobs.changes.push(job),
                Ok(job) => jobs.starts.push(job),
                Err(finding) => jobs.unreadable.push((path.to_owned(), finding.to_string())),
            }
        }
        for path in before.yaml_in(&folder).filter(|path| after.bytes(path).is_none()) {
            if let Ok(job) = read_job(path, &before.text(path).unwrap_or_default()) {
                let record = history::path(&jobs.name, &job.name);
                let moves = before.bytes(&record).is_none() && after.bytes(&record).is_some();
                let gone = if moves { &mut jobs.archived } else { &mut jobs.stops };
                gone.push(Job::of(&job));
            }
        }
        jobs.other_records = other_records(before, after, &jobs.name);
        jobs
    }

    /// Whether the change does nothing here.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.starts.is_empty()
            && self.stops.is_empty()
            && self.archived.is_empty()
            && self.changes.is_empty()
            && self.unreadable.is_empty()
            && self.other_records.is_empty()
    }
}

/// The records that come, change or go otherwise than with the file of their TrainJob: from the folder of rendered ones, or back to it.
fn other_records(before: &Tree, after: &Tree, environment: &str) -> Vec<String> {
    let names: BTreeSet<&str> = [before, after].into_iter().flat_map(|tree| history::jobs(tree, environment)).collect();
    let is_other = |job: &&str| {
        let (record, rendered) = (history::path(environment, job), format!("{}/{job}.yaml", jobs_folder(environment)));
        match (before.bytes(&record), after.bytes(&record)) {
            (Some(old), Some(new)) => old != new,
            (None, Some(_)) => before.bytes(&rendered).is_none() || after.bytes(&rendered).is_some(),
            (Some(_), None) => before.bytes(&rendered).is_some() || after.bytes(&rendered).is_none(),
            (None, None) => false,
        }
    };
    names.into_iter().filter(is_other).map(|job| history::path(environment, job)).collect()
}

impl Job {
    fn of(job: &TrainJob) -> Self {
        // what a worker would refuse is still a job that starts and costs
        let trial = job.trial().ok().flatten();
        let epochs = trial.as_ref().and_then(|trial| match &trial.work {
            Work::BuiltIn { training, .. } => Some(training.epochs),
            Work::Program(_) => None,
        });
        let program = trial.as_ref().and_then(|trial| trial.work.program()).map(|program| {
            let code = match &program.code {
                Code::Trainer(name) => trainer_folder(name),
                Code::Image(image) => image.clone(),
            };
            let command: Vec<&str> = program.command.iter().chain(&program.args).map(String::as_str).collect();
            format!("{code}: {}", command.join(" "))
        });
        let nodes = f64::from(job.num_nodes);
        let dataset = trial.as_ref().map(|trial| (trial.dataset.name.clone(), trial.dataset.digest.clone()));
        Self {
            name: job.name.clone(),
            experiment: job.experiment().unwrap_or_default().to_owned(),
            parameters: trial.map(|trial| trial.parameters).unwrap_or_default(),
            workers: job.num_nodes,
            cpus: nodes * job.cpu_millis as f64 / 1000.0,
            gpus: nodes * f64::from(job.gpus),
            deadline: job.active_deadline_seconds,
            epochs,
            cpu_hours: job.cpu_hours(),
            gpu_hours: job.gpu_hours(),
            dataset,
            image: job.image.clone(),
            program,
        }
    }
}
