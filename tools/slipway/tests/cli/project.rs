//! A small repository with one experiment, and the program to run in it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
pub(crate) use slipway_repositories::git;
pub(crate) use slipway_repositories::project::EXPERIMENT;
use slipway_repositories::project::{CLUSTER, DATASET};
use tempfile::TempDir;

pub(crate) use crate::ran::Ran;

/// A repository with one commit, and `forge.git` beside it with the same commit on main.
pub(crate) struct Project {
    folder: TempDir,
    /// Where the project is in its repository.
    inside: &'static str,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self::inside("")
    }

    /// The same in a folder of a larger repository.
    pub(crate) fn inside(inside: &'static str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap(), inside };
        fs::create_dir_all(project.root()).unwrap();
        project.write("experiments/digits.yaml", EXPERIMENT);
        project.write("datasets/ten.yaml", DATASET);
        project.write("clusters/local/cluster.yaml", CLUSTER);
        project.write("overlays/local/server/models.yaml", "models: []\n");
        git(&project.top(), &["init", "--quiet", "--initial-branch=main"]);
        project.commit("first");
        git(&project.top(), &["clone", "--quiet", "--bare", ".", "../forge.git"]);
        project
    }

    /// The top of the repository.
    pub(crate) fn top(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The project's folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.top().join(self.inside)
    }

    pub(crate) fn forge(&self) -> String {
        self.folder.path().join("forge.git").display().to_string()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// The files of a folder, sorted.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root().join(folder)).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap())).collect();
        names.sort();
        names
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "-m", message]);
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.root(), arguments)
    }

    /// Opens the first pull request of the forge for a branch, as if by another program.
    pub(crate) fn open_by_hand(&self, branch: &str) {
        self.open_by_hand_as(1, branch);
    }

    /// The same for a pull request of any number.
    pub(crate) fn open_by_hand_as(&self, number: u64, branch: &str) {
        let record = self.folder.path().join("record.json");
        let text =
            format!(r#"{{"title": "By hand", "body": "", "branch": "{branch}", "base": "main", "state": "open"}}"#);
        fs::write(&record, text).unwrap();
        let forge = PathBuf::from(self.forge());
        let blob = git(&forge, &["hash-object", "-w", record.to_str().unwrap()]);
        git(&forge, &["update-ref", &format!("refs/slipway/pull/{number}"), &blob]);
        git(&forge, &["update-ref", &format!("refs/pull/{number}/head"), &format!("refs/heads/{branch}")]);
    }

    /// Runs the program; returns its exit code and its output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, |_| {})
    }

    /// Runs the program in an environment of its own.
    pub(crate) fn run_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Ran {
        let mut command = self.command(arguments);
        change(&mut command);
        Ran::of(command.output().unwrap())
    }

    /// The program, before it runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.arg("--repo").arg(self.root()).args(arguments).current_dir(self.root());
        command.env_remove("SLIPWAY_REMOTE").env_remove("MLFLOW_TRACKING_URI");
        command
    }
}

impl Ran {
    /// `file:line:column code` of every finding.
    pub(crate) fn findings(&self) -> Vec<String> {
        let json = self.json();
        let all = json["findings"].as_array().unwrap();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        all.iter()
            .map(|one| format!("{}:{}:{} {}", text(one, "file"), one["line"], one["column"], text(one, "code")))
            .collect()
    }
}
