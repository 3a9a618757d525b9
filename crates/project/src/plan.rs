//! What a change to the files starts, stops and costs, computed before anything happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use slipway_experiment::{Code, Program, in_hours};

use crate::count;
use crate::project::{ExperimentFile, JobFile, Project, Rendering, trainer_folder};

/// What happens once the named experiments are rendered and merged.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// One for each experiment and environment with TrainJobs.
    pub changes: Vec<Change>,
    /// What the experiments ask for and does not start, because it has run; one for each experiment and environment that has any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Ended>,
    /// The most CPU-hours that all starting TrainJobs can use together.
    pub cpu_hours: f64,
    /// The most GPU-hours that all starting TrainJobs can use together.
    pub gpu_hours: f64,
}

/// One experiment in one environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The environment.
    pub environment: String,
    /// The experiment.
    pub experiment: String,
    /// Its file; `None` if the experiment no longer exists.
    pub file: Option<String>,
    /// The program that it runs; `None` for the built-in trainer.
    pub program: Option<Runs>,
    /// TrainJobs that start.
    pub starts: Vec<Start>,
    /// TrainJobs whose files are removed: running ones are cancelled, finished ones stay finished.
    pub stops: Vec<String>,
    /// TrainJobs whose files move to the history: they have ended.
    pub archived: Vec<String>,
    /// The number of TrainJobs that stay as they are.
    pub stays: usize,
    /// How many of those keep code of their program that differs from that of now.
    pub keeps_code: usize,
    /// The most CPU-hours that the starting TrainJobs can use.
    pub cpu_hours: f64,
    /// The CPU-hours that the experiment may use altogether; `None` if it no longer exists.
    pub budget_cpu_hours: Option<f64>,
    /// The most GPU-hours that the starting TrainJobs can use.
    pub gpu_hours: f64,
    /// The GPU-hours that the experiment may use altogether; `None` if it has no GPUs, or no longer exists.
    pub budget_gpu_hours: Option<f64>,
    /// The price of `cpu_hours` and `gpu_hours`, in `currency`.
    pub cost: f64,
    /// The currency, such as `USD`.
    pub currency: String,
}

/// TrainJobs of an experiment that are in the history of an environment: they have run, and nothing starts them again.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// The environment.
    pub environment: String,
    /// The experiment.
    pub experiment: String,
    /// How many of its TrainJobs have ended.
    pub jobs: usize,
    /// The `rerun` of its `spec` that runs its trials again.
    pub rerun: u32,
}

/// The most characters of a program's summary.
const MAX_SUMMARY: usize = 500;

/// The program of an experiment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// Where its code is: `trainers/<name>`, or an image.
    pub code: String,
    /// Command and arguments as the experiment has them.
    pub command: Vec<String>,
    /// The parameters that are not swept.
    pub parameters: BTreeMap<String, Value>,
}

/// A TrainJob that starts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The TrainJob's name.
    pub name: String,
    /// Its values of the swept parameters.
    pub parameters: BTreeMap<String, Value>,
    /// The number of workers.
    pub workers: u32,
    /// The most CPU-hours that it can use.
    pub cpu_hours: f64,
    /// The most GPU-hours that it can use.
    pub gpu_hours: f64,
}

