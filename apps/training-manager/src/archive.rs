//! When the jobs that have ended are proposed to be moved to the history: one pull request at a time, and at most one a day.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use slipway_cluster::{Leadership, State, Timestamp, Training};
use slipway_service::Warned;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::error::Result;
use crate::history::{History, Last};
use crate::known::{Facts, Known};
use crate::merges::Merge;

/// How often is looked whether it is time.
const PAUSE: Duration = Duration::from_secs(600);
/// After how long at the earliest is looked again because other jobs have ended, or their logs are kept now.
const SOON: Duration = Duration::from_secs(60);
/// From one pull request to the next.
const INTERVAL: i64 = 24 * 3600;

/// Proposes archives for ever. `safe` are the jobs whose logs are kept.
pub(crate) async fn follow(
    history: &History,
    leadership: &Leadership,
    mut known: Known,
    mut safe: watch::Receiver<BTreeSet<String>>,
    merges: &mpsc::UnboundedSender<Merge>,
) -> Infallible {
    let mut warned = Warned::default();
    let begun = Instant::now();
    loop {
        let facts = known.now();
        // after a start the forge is asked about one commit after another, and what is not in this archive waits for a day
        let is_early = is_asking(&facts) && begun.elapsed() < PAUSE;
        if !facts.is_complete() || is_early {
            // to wait for longer would keep a manager from it that starts often
            let _ = tokio::time::timeout(SOON, known.changed()).await;
            continue;
        }
        let jobs = ended(&facts, &safe.borrow_and_update());
        if facts.declared.history.is_some() {
            match step(history, leadership, &facts, &jobs, merges).await {
                Ok(()) => warned.clear(),
                Err(error) => warned.warn("the jobs that have ended are not moved to the history", &error),
            }
        }
        let others = async {
            tokio::time::sleep(SOON).await;
            loop {
                if ended(&known.now(), &safe.borrow_and_update()) != jobs {
                    return;
                }
                tokio::select! {
                    () = known.changed() => {}
                    Ok(()) = safe.changed() => {}
                }
            }
        };
        // logs are looked for after a start, and one that is open may wait for that
        let _ = tokio::time::timeout(PAUSE, others).await;
    }
}

async fn step(
    history: &History,
    leadership: &Leadership,
    facts: &Facts,
    jobs: &[String],
    merges: &mpsc::UnboundedSender<Merge>,
) -> Result<()> {
    let last = history.last(leadership, facts).await?;
    // also one that was open before this manager began
    if let Some(open) = &last.open {
        history.merge(open, jobs, facts).into_iter().for_each(|merge| drop(merges.send(merge)));
    }
    if jobs.is_empty() || !is_time(&last, Timestamp::now().as_second()) {
        return Ok(());
    }
    if let Some(opened) = history.propose(jobs, leadership, facts).await? {
        history.merge(&opened, jobs, facts).into_iter().for_each(|merge| drop(merges.send(merge)));
        // it may be one that another manager opened
        tracing::info!("#{} moves jobs that have ended to the history", opened.number);
    }
    Ok(())
}

/// Whether another one may be proposed: none is open, and the last one is a day old.
fn is_time(last: &Last, now: i64) -> bool {
    last.open.is_none() && last.time.is_none_or(|time| now - time >= INTERVAL)
}

/// The jobs that have ended, and whose files are still on the default branch.
fn over(facts: &Facts) -> impl Iterator<Item = (&String, &Training)> {
    let trainings = &facts.observed.trainings;
    let there = facts.declared.jobs.keys().filter_map(|job| Some((job, trainings.get(job)?.as_ref())));
    there.filter(|(_, training)| matches!(training.state, State::Finished | State::Failed))
}

/// Whether the forge has yet to say which pull request started a job that has ended.
fn is_asking(facts: &Facts) -> bool {
    over(facts).any(|(job, _)| !facts.is_asked(job))
}

