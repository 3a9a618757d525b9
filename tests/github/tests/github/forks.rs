//! Hostile pull requests of a fork through the workflow's own steps: each gets a plan, and nothing else.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use reqwest::Method;
use serde_json::json;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{FORK, MALLORY, PEOPLE, REPOSITORY};
use slipway_github_tests::repository::{Merge, clean, output};
use slipway_github_tests::workflow::{Runner, Said, Workflow};
use slipway_loop::programs::{given, program};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::checks::offline;
use crate::event::{pull_request, workflow_run};
use crate::hostile::{Case, File, cases};
use crate::origin::origin;
use crate::repository::MAIN;
use crate::summary::has_no_effect;

/// How many pull requests are looked at at the same time.
const AT_ONCE: usize = 4;

/// A server that nothing should ask.
struct Trap {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        // the thread ends with the test
        std::thread::spawn(move || {
            listener.incoming().for_each(|_| {
                count.fetch_add(1, Ordering::SeqCst);
            })
        });
        Self { url, asked }
    }
}

/// Makes the commits of all cases in a clone of the fork, and pushes them.
async fn push(github: &GitHub, folder: &Path, cases: &[Case]) {
    let local = folder.join("mallory.git");
    let url = format!("{}/{FORK}.git", github.server.replace("http://", &format!("http://mallory:{}@", MALLORY.token)));
    output(clean().args(["clone", "--quiet", "--bare", &url]).arg(&local)).await.unwrap();
    let base = output(clean().arg("-C").arg(&local).args(["rev-parse", "main"])).await.unwrap();
    let mut stream = Vec::new();
    for case in cases {
        let header = "committer mallory <mallory@example.org> 1790000000 +0000\ndata 4\nwhy\n";
        write!(stream, "commit refs/heads/{}\n{header}", case.branch).unwrap();
        if !case.orphan {
            writeln!(stream, "from {base}").unwrap();
        }
        for (path, file) in &case.files {
            let path: String = path
                .chars()
                .map(|c| match c {
                    '\n' => "\\n".to_owned(),
                    '"' | '\\' => format!("\\{c}"),
                    c => c.to_string(),
                })
                .collect();
            let (mode, content) = match file {
                File::Plain(text) => ("100644", text),
                File::Program(text) => ("100755", text),
                File::Link(to) => ("120000", to),
                File::Module => {
                    writeln!(stream, "M 160000 {base} \"{path}\"").unwrap();
                    continue;
                }
                File::Gone => {
                    writeln!(stream, "D \"{path}\"").unwrap();
                    continue;
                }
            };
            write!(stream, "M {mode} inline \"{path}\"\ndata {}\n{content}\n", content.len()).unwrap();
        }
        stream.push(b'\n');
    }
    let mut import = Command::new("git")
        .arg("-C")
        .arg(&local)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&stream).unwrap();
    assert!(import.wait().unwrap().success());
    output(clean().arg("-C").arg(&local).args(["push", "--quiet", "--force", &url, "refs/heads/*:refs/heads/*"]))
        .await
        .unwrap();
}

/// Fails if a text shows a token, as it is or in base64 at one of its three positions.
fn shows_none(text: &str, tokens: &[String]) -> Result<()> {
    for token in tokens {
        ensure!(!text.contains(token.as_str()), "a token is shown");
        for before in 0..3 {
            let encoded = STANDARD_NO_PAD.encode(format!("{}{token}", &"\0\0"[..before]));
            let (begin, end) = ((before * 4_usize).div_ceil(3), (before + token.len()) / 3 * 4);
            ensure!(!text.contains(&encoded[begin..end]), "a token is shown in base64");
        }
    }
    Ok(())
}

/// Fails if a step prints what a runner takes for its command.
fn prints_no_command(said: &Said) -> Result<()> {
    for (step, line) in said.steps.iter().flat_map(|(step, text)| text.lines().map(move |line| (step, line))) {
        let is_command = line.trim_start().starts_with("::") || line.contains("##[");
        ensure!(!is_command, "{step} prints what a runner takes for its command: {line}");
    }
    Ok(())
}

