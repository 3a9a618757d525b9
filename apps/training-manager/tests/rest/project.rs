//! A bare repository with a small project, and how to write to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use slipway_git::Repository;
use slipway_repositories::git;
pub(crate) use slipway_repositories::project::EXPERIMENT;
use slipway_repositories::project::{CLUSTER, DATASET};
use slipway_training_manager::rest::{Bare, Writers};
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "0123456789abcdef-of-this-manager";

/// Who uses this machine, as its git says.
pub(crate) const USER: &str = "Ann Example";

/// A bare repository with one commit, and a file with the token of its manager.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        let work = project.path("work");
        for (file, text) in [
            ("datasets/ten.yaml", DATASET),
            ("clusters/local/cluster.yaml", CLUSTER),
            ("overlays/local/server/models.yaml", "models: []\n"),
            // something is deployed from here
            ("clusters/local/root/kustomization.yaml", "resources: []\n"),
        ] {
            let path = work.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "--quiet", "-m", "first"]);
        git(&work, &["clone", "--quiet", "--bare", ".", "../forge.git"]);
        project.write_token(TOKEN);
        project
    }

    /// A file or folder of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        if name == "work" {
            fs::create_dir_all(&path).unwrap();
        }
        path
    }

    pub(crate) fn write_token(&self, token: &str) {
        fs::write(self.path("token"), format!("{token}\n")).unwrap();
    }

    /// Whoever has the token. `cache` is the name of a repository in which commits are made.
    pub(crate) fn writers(&self, cache: &str) -> Option<Arc<dyn Writers>> {
        let folder = self.path(cache);
        let repository = Repository::init_bare(&folder).unwrap();
        for (setting, value) in [("user.name", USER), ("user.email", "ann@example.org")] {
            git(&folder, &["config", setting, value]);
        }
        Some(Arc::new(Bare::new(repository, self.path("forge.git"), self.path("token"))))
    }

    /// Runs git in the bare repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path("forge.git"), arguments)
    }

    /// The files of a revision.
    pub(crate) fn files(&self, revision: &str) -> BTreeSet<String> {
        self.git(&["ls-tree", "-r", "--name-only", revision]).lines().map(str::to_owned).collect()
    }

    /// What is kept of a pull request.
    pub(crate) fn record(&self, number: u64) -> Value {
        serde_json::from_str(&self.git(&["show", &format!("refs/slipway/pull/{number}")])).unwrap()
    }

    /// How many pull requests there are.
    pub(crate) fn pull_requests(&self) -> usize {
        self.git(&["for-each-ref", "refs/slipway/pull"]).lines().count()
    }

    /// Merges a pull request, as a person would.
    pub(crate) fn merge(&self, number: u64) {
        self.git(&["update-ref", "refs/heads/main", &format!("refs/pull/{number}/head")]);
    }
}