/// Those that have ended and whose logs are kept, as far as there is anything to keep. The forge was asked about them, because a record never
/// learns later which pull request started its job.
fn ended(facts: &Facts, safe: &BTreeSet<String>) -> Vec<String> {
    let is_ready = |(job, training): &(&String, &Training)| {
        let nothing_to_keep = training.workers.is_empty() || facts.recorded.without_run.contains(*job);
        (safe.contains(*job) || nothing_to_keep) && facts.is_asked(job)
    };
    over(facts).filter(is_ready).map(|(job, _)| job.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_cluster::Worker;
    use slipway_forge::{Opened, PullRequestState};

    use super::*;
    use crate::declared::{Brought, DeclaredJob};

    fn opened(state: PullRequestState) -> Opened {
        Opened {
            number: 1,
            url: String::new(),
            branch: String::new(),
            title: String::new(),
            head: String::new(),
            state,
            base: String::new(),
            body: String::new(),
            author: String::new(),
            labels: Vec::new(),
            reviewers: Vec::new(),
            is_draft: false,
            head_repository: None,
            is_fork: false,
            merge_commit: None,
            commits: None,
            opened_at: None,
        }
    }

    #[test]
    fn what_moves_has_ended_and_leaves_no_log_behind() {
        let mut facts = Facts::default();
        let there = |state, workers: usize| {
            let workers = vec![Worker::default(); workers];
            Some(Arc::new(Training { state, workers, ..Training::default() }))
        };
        for (job, training) in [
            ("kept", there(State::Finished, 2)),
            ("not kept yet", there(State::Failed, 2)),
            ("without a run", there(State::Failed, 2)),
            ("without workers", there(State::Finished, 0)),
            ("running", there(State::Running, 2)),
            ("ending", there(State::Ending, 2)),
            ("not there", None),
        ] {
            Arc::make_mut(&mut facts.declared).jobs.insert(job.to_owned(), Arc::new(DeclaredJob::default()));
            Arc::make_mut(&mut facts.observed).trainings.extend(training.map(|training| (job.to_owned(), training)));
        }
        Arc::make_mut(&mut facts.observed)
            .trainings
            .insert("not declared".to_owned(), there(State::Finished, 0).unwrap());
        let safe = ["kept".to_owned(), "running".to_owned()].into();
        assert_eq!(ended(&facts, &safe), ["kept", "without workers"], "nobody has looked for runs yet");
        Arc::make_mut(&mut facts.recorded).without_run.insert("without a run".to_owned());
        assert_eq!(ended(&facts, &safe), ["kept", "without a run", "without workers"]);
    }

    #[test]
    fn what_moves_has_a_pull_request_that_the_forge_was_asked_for() {
        let mut facts = Facts::default();
        let tree = Arc::make_mut(&mut facts.declared);
        tree.jobs.insert("a".to_owned(), Arc::new(DeclaredJob::default()));
        let brought = Brought { commit: "c".to_owned(), time: 0, blob: String::new() };
        tree.commits.of_jobs.insert("a".to_owned(), vec![brought]);
        let training = Training { state: State::Finished, ..Training::default() };
        Arc::make_mut(&mut facts.observed).trainings.insert("a".to_owned(), Arc::new(training));
        assert!(ended(&facts, &BTreeSet::new()).is_empty() && is_asking(&facts));
        // it may know of none
        Arc::make_mut(&mut facts.origins).asked.insert("c".to_owned());
        assert_eq!(ended(&facts, &BTreeSet::new()), ["a"]);
        assert!(!is_asking(&facts));
    }

    #[test]
    fn one_at_a_time_and_one_a_day() {
        let day = INTERVAL;
        assert!(is_time(&Last::default(), 0));
        let last = Last { open: None, time: Some(1_000) };
        assert!(!is_time(&last, 1_000 + day - 1));
        assert!(is_time(&last, 1_000 + day));
        assert!(!is_time(&Last { open: Some(opened(PullRequestState::Open)), time: Some(1_000) }, 1_000 + 9 * day));
    }
}
