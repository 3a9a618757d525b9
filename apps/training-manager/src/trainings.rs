//! The read model: everything that is known, put together whenever something of it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::declared::{Declared, DeclaredExperiment};
use crate::known::{Facts, Known};
use crate::manager::Published;
use crate::origins::Origins;
use crate::rest::Metrics;
use crate::trial::{Place, Sources, trial};
use crate::view::{Cost, Experiment, Lineage, Trainings, Trial, TrialState};
use slipway_cluster::Timestamp;

/// How often the durations and costs of what runs are counted again.
const TICK: Duration = Duration::from_secs(30);

/// The trials that were put together last, with what they were put together from.
#[derive(Debug, Default)]
pub struct Composer {
    trials: BTreeMap<String, (Sources, Arc<Trial>)>,
    experiments: BTreeMap<String, Arc<Experiment>>,
    history: AddedUp,
    named: Named,
}

/// The history as it was added up last.
#[derive(Debug, Default)]
struct AddedUp {
    trials: Arc<BTreeMap<String, Arc<Trial>>>,
    /// What they amount to, by experiment.
    amounts: BTreeMap<String, Amounts>,
}

/// The history with the pull requests that its records do not name, as it was put together last.
#[derive(Debug, Default)]
struct Named {
    trials: Arc<BTreeMap<String, Arc<Trial>>>,
    origins: Arc<Origins>,
    named: Arc<BTreeMap<String, Arc<Trial>>>,
}

impl Named {
    /// The history. It stays the very same value as long as nothing is to be added.
    fn of(&mut self, facts: &Facts) -> Arc<BTreeMap<String, Arc<Trial>>> {
        let (trials, origins) = (&facts.declared.archived, &facts.origins);
        if !Arc::ptr_eq(&self.trials, trials) || !Arc::ptr_eq(&self.origins, origins) {
            let mut named = Arc::clone(trials);
            for (name, trial) in trials.iter().filter(|(_, trial)| trial.lineage.pull_request.is_none()) {
                let Some(found) = origins.pull_requests.get(&trial.lineage.commit) else { continue };
                let lineage = Lineage { pull_request: Some(found.as_ref().clone()), ..trial.lineage.clone() };
                let trial = Trial { lineage, ..trial.as_ref().clone() };
                Arc::make_mut(&mut named).insert(name.clone(), Arc::new(trial));
            }
            *self = Self { trials: Arc::clone(trials), origins: Arc::clone(origins), named };
        }
        Arc::clone(&self.named)
    }
}

impl Composer {
    /// Puts everything together. A trial whose sources are the same stays the very same value.
    pub fn compose(&mut self, facts: &Facts, environment: &str, pages: Option<&str>, now: Timestamp) -> Trainings {
        let tree = &facts.declared;
        let place = Place { environment, prices: tree.prices.as_ref(), pages, now };
        let mut names: BTreeSet<&String> = tree.jobs.keys().collect();
        // what somebody else made in the namespace is no trial
        let made = facts.observed.trainings.iter().filter(|(_, training)| training.experiment.is_some());
        names.extend(made.map(|(name, _)| name));
        // one whose file was removed before it began has no result
        names.extend(tree.removed.keys().filter(|name| facts.recorded.runs.contains_key(*name)));
        let mut trials = BTreeMap::new();
        for name in names {
            let (old, old_trial) = self.trials.remove(name).unzip();
            let mut sources = facts.sources(name);
            if old_trial.as_ref().is_some_and(|trial| grows(trial)) {
                sources.tick = now.as_second() / TICK.as_secs() as i64;
            }
            let made = match old_trial.filter(|_| old.is_some_and(|old| old.are(&sources))) {
                Some(trial) => trial,
                None => Arc::new(trial(name, &sources, place)),
            };
            trials.insert(name.clone(), (sources, made));
        }
        self.trials = trials;
        let trials = self.trials.iter().map(|(name, (_, trial))| (name.clone(), Arc::clone(trial))).collect();
        let archived = self.named.of(facts);
        let new = Trainings { commit: tree.commit.clone(), experiments: BTreeMap::new(), trials, archived };
        self.experiments = experiments(tree, self.amounts(&new), &self.experiments);
        Trainings { experiments: self.experiments.clone(), ..new }
    }

