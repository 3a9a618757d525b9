//! What MLflow has of the trainings: asked when something has changed, and otherwise seldom.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use slipway_cluster::State;
use slipway_mlflow::{Client, Earlier, ModelVersion, Run, newest_runs};
use slipway_names::tag;
use slipway_service::Warned;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::declared::Declared;
use crate::watch::Observed;

/// From one round of questions to the next.
const ROUND: Duration = Duration::from_secs(1);
/// After how long a run is looked for again that was not there yet, or had not ended although its job had.
const SOON: Duration = Duration::from_secs(10);
/// How often a run is looked at that goes on.
const SLOWLY: Duration = Duration::from_secs(300);
/// How often a run is looked for again whose job has ended: one that failed before it had a run never has one.
const TRIES: u32 = 3;
/// After how long MLflow is asked again that did not answer; each later time twice as long.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many jobs are asked for one by one; of more, all runs of their experiment are read.
const ONE_BY_ONE: usize = 3;
/// The most metrics that are kept of a run.
const METRICS: usize = 64;

/// What MLflow has of the trainings.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The newest run of each TrainJob, by its name.
    pub runs: BTreeMap<String, Arc<JobRun>>,
    /// The TrainJobs that have ended and have no run, as far as MLflow was asked often enough to know.
    pub without_run: BTreeSet<String>,
}

/// The newest run of a TrainJob.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRun {
    /// The run, without what nobody reads: parameters, steps, and tags other than those of its end.
    pub run: Run,
    /// The runs of the attempts before.
    pub earlier: Earlier,
    /// The version that it registered.
    pub version: Option<u64>,
}

impl JobRun {
    fn of(mut run: Run, earlier: Earlier, version: Option<u64>) -> Self {
        (run.params, run.steps) = Default::default();
        run.tags.retain(|tag, _| [tag::GATE, tag::GATE_UNMET, tag::FAILURE].contains(&tag.as_str()));
        while run.metrics.len() > METRICS {
            run.metrics.pop_last();
        }
        Self { run, earlier, version }
    }
}

/// What was asked about a TrainJob.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// How far it was in the cluster; `None` if it was not there.
    state: Option<State>,
    /// When it is to be asked again; `None` if that would give the same.
    again: Option<Instant>,
    /// How often it was asked in this state.
    tries: u32,
}

