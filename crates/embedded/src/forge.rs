//! The forge: a bare repository whose main starts at the user's HEAD.

use std::path::{Path, PathBuf};

use crate::revision::{Repository, git};
use crate::{Error, Result, files};

/// Opens the forge of a state folder, made from the repository's HEAD when there is none yet.
pub(crate) async fn open(state: &Path, repository: &Path) -> Result<Repository> {
    let path = state.join("forge.git");
    let forge = Repository(path.clone());
    if path.join("HEAD").exists() && forge.main().await?.is_some() {
        return Ok(forge);
    }
    // git says why when this is no repository at all.
    git(repository, &["rev-parse", "--git-dir"]).await?;
    git(repository, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        .await
        .map_err(|_| Error::NoCommit(repository.to_owned()))?;
    files::make_folder(&path)?;
    git(&path, &["init", "--quiet", "--bare", "--initial-branch=main"]).await?;
    let from = std::path::absolute(repository).unwrap_or_else(|_| PathBuf::from(repository));
    let from = from.display().to_string();
    // A shallow clone is good enough to start from.
    git(&path, &["fetch", "--quiet", "--no-tags", "--update-shallow", &from, "HEAD:refs/heads/main"]).await?;
    Ok(forge)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn repository(folder: &Path) {
        git(folder, &["init", "--quiet"]).await.unwrap();
        std::fs::create_dir_all(folder.join("jobs/deeper")).unwrap();
        std::fs::write(folder.join("jobs/a.yaml"), "a").unwrap();
        std::fs::write(folder.join("jobs/deeper/b.yaml"), "b").unwrap();
        git(folder, &["add", "."]).await.unwrap();
        git(folder, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first"]).await.unwrap();
    }

    #[tokio::test]
    async fn a_forge_starts_at_head_and_is_kept() {
        let (user, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(matches!(open(state.path(), user.path()).await, Err(Error::Git { .. })));
        git(user.path(), &["init", "--quiet"]).await.unwrap();
        assert!(matches!(open(state.path(), user.path()).await, Err(Error::NoCommit(_))));
        repository(user.path()).await;
        let forge = open(state.path(), user.path()).await.unwrap();
        let head = forge.main().await.unwrap().unwrap();
        assert_eq!(forge.folder(&head, "jobs").await.unwrap(), [("a.yaml".to_owned(), b"a".to_vec())].into());
        assert!(forge.folder(&head, "nothing").await.unwrap().is_empty());

        std::fs::write(user.path().join("later"), "").unwrap();
        git(user.path(), &["add", "."]).await.unwrap();
        git(user.path(), &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "2"]).await.unwrap();
        assert_eq!(open(state.path(), user.path()).await.unwrap().main().await.unwrap().unwrap(), head);
    }
}
