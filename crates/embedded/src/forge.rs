//! The forge: a bare repository whose main starts at the user's HEAD.

use std::path::{Path, PathBuf};

use slipway_git::Repository;

use crate::{Error, Result};

/// The branch that is followed.
pub(crate) const MAIN: &str = "refs/heads/main";

/// Opens the forge of a state folder, made from the repository's HEAD when there is none yet. A project in a folder of a larger repository
/// is in the same folder of the forge, whose paths are those of the project.
pub(crate) async fn open(state: &Path, repository: &Path) -> Result<Repository> {
    let (state, repository) = (state.to_owned(), repository.to_owned());
    blocking("opening the forge", move || open_now(&state, &repository)).await
}

fn open_now(state: &Path, repository: &Path) -> Result<Repository> {
    let path = state.join("forge.git");
    let project = Repository::project(repository)?;
    if path.join("HEAD").exists() {
        let forge = Repository::open(&path)?.below(project.prefix());
        if forge.reference(MAIN)?.is_some() {
            return Ok(forge);
        }
    }
    if project.head()?.is_none() {
        return Err(Error::NoCommit(repository.to_owned()));
    }
    let forge = Repository::init_bare(&path)?.below(project.prefix());
    let from = std::path::absolute(project.root()).unwrap_or_else(|_| PathBuf::from(project.root()));
    forge.fetch_into(&from.display().to_string(), "HEAD", MAIN)?;
    Ok(forge)
}

/// Runs what reads or writes a repository beside the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Panicked(what))?
}

#[cfg(test)]
mod tests {
    use slipway_repositories::git;

    use super::*;

    fn commit(folder: &Path, files: &[&str]) {
        for file in files {
            std::fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            std::fs::write(folder.join(file), file.rsplit('/').next().unwrap()).unwrap();
        }
        git(folder, &["add", "."]);
        git(folder, &["commit", "--quiet", "-m", "more"]);
    }

    #[tokio::test]
    async fn a_forge_starts_at_head_and_is_kept() {
        let (user, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(matches!(open(state.path(), user.path()).await, Err(Error::Git(_))));
        git(user.path(), &["init", "--quiet"]);
        assert!(matches!(open(state.path(), user.path()).await, Err(Error::NoCommit(_))));
        commit(user.path(), &["jobs/a.yaml", "jobs/deeper/b.yaml"]);
        let forge = open(state.path(), user.path()).await.unwrap();
        let head = forge.reference(MAIN).unwrap().unwrap();
        assert_eq!(forge.read_folder(&head, "jobs").unwrap(), [("a.yaml".to_owned(), b"a.yaml".to_vec())].into());
        assert!(forge.read_folder(&head, "nothing").unwrap().is_empty());

        commit(user.path(), &["later"]);
        assert_eq!(open(state.path(), user.path()).await.unwrap().reference(MAIN).unwrap().unwrap(), head);
    }

    #[tokio::test]
    async fn a_project_in_a_folder_is_found_there() {
        let (user, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        git(user.path(), &["init", "--quiet"]);
        commit(user.path(), &["mono/ml/jobs/a.yaml", "jobs/of-others.yaml"]);
        // the first time, and when the forge is there
        for _ in 0..2 {
            let forge = open(state.path(), &user.path().join("mono/ml")).await.unwrap();
            let jobs = forge.read_folder("main", "jobs").unwrap();
            assert_eq!(jobs.into_keys().collect::<Vec<_>>(), ["a.yaml"]);
        }
    }
}
