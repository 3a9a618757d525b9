//! Work trees of people who use the emulated GitHub, and the command line in them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{Person, REPOSITORY};
use slipway_loop::programs::program;
use tempfile::TempDir;

/// A person's clone, with a home folder in which git knows the person's token.
#[derive(Debug)]
pub(crate) struct Clone {
    folder: TempDir,
    server: String,
    api: String,
    token: &'static str,
    /// More variables for the command line.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Clone {
    pub(crate) fn of(github: &GitHub, who: Person) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Person { login, token } = who;
        let settings = format!(
            "[user]\n\tname = {login}\n\temail = {login}@users.noreply.github.com\n[credential]\n\thelper = \"!f() {{ echo username={login}; echo password={token}; }}; f\"\n"
        );
        fs::write(folder.path().join(".gitconfig"), settings).unwrap();
        let (server, api) = (github.server.clone(), github.api.clone());
        let clone = Self { folder, server, api, token, variables: Vec::new() };
        let url = format!("{}/{REPOSITORY}.git", clone.server);
        let mut git = clone.command("git");
        ran(git.args(["clone", "--quiet", &url]).arg(clone.work()));
        clone
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.work().join(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.work().join(path)).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        ran(self.command("git").arg("-C").arg(self.work()).args(arguments))
    }

    /// Runs the command line; how it ended.
    pub(crate) fn slipway(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(program("slipway").unwrap().to_str().unwrap());
        command.arg("--repo").arg(self.work()).args(arguments).current_dir(self.work()).output().unwrap()
    }

    /// Runs a command that must succeed; what it prints.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let done = self.slipway(arguments);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "slipway {arguments:?}: {}{text}", String::from_utf8_lossy(&done.stderr));
        text
    }

    /// Runs a command that opens a pull request; its number.
    pub(crate) fn opens(&self, arguments: &[&str]) -> u64 {
        let text = self.text(&[arguments, &["-o", "json"]].concat());
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        json["pullRequest"]["number"].as_u64().unwrap_or_else(|| panic!("no pull request: {json}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["GIT_", "GH_", "GITHUB_", "MLFLOW_", "AWS_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        command
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GITHUB_SERVER_URL", &self.server)
            .env("GITHUB_API_URL", &self.api)
            .env("GITHUB_TOKEN", self.token)
            .env_remove("SLIPWAY_REMOTE")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn ran(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}
