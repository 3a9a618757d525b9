//! The actions that the project uses, as far as its workflows use them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use slipway_loop::programs::{given, program};

use super::folders::Folders;
use crate::GitHub;
use crate::accounts::REPOSITORY;
use crate::repository::{clean, output};

/// What an action needs to know.
pub(super) struct Used<'a> {
    pub(super) folders: &'a Folders,
    pub(super) artifacts: &'a Path,
    pub(super) github: &'a GitHub,
    /// What the workflow runs for: `refs/heads/main`, `refs/pull/7/merge`, `refs/tags/v1`.
    pub(super) reference: &'a str,
    /// The commit of that.
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
            "actions/setup-node" => self.set_up_node(),
            "sigstore/cosign-installer" => self.install_cosign().await,
            other => bail!("the action {other} is not known here"),
        }
    }

    /// What the workflow runs for, or main as it is now: another `ref`, or a `repository`, would be somebody else's choice. No token stays
    /// behind.
    async fn check_out(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["fetch-depth", "persist-credentials", "ref"])?;
        ensure!(
            self.with.get("persist-credentials").is_some_and(|keep| keep == "false"),
            "the token stays in .git/config"
        );
        let (reference, commit) = match self.with.get("ref").map(String::as_str) {
            None => (self.reference, self.commit),
            Some("main") => ("refs/heads/main", "refs/heads/main"),
            Some(other) => bail!("{other} is checked out, and not main"),
        };
        let (here, branch) = named(reference);
        let wanted = format!("+{commit}:{here}");
        let git =
            async |arguments: &[&str]| output(clean().arg("-C").arg(&self.folders.workspace).args(arguments)).await;
        git(&["init", "--quiet"]).await?;
        let repository = format!("{}/{REPOSITORY}", self.github.server);
        git(&["remote", "add", "origin", &repository]).await?;
        let fetch = ["fetch", "--quiet", "--no-tags"];
        match self.with.get("fetch-depth").map_or("1", String::as_str) {
            "0" => {
                let all = ["origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
                git(&[&fetch[..], &all].concat()).await?;
                // what the workflow runs for is no branch, or one that may have moved since
                git(&[&fetch[..], &["origin", &wanted]].concat()).await?;
            }
            depth => {
                git(&[&fetch[..], &[&format!("--depth={depth}"), "origin", &wanted]].concat()).await?;
            }
        }
        let branch = branch.map_or(vec![], |branch| vec!["-B", branch]);
        git(&[&["checkout", "--quiet", "--force"][..], &branch, &[&here]].concat()).await?;
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

    /// A folder that is not there is an error, as `if-no-files-found: error` says and more than GitHub does without it.
    fn upload(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["name", "path", "retention-days", "if-no-files-found"])?;
        let name = &self.with["name"];
        let artifact = self.artifacts.join(name);
        ensure!(!artifact.exists(), "this run has an artifact {name} already");
        copy(&self.folders.workspace.join(&self.with["path"]), &artifact)?;
        Ok(BTreeMap::new())
    }

    fn download(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["name", "path", "pattern", "merge-multiple"])?;
        let input = |name: &str| self.with.get(name).map(String::as_str);
        let to = self.folders.workspace.join(input("path").unwrap_or_default());
        match (input("name"), input("pattern").and_then(|pattern| pattern.strip_suffix('*')), input("merge-multiple")) {
            (Some(name), None, None) => copy(&self.artifacts.join(name), &to)?,
            (None, Some(beginning), Some("true")) => {
                for artifact in std::fs::read_dir(self.artifacts)? {
                    let artifact = artifact?;
                    if artifact.file_name().to_string_lossy().starts_with(beginning) {
                        copy(&artifact.path(), &to)?;
                    }
                }
            }
            _ => bail!("which artifacts are meant is not known here: {:?}", self.with),
        }
        Ok(BTreeMap::new())
    }

    /// The tests' own Node.js is there already.
    fn set_up_node(&self) -> Result<BTreeMap<String, String>> {
        self.only(&["node-version", "package-manager-cache"])?;
        Ok(BTreeMap::new())
    }

    async fn install_cosign(&self) -> Result<BTreeMap<String, String>> {
        self.only(&[])?;
        self.github.sigstore().await?.install(&self.folders.programs)?;
        Ok(BTreeMap::new())
    }

    fn only(&self, inputs: &[&str]) -> Result<()> {
        let other = self.with.keys().find(|input| !inputs.contains(&input.as_str()));
        ensure!(other.is_none(), "the input {other:?} is not known here");
        Ok(())
    }
}

/// What the action calls a reference here, and the branch that it puts there. A pull request's merge and a tag are on none.
fn named(reference: &str) -> (String, Option<&str>) {
    match (reference.strip_prefix("refs/heads/"), reference.strip_prefix("refs/pull/")) {
        (Some(branch), _) => (format!("refs/remotes/origin/{branch}"), Some(branch)),
        (_, Some(merge)) => (format!("refs/remotes/pull/{merge}"), None),
        _ => (reference.to_owned(), None),
    }
}

/// Copies the files of a folder, which must not lead out of it. Like those of an artifact, none of the copies can be executed.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        ensure!(!kind.is_symlink(), "{} is a link", entry.path().display());
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}
