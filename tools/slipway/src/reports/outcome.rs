//! What came of a merged pull request, as git and MLflow know it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use slipway_experiment::TrainJob;
use slipway_forge::Opened;
use slipway_mlflow::{Client, ModelVersion, Run, RunStatus};
use slipway_names::tag::{FAILURE, GATE, TRAINJOB};
use slipway_project::plan::Start;
use slipway_project::{Plan, Project, Tree, jobs_folder, serving};
use slipway_proposal::{Remote, best_version, merged_commits};
use slipway_report::{
    Document, ExperimentResults, InService, ModelResult, Promotion, Results, TrialResult, TrialState, Version,
    results_report,
};

use super::planned::Planning;
use super::recorded::described;
use crate::failure::Failure;
use crate::unregistered::{Unregistered, reason, unmet_bounds};

/// The metrics that are drawn, if a run has them: those of the built-in trainer, and what other trainers mostly call theirs.
const DRAWN: [&str; 8] = [
    "loss",
    "validation_accuracy",
    "train_loss",
    "validation_loss",
    "val_loss",
    "val_accuracy",
    "accuracy",
    "test_accuracy",
];
/// The most metrics that are drawn of a trial.
const CURVES: usize = 2;
/// The most trials whose curves are asked for: each is a request, and no chart shows more lines.
const CURVED: usize = 12;
/// The most points of a curve; of more, some are left out evenly.
const POINTS: usize = 60;

/// The report on a pull request that is merged. `newest` are other pull requests, among which promotions are looked for.
pub(super) async fn of(
    planning: &Planning<'_>,
    remote: &Remote,
    opened: &Opened,
    newest: &[Opened],
) -> Result<Document, Failure> {
    let git = planning.git;
    let tip = git.fetch(&remote.name, &opened.base)?;
    let merge = opened.merge_commit.clone().unwrap_or_else(|| tip.clone());
    let commits = merged_commits(git, remote, opened, &merge)?;
    let before = match git.first_parent(commits.last().unwrap_or(&merge))? {
        Some(before) => Tree::at(git, &before)?,
        None => Tree::default(),
    };
    let after = Tree::at(git, &merge)?;
    let (project, now) = (Project::read(&after), Tree::at(git, &tip)?);
    let plan = Plan::between(&Project::read(&before), &project);
    let mut results = Results {
        number: Some(opened.number),
        commit: merge,
        in_service: InService::all(&before, &after),
        stopped: plan.changes.iter().map(|change| change.stops.len()).sum(),
        everything: planning.everything.map(str::to_owned),
        ..Results::default()
    };
    let started = plan.changes.iter().filter(|change| !change.starts.is_empty());
    let mut known = match &planning.mlflow {
        Ok(client) => Some(client),
        Err(why) => {
            results.unknown.extend(plan.changes.iter().any(|change| !change.starts.is_empty()).then(|| why.clone()));
            None
        }
    };
    for change in started {
        let (environment, experiment) = (&change.environment, &change.experiment);
        let recorded = match known {
            None => Recorded::default(),
            Some(client) => match Recorded::of(client, experiment, &change.starts).await {
                Ok(recorded) => recorded,
                Err(error) => {
                    // the next one would wait for as long
                    known = None;
                    results.unknown.push(error.to_string());
                    Recorded::default()
                }
            },
        };
        let source = project.experiments.iter().find(|source| source.experiment.name == *experiment);
        let register = source.and_then(|source| source.experiment.spec.register.as_ref());
        let jobs = project.environments.get(environment).map(|found| &found.jobs);
        let trials = change.starts.iter().map(|start| {
            let path = format!("{}/{}.yaml", jobs_folder(environment), start.name);
            recorded.trial(start, jobs.and_then(|jobs| jobs.get(&path)).map(|file| &file.job))
        });
        let mut trials: Vec<TrialResult> = trials.collect::<Result<_, _>>()?;
        // one whose file has gone before it began never has a run
        for trial in trials.iter_mut().filter(|trial| trial.state == TrialState::Waiting) {
            if now.bytes(&format!("{}/{}.yaml", jobs_folder(environment), trial.name)).is_none() {
                trial.state = TrialState::Cancelled;
            }
        }
        let model = match (register, known) {
            (Some(register), Some(client)) => {
                let versions = client.search_model_versions(&register.model).await?;
                Some(model(newest, &now, environment, &register.model, &trials, &versions))
            }
            _ => None,
        };
        results.experiments.push(ExperimentResults {
            experiment: experiment.clone(),
            environment: environment.clone(),
            ranking: None,
            trials: trials.into_iter().map(|trial| with_version(trial, model.as_ref())).collect(),
            model: model.map(|(model, _)| model),
        });
    }
    Ok(results_report(&results))
}

/// What MLflow has of an experiment's TrainJobs.
#[derive(Default)]
struct Recorded {
    /// The newest run of each, by its name.
    runs: BTreeMap<String, Run>,
    curves: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>>,
}

