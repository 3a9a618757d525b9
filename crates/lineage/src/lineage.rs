//! A lineage as far as it could be resolved, and what could not be, with the reason.

use serde::Serialize;
use slipway_git::Commit;

/// What a TrainJob, and every run and version of it, came from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// Where it was looked up.
    pub history: Searched,
    /// The TrainJob.
    pub train_job: TrainJobLineage,
    /// The experiment that it was rendered from.
    pub experiment: ExperimentLineage,
    /// The code of a program of `trainers/`; `None` for the built-in trainer, and for an image that was built elsewhere.
    pub program: Option<ProgramLineage>,
    /// The data; `None` if nothing names it.
    pub dataset: Option<DatasetLineage>,
    /// What could not be resolved.
    pub unresolved: Vec<Unresolved>,
}

/// The history that was searched.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Searched {
    /// The branch, such as `origin/main`.
    pub branch: String,
    /// Its newest commit.
    pub commit: String,
    /// Whether its whole history is here: not in a shallow clone.
    pub complete: bool,
}

/// A TrainJob and its file.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainJobLineage {
    /// Its `metadata.name`.
    pub name: String,
    /// The environment that it is for.
    pub environment: Option<String>,
    /// Its rendered file, by its path in the project. The newest commit need not have it any more.
    pub file: Option<String>,
    /// The content of that file: the id of its blob.
    pub blob: Option<String>,
    /// The trainer's image, by its digest where the environment asks for that.
    pub image: Option<String>,
    /// The commit that brought the file to the branch, and so started the job.
    pub commit: Option<CommitLineage>,
    /// Its record, by its path in the project, if the newest commit has one: the job has ended, and its file has moved below it.
    pub record: Option<String>,
}

/// An experiment's file at the content that a TrainJob was rendered from.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentLineage {
    /// The experiment's `metadata.name`; `None` if it is unknown.
    pub name: Option<String>,
    /// Its file, by its path in the project.
    pub file: Option<String>,
    /// The content of that file: the id of its blob.
    pub blob: Option<String>,
    /// The first commit of the branch with this content.
    pub commit: Option<CommitLineage>,
}

/// The code that a TrainJob runs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramLineage {
    /// Its folder, by its path in the project; `None` if the TrainJob's file is unknown.
    pub folder: Option<String>,
    /// The content of that folder: the id of its tree.
    pub tree: String,
    /// The first commit of the branch with this content.
    pub commit: Option<CommitLineage>,
}

/// A commit of the branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitLineage {
    /// Its hash.
    pub id: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
    /// The first line of its message.
    pub subject: String,
    /// The pull request that brought it.
    pub pull_request: Option<PullRequestLineage>,
}

impl CommitLineage {
    pub(crate) fn of(commit: &Commit) -> Self {
        let subject = commit.subject().to_owned();
        Self { id: commit.id.clone(), time: commit.time, subject, pull_request: None }
    }
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestLineage {
    /// Its number.
    pub number: u64,
    /// Its title; `None` if only the commit's message names it.
    pub title: Option<String>,
    /// Its page; `None` if only the commit's message names it.
    pub url: Option<String>,
}

/// A dataset at its content.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetLineage {
    /// The dataset's name in `datasets/`; `None` if it is unknown.
    pub name: Option<String>,
    /// The digest of its content.
    pub digest: String,
}

/// Something that could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unresolved {
    /// What.
    pub part: Part,
    /// Why, and what to do.
    pub reason: String,
}

/// A part of a lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The TrainJob's file.
    TrainJob,
    /// The commit that brought the TrainJob's file.
    TrainJobCommit,
    /// The content of the experiment.
    Experiment,
    /// The commit that brought the experiment's content.
    ExperimentCommit,
    /// The code of the program.
    Program,
    /// The pull request of a commit.
    PullRequest,
}

impl Lineage {
    pub(crate) fn unresolved(&mut self, part: Part, reason: impl Into<String>) {
        self.unresolved.push(Unresolved { part, reason: reason.into() });
    }

    /// Whether everything but pull requests is resolved: those are not in the repository.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.unresolved.iter().all(|one| one.part == Part::PullRequest)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TrainJob => "the TrainJob's file",
            Self::TrainJobCommit => "the commit of the TrainJob",
            Self::Experiment => "the experiment's content",
            Self::ExperimentCommit => "the commit of the experiment",
            Self::Program => "the program's code",
            Self::PullRequest => "the pull request",
        })
    }
}
