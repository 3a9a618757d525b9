//! What git declares: the datasets that are watched, and the files of their sources.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use slipway_digest::Digest;
use slipway_experiment::{Dataset, Location};
use slipway_git::Repository;
use slipway_pipeline::Places;
use slipway_project::{Project, Tree};
use slipway_service::blocking;
use slipway_sources::Limits;

use crate::error::{Error, Result};

/// How many files of a source are read from git at once.
const AT_ONCE: usize = 16;

/// What a commit of the default branch declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// The commit; empty before the first one.
    pub(crate) commit: String,
    /// The project's files.
    pub(crate) tree: Tree,
    /// The datasets that were asked for.
    pub(crate) datasets: Vec<Dataset>,
    /// What is wrong with declarations of datasets, whoever asked for them: of one that cannot be read nobody knows what it is.
    pub(crate) invalid: Vec<String>,
}

impl Declared {
    /// Reads the datasets of a commit that are wanted. One that is wrong is said and left out.
    pub(crate) async fn read(git: &Repository, commit: &str, is_wanted: fn(&Dataset) -> bool) -> Result<Self> {
        let (git, commit) = (git.clone(), commit.to_owned());
        let read = move || -> Result<Self, slipway_proposal::Error> {
            let tree = Tree::at(&git, &commit)?;
            let project = Project::read(&tree.limited_to(&["clusters", "datasets", "experiments", "trainers"]));
            let findings = project.findings.iter().filter(|finding| finding.file.starts_with("datasets/"));
            let invalid: Vec<String> = findings.map(ToString::to_string).collect();
            for finding in &invalid {
                tracing::warn!(event = "invalid", "{finding}");
            }
            let datasets = project.datasets.into_values().map(|file| file.dataset);
            let datasets = datasets.filter(is_wanted).collect();
            Ok(Self { commit, tree, datasets, invalid })
        };
        Ok(blocking(read).await?)
    }
}

/// The files of the project that a dataset's source names, as a commit has them: in a folder that holds nothing else, so that a build reads the same as at
/// home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The commit.
    pub(crate) commit: String,
    /// Of what they hold, with their paths.
    pub(crate) digest: Digest,
    /// The project's folder, as far as it is needed.
    pub(crate) folder: PathBuf,
}

impl Files {
    /// Puts them below `cache`, where a folder is named by the dataset and what is in it. It is complete or absent: it is filled in `temporary`, an existing
    /// folder of the same disk. What is there already is not written again, so a build sees that it has not changed.
    pub(crate) async fn put(
        git: &Repository,
        commit: &str,
        dataset: &Dataset,
        cache: &Path,
        temporary: &Path,
    ) -> Result<Self> {
        let paths: Vec<String> = dataset
            .spec
            .source
            .files()
            .into_iter()
            .filter_map(|file| match &file.from {
                Location::Path(path) if Path::new(path).is_relative() => Some(path.clone()),
                _ => None,
            })
            // what leads out of the project is in no commit
            .filter(|path| Path::new(path).components().all(|part| matches!(part, Component::Normal(_))))
            .collect();
        let (git, commit) = (git.clone(), commit.to_owned());
        let (all, filled) = (cache.join(&dataset.name), temporary.join("files"));
        blocking(move || {
            let mut files = BTreeMap::new();
            for path in paths {
                files.extend(git.blob_ids(&commit, &[path.as_str()])?);
            }
            let digest = digest_of(&files);
            let folder = all.join(&digest.hex()[..32]);
            if !folder.is_dir() {
                write(&git, &files, &filled)?;
                std::fs::create_dir_all(&all).map_err(|error| failed(&all, &error))?;
                std::fs::rename(&filled, &folder).map_err(|error| failed(&folder, &error))?;
            }
            forget_others(&all, &folder).map_err(|error| failed(&all, &error))?;
            Ok(Self { commit, digest, folder })
        })
        .await
    }

    /// Where everything is for a build from them; `cache` is the program's.
    pub(crate) fn places(&self, dataset: &Dataset, cache: &Path, temporary: &Path) -> Places {
        let sources = slipway_sources::Places {
            project: self.folder.clone(),
            cache: dataset_cache(cache, dataset),
            repin: false,
            limits: Limits::default(),
        };
        Places { sources, npm: None, temporary: temporary.to_owned() }
    }
}

