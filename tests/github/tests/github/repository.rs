//! An emulated GitHub with this repository's project on main, what people do there, and runs of its workflows.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, Person, REPOSITORY};
use slipway_github_tests::workflow::{Runner, Said, Workflow};
use tempfile::TempDir;

use crate::origin::origin;
use crate::people::Clone;

pub(crate) const MAIN: &str = "refs/heads/main";

pub(crate) struct Repository {
    pub(crate) github: GitHub,
    /// The work tree that main's commit is from.
    pub(crate) project: PathBuf,
    _folder: TempDir,
}

impl Repository {
    pub(crate) async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        origin(&project);
        Self { github: GitHub::start(&project).await.unwrap(), project, _folder: folder }
    }

    /// The text of a workflow.
    pub(crate) fn workflow(&self, name: &str) -> String {
        std::fs::read_to_string(self.project.join(".github/workflows").join(name)).unwrap()
    }

    /// Opens a pull request that edits a file, by hand and without the command line; its number.
    pub(crate) async fn open(&self, who: Person, branch: &str, file: &str, edit: impl Fn(&str) -> String) -> u64 {
        let clone = Clone::of(&self.github, who);
        clone.git(&["switch", "--quiet", "--create", branch]);
        clone.write(file, &edit(&clone.read(file)));
        clone.git(&["commit", "--quiet", "--all", "-m", "Edit"]);
        clone.git(&["push", "--quiet", "origin", branch]);
        let body = json!({ "title": branch, "body": "why", "head": branch, "base": "main" });
        let path = format!("/repos/{REPOSITORY}/pulls");
        let (status, opened) = self.github.ask(Method::POST, &path, who.token, Some(&body)).await.unwrap();
        assert_eq!(status.as_u16(), 201, "{opened}");
        opened["number"].as_u64().unwrap()
    }

    pub(crate) async fn pull(&self, number: u64) -> Value {
        self.github.get(&format!("/pulls/{number}")).await.unwrap()
    }

    pub(crate) async fn head(&self, number: u64) -> String {
        self.pull(number).await["head"]["sha"].as_str().unwrap().to_owned()
    }

    /// The commit that main is at.
    pub(crate) async fn main(&self) -> String {
        self.github.bare(REPOSITORY).commit("main").await.unwrap()
    }

    pub(crate) async fn merge(&self, number: u64) {
        let path = format!("/repos/{REPOSITORY}/pulls/{number}/merge");
        let (status, merged) = self.github.ask(Method::PUT, &path, ANN.token, Some(&json!({}))).await.unwrap();
        assert!(status.is_success(), "{merged}");
    }

    /// Runs the workflow `report`, each of whose jobs must succeed.
    pub(crate) async fn report(&self, event_name: &str, event: Value) -> Said {
        let workflow = Workflow::of(&self.workflow("report.yml")).unwrap();
        let runner = Runner { github: &self.github, event_name, event, reference: MAIN, commit: self.main().await };
        let said = runner.run(&workflow).await.unwrap();
        assert!(said.jobs.values().all(|succeeded| *succeeded), "{:?}: {}", said.jobs, said.text());
        said
    }
}
