//! What a pull request holds: what was proposed and nothing else, or more.

use std::collections::BTreeSet;

use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_mlflow::ModelVersion;
use slipway_names::tag;
use slipway_project::{Tree, history, jobs_folder, serving};
use slipway_service::{Followed, blocking};
use slipway_serving::Pin;

use super::{Merge, What};
use crate::error::Result;

/// What a pull request holds beside what was proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing.
    AsProposed,
    /// Nothing, as far as these TrainJobs have ended.
    Unknown(Vec<String>),
    /// Something else.
    More,
}

impl Content {
    fn of(is_only_that: bool) -> Self {
        if is_only_that { Self::AsProposed } else { Self::More }
    }
}

/// Whether a pull request does what was proposed and nothing else: whoever may push to its branch could have added anything, and nobody
/// reviews it.
pub(super) async fn content(followed: &Followed, merge: &Merge, opened: &Opened) -> Result<Content> {
    let branch = followed.remote.forge.default_branch().await?;
    // the branch as it is now: the change may be on top of a commit that the manager has not seen yet
    let tip = followed.fetch(&branch).await?.filter(|_| opened.base == branch);
    let Some(tip) = tip else { return Ok(Content::More) };
    followed.fetch_reference(&format!("refs/pull/{}/head", opened.number)).await?;
    let (git, merge, opened) = (followed.git.clone(), merge.clone(), opened.clone());
    blocking(move || held(&git, &merge, &opened, &tip)).await
}

fn held(git: &Repository, merge: &Merge, opened: &Opened, tip: &str) -> Result<Content> {
    let Some(base) = git.first_parent(&opened.head)? else { return Ok(Content::More) };
    // what is below it is on the default branch already
    if !git.contains(tip, &base)? {
        return Ok(Content::More);
    }
    match &merge.what {
        What::Promotion(version) => {
            Ok(Content::of(puts_into_service(git, version, &merge.environment, (&base, &opened.head))?))
        }
        What::Archive(ended) => moves_to_history(git, ended, &merge.environment, (&base, &opened.head)),
    }
}

/// Whether every change is a TrainJob that has ended and moves to the history.
fn moves_to_history(
    git: &Repository,
    ended: &BTreeSet<String>,
    environment: &str,
    (base, head): (&str, &str),
) -> Result<Content> {
    let [jobs, records] =
        [jobs_folder(environment), history::folder(environment)].map(|folder| git.path_at_top(&folder));
    let (mut moved, mut written) = (BTreeSet::new(), BTreeSet::new());
    for path in git.changed_paths(base, head)? {
        let name_in = |folder: &str| path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".yaml");
        match (name_in(&jobs), name_in(&records)) {
            (Some(name), None) => drop(moved.insert(name.to_owned())),
            (None, Some(name)) => drop(written.insert(name.to_owned())),
            _ => return Ok(Content::More),
        }
    }
    for name in &moved {
        let rendered = format!("{}/{name}.yaml", jobs_folder(environment));
        let record = history::path(environment, name);
        let (before, after) = (git.read(base, &rendered)?, git.read(head, &rendered)?);
        let written = git.read(head, &record)?.unwrap_or_default();
        // the record ends with the TrainJob's file as it was
        let keeps = before.is_some_and(|before| written.ends_with(&before));
        if !keeps || after.is_some() || git.read(base, &record)?.is_some() {
            return Ok(Content::More);
        }
    }
    if moved.is_empty() || moved != written {
        return Ok(Content::More);
    }
    let unknown: Vec<String> = moved.difference(ended).cloned().collect();
    Ok(if unknown.is_empty() { Content::AsProposed } else { Content::Unknown(unknown) })
}

/// Whether the only change is that this version comes into service.
fn puts_into_service(
    git: &Repository,
    version: &ModelVersion,
    environment: &str,
    (base, head): (&str, &str),
) -> Result<bool> {
    let path = serving::path(environment);
    if git.changed_paths(base, head)? != [git.path_at_top(&path)] {
        return Ok(false);
    }
    let pins = |commit: &str| -> Result<_> {
        let mut tree = Tree::default();
        if let Some(text) = git.read(commit, &path)? {
            tree.insert(&path, text);
        }
        Ok(serving::read(&tree, environment).ok())
    };
    let Ok(digest) = version.tag(tag::DIGEST).parse() else { return Ok(false) };
    let pin = Pin { name: version.name.clone(), version: version.number(), digest };
    Ok(match (pins(base)?, pins(head)?) {
        (Some(before), Some(after)) => before.with(pin) == after,
        _ => false,
    })
}