/// The content of all files below a folder.
fn files(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        text += &if path.is_dir() {
            files(&path)
        } else {
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
        };
    }
    text
}

/// Size and time of the files that all jobs here share, and of those that the fork's links lead to.
fn shared_files() -> Result<Vec<(PathBuf, u64, SystemTime)>> {
    let files = [program("slipway")?, given("SLIPWAY_KUSTOMIZE")?, "/etc/passwd".into(), "/etc/hosts".into()];
    let mut states = Vec::new();
    for path in files {
        let metadata = fs::metadata(&path).with_context(|| path.display().to_string())?;
        states.push((path, metadata.len(), metadata.modified()?));
    }
    Ok(states)
}

/// An emulated GitHub with the branches of the fork.
struct Hostile {
    github: GitHub,
    cases: Vec<Case>,
    /// The commit that main is at.
    main: String,
    trap: Trap,
    canary: PathBuf,
    /// The workflows `report` and `checks` of main.
    report: String,
    checks: String,
    /// How many authors were told that their experiment is not rendered.
    told: AtomicUsize,
    /// How many pull requests the job `check` has shown a summary of.
    summarized: AtomicUsize,
    /// Held by who merges: git removes the folder of a repository's work trees with the last one, also while another is being made.
    merging: Mutex<()>,
    _folder: TempDir,
}

impl Hostile {
    async fn begin() -> Self {
        let folder = tempfile::Builder::new().prefix("hostile").tempdir().unwrap();
        let project = folder.path().join("project");
        origin(&project);
        let workflow = |name: &str| fs::read_to_string(project.join(".github/workflows").join(name)).unwrap();
        let (report, checks) = (workflow("report.yml"), offline(&workflow("checks.yml")));
        let github = GitHub::start(&project).await.unwrap();
        let (trap, canary, mut cases) = (Trap::set(), folder.path().join("canary"), cases());
        let real = |text: &str| text.replace("CANARY", &canary.display().to_string()).replace("TRAP", &trap.url);
        for case in &mut cases {
            case.branch = real(&case.branch);
            for (path, file) in &mut case.files {
                *path = real(path);
                if let File::Plain(text) | File::Program(text) = file {
                    *text = real(text);
                }
            }
        }
        push(&github, folder.path(), &cases).await;
        let main = github.bare(REPOSITORY).commit("main").await.unwrap();
        Self {
            github,
            cases,
            main,
            trap,
            canary,
            report,
            checks,
            told: AtomicUsize::new(0),
            summarized: AtomicUsize::new(0),
            merging: Mutex::new(()),
            _folder: folder,
        }
    }

    /// Opens the pull request of a case; its number.
    async fn open(&self, case: &Case) -> u64 {
        let text = "@acme <img src=x> [x](https://evil.example)\n::error::x";
        let body = json!({ "title": text, "body": text, "head": format!("mallory:{}", case.branch), "base": "main" });
        let path = format!("/repos/{REPOSITORY}/pulls");
        let (status, opened) = self.github.ask(Method::POST, &path, MALLORY.token, Some(&body)).await.unwrap();
        assert_eq!(status.as_u16(), 201, "{}: {opened}", case.branch);
        opened["number"].as_u64().unwrap()
    }