    /// What the trials of each experiment amount to. The history is added up once, unless a trial of it is elsewhere too.
    fn amounts(&mut self, new: &Trainings) -> BTreeMap<String, Amounts> {
        if new.trials.keys().any(|name| new.archived.contains_key(name)) {
            return Amounts::of(BTreeMap::new(), new.all());
        }
        if !Arc::ptr_eq(&self.history.trials, &new.archived) {
            let amounts = Amounts::of(BTreeMap::new(), new.archived.values());
            self.history = AddedUp { trials: Arc::clone(&new.archived), amounts };
        }
        Amounts::of(self.history.amounts.clone(), new.trials.values())
    }
}

/// What trials of an experiment amount to.
#[derive(Clone, Debug, Default)]
struct Amounts {
    states: BTreeMap<TrialState, usize>,
    model: Option<String>,
    last_started: Option<String>,
    cpu_hours: f64,
    cost: Option<Cost>,
    /// Whether the cost of a trial that has used something is not known, so that of all of them is not either.
    is_unpriced: bool,
}

impl Amounts {
    /// These amounts by experiment, with those of more trials.
    fn of<'a>(
        mut amounts: BTreeMap<String, Self>,
        trials: impl Iterator<Item = &'a Arc<Trial>>,
    ) -> BTreeMap<String, Self> {
        for trial in trials {
            match amounts.get_mut(&trial.experiment) {
                Some(amounts) => amounts.add(trial),
                None => amounts.entry(trial.experiment.clone()).or_default().add(trial),
            }
        }
        amounts
    }

    fn add(&mut self, trial: &Trial) {
        *self.states.entry(trial.state).or_default() += 1;
        if self.model.is_none() {
            self.model.clone_from(&trial.model);
        }
        if trial.started > self.last_started {
            self.last_started.clone_from(&trial.started);
        }
        self.cpu_hours += trial.cpu_hours.unwrap_or_default();
        self.is_unpriced |= trial.cpu_hours.is_some() && trial.cost.is_none();
        if let Some(one) = &trial.cost {
            match &mut self.cost {
                Some(all) => all.amount += one.amount,
                none => *none = Some(one.clone()),
            }
        }
    }
}

/// The experiments with what their trials amount to. One that is the same stays the very same value.
fn experiments(
    tree: &Declared,
    mut amounts: BTreeMap<String, Amounts>,
    before: &BTreeMap<String, Arc<Experiment>>,
) -> BTreeMap<String, Arc<Experiment>> {
    for name in tree.experiments.keys() {
        amounts.entry(name.clone()).or_default();
    }
    let made = amounts.into_iter().map(|(name, amounts)| {
        let new = experiment(&name, tree.experiments.get(&name), amounts);
        let old = before.get(&name).filter(|old| ***old == new);
        (name, old.map_or_else(|| Arc::new(new), Arc::clone))
    });
    made.collect()
}

fn experiment(name: &str, declared: Option<&DeclaredExperiment>, amounts: Amounts) -> Experiment {
    let declared = declared.cloned().unwrap_or_default();
    let Amounts { states, model, last_started, cpu_hours, cost, is_unpriced } = amounts;
    let cost = cost.filter(|_| !is_unpriced);
    Experiment {
        name: name.to_owned(),
        file: declared.file,
        source: declared.source,
        dataset: declared.dataset,
        environments: declared.environments,
        model: declared.model.or(model),
        states,
        last_started,
        cpu_hours,
        cost,
    }
}

