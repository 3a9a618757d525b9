//! When the jobs that have ended are proposed to be moved to the history: one pull request at a time, and at most one a day.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use slipway_cluster::{State, Timestamp};
use slipway_forge::Opened;
use tokio::sync::{mpsc, watch};

use crate::error::Result;
use crate::known::{Facts, Known};
use crate::merges::Merge;
use crate::warned::Warned;

/// How often is looked whether it is time.
const PAUSE: Duration = Duration::from_secs(600);
/// From one pull request to the next.
const INTERVAL: i64 = 24 * 3600;

/// What moves the files of jobs to the history. The history's own crate implements it.
pub trait Archive {
    /// Whether the environment asks for it: `cluster.yaml` on the default branch.
    fn is_asked_for(&self, facts: &Facts) -> bool;

    /// The archive that was proposed last, in whatever state, and when that was, in seconds since 1970; `None` if there was none.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    fn last(&self) -> impl Future<Output = Result<Option<(Opened, i64)>>>;

    /// Proposes to move these jobs, whose logs are kept with their runs. Returns `None` if there is nothing to move.
    ///
    /// # Errors
    /// When the repository cannot be written, or the forge refuses.
    fn propose(&self, jobs: &[String], facts: &Facts) -> impl Future<Output = Result<Option<Opened>>>;

    /// What is to be merged without a person; `None` if the environment does not ask for that.
    fn merge(&self, opened: &Opened, facts: &Facts) -> Option<Merge>;
}

/// Nothing moves them.
#[derive(Clone, Copy, Debug)]
pub enum NoArchive {}

impl Archive for NoArchive {
    fn is_asked_for(&self, _: &Facts) -> bool {
        match *self {}
    }

    async fn last(&self) -> Result<Option<(Opened, i64)>> {
        match *self {}
    }

    async fn propose(&self, _: &[String], _: &Facts) -> Result<Option<Opened>> {
        match *self {}
    }

    fn merge(&self, _: &Opened, _: &Facts) -> Option<Merge> {
        match *self {}
    }
}

/// Proposes archives for ever. `safe` are the jobs whose logs are kept.
pub(crate) async fn follow(
    archive: &impl Archive,
    mut known: Known,
    safe: watch::Receiver<BTreeSet<String>>,
    merges: &mpsc::UnboundedSender<Merge>,
) -> Infallible {
    let mut warned = Warned::default();
    loop {
        let facts = known.now();
        if facts.is_complete() && archive.is_asked_for(&facts) {
            let jobs = ended(&facts, &safe.borrow());
            match step(archive, &facts, &jobs, merges).await {
                Ok(()) => warned.clear(),
                Err(error) => warned.warn("the jobs that have ended are not moved to the history", &error),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn step(
    archive: &impl Archive,
    facts: &Facts,
    jobs: &[String],
    merges: &mpsc::UnboundedSender<Merge>,
) -> Result<()> {
    let last = archive.last().await?;
    // also one that was open before this manager began
    if let Some((open, _)) = last.as_ref().filter(|(last, _)| last.is_open()) {
        archive.merge(open, facts).into_iter().for_each(|merge| drop(merges.send(merge)));
    }
    if jobs.is_empty() || !is_time(last.as_ref(), Timestamp::now().as_second()) {
        return Ok(());
    }
    if let Some(opened) = archive.propose(jobs, facts).await? {
        archive.merge(&opened, facts).into_iter().for_each(|merge| drop(merges.send(merge)));
        tracing::info!("opened #{} to move {} jobs that have ended to the history", opened.number, jobs.len());
    }
    Ok(())
}

/// Whether another one may be proposed: none is open, and the last one is a day old.
fn is_time(last: Option<&(Opened, i64)>, now: i64) -> bool {
    last.is_none_or(|(opened, time)| !opened.is_open() && now - time >= INTERVAL)
}

/// The jobs that have ended, whose files are still on the default branch, and whose logs are kept, as far as there is anything to keep.
fn ended(facts: &Facts, safe: &BTreeSet<String>) -> Vec<String> {
    let has_ended = |job: &&String| {
        facts.observed.trainings.get(*job).is_some_and(|training| {
            let nothing_to_keep = training.workers.is_empty() || !facts.recorded.runs.contains_key(*job);
            matches!(training.state, State::Finished | State::Failed) && (safe.contains(*job) || nothing_to_keep)
        })
    };
    facts.declared.jobs.keys().filter(has_ended).cloned().collect()
}

#[cfg(test)]
mod tests {
    use slipway_forge::PullRequestState;

    use super::*;

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
        }
    }

    #[test]
    fn one_at_a_time_and_one_a_day() {
        let day = INTERVAL;
        assert!(is_time(None, 0));
        for state in [PullRequestState::Merged, PullRequestState::Closed] {
            let last = (opened(state), 1_000);
            assert!(!is_time(Some(&last), 1_000 + day - 1));
            assert!(is_time(Some(&last), 1_000 + day));
        }
        assert!(!is_time(Some(&(opened(PullRequestState::Open), 1_000)), 1_000 + 9 * day));
    }
}