impl Plan {
    /// Compares what the experiments render to with what is rendered in `base`. Jobs of experiments that no longer exist stop if `only`
    /// names them or is `None`.
    #[must_use]
    pub fn new(base: &Project, project: &Project, only: Option<&BTreeSet<String>>) -> Self {
        let selected = |name: &str| only.is_none_or(|names| names.contains(name));
        let (mut changes, mut ended) = (Vec::new(), Vec::new());
        for (environment, target) in &project.environments {
            for source in project.experiments.iter().filter(|source| selected(&source.experiment.name)) {
                changes.extend(Change::of(base, project, environment, source));
                ended.extend(Ended::of(base, project, environment, source));
            }
            let existing: BTreeSet<&str> =
                project.experiments.iter().map(|source| source.experiment.name.as_str()).collect();
            let mut gone: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for file in base.environments.get(environment).into_iter().flat_map(|base| base.jobs.values()) {
                let experiment = file.job.experiment().unwrap_or_default();
                if selected(experiment) && !existing.contains(experiment) {
                    gone.entry(experiment).or_default().push(&file.job.name);
                }
            }
            let apart = |names: Vec<&str>| archived_or_stopped(project, environment, names.into_iter());
            changes.extend(gone.into_iter().map(|(experiment, names)| (experiment, apart(names))).map(
                |(experiment, (archived, stops))| Change {
                    environment: environment.clone(),
                    experiment: experiment.to_owned(),
                    file: None,
                    program: None,
                    starts: Vec::new(),
                    stops,
                    archived,
                    stays: 0,
                    keeps_code: 0,
                    cpu_hours: 0.0,
                    budget_cpu_hours: None,
                    gpu_hours: 0.0,
                    budget_gpu_hours: None,
                    cost: 0.0,
                    currency: target.cluster.prices.currency.clone(),
                },
            ));
        }
        let cpu_hours = sum(changes.iter().map(|change| change.cpu_hours));
        let gpu_hours = sum(changes.iter().map(|change| change.gpu_hours));
        Self { changes, ended, cpu_hours, gpu_hours }
    }

    /// Compares the rendered TrainJobs of two states of a project: what happens when `after` is merged, whether or not it is what its experiments
    /// render to.
    #[must_use]
    pub fn between(before: &Project, after: &Project) -> Self {
        let environments: BTreeSet<&String> = before.environments.keys().chain(after.environments.keys()).collect();
        let mut changes = Vec::new();
        for environment in environments {
            let jobs = |project: &'_ Project| -> BTreeMap<String, BTreeSet<String>> {
                let mut jobs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
                for (path, file) in project.environments.get(environment).into_iter().flat_map(|one| &one.jobs) {
                    let experiment = file.job.experiment().unwrap_or_default().to_owned();
                    jobs.entry(experiment).or_default().insert(path.clone());
                }
                jobs
            };
            let (old, new) = (jobs(before), jobs(after));
            let experiments: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let none = BTreeSet::new();
            for experiment in experiments {
                let [old, new] = [&old, &new].map(|jobs| jobs.get(experiment).unwrap_or(&none));
                changes.extend(Change::between((before, old), (after, new), environment, experiment));
            }
        }
        let cpu_hours = sum(changes.iter().map(|change| change.cpu_hours));
        let gpu_hours = sum(changes.iter().map(|change| change.gpu_hours));
        Self { changes, ended: Vec::new(), cpu_hours, gpu_hours }
    }

    /// One line: `starts 2 TrainJobs, stops 1`.
    #[must_use]
    pub fn summary(&self) -> String {
        self.summary_with(str::to_owned)
    }

    /// The same with a price as `shown`, since a currency is any text.
    pub(crate) fn summary_with(&self, shown: impl Fn(&str) -> String) -> String {
        let starts: usize = self.changes.iter().map(|change| change.starts.len()).sum();
        let stops: usize = self.changes.iter().map(|change| change.stops.len()).sum();
        let archived: usize = self.changes.iter().map(|change| change.archived.len()).sum();
        let stays: usize = self.changes.iter().map(|change| change.stays).sum();
        if starts + stops + archived == 0 {
            let ended: usize = self.ended.iter().map(|one| one.jobs).sum();
            let have = if ended == 1 { "has" } else { "have" };
            return match (stays, ended) {
                (0, 0) => "nothing starts or stops".to_owned(),
                (0, _) => format!("nothing to do: {} {have} ended, in the history", count(ended, "TrainJob")),
                (_, 0) => format!("nothing to do: {} up to date", count(stays, "TrainJob")),
                _ => format!("nothing to do: {} up to date, {ended} {have} ended", count(stays, "TrainJob")),
            };
        }
        let mut parts = Vec::new();
        if starts > 0 {
            parts.push(format!("starts {}", count(starts, "TrainJob")));
        }
        if stops > 0 {
            parts.push(format!("stops {}", count(stops, "TrainJob")));
        }
        if archived > 0 {
            parts.push(format!("archives {}", count(archived, "TrainJob")));
        }
        if stays > 0 {
            parts.push(format!("{stays} unchanged"));
        }
        let mut text = parts.join(", ");
        if starts > 0 {
            let _ = write!(text, "; at most {}, {}", hours(self.cpu_hours, self.gpu_hours), shown(&self.price()));
        }
        text
    }

    /// The price of all starting TrainJobs, by currency.
    fn price(&self) -> String {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for change in &self.changes {
            *sums.entry(&change.currency).or_default() += change.cost;
        }
        sums.iter().map(|(currency, cost)| format!("{cost:.2} {currency}")).collect::<Vec<_>>().join(" + ")
    }
}