/// Publishes the read model for ever.
pub async fn follow(
    mut known: Known,
    environment: &str,
    pages: Option<&str>,
    metrics: &Metrics,
    published: &Published,
) -> Infallible {
    let trainings = &published.trainings;
    let mut composer = Composer::default();
    let mut first_steps = FirstSteps::default();
    loop {
        let facts = known.now();
        let awaited = awaited(&facts);
        if awaited.is_ok() {
            let now = Timestamp::now();
            let new = composer.compose(&facts, environment, pages, now);
            for seconds in first_steps.seen(&new, &facts.declared, now) {
                metrics.merge_to_first_step.observe(seconds);
            }
            trainings.send_if_modified(|old| {
                let is_same = old.commit == new.commit
                    && same(&old.trials, &new.trials)
                    && Arc::ptr_eq(&old.archived, &new.archived)
                    && same(&old.experiments, &new.experiments);
                if !is_same {
                    *old = Arc::new(new);
                }
                !is_same
            });
        }
        published.ready.send_if_modified(|ready| std::mem::replace(ready, awaited.clone()) != awaited);
        let runs = trainings.borrow().trials.values().any(|trial| grows(trial));
        tokio::select! {
            () = known.changed() => {}
            () = tokio::time::sleep(TICK), if runs => {}
        }
    }
}

/// Which trainings have begun, as far as this manager has seen.
#[derive(Debug, Default)]
struct FirstSteps {
    /// Those that are known, with whether they have begun.
    begun: BTreeMap<String, bool>,
}

impl FirstSteps {
    /// How many seconds it took from the merge to the first step of each training that begins now. One that had begun when it was first seen says
    /// nothing, and one whose workers start again counts once.
    fn seen(&mut self, new: &Trainings, tree: &Declared, now: Timestamp) -> Vec<f64> {
        let mut seconds = Vec::new();
        self.begun.retain(|name, _| new.trials.contains_key(name));
        for (name, trial) in &new.trials {
            let has_begun = trial.progress.is_some();
            let Some(before) = self.begun.get_mut(name) else {
                self.begun.insert(name.clone(), has_begun);
                continue;
            };
            if has_begun && !std::mem::replace(before, true) {
                seconds.extend(tree.commits.first(name).map(|brought| (now.as_second() - brought.time).max(0) as f64));
            }
        }
        seconds
    }
}

/// What has to be read before the first answer.
fn awaited(facts: &Facts) -> Result<(), String> {
    match (facts.declared.commit.is_empty(), facts.observed.is_complete) {
        (false, true) => Ok(()),
        (true, true) => Err("the default branch has not been read yet".to_owned()),
        (false, false) => Err("not all kinds of objects have been listed yet".to_owned()),
        (true, false) => Err("neither git nor the cluster has been read yet".to_owned()),
    }
}

/// Whether what a trial has used grows with time: it runs, or its workers do and wait for their data.
fn grows(trial: &Trial) -> bool {
    trial.seconds.is_some() && trial.ended.is_none()
}

/// Whether two maps hold the very same values.
fn same<T>(one: &BTreeMap<String, Arc<T>>, other: &BTreeMap<String, Arc<T>>) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|((a, one), (b, other))| a == b && Arc::ptr_eq(one, other))
}

#[cfg(test)]
mod tests {
    use slipway_cluster::{Hindrance, State, Training, Worker};
    use slipway_mlflow::{Run, RunStatus, newest_runs};
    use slipway_names::tag;
    use slipway_project::cluster::Prices;

    use super::*;
    use crate::declared::{DeclaredJob, RemovedJob};
    use crate::recorded::JobRun;
    use crate::view::{PullRequest, Removal};

    fn training(name: &str, state: State) -> (String, Arc<Training>) {
        let started = Timestamp::from_second(1_000).ok();
        let experiment = Some("digits".to_owned());
        (
            name.to_owned(),
            Arc::new(Training { name: name.to_owned(), experiment, state, started, ..Training::default() }),
        )
    }

