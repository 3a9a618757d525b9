//! How far the loop has followed main.

use std::path::{Path, PathBuf};

use slipway_git::Repository;

use crate::forge::MAIN;
use crate::sync::JOBS;
use crate::{Error, Result, files};

/// Main, and the commit of it that the loop has applied. A commit that was merged just now is applied within a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The commit that main is at.
    pub main: String,
    /// The commit whose TrainJobs and versions the loop has applied; `None` before the first one.
    pub applied: Option<String>,
    /// The names of the TrainJobs on main.
    pub jobs: Vec<String>,
}

impl Followed {
    /// What the loop of a state folder and a forge has followed. A project in a folder of a larger repository is at `prefix` in it.
    /// Returns `None` if the forge has no main.
    ///
    /// # Errors
    /// When the forge or the folder cannot be read.
    pub fn read(state: &Path, forge: &Path, prefix: &str) -> Result<Option<Self>> {
        let forge = Repository::open(forge)?.below(prefix);
        // first, since main never falls behind it
        let applied = files::read_if_there(&path(state))?.map(|commit| commit.trim().to_owned());
        let Some(main) = forge.reference(MAIN)? else { return Ok(None) };
        let jobs = forge.read_folder(&main, JOBS)?;
        let jobs = jobs.keys().filter_map(|file| Some(file.strip_suffix(".yaml")?.to_owned())).collect();
        Ok(Some(Self { main, applied, jobs }))
    }
}

/// Records that the loop has applied a commit.
pub(crate) fn record(state: &Path, commit: &str) -> Result<()> {
    files::write(&path(state), commit.as_bytes())
}

/// A loop that starts has applied nothing yet.
pub(crate) fn forget(state: &Path) -> Result<()> {
    let path = path(state);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("removing", path)(error)),
        _ => Ok(()),
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("applied")
}

#[cfg(test)]
mod tests {
    use slipway_git::Update;

    use super::*;

    #[test]
    fn what_is_applied_is_known_apart_from_what_is_merged() {
        let folder = tempfile::tempdir().unwrap();
        let forge_path = folder.path().join("forge.git");
        let forge = Repository::init_bare(&forge_path).unwrap();
        let read = || Followed::read(folder.path(), &forge_path, "").unwrap();
        assert_eq!(read(), None, "there is no main yet");

        let commit = |base: Option<&str>, file: &str| {
            let files = [(format!("{JOBS}/{file}"), Some(b"job".to_vec()))].into();
            let commit = forge.commit(base, &files, "a job").unwrap();
            assert!(forge.update(&[Update { name: MAIN, to: &commit, from: base }]).unwrap());
            commit
        };
        let first = commit(None, "a.yaml");
        assert_eq!(read().unwrap(), Followed { main: first.clone(), applied: None, jobs: vec!["a".to_owned()] });
        record(folder.path(), &first).unwrap();
        assert_eq!(read().unwrap().applied, Some(first.clone()));

        let second = commit(Some(&first), "b.yaml");
        let found = read().unwrap();
        assert_eq!((found.main, found.applied, found.jobs.len()), (second, Some(first), 2));
        forget(folder.path()).unwrap();
        forget(folder.path()).unwrap();
        assert_eq!(read().unwrap().applied, None);
    }
}