impl Recorded {
    async fn of(client: &Client, experiment: &str, starts: &[Start]) -> slipway_mlflow::Result<Self> {
        let Some(id) = client.get_experiment(experiment).await? else { return Ok(Self::default()) };
        let mut runs: BTreeMap<String, Run> = BTreeMap::new();
        for run in client.search_runs(&[&id], "", &["attributes.start_time ASC"]).await? {
            let job = run.tags.get(TRAINJOB).cloned().unwrap_or_default();
            if starts.iter().any(|start| start.name == job) {
                runs.insert(job, run);
            }
        }
        let mut curves: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>> = BTreeMap::new();
        for start in starts.iter().filter(|start| runs.contains_key(&start.name)).take(CURVED) {
            let run = &runs[&start.name];
            for metric in DRAWN.iter().filter(|metric| run.metrics.contains_key(**metric)).take(CURVES) {
                let history = client.metric_history(&run.run_id, metric).await?;
                let points: Vec<(f64, f64)> = history.iter().map(|point| (point.step as f64, point.value)).collect();
                curves.entry(start.name.clone()).or_default().insert((*metric).to_owned(), thinned(points));
            }
        }
        Ok(Self { runs, curves })
    }

    fn trial(&self, start: &Start, job: Option<&TrainJob>) -> Result<TrialResult, Failure> {
        let mut trial = TrialResult {
            name: start.name.clone(),
            parameters: start.parameters.clone(),
            planned_cpu_hours: start.cpu_hours,
            planned_gpu_hours: start.gpu_hours,
            ..TrialResult::default()
        };
        let Some(run) = self.runs.get(&start.name) else { return Ok(trial) };
        let curves = self.curves.get(&start.name).cloned().unwrap_or_default();
        let all: Option<u32> = run.params.get("training.epochs").and_then(|epochs| epochs.parse().ok());
        let done = curves.get("validation_accuracy").map_or(0, |points| points.len().min(u32::MAX as usize) as u32);
        trial.epochs = all.map(|all| (done.min(all), all));
        trial.state = state(run)?;
        trial.metrics = run.metrics.clone();
        trial.curves = curves;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
        let seconds = run.start_time.map(|start| (run.end_time.unwrap_or(now) - start) as f64 / 1000.0);
        trial.seconds = seconds.filter(|seconds| *seconds >= 0.0);
        if let (Some(seconds), Some(job)) = (trial.seconds, job) {
            // workers hold their CPUs for as long as the job runs
            trial.cpu_hours = Some(seconds / 3600.0 * f64::from(job.num_nodes) * job.cpu_millis as f64 / 1000.0);
            trial.gpu_hours = Some(seconds / 3600.0 * f64::from(job.num_nodes) * f64::from(job.gpus));
        }
        Ok(trial)
    }
}

/// At most [`POINTS`] points, the last one among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| (last - index).is_multiple_of(every))
        .map(|(_, point)| point)
        .collect()
}

fn state(run: &Run) -> Result<TrialState, Failure> {
    Ok(match run.status {
        RunStatus::Scheduled => TrialState::Waiting,
        RunStatus::Running => TrialState::Running,
        RunStatus::Killed => TrialState::Cancelled,
        RunStatus::Failed => TrialState::Failed(run.tags.get(FAILURE).cloned().unwrap_or_default()),
        RunStatus::Finished if run.tags.get(GATE).is_some_and(|gate| gate == "refused") => {
            TrialState::Refused(match reason(run)? {
                Unregistered::GateRefused { unmet } => unmet_bounds(&unmet),
                other @ Unregistered::NotAsked => other.to_string(),
            })
        }
        RunStatus::Finished => TrialState::Finished,
    })
}

/// The model that the trials register: the best version of theirs beside the one in service. Also the number of each job's version.
fn model(
    newest: &[Opened],
    now: &Tree,
    environment: &str,
    model: &str,
    trials: &[TrialResult],
    versions: &[ModelVersion],
) -> (ModelResult, BTreeMap<String, u64>) {
    let own: Vec<ModelVersion> = versions
        .iter()
        .filter(|version| trials.iter().any(|trial| trial.name == version.tag(TRAINJOB)))
        .cloned()
        .collect();
    let best = best_version(model, &own).ok().map(described);
    let pins = serving::read(now, environment).ok();
    let pinned = pins.as_ref().and_then(|pins| pins.get(model)).map(|pin| pin.version);
    let in_service = pinned.map(|number| {
        let known = versions.iter().find(|version| version.number() == number);
        known.map_or_else(|| Version { number, ..Version::default() }, described)
    });
    let promotion = match &best {
        Some(best) if pinned != Some(best.number) => {
            let name = format!("slipway/serve-{model}-{}-{environment}-", best.number);
            let open = newest.iter().find(|one| one.is_open() && one.branch.starts_with(&name));
            open.map(|open| Promotion { number: open.number, url: Some(open.url.clone()) })
        }
        _ => None,
    };
    let numbers = own.iter().map(|version| (version.tag(TRAINJOB).to_owned(), version.number())).collect();
    (ModelResult { model: model.to_owned(), best, in_service, promotion }, numbers)
}

fn with_version(trial: TrialResult, model: Option<&(ModelResult, BTreeMap<String, u64>)>) -> TrialResult {
    let version = model.and_then(|(_, numbers)| numbers.get(&trial.name)).copied();
    TrialResult { version, ..trial }
}