    /// Runs a workflow for a pull request. Fails if the fork gets anything but a plan.
    async fn report(&self, workflow: &Workflow, number: u64) -> Result<()> {
        let github = &self.github;
        let pull = github.get(&format!("/pulls/{number}")).await?;
        let event = workflow_run(&pull, "requested", "pull_request");
        let runner = Runner { github, event_name: "workflow_run", event, reference: MAIN, commit: self.main.clone() };
        let said = runner.run(workflow).await?;
        self.nothing_was_run()?;

        let comments = github.get(&format!("/issues/{number}/comments")).await?;
        let comments = comments.as_array().cloned().unwrap_or_default();
        let head = pull["head"]["sha"].as_str().unwrap_or_default();
        let checks = github.get(&format!("/commits/{head}/check-runs")).await?;
        let bodies: String = comments.iter().filter_map(|comment| comment["body"].as_str()).collect();
        let seen = [said.text(), bodies, checks.to_string(), files(said.artifacts.path())].concat();
        self.no_secret_is_in(&seen).await?;
        prints_no_command(&said)?;

        let jobs: Vec<_> = said.jobs.iter().map(|(job, succeeded)| (job.as_str(), *succeeded)).collect();
        ensure!(jobs == [("comment", true), ("plan", true)], "{jobs:?}: {}", said.text());
        ensure!(said.dispatched.is_empty(), "{:?}", said.dispatched);
        ensure!((1..=3).contains(&comments.len()), "{comments:?}");
        ensure!(comments.iter().all(|comment| comment["user"]["login"] == "github-actions[bot]"), "{comments:?}");
        ensure!(checks["total_count"].as_u64() >= Some(1), "{checks}");
        // what is missing is said to its author, who can do it there: by the name of the base, and by no command that pushes from here
        let first = comments[0]["body"].as_str().unwrap_or_default();
        ensure!(!first.contains("render --pull-request") && !first.contains("`HEAD`"), "{first}");
        if first.contains("slipway render") {
            ensure!(first.contains("`slipway render`, merged with `main` and pushed to its branch"), "{first}");
        }
        if first.contains("to render it: `slipway render`, merged with `main` and pushed to its branch") {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        self.nothing_was_pushed().await
    }

    /// Runs the one job that checks the fork's code out, on what GitHub would merge. It may succeed or fail.
    async fn check(&self, workflow: &Workflow, number: u64) -> Result<()> {
        let github = &self.github;
        let pull = github.get(&format!("/pulls/{number}")).await?;
        let (bare, reference) = (github.bare(REPOSITORY), format!("refs/pull/{number}/merge"));
        let head = pull["head"]["sha"].as_str().unwrap_or_default();
        let merge = Merge { method: "merge", base: &self.main, head, message: "Merge", author: MALLORY.login };
        let alone = self.merging.lock().await;
        let merged = bare.merge(&merge).await?;
        drop(alone);
        // with a conflict, or without a common history, GitHub starts nothing
        let Some(commit) = merged else { return Ok(()) };
        bare.git(&["update-ref", &reference, &commit]).await?;
        let event = pull_request(&pull);
        let runner = Runner { github, event_name: "pull_request", event, reference: &reference, commit };
        let before = shared_files()?;
        let said = runner.run(workflow).await?;
        ensure!(shared_files()? == before, "a file of the runner has changed");
        self.nothing_was_run()?;
        ensure!(said.jobs.contains_key("check") && !said.steps.is_empty(), "the job has not run");
        self.no_secret_is_in(&said.text()).await?;
        prints_no_command(&said)?;
        let written = |command: &str| said.commands.get(command).map_or("", String::as_str);
        for command in ["output", "env", "path"] {
            ensure!(written(command).is_empty(), "{command}, which later steps read: {}", written(command));
        }
        has_no_effect(written("summary")).context("the summary of the job")?;
        self.summarized.fetch_add(usize::from(!written("summary").is_empty()), Ordering::SeqCst);
        self.nothing_was_pushed().await
    }

    fn nothing_was_run(&self) -> Result<()> {
        ensure!(!self.canary.exists(), "something of the fork was run");
        ensure!(self.trap.asked.load(Ordering::SeqCst) == 0, "an address of the fork was asked");
        Ok(())
    }

    /// Fails if a text shows the tokens that jobs had, those of people, which nothing here had, or a file of the runner.
    async fn no_secret_is_in(&self, seen: &str) -> Result<()> {
        let people = PEOPLE.iter().map(|person| person.token.to_owned());
        shows_none(seen, &self.github.job_tokens().await.into_iter().chain(people).collect::<Vec<_>>())?;
        ensure!(!seen.contains("root:x:0:0") && !seen.contains("GITHUB_WORKSPACE="), "a file of the runner is shown");
        Ok(())
    }

    async fn nothing_was_pushed(&self) -> Result<()> {
        ensure!(self.github.bare(REPOSITORY).commit("main").await.as_ref() == Some(&self.main), "main has moved");
        ensure!(self.github.pushes().await.iter().all(|push| !push.by_job), "a job has pushed");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_hostile_pull_requests_get_a_plan_and_nothing_else() {
    get_a_plan_and_nothing_else(5, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `make test-faults`"]
async fn all_fifty_hostile_pull_requests_get_a_plan_and_nothing_else() {
    get_a_plan_and_nothing_else(1, true).await;
}

/// Opens one of every so many pull requests. Each is reported on and, if it is to be, checked out as well.
async fn get_a_plan_and_nothing_else(every: usize, check: bool) {
    let hostile = Arc::new(Hostile::begin().await);
    let workflow = Arc::new(Workflow::of(&hostile.report).unwrap());
    let checks = Arc::new(Workflow::only(&hostile.checks, "check").unwrap());
    assert_eq!(hostile.cases.len(), 50);
    let mut running = JoinSet::new();
    for first in 0..AT_ONCE {
        let (hostile, workflow, checks) = (hostile.clone(), workflow.clone(), checks.clone());
        running.spawn(async move {
            for case in hostile.cases.iter().step_by(every).skip(first).step_by(AT_ONCE) {
                let number = hostile.open(case).await;
                let reported = hostile.report(&workflow, number).await;
                reported.unwrap_or_else(|error| panic!("{}: {error:#}", case.branch));
                if check {
                    let checked = hostile.check(&checks, number).await;
                    checked.unwrap_or_else(|error| panic!("{}, checked out: {error:#}", case.branch));
                }
            }
        });
    }
    running.join_all().await;
    assert_eq!(hostile.github.get("/pulls").await.unwrap().as_array().map(Vec::len), Some(50 / every));
    assert!(hostile.told.load(Ordering::SeqCst) > 0, "nobody was told how to render");
    assert_eq!(hostile.summarized.load(Ordering::SeqCst) > 0, check, "whether there were summaries");
}

/// The tests above would see it: three mistakes that workflows are known for.
#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_lets_a_fork_in_is_noticed() {
    let hostile = Hostile::begin().await;
    let branch = "${{ github.event.workflow_run.head_branch }}";
    for (branch_begins, right, wrong, noticed) in [
        (
            "program/1",
            "slipway report --head \"$HEAD\" --commit \"$COMMIT\" --to",
            "git fetch --quiet origin \"$COMMIT\" && git checkout --quiet FETCH_HEAD && make; slipway report --head \"$HEAD\" --commit \"$COMMIT\" --to"
                .to_owned(),
            "was run",
        ),
        (
            "x$(touch",
            "run: slipway report --head \"$HEAD\"",
            format!("run: true {branch}; slipway report --head \"$HEAD\""),
            "was run",
        ),
        (
            "text/0",
            "run: slipway report --head",
            "run: env | base64 --wrap=0; slipway report --head".to_owned(),
            "a token is shown in base64",
        ),
    ] {
        assert!(hostile.report.contains(right), "{right}");
        let workflow = Workflow::of(&hostile.report.replace(right, &wrong)).unwrap();
        let case = hostile.cases.iter().find(|case| case.branch.starts_with(branch_begins)).unwrap();
        let number = hostile.open(case).await;
        let error = hostile.report(&workflow, number).await.unwrap_err().to_string();
        assert!(error.contains(noticed), "{branch_begins}: {error}");
        // what it did is undone for the next one
        let _ = fs::remove_file(&hostile.canary);
    }
}
