//! What git declares: the datasets that are watched, and the files of their sources.

use std::path::{Component, Path};

use slipway_experiment::{Dataset, Location};
use slipway_git::Repository;
use slipway_project::{Project, Tree};
use slipway_service::blocking;

use crate::error::{Error, Result};

/// What a commit of the default branch declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// The commit; empty before the first one.
    pub(crate) commit: String,
    /// The project's files.
    pub(crate) tree: Tree,
    /// The datasets that have a monitor.
    pub(crate) datasets: Vec<Dataset>,
}

impl Declared {
    pub(crate) async fn read(git: &Repository, commit: &str) -> Result<Self> {
        let (git, commit) = (git.clone(), commit.to_owned());
        let read = move || -> Result<Self, slipway_proposal::Error> {
            let tree = Tree::at(&git, &commit)?;
            let project = Project::read(&tree.limited_to(&["clusters", "datasets", "experiments", "trainers"]));
            for finding in project.findings.iter().filter(|finding| finding.file.starts_with("datasets/")) {
                tracing::warn!(event = "invalid", "{finding}");
            }
            let datasets = project.datasets.into_values().map(|file| file.dataset);
            let datasets = datasets.filter(|dataset| dataset.spec.monitor.is_some()).collect();
            Ok(Self { commit, tree, datasets })
        };
        Ok(blocking(read).await?)
    }
}

/// Puts the files of the project that a dataset's source names into `folder`, as they are in a commit. What is there already is not written
/// again, so a build sees that it has not changed.
pub(crate) async fn put_files(git: &Repository, commit: &str, dataset: &Dataset, folder: &Path) -> Result<()> {
    let paths: Vec<String> = dataset
        .spec
        .source
        .files()
        .into_iter()
        .filter_map(|file| match &file.from {
            Location::Path(path) if Path::new(path).is_relative() => Some(path.clone()),
            _ => None,
        })
        .collect();
    let (git, commit, folder) = (git.clone(), commit.to_owned(), folder.to_owned());
    blocking(move || {
        for path in paths {
            // what leads out of the project is in no commit
            if Path::new(&path).components().any(|part| !matches!(part, Component::Normal(_))) {
                continue;
            }
            for (name, content) in git.read_all(&commit, &[path.as_str()])? {
                put(&folder.join(name), &content)?;
            }
        }
        Ok(())
    })
    .await
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::Cache { path: path.display().to_string(), reason: error.to_string() };
    if std::fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed)?;
    // renamed into place, so that it is complete or absent
    let part = path.with_extension("part");
    std::fs::write(&part, content).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}