impl Ended {
    fn of(base: &Project, project: &Project, environment: &str, source: &ExperimentFile) -> Option<Self> {
        let experiment = &source.experiment;
        let has_history =
            |project: &Project| project.environments.get(environment).is_some_and(|target| !target.archived.is_empty());
        let is_asked_for = experiment.spec.environments.iter().any(|name| name == environment);
        if !is_asked_for || !(has_history(base) || has_history(project)) {
            return None;
        }
        let rendered: BTreeSet<&str> =
            base.rendered(&experiment.name, environment).map(|(_, file)| file.job.name.as_str()).collect();
        // one whose file is still there moves to the history, which is a change
        let has_run = |name: &&String| {
            let is_archived = project.is_archived(name, environment) || base.is_archived(name, environment);
            is_archived && !rendered.contains(name.as_str())
        };
        let jobs = project.trial_names(experiment).iter().filter(has_run).count();
        (jobs > 0).then(|| Self {
            environment: environment.to_owned(),
            experiment: experiment.name.clone(),
            jobs,
            rerun: experiment.spec.rerun.unwrap_or(1).saturating_add(1),
        })
    }
}

impl Change {
    fn of(base: &Project, project: &Project, environment: &str, source: &ExperimentFile) -> Option<Self> {
        let experiment = &source.experiment;
        let renderings = project.render(source, environment);
        let rendered: BTreeSet<&str> = base.rendered(&experiment.name, environment).map(|(path, _)| path).collect();
        // what has run where this is compared with does not start again, though the history is not here yet
        let is_new =
            |path: &str, job: &Rendering| !rendered.contains(path) && !base.is_archived(&job.trial.name, environment);
        let mut new: Vec<&Rendering> =
            renderings.iter().filter(|(path, job)| is_new(path, job)).map(|(_, job)| job).collect();
        // in the order of the sweep
        new.sort_by_key(|job| job.index);
        let code = project.trainer_of(experiment).map(|trainer| trainer.tree.as_str());
        let (unchanged, gone): (Vec<_>, Vec<_>) =
            base.rendered(&experiment.name, environment).partition(|(path, _)| renderings.contains_key(*path));
        let other_code = |file: &&JobFile| file.job.provenance().program_tree.as_deref() != code;
        let keeps_code = unchanged.iter().filter(|(_, file)| other_code(file)).count();
        let starts: Vec<Start> = new
            .into_iter()
            .map(|job| Start {
                name: job.trial.name.clone(),
                parameters: job.trial.parameters.clone(),
                workers: job.trial.workers,
                cpu_hours: job.cpu_hours,
                gpu_hours: job.gpu_hours,
            })
            .collect();
        let gone = gone.into_iter().map(|(_, file)| file.job.name.as_str());
        let (archived, stops) = archived_or_stopped(project, environment, gone);
        if renderings.is_empty() && stops.is_empty() && archived.is_empty() {
            return None;
        }
        let prices = &project.environments.get(environment)?.cluster.prices;
        let cpu_hours = sum(starts.iter().map(|start| start.cpu_hours));
        let gpu_hours = sum(starts.iter().map(|start| start.gpu_hours));
        let swept =
            |name: &str| experiment.spec.sweep.axes.iter().any(|axis| axis.path == format!("parameters.{name}"));
        Some(Self {
            environment: environment.to_owned(),
            experiment: experiment.name.clone(),
            file: Some(source.file.clone()),
            program: experiment.spec.work.program().map(|program| Runs::new(program, swept)),
            stays: unchanged.len(),
            keeps_code,
            starts,
            stops,
            archived,
            cpu_hours,
            budget_cpu_hours: Some(experiment.spec.budget.cpu_hours),
            gpu_hours,
            budget_gpu_hours: experiment.spec.budget.gpu_hours,
            // without GPUs their price does not matter, and there may be none
            cost: cpu_hours * prices.cpu_hour + gpu_hours * prices.gpu_hour.unwrap_or(0.0),
            currency: prices.currency.clone(),
        })
    }
}

