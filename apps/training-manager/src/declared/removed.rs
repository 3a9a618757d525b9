//! TrainJobs whose files were removed from the default branch and not moved to the history: what came of them is still a result.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use slipway_experiment::read_job;
use slipway_git::Repository;
use slipway_project::jobs_folder;

use super::{Declared, DeclaredJob};
use crate::view::Removal;

/// The most that are kept: those that were brought last.
const MOST: usize = 1000;

/// A TrainJob whose file was removed.
#[derive(Clone, Debug, PartialEq)]
pub struct RemovedJob {
    /// What its file said last.
    pub job: Arc<DeclaredJob>,
    /// How it went.
    pub removal: Removal,
    /// The content of its file: the id of its blob.
    pub blob: String,
}

/// Those of a commit, by name. One that has not changed since `before` stays the very same value. A file that cannot be read, or is not here
/// because the clone is shallow, is left out.
pub(super) fn jobs(
    git: &Repository,
    environment: &str,
    declared: &Declared,
    before: &Declared,
) -> BTreeMap<String, Arc<RemovedJob>> {
    let Declared { branch, commits, .. } = declared;
    let gone = commits
        .removed
        .iter()
        .filter(|(name, _)| !branch.asks_for(environment, name) && branch.history_of(environment, name).is_none());
    let mut gone: Vec<_> = gone.filter_map(|(name, removal)| Some((name, *removal, commits.last(name)?))).collect();
    gone.sort_by_key(|(name, _, brought)| (Reverse(brought.time), *name));
    gone.truncate(MOST);
    let mut found = BTreeMap::new();
    for (name, removal, brought) in gone {
        let known = before.removed.get(name).filter(|one| one.blob == brought.blob && one.removal == removal);
        let job = match known {
            Some(known) => Arc::clone(known),
            None => {
                let path = format!("{}/{name}.yaml", jobs_folder(environment));
                let Ok(contents) = git.blobs(&[&brought.blob]) else { continue };
                let Ok(job) = read_job(&path, &String::from_utf8_lossy(&contents.concat())) else { continue };
                Arc::new(RemovedJob { job: Arc::new(DeclaredJob::of(&job)), removal, blob: brought.blob.clone() })
            }
        };
        found.insert(name.clone(), job);
    }
    found
}
