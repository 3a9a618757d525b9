//! Why an experiment has no TrainJob in an environment here.

use std::collections::BTreeSet;

use serde::Serialize;
use slipway_embedded::{State, StateFolder};
use slipway_git::Repository;
use slipway_project::rendered::Draft;
use slipway_project::{Project, history};

use crate::context::Context;
use crate::failure::Failure;

/// A draft, and why it is one.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainedDraft {
    #[serde(flatten)]
    pub(crate) draft: Draft,
    pub(crate) state: DraftState,
}

/// Why an experiment has no TrainJob in an environment here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DraftState {
    /// Nothing has started it.
    NotStarted,
    /// It was started, and its TrainJobs were removed.
    Cancelled,
    /// It has started on the main branch of the loop on this machine, which this repository lacks.
    StartedOnMain,
}

/// Where drafts may have started.
pub(crate) struct Branches {
    /// The project's repository, if it has a commit.
    here: Option<Repository>,
    /// The forge of the loop on this machine, which may have stopped, if its main has commits that HEAD lacks.
    ahead: Option<Repository>,
}

const MAIN: &str = "refs/heads/main";

impl Branches {
    pub(crate) fn find(context: &Context) -> Result<Self, Failure> {
        let git = match Repository::project(&context.root) {
            Err(slipway_git::Error::NotARepository(_)) => return Ok(Self { here: None, ahead: None }),
            found => found?,
        };
        let ahead = forge_ahead(context, &git)?.map(|forge| forge.below(git.prefix()));
        Ok(Self { here: if git.head()?.is_some() { Some(git) } else { None }, ahead })
    }

    /// The folder of the forge whose main has commits that HEAD lacks.
    pub(crate) fn ahead(&self) -> Option<String> {
        self.ahead.as_ref().map(|forge| forge.root().display().to_string())
    }

    /// Why drafts of the project are drafts.
    pub(crate) fn explain(&self, project: &Project, drafts: Vec<Draft>) -> Result<Vec<ExplainedDraft>, Failure> {
        let paths: Vec<BTreeSet<String>> = drafts.iter().map(|draft| paths(project, draft)).collect();
        let all: BTreeSet<String> = paths.iter().flatten().cloned().collect();
        let mut removed = BTreeSet::new();
        // a history is read once for all of them
        for (git, revision) in
            self.ahead.iter().map(|forge| (forge, MAIN)).chain(self.here.iter().map(|git| (git, "HEAD")))
        {
            removed.extend(git.removed_before(revision, &all)?);
        }
        let mut explained = Vec::with_capacity(drafts.len());
        for (draft, paths) in drafts.into_iter().zip(paths) {
            let state = if self.is_ahead(&paths)? {
                DraftState::StartedOnMain
            } else if paths.is_disjoint(&removed) {
                DraftState::NotStarted
            } else {
                DraftState::Cancelled
            };
            explained.push(ExplainedDraft { draft, state });
        }
        Ok(explained)
    }

    /// Whether the forge's main has one of these TrainJobs, or its record.
    fn is_ahead(&self, paths: &BTreeSet<String>) -> Result<bool, Failure> {
        let Some(forge) = &self.ahead else { return Ok(false) };
        for path in paths.iter().cloned().chain(paths.iter().filter_map(|path| history::of_rendered(path))) {
            if forge.blob_at(MAIN, &path)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The files that a draft renders to.
fn paths(project: &Project, draft: &Draft) -> BTreeSet<String> {
    let source = project.experiments.iter().find(|source| source.file == draft.file);
    source.map(|source| project.render(source, &draft.environment)).unwrap_or_default().into_keys().collect()
}

/// The forge of the loop on this machine, whether or not it runs now, if its main has commits that HEAD does not have.
pub(crate) fn forge_ahead(context: &Context, git: &Repository) -> Result<Option<Repository>, Failure> {
    let [folder, _] = StateFolder::of_repository(&context.root);
    let place = State::of_repository(&context.root)?.map_or_else(|| folder.join("forge.git"), |(_, state)| state.forge);
    let Ok(forge) = Repository::open(&place) else { return Ok(None) };
    let Some(main) = forge.reference(MAIN)?.filter(|_| forge.is_bare()) else { return Ok(None) };
    let is_here = git.resolve(&main)?.is_some() && git.head()?.is_some() && git.contains("HEAD", &main)?;
    Ok((!is_here).then_some(forge))
}