impl Change {
    /// One experiment in one environment, by the paths of its rendered TrainJobs before and after.
    fn between(
        (before, old): (&Project, &BTreeSet<String>),
        (after, new): (&Project, &BTreeSet<String>),
        environment: &str,
        experiment: &str,
    ) -> Option<Self> {
        let (was, is) = (before.environments.get(environment), after.environments.get(environment));
        let source = after.experiments.iter().find(|source| source.experiment.name == experiment);
        let started: Vec<&String> = new.difference(old).collect();
        // in the order of the sweep; what the experiment does not ask for comes last
        let order = match source {
            Some(source) if !started.is_empty() => after.render(source, environment),
            _ => BTreeMap::new(),
        };
        let mut starts: Vec<(usize, Start)> = Vec::with_capacity(started.len());
        for path in started {
            let job = &is?.jobs.get(path)?.job;
            let start = Start {
                name: job.name.clone(),
                parameters: job.trial().ok().flatten().map(|trial| trial.parameters).unwrap_or_default(),
                workers: job.num_nodes.saturating_mul(job.num_proc_per_node),
                cpu_hours: job.cpu_hours(),
                gpu_hours: job.gpu_hours(),
            };
            starts.push((order.get(path).map_or(usize::MAX, |rendering| rendering.index), start));
        }
        starts.sort_by_key(|(index, _)| *index);
        let starts: Vec<Start> = starts.into_iter().map(|(_, start)| start).collect();
        let gone = old.difference(new).filter_map(|path| was?.jobs.get(path)).map(|file| file.job.name.as_str());
        let (archived, stops) = archived_or_stopped(after, environment, gone);
        let code = source.and_then(|source| after.trainer_of(&source.experiment)).map(|trainer| trainer.tree.as_str());
        let kept: Vec<&String> = new.intersection(old).collect();
        let other_code = |path: &&&String| {
            let job = is.and_then(|is| is.jobs.get(**path)).map(|file| file.job.provenance().program_tree);
            source.is_some() && job.is_some_and(|tree| tree.as_deref() != code)
        };
        let keeps_code = kept.iter().filter(other_code).count();
        let spec = source.map(|source| &source.experiment.spec);
        let swept = |name: &str| {
            spec.is_some_and(|spec| spec.sweep.axes.iter().any(|axis| axis.path == format!("parameters.{name}")))
        };
        let prices = &is.or(was)?.cluster.prices;
        let cpu_hours = sum(starts.iter().map(|start| start.cpu_hours));
        let gpu_hours = sum(starts.iter().map(|start| start.gpu_hours));
        Some(Self {
            environment: environment.to_owned(),
            experiment: experiment.to_owned(),
            file: source.map(|source| source.file.clone()),
            program: spec.and_then(|spec| spec.work.program()).map(|program| Runs::new(program, swept)),
            stays: kept.len(),
            keeps_code,
            starts,
            stops,
            archived,
            cpu_hours,
            budget_cpu_hours: spec.map(|spec| spec.budget.cpu_hours),
            gpu_hours,
            budget_gpu_hours: spec.and_then(|spec| spec.budget.gpu_hours),
            cost: cpu_hours * prices.cpu_hour + gpu_hours * prices.gpu_hour.unwrap_or(0.0),
            currency: prices.currency.clone(),
        })
    }
}

/// TrainJobs whose files go, apart: those whose record is in the history then, and the others.
fn archived_or_stopped<'a>(
    after: &Project,
    environment: &str,
    gone: impl Iterator<Item = &'a str>,
) -> (Vec<String>, Vec<String>) {
    gone.map(str::to_owned).partition(|name| after.is_archived(name, environment))
}