    fn facts(trainings: &[(&str, State)]) -> Facts {
        let job = DeclaredJob { experiment: "digits".to_owned(), workers: 2, cpus: 4.0, ..DeclaredJob::default() };
        let mut facts = Facts::default();
        let (tree, cluster) = (Arc::make_mut(&mut facts.declared), Arc::make_mut(&mut facts.observed));
        tree.prices = Some(Prices { cpu_hour: 0.5, gpu_hour: None, currency: "EUR".to_owned() });
        for (name, state) in trainings {
            tree.jobs.insert((*name).to_owned(), Arc::new(job.clone()));
            cluster.trainings.extend([training(name, *state)]);
        }
        facts
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_the_same_stays_the_very_same() {
        let mut composer = Composer::default();
        let mut facts = facts(&[("a", State::Waiting), ("b", State::Running), ("c", State::Failed)]);
        let first = composer.compose(&facts, "local", None, at(4_600));
        assert_eq!(first.trials["b"].seconds, Some(3_600.0));
        assert_eq!((first.trials["b"].cpu_hours, first.trials["b"].cost.as_ref().unwrap().amount), (Some(4.0), 2.0));
        let _ = composer.compose(&facts, "local", None, at(4_601));
        let second = composer.compose(&facts, "local", None, at(4_602));
        let same = |name: &str, other: &Trainings| Arc::ptr_eq(&second.trials[name], &other.trials[name]);
        assert!(same("a", &first) && same("c", &first));
        let third = composer.compose(&facts, "local", None, at(4_603));
        assert!(same("b", &third) && Arc::ptr_eq(&second.experiments["digits"], &third.experiments["digits"]));
        // what runs has used more after a while
        let later = composer.compose(&facts, "local", None, at(8_200));
        assert_eq!(later.trials["b"].cpu_hours, Some(8.0));
        assert!(same("a", &later));
        Arc::make_mut(&mut facts.observed).trainings.extend([training("a", State::Running)]);
        let after = composer.compose(&facts, "local", None, at(8_201));
        assert!(!same("a", &after) && same("c", &after));
        assert_eq!(after.experiments["digits"].states, [(TrialState::Running, 2), (TrialState::Failed, 1)].into());
    }

    #[test]
    fn what_a_trial_used_is_what_all_of_its_attempts_used() {
        let mut facts = facts(&[("a", State::Running)]);
        let attempt = |id: &str, start: i64, end: Option<i64>| Run {
            run_id: id.to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status: if end.is_some() { RunStatus::Failed } else { RunStatus::Running },
            start_time: Some(start * 1000),
            end_time: end.map(|end| end * 1000),
            artifact_uri: String::new(),
            metrics: BTreeMap::new(),
            steps: BTreeMap::new(),
            params: BTreeMap::new(),
            tags: [(tag::TRAINJOB.to_owned(), "a".to_owned())].into(),
        };
        let (run, earlier) =
            newest_runs([attempt("one", 1_000, Some(1_600)), attempt("two", 2_000, None)]).remove("a").unwrap();
        let run = Arc::new(JobRun { run, earlier, version: None });
        Arc::make_mut(&mut facts.recorded).runs.insert("a".to_owned(), run);
        // the pods are those of the second attempt
        let (name, second) = training("a", State::Running);
        let second = Training { started: Timestamp::from_second(1_990).ok(), ..second.as_ref().clone() };
        Arc::make_mut(&mut facts.observed).trainings.insert(name, Arc::new(second));
        let all = Composer::default().compose(&facts, "local", None, at(2_290));
        let trial = &all.trials["a"];
        assert_eq!((trial.seconds, trial.cpu_hours), (Some(900.0), Some(1.0)));
        assert_eq!(trial.cost.as_ref().unwrap().amount, 0.5);
        assert_eq!(trial.started, Some(at(1_000).to_string()));
        assert_eq!(all.experiments["digits"].cpu_hours, 1.0);
    }

    #[test]
    fn gpus_without_a_price_are_not_free() {
        let mut facts = facts(&[("a", State::Running), ("b", State::Running)]);
        let tree = Arc::make_mut(&mut facts.declared);
        let job = DeclaredJob { gpus: 2.0, ..tree.jobs["a"].as_ref().clone() };
        tree.jobs.insert("a".to_owned(), Arc::new(job));
        let all = Composer::default().compose(&facts, "local", None, at(4_600));
        assert_eq!((all.trials["a"].gpu_hours, &all.trials["a"].cost), (Some(2.0), &None));
        assert!(all.trials["b"].cost.is_some());
        assert_eq!(all.experiments["digits"].cost, None, "it would be less than it is");
        Arc::make_mut(&mut facts.declared).prices =
            Some(Prices { cpu_hour: 0.5, gpu_hour: Some(3.0), currency: "EUR".to_owned() });
        let all = Composer::default().compose(&facts, "local", None, at(4_600));
        assert_eq!(all.trials["a"].cost.as_ref().unwrap().amount, 2.0 + 6.0);
        assert_eq!(all.experiments["digits"].cost.as_ref().unwrap().amount, 8.0 + 2.0);
    }

    #[test]
    fn the_first_step_of_a_training_is_measured_once() {
        let mut composer = Composer::default();
        let mut facts = facts(&[("a", State::Waiting), ("begun", State::Running)]);
        let brought = |time| vec![crate::declared::Brought { commit: "c".to_owned(), time, blob: String::new() }];
        Arc::make_mut(&mut facts.declared).commits.of_jobs =
            [("a".to_owned(), brought(1_000)), ("begun".to_owned(), brought(1_000))].into();
        let mut first_steps = FirstSteps::default();
        // its state, and how far it is
        let mut seen = |state, percent: Option<u32>, second| {
            let progress = percent.map(|percent| slipway_cluster::Progress { percent, remaining_seconds: None });
            let trainings = &mut Arc::make_mut(&mut facts.observed).trainings;
            for (name, progress) in [("a", progress), ("begun", Some(slipway_cluster::Progress::default()))] {
                let (_, training) = training(name, if name == "a" { state } else { State::Running });
                trainings.insert(name.to_owned(), Arc::new(Training { progress, ..(*training).clone() }));
            }
            let all = composer.compose(&facts, "local", None, at(second));
            first_steps.seen(&all, &facts.declared, at(second))
        };
        assert!(seen(State::Waiting, None, 1_010).is_empty());
        assert!(seen(State::Running, None, 1_020).is_empty(), "its workers have started, and nothing is computed yet");
        assert_eq!(seen(State::Running, Some(0), 1_030), [30.0]);
        assert!(seen(State::Running, Some(9), 1_040).is_empty());
        // its workers start again
        assert!(seen(State::Waiting, None, 1_050).is_empty() && seen(State::Running, Some(1), 1_060).is_empty());
    }

    #[test]
    fn the_history_is_shared_and_counts_once() {
        let mut composer = Composer::default();
        let mut facts = facts(&[("a", State::Failed)]);
        let cost = Some(Cost { amount: 1.5, currency: "EUR".to_owned() });
        let archived = |name: &str| {
            let (name, experiment) = (name.to_owned(), "digits".to_owned());
            let trial = Trial { name: name.clone(), experiment, archived: true, ..Trial::default() };
            (name, Arc::new(Trial { cpu_hours: Some(3.0), cost: cost.clone(), state: TrialState::Finished, ..trial }))
        };
        Arc::make_mut(&mut facts.declared).archived = Arc::new([archived("old"), archived("older")].into());
        let all = composer.compose(&facts, "local", None, at(4_600));
        assert!(Arc::ptr_eq(&all.archived, &facts.declared.archived));
        assert_eq!((all.all().count(), all.trials.len()), (3, 1));
        let digits = &all.experiments["digits"];
        assert_eq!(digits.states, [(TrialState::Finished, 2), (TrialState::Failed, 1)].into());
        assert_eq!((digits.cpu_hours, digits.cost.as_ref().unwrap().amount), (6.0, 3.0));
        let again = composer.compose(&facts, "local", None, at(4_601));
        assert!(Arc::ptr_eq(&again.experiments["digits"], &all.experiments["digits"]));
        // one that was put back is no longer what it was in the history
        Arc::make_mut(&mut facts.observed).trainings.extend([training("old", State::Running)]);
        let both = composer.compose(&facts, "local", None, at(4_602));
        assert_eq!((both.all().count(), both.trial("old").unwrap().state), (3, TrialState::Running));
        let states = [(TrialState::Running, 1), (TrialState::Finished, 1), (TrialState::Failed, 1)];
        assert_eq!(both.experiments["digits"].states, states.into());
    }

    #[test]
    fn a_record_that_names_no_pull_request_gets_that_of_its_commit() {
        let mut composer = Composer::default();
        let mut facts = facts(&[]);
        let archived = |name: &str, number: Option<u64>| {
            let pull_request = number.map(|number| PullRequest { number, url: String::new() });
            let lineage = Lineage { commit: "c".to_owned(), pull_request, ..Lineage::default() };
            (name.to_owned(), Arc::new(Trial { name: name.to_owned(), lineage, archived: true, ..Trial::default() }))
        };
        let records = [archived("old", None), archived("new", Some(7))];
        Arc::make_mut(&mut facts.declared).archived = Arc::new(records.into());
        let before = composer.compose(&facts, "local", None, at(1_000));
        assert!(Arc::ptr_eq(&before.archived, &facts.declared.archived), "nothing is known yet");
        let found = Arc::new(PullRequest { number: 3, url: "https://example.org/pull/3".to_owned() });
        Arc::make_mut(&mut facts.origins).pull_requests.insert("c".to_owned(), found);
        let all = composer.compose(&facts, "local", None, at(1_001));
        let number = |name: &str| all.trial(name).unwrap().lineage.pull_request.as_ref().unwrap().number;
        assert_eq!((number("old"), number("new")), (3, 7));
        assert!(Arc::ptr_eq(&composer.compose(&facts, "local", None, at(1_002)).archived, &all.archived));
    }

    #[test]
    fn one_without_data_waits_until_it_begins() {
        let mut facts = facts(&[("a", State::Running)]);
        let hindrance = Some(Hindrance { reason: "no data".to_owned(), advice: "wait".to_owned() });
        let waits = Training { state: State::Waiting, hindrance, ..training("a", State::Running).1.as_ref().clone() };
        Arc::make_mut(&mut facts.stalled).insert("a".to_owned(), Arc::new(waits));
        let state = |facts: &Facts| {
            let all = Composer::default().compose(facts, "local", None, at(4_600));
            (all.trials["a"].state, all.trials["a"].reason.clone())
        };
        assert_eq!(state(&facts), (TrialState::Waiting, Some("no data".to_owned())));
        // nobody has asked its workers since
        let progress = Some(slipway_cluster::Progress::default());
        let begun = Training { progress, ..training("a", State::Running).1.as_ref().clone() };
        Arc::make_mut(&mut facts.observed).trainings.insert("a".to_owned(), Arc::new(begun));
        assert_eq!(state(&facts), (TrialState::Running, None));
    }

    #[test]
    fn one_without_data_uses_its_cpus_while_its_workers_run() {
        let mut composer = Composer::default();
        let mut facts = facts(&[("a", State::Running)]);
        let worker = Worker { phase: "Running".to_owned(), ..Worker::default() };
        let runs = Training { wanted: 2, workers: vec![worker; 2], ..training("a", State::Running).1.as_ref().clone() };
        let waits = Training { state: State::Waiting, ..runs.clone() };
        Arc::make_mut(&mut facts.observed).trainings.insert("a".to_owned(), Arc::new(runs));
        Arc::make_mut(&mut facts.stalled).insert("a".to_owned(), Arc::new(waits.clone()));
        let mut used = |facts: &Facts, second| {
            let all = composer.compose(facts, "local", None, at(second));
            (all.trials["a"].state, all.trials["a"].seconds, all.experiments["digits"].cpu_hours)
        };
        assert_eq!(used(&facts, 4_600), (TrialState::Waiting, Some(3_600.0), 4.0));
        assert_eq!(used(&facts, 8_200), (TrialState::Waiting, Some(7_200.0), 8.0), "it grows");
        // one of its workers has gone
        let waits = Training { workers: waits.workers[..1].to_vec(), ..waits };
        Arc::make_mut(&mut facts.stalled).clear();
        Arc::make_mut(&mut facts.observed).trainings.insert("a".to_owned(), Arc::new(waits));
        assert_eq!(used(&facts, 8_201), (TrialState::Waiting, None, 0.0));
    }

    #[test]
    fn what_was_removed_keeps_its_results() {
        let mut facts = facts(&[("now", State::Running)]);
        let tree = Arc::make_mut(&mut facts.declared);
        let job = Arc::clone(&tree.jobs["now"]);
        let gone = |removal| Arc::new(RemovedJob { job: Arc::clone(&job), removal, blob: String::new() });
        let names = [("before", Removal::Replaced), ("taken-out", Removal::Cancelled), ("never", Removal::Cancelled)];
        tree.removed = Arc::new(names.map(|(name, removal)| (name.to_owned(), gone(removal))).into());
        let ran = |job: &str, status: RunStatus| {
            let run = Run {
                run_id: job.to_owned(),
                run_name: String::new(),
                experiment_id: "1".to_owned(),
                status,
                start_time: Some(1_000_000),
                end_time: Some(4_600_000),
                artifact_uri: String::new(),
                metrics: [("accuracy".to_owned(), 0.97)].into(),
                steps: BTreeMap::new(),
                params: BTreeMap::new(),
                tags: [(tag::GATE.to_owned(), "passed".to_owned())].into(),
            };
            Arc::new(JobRun { run, earlier: slipway_mlflow::Earlier::default(), version: Some(6) })
        };
        let runs = &mut Arc::make_mut(&mut facts.recorded).runs;
        runs.insert("before".to_owned(), ran("before", RunStatus::Finished));
        runs.insert("taken-out".to_owned(), ran("taken-out", RunStatus::Killed));
        let all = Composer::default().compose(&facts, "local", None, at(9_000));
        assert_eq!(all.trials.keys().collect::<Vec<_>>(), ["before", "now", "taken-out"]);
        let said = |name: &str| (all.trials[name].state, all.trials[name].removed);
        assert_eq!(said("before"), (TrialState::Finished, Some(Removal::Replaced)));
        assert_eq!(said("taken-out"), (TrialState::Cancelled, Some(Removal::Cancelled)));
        assert_eq!(said("now"), (TrialState::Running, None));
        let before = &all.trials["before"];
        assert_eq!((before.experiment.as_str(), before.version, before.cpu_hours), ("digits", Some(6), Some(4.0)));
        assert_eq!(before.metrics["accuracy"], 0.97);
    }

    #[test]
    fn what_nobody_declared_is_shown_if_slipway_made_it() {
        let mut facts = facts(&[]);
        let observed = Arc::make_mut(&mut facts.observed);
        observed.trainings.extend([training("left", State::Finished)]);
        observed.trainings.insert("foreign".to_owned(), Arc::new(Training::default()));
        let all = Composer::default().compose(&facts, "local", None, at(1_000));
        assert_eq!(all.trials.keys().collect::<Vec<_>>(), ["left"]);
        assert_eq!(all.experiments["digits"].file, "", "only its trials are left");
    }
}
