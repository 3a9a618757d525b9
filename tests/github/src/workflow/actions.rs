//! The actions that the project uses, as far as its workflows use them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use slipway_loop::programs::{given, program};

use super::run::Folders;
use crate::repository::{clean, output};

/// What an action needs to know.
pub(super) struct Used<'a> {
    pub(super) folders: &'a Folders,
    pub(super) artifacts: &'a Path,
    /// `https://<server>/<owner>/<name>`
    pub(super) repository: &'a str,
    /// The commit that the workflow runs for.
    pub(super) commit: &'a str,
    pub(super) with: &'a BTreeMap<String, String>,
}

impl Used<'_> {
    /// Runs an action; its outputs.
    pub(super) async fn run(&self, action: &str) -> Result<BTreeMap<String, String>> {
        match action {
            "actions/checkout" => self.check_out().await,
            "actions/cache" | "actions/cache/restore" => self.restore(),
            "actions/upload-artifact" => self.upload(),
            "actions/download-artifact" => self.download(),
            other => bail!("the action {other} is not known here"),
        }
    }

    /// The commit that the workflow runs for: `ref` and `repository` would be somebody else's choice. No token stays behind.
    async fn check_out(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["fetch-depth", "persist-credentials"])?;
        ensure!(
            self.with.get("persist-credentials").is_some_and(|keep| keep == "false"),
            "the token stays in .git/config"
        );
        let depth = self.with.get("fetch-depth").map_or("1", String::as_str);
        let mut fetch = vec!["fetch", "--quiet", "--no-tags"];
        let depth = format!("--depth={depth}");
        if depth != "--depth=0" {
            fetch.push(&depth);
        }
        fetch.extend(["origin", self.commit]);
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["remote", "add", "origin", self.repository],
            &fetch,
            &["checkout", "--quiet", "-B", "main", self.commit],
        ] {
            output(clean().arg("-C").arg(&self.folders.workspace).args(arguments)).await?;
        }
        Ok(BTreeMap::new())
    }

    /// The cache has everything: the command line under test, and the programs that it runs.
    fn restore(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["path", "key", "restore-keys"])?;
        if self.with["path"] == "~/.cache/slipway/builds" {
            // nothing that a build needs is in there
            return Ok(BTreeMap::new());
        }
        let paths: Vec<&str> = self.with["path"].lines().map(str::trim).collect();
        ensure!(paths == ["~/.cargo/bin/slipway", "~/.cache/slipway/tools"], "the cache has other paths: {paths:?}");
        let tools = given("SLIPWAY_KUSTOMIZE")?;
        let tools = tools.parent().and_then(Path::parent).context("kustomize is in tools/bin")?;
        for (from, to) in [(program("slipway")?.as_path(), ".cargo/bin/slipway"), (tools, ".cache/slipway/tools")] {
            let to = self.folders.home.join(to);
            std::fs::create_dir_all(to.parent().context("a path in the home folder")?)?;
            std::os::unix::fs::symlink(from, to)?;
        }
        Ok([("cache-hit".to_owned(), "true".to_owned())].into())
    }

    fn upload(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["name", "path", "retention-days"])?;
        copy(&self.folders.workspace.join(&self.with["path"]), &self.artifacts.join(&self.with["name"]))?;
        Ok(BTreeMap::new())
    }

    fn download(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["name", "path"])?;
        copy(&self.artifacts.join(&self.with["name"]), &PathBuf::from(&self.with["path"]))?;
        Ok(BTreeMap::new())
    }

    fn only(&self, inputs: &[&str]) -> Result<()> {
        let other = self.with.keys().find(|input| !inputs.contains(&input.as_str()));
        ensure!(other.is_none(), "the input {other:?} is not known here");
        Ok(())
    }
}

/// Copies the files of a folder, which must not lead out of it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        ensure!(!kind.is_symlink(), "{} is a link", entry.path().display());
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
