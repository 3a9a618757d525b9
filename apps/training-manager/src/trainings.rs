//! The read model: everything that is known, put together whenever something of it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::declared::{Declared, DeclaredExperiment};
use crate::known::{Facts, Known};
use crate::manager::Published;
use crate::rest::Metrics;
use crate::trial::{Place, Sources, trial};
use crate::view::{Cost, Experiment, Trainings, Trial, TrialState};
use slipway_cluster::Timestamp;

/// How often the durations and costs of what runs are counted again.
const TICK: Duration = Duration::from_secs(30);

/// The trials that were put together last, with what they were put together from.
#[derive(Debug, Default)]
pub struct Composer {
    trials: BTreeMap<String, (Sources, Arc<Trial>)>,
    experiments: BTreeMap<String, Arc<Experiment>>,
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
        let mut trials = BTreeMap::new();
        for name in names {
            let (old, old_trial) = self.trials.remove(name).unzip();
            let mut sources = facts.sources(name);
            if old_trial.as_ref().is_some_and(|trial| trial.state == TrialState::Running) {
                sources.tick = now.as_second() / TICK.as_secs() as i64;
            }
            let made = match old_trial.filter(|_| old.is_some_and(|old| old.are(&sources))) {
                Some(trial) => trial,
                None => Arc::new(trial(name, &sources, place)),
            };
            trials.insert(name.clone(), (sources, made));
        }
        self.trials = trials;
        let mut trials = tree.archived.clone();
        trials.extend(self.trials.iter().map(|(name, (_, trial))| (name.clone(), Arc::clone(trial))));
        self.experiments = experiments(tree, &trials, &self.experiments);
        Trainings { commit: tree.commit.clone(), experiments: self.experiments.clone(), trials }
    }
}

/// The experiments with what their trials amount to. One that is the same stays the very same value.
fn experiments(
    tree: &Declared,
    trials: &BTreeMap<String, Arc<Trial>>,
    before: &BTreeMap<String, Arc<Experiment>>,
) -> BTreeMap<String, Arc<Experiment>> {
    let mut of: BTreeMap<&str, Vec<&Trial>> = tree.experiments.keys().map(|name| (name.as_str(), Vec::new())).collect();
    for trial in trials.values() {
        of.entry(&trial.experiment).or_default().push(trial);
    }
    let made = of.into_iter().map(|(name, trials)| {
        let new = experiment(name, tree.experiments.get(name), &trials);
        let old = before.get(name).filter(|old| ***old == new);
        (name.to_owned(), old.map_or_else(|| Arc::new(new), Arc::clone))
    });
    made.collect()
}

fn experiment(name: &str, declared: Option<&DeclaredExperiment>, trials: &[&Trial]) -> Experiment {
    let declared = declared.cloned().unwrap_or_default();
    let mut states: BTreeMap<TrialState, usize> = BTreeMap::new();
    for trial in trials {
        *states.entry(trial.state).or_default() += 1;
    }
    let costs: Vec<&Cost> = trials.iter().filter_map(|trial| trial.cost.as_ref()).collect();
    let cost = costs
        .first()
        .map(|first| Cost { amount: costs.iter().map(|cost| cost.amount).sum(), currency: first.currency.clone() });
    Experiment {
        name: name.to_owned(),
        file: declared.file,
        source: declared.source,
        dataset: declared.dataset,
        environments: declared.environments,
        model: declared.model.or_else(|| trials.iter().find_map(|trial| trial.model.clone())),
        states,
        last_started: trials.iter().filter_map(|trial| trial.started.clone()).max(),
        cpu_hours: trials.iter().filter_map(|trial| trial.cpu_hours).sum::<f64>() + 0.0,
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
                    && same(&old.experiments, &new.experiments);
                if !is_same {
                    *old = Arc::new(new);
                }
                !is_same
            });
        }
        published.ready.send_if_modified(|ready| std::mem::replace(ready, awaited.clone()) != awaited);
        let runs = trainings.borrow().trials.values().any(|trial| trial.state == TrialState::Running);
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
        self.begun.retain(|name, _| new.trials.get(name).is_some_and(|trial| !trial.archived));
        for (name, trial) in new.trials.iter().filter(|(_, trial)| !trial.archived) {
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

/// Whether two maps hold the very same values.
fn same<T>(one: &BTreeMap<String, Arc<T>>, other: &BTreeMap<String, Arc<T>>) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|((a, one), (b, other))| a == b && Arc::ptr_eq(one, other))
}

#[cfg(test)]
mod tests {
    use slipway_cluster::{State, Training};
    use slipway_project::cluster::Prices;

    use super::*;
    use crate::declared::DeclaredJob;

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
