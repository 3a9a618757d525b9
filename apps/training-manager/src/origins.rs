//! Which pull request brought each commit of the default branch: the forge is asked once for each.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use slipway_cluster::State;
use slipway_forge::PullRequestState;
use slipway_project::jobs_folder;
use slipway_service::{Followed, Warned, backoff};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::declared::Declared;
use crate::schedule::{Pace, Schedule, Urgency};
use crate::view::PullRequest;
use crate::watch::Observed;

/// After how long the forge is asked again that knew of none: it may learn of a merge later than git, mostly by seconds.
const AGAIN: Duration = Duration::from_secs(3);
/// The longest of these pauses; each is twice as long as the one before.
const LONGEST: Duration = Duration::from_secs(300);
/// How often it is asked about a commit whose jobs have all ended. About live ones it is asked for as long as they live.
const TRIES: u32 = 8;

/// The pull requests of commits, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// By commit.
    pub pull_requests: BTreeMap<String, Arc<PullRequest>>,
    /// The commits that the forge has been asked about, whatever it knew.
    pub asked: BTreeSet<String>,
}

/// Follows the pull requests of commits for ever, those of live jobs first.
pub async fn follow(
    followed: &Followed,
    environment: &str,
    pace: Pace,
    mut declared: watch::Receiver<Arc<Declared>>,
    mut observed: watch::Receiver<Arc<Observed>>,
    origins: &watch::Sender<Arc<Origins>>,
) -> Infallible {
    // nothing is written here
    let pace = Pace { interval: Duration::ZERO, lead: Duration::ZERO, ..pace };
    let mut schedule: Schedule<String> = Schedule::new(pace, Instant::now());
    let mut known = Origins::default();
    let mut tries: BTreeMap<String, u32> = BTreeMap::new();
    let mut warned = Warned::default();
    let mut first = None;
    loop {
        let (tree, cluster) = (Arc::clone(&declared.borrow_and_update()), Arc::clone(&observed.borrow_and_update()));
        if cluster.is_complete && !tree.commit.is_empty() {
            let first: &BTreeSet<String> = first.get_or_insert_with(|| commits(&tree, &cluster).into_keys().collect());
            for (commit, is_live) in commits(&tree, &cluster) {
                let is_new = is_live || !first.contains(&commit);
                let rank =
                    tree.commits.newest.iter().position(|one| *one == commit).map_or(i64::MIN, |at| -(at as i64));
                schedule.want(&commit, 1, if is_new { Urgency::Now } else { Urgency::Calm }, rank, Instant::now());
            }
        }
        if let Some(commit) = schedule.next(Instant::now()) {
            let files: Vec<(String, &str)> = tree
                .commits
                .jobs_of(&commit)
                .iter()
                .filter_map(|job| {
                    let path = format!("{}/{job}.yaml", jobs_folder(environment));
                    Some((followed.git.path_at_top(&path), tree.commits.blob(job, &commit)?))
                })
                .collect();
            let files: Vec<(&str, &str)> = files.iter().map(|(path, blob)| (path.as_str(), *blob)).collect();
            let found = followed.remote.forge.pull_request_of(&commit, &files).await;
            match found {
                Ok(found) => {
                    warned.clear();
                    let found = found.filter(|opened| opened.state == PullRequestState::Merged);
                    let tries = tries.entry(commit.clone()).or_default();
                    *tries += 1;
                    let again = again(*tries, found.is_some(), is_live(&tree, &cluster, &commit));
                    schedule.done(&commit, Instant::now(), None, again);
                    let mut is_new = known.asked.insert(commit.clone());
                    if let Some(opened) = found {
                        let (number, url) = (opened.number, opened.url);
                        known.pull_requests.insert(commit, Arc::new(PullRequest { number, url }));
                        is_new = true;
                    }
                    if is_new {
                        origins.send_replace(Arc::new(known.clone()));
                    }
                }
                Err(error) => {
                    warned.warn("the pull requests of commits are not known", &error);
                    schedule.failed(&commit, Instant::now());
                }
            }
            continue;
        }
        let wait = schedule.wait(Instant::now()).unwrap_or(Duration::from_secs(3600));
        tokio::select! {
            _ = declared.changed() => {}
            _ = observed.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// After how long the forge is asked again.
fn again(tries: u32, is_found: bool, is_live: bool) -> Option<Duration> {
    (!is_found && (is_live || tries < TRIES)).then(|| backoff(AGAIN, tries.saturating_sub(1), LONGEST))
}

/// Whether a job that a commit brought has not ended; one that is not in the cluster yet is on its way.
fn is_live(tree: &Declared, cluster: &Observed, commit: &str) -> bool {
    tree.commits.jobs_of(commit).iter().any(|job| match cluster.trainings.get(job) {
        Some(training) => matches!(training.state, State::Waiting | State::Running),
        None => tree.jobs.contains_key(job),
    })
}

/// The commits that matter, and whether a job of each has not ended: those of jobs that are on the branch or in the cluster, and the newest ones.
pub(crate) fn commits(tree: &Declared, cluster: &Observed) -> BTreeMap<String, bool> {
    let mut commits: BTreeMap<String, bool> =
        tree.commits.newest.iter().map(|commit| (commit.clone(), false)).collect();
    let jobs: BTreeSet<&String> = tree.jobs.keys().chain(cluster.trainings.keys()).collect();
    for job in jobs {
        let is_live =
            cluster.trainings.get(job).is_some_and(|one| matches!(one.state, State::Waiting | State::Running));
        for brought in tree.commits.of_jobs.get(job).into_iter().flatten() {
            match commits.get_mut(&brought.commit) {
                Some(live) => *live |= is_live,
                None => drop(commits.insert(brought.commit.clone(), is_live)),
            }
        }
    }
    commits
}

#[cfg(test)]
mod tests {
    use slipway_cluster::Training;

    use super::*;
    use crate::declared::DeclaredJob;

    #[test]
    fn the_forge_is_asked_about_a_live_job_for_as_long_as_it_lives() {
        let seconds = |tries, is_found, is_live| again(tries, is_found, is_live).map(|after| after.as_secs());
        assert_eq!(
            [1, 2, 5, 100].map(|tries| seconds(tries, false, true)),
            [Some(3), Some(6), Some(48), Some(300)],
            "whoever waits for \"running\" is told within seconds"
        );
        assert_eq!([1, 7, 8, 100].map(|tries| seconds(tries, false, false)), [Some(3), Some(192), None, None]);
        assert_eq!(seconds(1, true, true), None);
    }

    #[test]
    fn a_job_lives_until_it_has_ended() {
        let mut tree = Declared::default();
        tree.jobs.insert("a".to_owned(), Arc::new(DeclaredJob::default()));
        tree.commits.by_commit.insert("c".to_owned(), vec!["a".to_owned()]);
        let live = |tree: &Declared, state: Option<State>| {
            let training = |state| ("a".to_owned(), Arc::new(Training { state, ..Training::default() }));
            let cluster = Observed { trainings: state.map(training).into_iter().collect(), ..Observed::default() };
            is_live(tree, &cluster, "c")
        };
        assert!(live(&tree, None) && live(&tree, Some(State::Waiting)) && live(&tree, Some(State::Running)));
        assert!(!live(&tree, Some(State::Finished)) && !live(&tree, Some(State::Failed)));
        tree.jobs.clear();
        assert!(!live(&tree, None), "it was cancelled");
    }
}