impl Runs {
    fn new(program: &Program, is_swept: impl Fn(&str) -> bool) -> Self {
        let fixed = program.parameters.iter().filter(|(name, _)| !is_swept(name));
        Self {
            code: match &program.code {
                Code::Trainer(name) => trainer_folder(name),
                Code::Image(image) => image.clone(),
            },
            command: program.command.iter().chain(&program.args).cloned().collect(),
            parameters: fixed.map(|(name, value)| (name.clone(), value.to_json())).collect(),
        }
    }

    /// One line, such as `trainers/cnn: python train.py --lr ${lr}, with hidden=128`.
    #[must_use]
    pub fn summary(&self) -> String {
        let words: Vec<String> = self.command.iter().map(|word| shown(word)).collect();
        let with = if self.parameters.is_empty() { "" } else { ", with " };
        let line = format!("{}: {}{with}{}", self.code, words.join(" "), parameters(&self.parameters));
        match line.char_indices().nth(MAX_SUMMARY) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// A word of a command, in quotes if it could be taken for several.
fn shown(word: &str) -> String {
    let is_one = !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic() && !"\"'\\`".contains(c));
    if is_one { word.to_owned() } else { format!("{word:?}") }
}

/// Hours as text, such as `2 CPU-hours and 1 GPU-hour`; GPUs are left out where there are none.
#[must_use]
pub fn hours(cpu: f64, gpu: f64) -> String {
    let gpu = if gpu > 0.0 { format!(" and {}", in_hours(&number(gpu), "GPU")) } else { String::new() };
    in_hours(&number(cpu), "CPU") + &gpu
}

/// The sum; 0, and not the -0 of an empty iterator, if there is nothing to add.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// Parameters as text, such as `learningRate=0.001`: each has the last part of its path as its name, or the whole
/// path if the last part is not unique.
#[must_use]
pub fn parameters(parameters: &BTreeMap<String, Value>) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let text = parameters.iter().map(|(path, value)| {
        let short = last(path);
        let unique = parameters.keys().filter(|other| last(other) == short).count() == 1;
        format!("{}={value}", if unique { short } else { path.clone() })
    });
    text.collect::<Vec<_>>().join(", ")
}

/// A number with at most two decimals, without trailing zeros.
#[must_use]
pub fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_happens_and_nothing_else() {
        let start = |name: &str| Start {
            name: name.to_owned(),
            parameters: BTreeMap::new(),
            workers: 2,
            cpu_hours: 1.0,
            gpu_hours: 0.0,
        };
        let plan = |starts: Vec<Start>, [stops, archived]: [usize; 2], stays: usize| {
            let cpu_hours = sum(starts.iter().map(|start| start.cpu_hours));
            let change = Change {
                environment: "local".to_owned(),
                experiment: "digits".to_owned(),
                file: None,
                program: None,
                starts,
                stops: vec![String::new(); stops],
                archived: vec![String::new(); archived],
                stays,
                keeps_code: 0,
                cpu_hours,
                budget_cpu_hours: None,
                gpu_hours: 0.0,
                budget_gpu_hours: None,
                cost: cpu_hours * 0.5,
                currency: "EUR".to_owned(),
            };
            Plan { changes: vec![change], ended: vec![], cpu_hours, gpu_hours: 0.0 }.summary()
        };
        assert_eq!(plan(vec![], [0, 0], 0), "nothing starts or stops");
        assert_eq!(plan(vec![], [0, 0], 2), "nothing to do: 2 TrainJobs up to date");
        assert_eq!(plan(vec![start("a")], [0, 0], 0), "starts 1 TrainJob; at most 1 CPU-hour, 0.50 EUR");
        let all = "starts 2 TrainJobs, stops 1 TrainJob, 1 unchanged; at most 2 CPU-hours, 1.00 EUR";
        assert_eq!(plan(vec![start("a"), start("b")], [1, 0], 1), all);
        assert_eq!(plan(vec![], [1, 0], 1), "stops 1 TrainJob, 1 unchanged");
        assert_eq!(plan(vec![], [0, 3], 1), "archives 3 TrainJobs, 1 unchanged");
        assert_eq!(number(sum([].into_iter())), "0");
    }
}
