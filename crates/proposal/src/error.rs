//! Why a pull request cannot be prepared or opened.

use std::path::PathBuf;

use slipway_source::Finding;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a pull request cannot be prepared or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A dataset that is not retrained.
    #[error("nothing is trained again on {dataset}: {reason}")]
    NotRetrained {
        /// The dataset.
        dataset: String,
        /// Why not.
        reason: String,
    },
    /// Files have mistakes.
    #[error("{} found", slipway_project::count(.0.len(), "problem"))]
    Invalid(Vec<Finding>),
    /// A proposed path is not an experiment file.
    #[error("{0} is not an experiment file: experiments are declared in experiments/<name>.yaml")]
    NotAnExperiment(String),
    /// Git ignores a proposed file.
    #[error("git ignores {0}, so it is not part of the project: `git check-ignore -v {0}` names the rule")]
    Ignored(String),
    /// A proposed file is neither here nor on the remote.
    #[error("{0} does not exist, neither here nor on the remote: `slipway new NAME` writes experiments/NAME.yaml")]
    NoSuchFile(String),
    /// The remote has changed a file, too, and a person decides what it should be.
    #[error(
        "{file} is not proposed, so that nothing of what is on {branch} is undone: {reason}. Commit yours with `git add {file}` and \
         `git commit -m mine {file}`, take over what was merged with `git pull --no-rebase --no-edit {remote} {branch}`, decide in the file, and propose it again"
    )]
    ChangedThere {
        /// The file.
        file: String,
        /// The branch that it is proposed to.
        branch: String,
        /// The remote, as git takes it; without a password.
        remote: String,
        /// What was changed on both sides.
        reason: String,
    },
    /// What a person has changed in a file is not known.
    #[error(
        "{file} is not proposed: {branch} has another one, and the commits of this repository and of {branch} have none in common, so it cannot be \
         told what you have changed. Clone {remote}, and propose it from there"
    )]
    NoCommonHistory {
        /// The file.
        file: String,
        /// The branch that it is proposed to.
        branch: String,
        /// The remote, as git takes it; without a password.
        remote: String,
    },
    /// Neither an experiment nor a TrainJob has this name.
    #[error(
        "nothing on {branch} has the name {name}: neither an experiment nor a TrainJob{}",
        close.as_ref().map(|close| format!("; did you mean {close}?")).unwrap_or_default()
    )]
    NothingToCancel {
        /// The name that was given.
        name: String,
        /// The branch that was searched.
        branch: String,
        /// A name that is there and nearly the same.
        close: Option<String>,
    },
    /// No TrainJob of it is there: it has not started, or was cancelled.
    #[error(
        "{name} {}, so there is nothing to cancel: no TrainJob of it is on {branch}",
        if *cancelled { "was cancelled already" } else { "has not started" }
    )]
    NothingRuns {
        /// The name that was given.
        name: String,
        /// The branch that was searched.
        branch: String,
        /// Whether it was cancelled.
        cancelled: bool,
    },
    /// Only TrainJobs of this name are there that have ended.
    #[error(
        "{name} has ended, so there is nothing to cancel: what came of it is in {}",
        environments.iter().map(|name| slipway_project::history::folder(name)).collect::<Vec<_>>().join(" and ")
    )]
    HasEnded {
        /// The name that was given.
        name: String,
        /// The environments whose history has it.
        environments: Vec<String>,
    },
    /// It has no TrainJob in this environment.
    #[error("{name} has no TrainJob in {environment}, so there is none to cancel")]
    NotRenderedThere {
        /// The name that was given.
        name: String,
        /// The environment that was given.
        environment: String,
    },
    /// One trial of a sweep cannot be cancelled in one environment and go on in another.
    #[error(
        "{job} is rendered in {} too, and an experiment asks for the same trials in each: cancel it in all of them, without --environment",
        others.join(" and ")
    )]
    CancelledInPart {
        /// The TrainJob.
        job: String,
        /// The environments in which it would go on.
        others: Vec<String>,
    },
    /// The experiment file cannot be edited by a program.
    #[error(
        "{file} is not written in lines, so {job} cannot be added to its `cancelled`: add it there by hand below `spec`, then \
         `slipway propose {file}` removes its TrainJob"
    )]
    NotEditable {
        /// The experiment file.
        file: String,
        /// The TrainJob.
        job: String,
    },
    /// Nobody but its author may change a fork's branch.
    #[error(
        "pull request #{number} comes from a fork{}, whose branch only its author changes: there, `slipway render` writes what is missing; \
         commit and push it",
        repository.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
    )]
    OfFork {
        /// Its number.
        number: u64,
        /// The fork; `None` if it is gone.
        repository: Option<String>,
    },
    /// Only an open pull request can be changed.
    #[error("pull request #{number} is {state}, so its branch is left as it is")]
    NotOpen {
        /// Its number.
        number: u64,
        /// Its state.
        state: String,
    },
    /// A person decides what these files should be.
    #[error("pull request #{number} and {base} both changed {files}, which a person decides: {resolution}")]
    Conflict {
        /// Its number.
        number: u64,
        /// The branch that it is merged into.
        base: String,
        /// The files.
        files: String,
        /// The commands that merge one into the other.
        resolution: String,
    },
    /// Only what was merged can be undone.
    #[error("pull request #{number} is {state}, so there is nothing to undo")]
    NotMerged {
        /// Its number.
        number: u64,
        /// Its state.
        state: String,
    },
    /// Later commits changed the same lines.
    #[error(
        "pull request #{number} cannot be undone: later commits changed the same lines of {files}; make the change by hand"
    )]
    NotRevertible {
        /// Its number.
        number: u64,
        /// The files.
        files: String,
    },
    /// The environment does not exist.
    #[error("unknown environment `{name}`; known: {}", known.join(", "))]
    UnknownEnvironment {
        /// The name that was given.
        name: String,
        /// The environments that exist.
        known: Vec<String>,
    },
    /// There is neither a remote of this name nor a repository at this path.
    #[error(
        "there is no git remote `{name}` and no folder {}; the remotes are: {}",
        path.display(), if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    )]
    NoRemote {
        /// The name that was given.
        name: String,
        /// The folder that it would name.
        path: PathBuf,
        /// The remotes that exist.
        known: Vec<String>,
    },
    /// The model does not exist, or has no version.
    #[error(
        "no version of a model `{model}` is registered; registered are: {}",
        if known.is_empty() { "none yet (`slipway status` shows whether a job has finished)".to_owned() } else { known.join(", ") }
    )]
    UnknownModel {
        /// The registered model that was named.
        model: String,
        /// The models that have versions.
        known: Vec<String>,
    },
    /// The version does not exist.
    #[error("{model} has no version {version}; it has: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    UnknownVersion {
        /// The registered model.
        model: String,
        /// The version that was named.
        version: u64,
        /// The versions that exist.
        known: Vec<String>,
    },
    /// There is nothing to try a version beside.
    #[error(
        "no other version of {model} is in service in {environment}, so version {version} cannot be tried beside one: without `--as`, \
         `slipway promote` puts it into service"
    )]
    NoChampion {
        /// The registered model.
        model: String,
        /// The version.
        version: u64,
        /// The environment.
        environment: String,
    },
    /// The version was not registered by Slipway.
    #[error(
        "version {version} of {model} has no digest in its tag {}, so its content cannot be pinned: register it with a TrainJob of Slipway",
        slipway_names::tag::DIGEST
    )]
    NoDigest {
        /// The registered model.
        model: String,
        /// The version.
        version: String,
    },
    /// No server runs the version.
    #[error(
        "no server of this project runs version {version} of {model}: it is of MLflow's flavour {flavor}{reason}. Servers run the built-in networks, \
         TorchScript (slipway/model.ts) and compiled packages of torch.export (slipway/model.pt2). `mlflow models serve -m models:/{model}/{version}` runs it; \
         or register a version that was exported to one of those (docs/programs.md)"
    )]
    NotServable {
        /// The registered model.
        model: String,
        /// The version.
        version: String,
        /// What it was saved with, such as `sklearn`.
        flavor: String,
        /// `: ` and why, as far as it is known.
        reason: String,
    },
    /// A server that is newer than this program may run the version.
    #[error(
        "version {version} of {model} is for the engine `{engine}`, which this `slipway` does not know: it knows {known}. Update it"
    )]
    UnknownEngine {
        /// The registered model.
        model: String,
        /// The version.
        version: String,
        /// Its engine.
        engine: String,
        /// The engines that are known.
        known: String,
    },
    /// No version has an accuracy, or another metric of its gate, to choose by.
    #[error(
        "no version of {0} has a number to choose by, neither the metric `accuracy` nor one that its gate requires: name one with --version \
         (`slipway status` lists them)"
    )]
    NoBestVersion(String),
    /// Many branches of this name hold commits that somebody added.
    #[error("the branch {0}, and others of its name with a number, hold other commits: delete those that nobody needs")]
    TooManyBranches(String),
    /// Only GitHub knows persons by their tokens.
    #[error("{0} does not know persons by tokens: open the pull request with `slipway` on the machine that has it")]
    NoPersons(String),
    /// The project cannot be read.
    #[error(transparent)]
    Project(slipway_project::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// The forge refused or cannot be reached.
    #[error(transparent)]
    Forge(#[from] slipway_forge::Error),
}

impl From<slipway_project::Error> for Error {
    fn from(error: slipway_project::Error) -> Self {
        match error {
            slipway_project::Error::Invalid(findings) => Self::Invalid(findings),
            slipway_project::Error::Git(error) => Self::Git(error),
            other => Self::Project(other),
        }
    }
}
