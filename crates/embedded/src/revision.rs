//! What the sync loop needs of git: where main is, and what a folder holds there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::{Error, Result};

/// A bare repository.
#[derive(Clone, Debug)]
pub(crate) struct Repository(pub(crate) PathBuf);

impl Repository {
    /// The commit of main; none before the first.
    pub(crate) async fn main(&self) -> Result<Option<String>> {
        let said = self.git(&["for-each-ref", "--format=%(objectname)", "refs/heads/main"]).await?;
        let line = String::from_utf8_lossy(&said).trim().to_owned();
        Ok((!line.is_empty()).then_some(line))
    }

    /// The files directly in a folder at a revision: name to content. Empty when there is no such folder.
    pub(crate) async fn folder(&self, revision: &str, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let listing = self.git(&["ls-tree", "-z", revision, "--", &format!("{folder}/")]).await?;
        let mut files = BTreeMap::new();
        for entry in String::from_utf8_lossy(&listing).split('\0') {
            // <mode> blob <hash>\t<path>
            let Some((facts, path)) = entry.split_once('\t') else { continue };
            let mut facts = facts.split(' ').skip(1);
            let (Some("blob"), Some(hash)) = (facts.next(), facts.next()) else { continue };
            let name = path.rsplit('/').next().unwrap_or(path);
            files.insert(name.to_owned(), self.git(&["cat-file", "blob", hash]).await?);
        }
        Ok(files)
    }

    async fn git(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        git(&self.0, arguments).await
    }
}

/// Runs git on a repository; its standard output.
pub(crate) async fn git(repository: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let spawn_error = |source| Error::Spawn { name: "git".to_owned(), program: "git".to_owned(), source };
    let done = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(arguments)
        // A hook that runs us has these set, and they would name another repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(spawn_error)?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given").to_owned();
    Err(Error::Git { args: arguments.join(" "), said })
}