/// Follows the runs for ever.
pub async fn follow(
    mlflow: &Client,
    mut declared: watch::Receiver<Arc<Declared>>,
    mut observed: watch::Receiver<Arc<Observed>>,
    recorded: &watch::Sender<Arc<Recorded>>,
) -> Infallible {
    let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
    let mut runs = Recorded::default();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let (mut warned, mut pause) = (Warned::default(), PAUSE);
    loop {
        let (tree, cluster) = (Arc::clone(&declared.borrow_and_update()), Arc::clone(&observed.borrow_and_update()));
        let now = Instant::now();
        let mut rest = ROUND;
        if cluster.is_complete && !tree.commit.is_empty() {
            forget(&mut asked, &mut runs, &tree, &cluster);
            for (experiment, jobs) in due(&asked, &tree, &cluster, now) {
                match ask(mlflow, &tree, &experiment, &jobs, &cluster, &mut ids).await {
                    Ok(found) => {
                        warned.clear();
                        pause = PAUSE;
                        let mut has_changed = false;
                        for (job, state) in jobs {
                            let run = found.get(&job);
                            let tries = asked.get(&job).filter(|one| one.state == state).map_or(0, |one| one.tries) + 1;
                            let again = again(state, run, tries).map(|after| now + after);
                            asked.insert(job.clone(), Asked { state, again, tries });
                            let has_none = run.is_none() && again.is_none() && has_ended(state);
                            has_changed |= match has_none {
                                true => runs.without_run.insert(job.clone()),
                                false => runs.without_run.remove(&job),
                            };
                            if let Some(run) = run.filter(|run| runs.runs.get(&job).is_none_or(|old| **old != **run)) {
                                runs.runs.insert(job, Arc::new((*run).clone()));
                                has_changed = true;
                            }
                        }
                        if has_changed {
                            recorded.send_replace(Arc::new(runs.clone()));
                        }
                    }
                    Err(error) => {
                        warned.warn("the runs of trainings are not up to date", &error);
                        rest = pause;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(rest).await;
        let next = asked.values().filter_map(|one| one.again).min();
        tokio::select! {
            _ = declared.changed() => {}
            _ = observed.changed() => {}
            () = tokio::time::sleep_until(next.unwrap_or(now + SLOWLY)) => {}
        }
    }
}

/// Forgets jobs that are nowhere any more.
fn forget(asked: &mut BTreeMap<String, Asked>, runs: &mut Recorded, tree: &Declared, cluster: &Observed) {
    let is_known = |job: &String| tree.job(job).is_some() || cluster.trainings.contains_key(job);
    asked.retain(|job, _| is_known(job));
    runs.runs.retain(|job, _| is_known(job));
    runs.without_run.retain(is_known);
}

fn has_ended(state: Option<State>) -> bool {
    matches!(state, Some(State::Finished | State::Failed))
}

/// Jobs with how far they are.
type Jobs = Vec<(String, Option<State>)>;

/// The jobs that are to be asked about, by experiment.
fn due(asked: &BTreeMap<String, Asked>, tree: &Declared, cluster: &Observed, now: Instant) -> BTreeMap<String, Jobs> {
    let mut due: BTreeMap<String, Jobs> = BTreeMap::new();
    let all = tree.jobs.keys().chain(tree.removed.keys()).chain(cluster.trainings.keys());
    let jobs: BTreeSet<&String> = all.collect();
    for job in jobs {
        let training = cluster.trainings.get(job);
        let state = training.map(|training| training.state);
        let experiment = tree.job(job).map(|job| &job.experiment);
        let experiment = experiment.or_else(|| training.and_then(|training| training.experiment.as_ref()));
        let Some(experiment) = experiment.filter(|experiment| !experiment.is_empty()) else { continue };
        // one that waits has nothing to say
        let is_due = state != Some(State::Waiting)
            && asked.get(job).is_none_or(|one| one.state != state || one.again.is_some_and(|again| again <= now));
        if is_due {
            due.entry(experiment.clone()).or_default().push((job.clone(), state));
        }
    }
    due
}

/// After how long a job is asked about again.
fn again(state: Option<State>, run: Option<&JobRun>, tries: u32) -> Option<Duration> {
    let is_open = run.is_none_or(|run| run.run.is_open());
    match state {
        Some(State::Running) if run.is_none() => Some(SOON),
        Some(State::Running) => Some(SLOWLY),
        // its run is written before its job ends, as far as there is one
        Some(_) => (is_open && tries < TRIES).then_some(SOON),
        None => (is_open && run.is_some()).then_some(SLOWLY),
    }
}

/// The newest runs of an experiment's jobs.
async fn ask(
    mlflow: &Client,
    tree: &Declared,
    experiment: &str,
    jobs: &Jobs,
    cluster: &Observed,
    ids: &mut BTreeMap<String, String>,
) -> slipway_mlflow::Result<BTreeMap<String, JobRun>> {
    let id = match ids.get(experiment) {
        Some(id) => id.clone(),
        None => {
            let Some(id) = mlflow.get_experiment(experiment).await? else { return Ok(BTreeMap::new()) };
            ids.entry(experiment.to_owned()).or_insert(id).clone()
        }
    };
    let mut found = Vec::new();
    if jobs.len() <= ONE_BY_ONE {
        for (job, _) in jobs {
            found.extend(mlflow.search_runs(&[&id], &format!("tags.\"{}\" = '{job}'", tag::TRAINJOB), &[]).await?);
        }
    } else {
        found = mlflow.search_runs(&[&id], "", &[]).await?;
    }
    let names: BTreeSet<&str> = jobs.iter().map(|(job, _)| job.as_str()).collect();
    let mut newest = newest_runs(found);
    newest.retain(|job, _| names.contains(job.as_str()));
    let versions = versions(mlflow, tree, jobs, cluster, &newest).await?;
    let of = |job: &str| versions.iter().find(|version| version.tag(tag::TRAINJOB) == job).map(ModelVersion::number);
    Ok(newest.into_iter().map(|(job, (run, earlier))| (job.clone(), JobRun::of(run, earlier, of(&job)))).collect())
}

/// The versions that jobs have registered, as far as they have ended.
async fn versions(
    mlflow: &Client,
    tree: &Declared,
    jobs: &Jobs,
    cluster: &Observed,
    runs: &BTreeMap<String, (Run, Earlier)>,
) -> slipway_mlflow::Result<Vec<ModelVersion>> {
    let has_ended = |job: &str| cluster.trainings.get(job).is_none_or(|training| training.state == State::Finished);
    let registers = |job: &str| tree.job(job).is_none_or(|job| job.model.is_some());
    let ended = jobs.iter().filter(|(job, _)| has_ended(job) && registers(job));
    let ended: Vec<(&str, &Run)> = ended.filter_map(|(job, _)| Some((job.as_str(), &runs.get(job)?.0))).collect();
    if ended.len() <= ONE_BY_ONE {
        let mut versions = Vec::new();
        for (_, run) in ended {
            versions.extend(mlflow.model_versions_of_run(&run.run_id).await?);
        }
        return Ok(versions);
    }
    let models: BTreeSet<&String> = ended.iter().filter_map(|(job, _)| tree.job(job)?.model.as_ref()).collect();
    let mut versions = Vec::new();
    for model in models {
        versions.extend(mlflow.search_model_versions(model).await?);
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::{DeclaredJob, RemovedJob};
    use crate::view::Removal;
    use slipway_cluster::Training;
    use slipway_mlflow::RunStatus;

    fn run(status: RunStatus) -> JobRun {
        let run = Run {
            run_id: "r".to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status,
            start_time: Some(1),
            end_time: None,
            artifact_uri: String::new(),
            metrics: (0..100).map(|index| (format!("m{index:02}"), 0.5)).collect(),
            steps: (0..100).map(|index| (format!("m{index:02}"), 1)).collect(),
            params: [("p".to_owned(), "1".to_owned())].into(),
            tags: [(tag::GATE.to_owned(), "passed".to_owned()), ("mlflow.note".to_owned(), "x".repeat(1000))].into(),
        };
        JobRun::of(run, Earlier::default(), Some(3))
    }

    #[test]
    fn of_a_run_only_what_is_read_is_kept() {
        let kept = run(RunStatus::Finished);
        assert!(kept.run.steps.is_empty());
        assert_eq!((kept.run.params.len(), kept.run.tags.len(), kept.run.metrics.len()), (0, 1, METRICS));
        assert!(kept.run.is_concluded());
    }

    #[test]
    fn a_job_is_asked_about_when_it_changes_and_then_no_more() {
        let mut tree = Declared::default();
        let mut cluster = Observed { is_complete: true, ..Observed::default() };
        let job = DeclaredJob { experiment: "digits".to_owned(), ..DeclaredJob::default() };
        for name in ["a", "b"] {
            tree.jobs.insert(name.to_owned(), Arc::new(job.clone()));
        }
        let mut set = |name: &str, state| {
            cluster.trainings.insert(name.to_owned(), Arc::new(Training { state, ..Training::default() }));
            cluster.clone()
        };
        let now = Instant::now();
        let mut asked = BTreeMap::new();
        let cluster = set("a", State::Waiting);
        let first = due(&asked, &tree, &cluster, now);
        assert_eq!(first["digits"], [("b".to_owned(), None)], "one that waits has no run");
        // one whose file is gone may have had a run
        let removed = RemovedJob { job: Arc::new(job), removal: Removal::Replaced, blob: String::new() };
        let before = Declared { removed: Arc::new([("old".to_owned(), Arc::new(removed))].into()), ..tree.clone() };
        let both: Jobs = vec![("b".to_owned(), None), ("old".to_owned(), None)];
        assert_eq!(due(&asked, &before, &cluster, now)["digits"], both);
        asked.insert(
            "b".to_owned(),
            Asked { state: None, again: again(None, None, 1).map(|after| now + after), tries: 1 },
        );
        assert!(due(&asked, &tree, &cluster, now + SLOWLY).is_empty());
        let cluster = set("a", State::Running);
        assert_eq!(due(&asked, &tree, &cluster, now)["digits"], [("a".to_owned(), Some(State::Running))]);
    }

    #[test]
    fn what_has_ended_is_asked_about_a_few_times_at_most() {
        let (open, closed) = (run(RunStatus::Running), run(RunStatus::Finished));
        assert_eq!(again(Some(State::Running), None, 50), Some(SOON));
        assert_eq!(again(Some(State::Running), Some(&open), 50), Some(SLOWLY));
        for ended in [State::Finished, State::Failed, State::Ending] {
            assert_eq!(again(Some(ended), Some(&closed), 1), None);
            assert_eq!((again(Some(ended), None, 1), again(Some(ended), None, TRIES)), (Some(SOON), None));
            assert_eq!(again(Some(ended), Some(&open), TRIES), None);
        }
        assert_eq!(
            (again(None, None, 1), again(None, Some(&closed), 1), again(None, Some(&open), 9)),
            (None, None, Some(SLOWLY))
        );
    }
}
