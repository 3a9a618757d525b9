//! The bare repositories behind the server, and the merges that GitHub would make in them. Made by the real git.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// A bare repository.
#[derive(Clone, Debug)]
pub struct Bare(pub PathBuf);

/// How a pull request is merged.
#[derive(Clone, Debug)]
pub struct Merge<'a> {
    /// `merge`, `squash` or `rebase`.
    pub method: &'a str,
    /// The base's newest commit.
    pub base: &'a str,
    /// The pull request's head.
    pub head: &'a str,
    /// The new commit's message; a rebase has none of its own.
    pub message: &'a str,
    /// Who opened the pull request.
    pub author: &'a str,
}

impl Bare {
    /// Makes it, with what GitHub allows: any commit of a branch or pull request can be fetched by its id.
    ///
    /// # Errors
    /// When git fails.
    pub async fn create(path: &Path) -> Result<Self> {
        tokio::fs::create_dir_all(path).await?;
        let bare = Self(path.to_owned());
        bare.git(&["init", "--quiet", "--bare", "--initial-branch=main"]).await?;
        for (name, value) in [
            ("uploadpack.allowReachableSHA1InWant", "true"),
            ("uploadpack.allowFilter", "true"),
            ("receive.hideRefs", "refs/pull"),
            ("gc.auto", "0"),
        ] {
            bare.git(&["config", name, value]).await?;
        }
        Ok(bare)
    }

    /// Runs git in it; its standard output without the space at its end.
    ///
    /// # Errors
    /// When git fails.
    pub async fn git(&self, arguments: &[&str]) -> Result<String> {
        git(&self.0, arguments).await
    }

    /// The commit of a revision. Returns `None` if there is none.
    pub async fn commit(&self, revision: &str) -> Option<String> {
        let revision = format!("{revision}^{{commit}}");
        self.git(&["rev-parse", "--quiet", "--verify", "--end-of-options", &revision]).await.ok()
    }

    /// The branches with their commits.
    ///
    /// # Errors
    /// When git fails.
    pub async fn branches(&self) -> Result<Vec<(String, String)>> {
        let listing = self.git(&["for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"]).await?;
        let pairs = listing.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(commit, name)| (name.to_owned(), commit.to_owned())).collect())
    }

    /// The commits that `head` has and `base` does not, oldest first.
    ///
    /// # Errors
    /// When git fails.
    pub async fn between(&self, base: &str, head: &str) -> Result<Vec<String>> {
        let exclude = format!("^{base}");
        let listing = self.git(&["rev-list", "--reverse", "--topo-order", head, &exclude]).await?;
        Ok(listing.lines().map(str::to_owned).collect())
    }

    /// Whether two commits merge without a conflict.
    pub async fn merges(&self, base: &str, head: &str) -> bool {
        self.git(&["merge-tree", "--write-tree", base, head]).await.is_ok()
    }

    /// Merges; the new commit, which no branch has yet. Returns `None` if there is a conflict.
    ///
    /// # Errors
    /// When git fails.
    pub async fn merge(&self, merge: &Merge<'_>) -> Result<Option<String>> {
        let folder = tempfile::tempdir()?;
        let tree = folder.path().join("tree");
        let path = tree.display().to_string();
        let first = if merge.method == "rebase" { merge.head } else { merge.base };
        self.git(&["worktree", "add", "--quiet", "--detach", &path, first]).await?;
        let author = format!("{0} <{0}@users.noreply.github.com>", merge.author);
        let merged = match merge.method {
            "merge" => git(&tree, &["merge", "--quiet", "--no-ff", "-m", merge.message, merge.head]).await,
            "squash" => match git(&tree, &["merge", "--quiet", "--squash", merge.head]).await {
                Ok(_) => {
                    let author = format!("--author={author}");
                    git(&tree, &["commit", "--quiet", "--allow-empty", "-m", merge.message, &author]).await
                }
                conflict => conflict,
            },
            _ => git(&tree, &["rebase", "--quiet", "--no-ff", merge.base]).await,
        };
        let commit = match merged {
            Ok(_) => Some(git(&tree, &["rev-parse", "HEAD"]).await?),
            Err(_) => None,
        };
        self.git(&["worktree", "remove", "--force", &path]).await?;
        Ok(commit)
    }
}

/// Runs git in a folder as GitHub does its merges; its standard output without the space at its end.
///
/// # Errors
/// When git fails.
pub async fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = clean();
    command.args(["-c", "user.name=GitHub", "-c", "user.email=noreply@github.com"]);
    output(command.arg("-C").arg(folder).args(arguments)).await
}

/// A git that reads no settings of this machine or of the test's environment.
#[must_use]
pub fn clean() -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    command.kill_on_drop(true);
    command
}

/// Runs a command that must succeed.
///
/// # Errors
/// When it does not.
pub async fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().await.context("git is needed")?;
    ensure!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}
