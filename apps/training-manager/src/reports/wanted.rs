//! Which pull requests are reported on, and what their reports depend on. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use slipway_cluster::{State, Timestamp, Training};

use crate::known::Facts;
use crate::origins::commits;
use crate::schedule::Urgency;

/// What a report is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A digest of everything that it depends on, and that is worth a new report.
    pub(super) state: u64,
    /// How urgent it is after a start.
    pub(super) first: Urgency,
    /// How urgent it is once it has changed.
    pub(super) later: Urgency,
    pub(super) rank: i64,
}

/// What a report depends on, before it is a digest.
#[derive(Default)]
struct Gathered {
    hasher: DefaultHasher,
    /// Whether something has begun, or has a reason why it does not.
    has_news: bool,
    /// Whether something has not ended yet, or not for long.
    is_live: bool,
    /// How new it is; `None` for what is older than all that is remembered.
    rank: Option<i64>,
}

/// How long something counts as live after it has ended: longer than a manager is away.
const RECENT: i64 = 3600;

/// Every pull request that is reported on. What runs, or has a reason why it does not, comes at once; what is only on its way comes soon, since it is
/// most often followed by more. After a start, what ended long ago is looked at again sometime.
pub(super) fn wanted(facts: &Facts, now: Timestamp) -> BTreeMap<u64, Wanted> {
    let tree = &facts.declared;
    let mut gathered: BTreeMap<u64, Gathered> = BTreeMap::new();
    for commit in commits(tree, &facts.observed).into_keys() {
        let Some(pull_request) = facts.origins.pull_requests.get(&commit) else { continue };
        let of = gathered.entry(pull_request.number).or_default();
        let jobs = tree.commits.jobs_of(&commit);
        for job in jobs {
            of.add(facts, job, now);
        }
        let models: BTreeSet<&String> = jobs.iter().filter_map(|job| tree.jobs.get(job)?.model.as_ref()).collect();
        let pins =
            models.into_iter().flat_map(|model| tree.branch.pins.values().map(move |pins| (model, pins.get(model))));
        for (model, pin) in pins {
            (model, pin.map(|pin| pin.version)).hash(&mut of.hasher);
        }
        // the newest first
        let place = tree.commits.newest.iter().position(|one| *one == commit);
        of.rank = of.rank.max(place.map(|place| -(place as i64)));
    }
    gathered.into_iter().map(|(number, of)| (number, of.wanted())).collect()
}

impl Gathered {
    fn add(&mut self, facts: &Facts, job: &str, now: Timestamp) {
        let training = facts.training(job).map(AsRef::as_ref);
        let run = facts.recorded.runs.get(job);
        job.hash(&mut self.hasher);
        facts.declared.jobs.contains_key(job).hash(&mut self.hasher);
        training.map(|training| (training.state, &training.hindrance)).hash(&mut self.hasher);
        // how its run ended is known later than that its job ended
        let has_ended = training.is_none_or(|one| !matches!(one.state, State::Waiting | State::Running));
        let run = run.filter(|_| has_ended).map(|run| (run.run.status, &run.run.tags, run.version));
        run.hash(&mut self.hasher);
        self.has_news |= training.is_some_and(is_news);
        self.is_live |= training.is_some_and(|one| {
            let ended = one.ended.filter(|_| matches!(one.state, State::Finished | State::Failed | State::Ending));
            ended.is_none_or(|ended| now.as_second() - ended.as_second() < RECENT)
        });
        // what was merged just now is on its way: a report at once that it waits would keep back the one that it runs
        let brought = facts.declared.commits.first(job).filter(|_| training.is_none());
        self.is_live |= brought.is_some_and(|brought| now.as_second() - brought.time < RECENT);
    }

    fn wanted(self) -> Wanted {
        let later = if self.has_news { Urgency::Now } else { Urgency::Soon };
        let first = if self.is_live { later } else { Urgency::Calm };
        Wanted { state: self.hasher.finish(), first, later, rank: self.rank.unwrap_or(i64::MIN) }
    }
}

fn is_news(training: &Training) -> bool {
    training.state != State::Waiting || training.hindrance.is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_cluster::Hindrance;

    use super::*;
    use crate::declared::{Brought, DeclaredJob};
    use crate::view::PullRequest;

    /// A pull request that brought a job, which is like this.
    fn facts(training: Option<Training>) -> Facts {
        let mut facts = Facts::default();
        let tree = Arc::make_mut(&mut facts.declared);
        tree.jobs.insert("a".to_owned(), Arc::new(DeclaredJob::default()));
        let brought = Brought { commit: "c".to_owned(), time: 0, blob: String::new() };
        tree.commits.of_jobs.insert("a".to_owned(), vec![brought]);
        tree.commits.by_commit.insert("c".to_owned(), vec!["a".to_owned()]);
        tree.commits.newest.push_front("c".to_owned());
        let origin = PullRequest { number: 7, ..PullRequest::default() };
        Arc::make_mut(&mut facts.origins).pull_requests.insert("c".to_owned(), Arc::new(origin));
        let cluster = Arc::make_mut(&mut facts.observed);
        cluster.trainings.extend(training.map(|training| ("a".to_owned(), Arc::new(training))));
        facts
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn wanted_of(training: Option<Training>) -> Wanted {
        wanted(&facts(training), at(10_000))[&7]
    }

    fn training(state: State) -> Training {
        Training { state, ..Training::default() }
    }

    #[test]
    fn what_begins_or_cannot_begin_is_told_at_once() {
        let hindrance = Some(Hindrance { reason: "quota".to_owned(), advice: String::new() });
        let (none, waits) = (wanted_of(None), wanted_of(Some(training(State::Waiting))));
        let held = wanted_of(Some(Training { hindrance, ..Training::default() }));
        let runs = wanted_of(Some(training(State::Running)));
        assert_eq!(
            [none.later, waits.later, held.later, runs.later],
            [Urgency::Soon, Urgency::Soon, Urgency::Now, Urgency::Now]
        );
        let states = [none.state, waits.state, held.state, runs.state];
        assert!((1..4).all(|index| states[..index].iter().all(|before| *before != states[index])), "{states:?}");
        assert_eq!(runs, wanted_of(Some(training(State::Running))));
    }

    #[test]
    fn how_far_it_is_is_worth_no_report() {
        let progress = Some(slipway_cluster::Progress { percent: 50, remaining_seconds: None });
        let further = Training { progress, metrics: [("loss".to_owned(), 0.5)].into(), ..training(State::Running) };
        assert_eq!(wanted_of(Some(further)), wanted_of(Some(training(State::Running))));
    }

    #[test]
    fn after_a_start_what_is_live_comes_first() {
        let ended = |second| Training { ended: Some(at(second)), ..training(State::Finished) };
        assert_eq!(wanted_of(Some(training(State::Running))).first, Urgency::Now);
        assert_eq!(wanted_of(Some(ended(9_000))).first, Urgency::Now, "it may have ended while nobody looked");
        assert_eq!(wanted_of(Some(ended(1_000))).first, Urgency::Calm);
        assert_eq!(wanted_of(None).first, Urgency::Calm);
        let just_merged = wanted(&facts(None), at(10))[&7];
        assert_eq!(just_merged.first, Urgency::Soon);
    }
}