/// The cache of a dataset: its own, so that nothing of another one is removed with what it does not need.
pub(crate) fn dataset_cache(cache: &Path, dataset: &Dataset) -> PathBuf {
    cache.join("datasets").join(&dataset.name)
}

/// Of files by their paths with the ids of their blobs.
fn digest_of(files: &BTreeMap<String, String>) -> Digest {
    let lines: Vec<String> = files.iter().map(|(path, id)| format!("{path}\0{id}\0")).collect();
    Digest::of(lines.concat())
}

/// Writes files into a folder that is not there. A source may be larger than the memory, so a few are read at a time.
fn write(git: &Repository, files: &BTreeMap<String, String>, folder: &Path) -> Result<()> {
    std::fs::create_dir(folder).map_err(|error| failed(folder, &error))?;
    let files: Vec<(&str, &str)> = files.iter().map(|(path, id)| (path.as_str(), id.as_str())).collect();
    for some in files.chunks(AT_ONCE) {
        let ids: Vec<&str> = some.iter().map(|(_, id)| *id).collect();
        for ((name, _), content) in some.iter().zip(git.blobs(&ids)?) {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content));
            written.map_err(|error| failed(&path, &error))?;
        }
    }
    Ok(())
}

/// Removes what earlier commits have left.
fn forget_others(all: &Path, folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(all)? {
        let path = entry?.path();
        if path != folder {
            std::fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Cache { path: path.display().to_string(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use slipway_experiment::parse_dataset;
    use slipway_git::Update;

    use super::*;

    #[tokio::test]
    async fn the_files_are_those_of_the_commit_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(&folder.path().join("git")).unwrap();
        let mut commit: Option<String> = None;
        let mut change = |files: &[(&str, Option<&str>)]| {
            let files =
                files.iter().map(|(path, text)| ((*path).to_owned(), text.map(|text| text.as_bytes().to_vec())));
            let next = git.commit(commit.as_deref(), &files.collect(), "change").unwrap();
            let update = Update { name: "refs/heads/main", to: &next, from: commit.as_deref() };
            assert!(git.update(&[update]).unwrap());
            commit = Some(next.clone());
            next
        };
        let first = change(&[("pictures/0/a.png", Some("a")), ("pictures/1/b.png", Some("b")), ("other", Some("x"))]);
        let second = change(&[("pictures/1/b.png", None)]);
        let third = change(&[("other", Some("y"))]);
        // more than are read at once
        let many: Vec<String> = (0..40).map(|number| format!("pictures/1/{number}.png")).collect();
        let many: Vec<(&str, Option<&str>)> = many.iter().map(|path| (path.as_str(), Some(path.as_str()))).collect();
        let fourth = change(&many);
        let text = "{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: d}, spec: {source: {images: {from: pictures}}, labels: [a, b], \
                    split: {validation: 0.1, test: 0.1, seed: 0}, pipeline: {}}}";
        let dataset = parse_dataset("d", text).unwrap();
        let cache = folder.path().join("files");
        let put = async |commit: &str| {
            let temporary = tempfile::tempdir_in(folder.path()).unwrap();
            Files::put(&git, commit, &dataset, &cache, temporary.path()).await.unwrap()
        };
        let there =
            |files: &Files| ["0/a.png", "1/b.png"].map(|path| files.folder.join("pictures").join(path).exists());
        let before = put(&first).await;
        assert_eq!(there(&before), [true, true]);
        assert_eq!(put(&first).await, before);
        let after = put(&second).await;
        assert_eq!((there(&after), before.folder.exists()), ([true, false], false));
        // other files are no reason to build
        let same = put(&third).await;
        assert_eq!((same.digest, &same.folder), (after.digest, &after.folder));
        assert_ne!(before.digest, after.digest);
        let grown = put(&fourth).await;
        for (path, content) in many {
            assert_eq!(std::fs::read_to_string(grown.folder.join(path)).ok().as_deref(), content);
        }
    }
}
