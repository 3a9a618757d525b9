//! Which commits of the default branch brought and removed the TrainJobs of an environment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slipway_git::{FolderChange, Repository};
use slipway_project::{history, jobs_folder, serving};

use super::Declared;
use crate::view::Removal;

/// The most commits that are remembered although nothing is left of what they brought.
const REMEMBERED: usize = 100;

/// The commits of the default branch that matter to an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// The commits that brought each TrainJob, the newest first; mostly it is one. Also of jobs that were removed.
    pub of_jobs: BTreeMap<String, Vec<Brought>>,
    /// The TrainJobs whose files are gone, and how they went. Those that moved to the history are among them.
    pub removed: BTreeMap<String, Removal>,
    /// The TrainJobs that each commit brought.
    pub by_commit: BTreeMap<String, Vec<String>>,
    /// The newest commits that changed which jobs there are or which versions are in service, the newest first.
    pub newest: VecDeque<String>,
    /// When the newest commit was made that brought a record of the history, in seconds since 1970; `None` if there was none.
    pub recorded: Option<i64>,
}

/// A commit that brought a TrainJob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The commit.
    pub commit: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
    /// The content of the job's file: the id of its blob.
    pub blob: String,
}

impl Commits {
    pub(super) fn read(
        git: &Repository,
        commit: &str,
        environment: &str,
        before: &Declared,
    ) -> slipway_git::Result<Self> {
        let jobs = jobs_folder(environment);
        let pins = serving::path(environment);
        let (folder, file) = pins.rsplit_once('/').unwrap_or(("", &pins));
        let until = Some(before.commit.as_str()).filter(|commit| !commit.is_empty());
        let changes = git.folder_history(commit, &jobs, until)?;
        let pinned = git.folder_history(commit, folder, until)?.changes;
        let records = git.folder_history(commit, &history::folder(environment), until)?.changes;
        // a branch that was moved elsewhere is read from its beginning
        let mut commits = if changes.has_met { before.commits.clone() } else { Self::default() };
        let recorded = records.iter().find(|one| !one.written.is_empty()).map(|one| one.commit.time);
        commits.recorded = recorded.or(commits.recorded);
        let is_pinned =
            |one: &&FolderChange| one.written.contains_key(file) || one.removed.iter().any(|name| name == file);
        let both = changes.changes.iter().chain(pinned.iter().filter(is_pinned));
        // several may be of the same second, and clocks differ
        let both: BTreeMap<usize, &str> = both.map(|one| (one.newer, one.commit.id.as_str())).collect();
        for id in both.into_values().rev() {
            commits.newest.push_front(id.to_owned());
        }
        commits.newest.truncate(REMEMBERED);
        for change in changes.changes.into_iter().rev() {
            commits.add(change);
        }
        Ok(commits)
    }

    /// Adds a commit that is newer than the others.
    fn add(&mut self, change: FolderChange) {
        let brought: BTreeSet<&str> =
            change.written.keys().filter_map(|file| file.strip_suffix(".yaml")).map(experiment_of).collect();
        for job in change.removed.iter().filter_map(|file| file.strip_suffix(".yaml")) {
            let is_replaced = brought.contains(experiment_of(job));
            let removal = if is_replaced { Removal::Replaced } else { Removal::Cancelled };
            self.removed.insert(job.to_owned(), removal);
        }
        for (name, blob) in change.written {
            let Some(name) = name.strip_suffix(".yaml") else { continue };
            self.removed.remove(name);
            let brought = Brought { commit: change.commit.id.clone(), time: change.commit.time, blob };
            self.by_commit.entry(change.commit.id.clone()).or_default().push(name.to_owned());
            self.of_jobs.entry(name.to_owned()).or_default().insert(0, brought);
        }
    }

    /// The content of a job's file as it was brought last, and when that was.
    #[must_use]
    pub fn last(&self, job: &str) -> Option<&Brought> {
        self.of_jobs.get(job)?.first()
    }

    /// The commit that first brought a job as its file is, as `slipway trace` says it; `None` if that is not known.
    #[must_use]
    pub fn first(&self, job: &str) -> Option<&Brought> {
        let all = self.of_jobs.get(job)?;
        let newest = all.first()?;
        all.iter().rev().find(|one| one.blob == newest.blob)
    }

    /// The TrainJobs that a commit brought.
    #[must_use]
    pub fn jobs_of(&self, commit: &str) -> &[String] {
        self.by_commit.get(commit).map(Vec::as_slice).unwrap_or_default()
    }

    /// The content of a job's file as a commit brought it: the id of its blob.
    #[must_use]
    pub fn blob(&self, job: &str, commit: &str) -> Option<&str> {
        self.of_jobs.get(job)?.iter().find(|one| one.commit == commit).map(|one| one.blob.as_str())
    }
}

/// The experiment of a TrainJob, by the job's name.
fn experiment_of(job: &str) -> &str {
    job.rsplit_once('-').map_or(job, |(experiment, _)| experiment)
}
