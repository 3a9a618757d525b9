//! A full life on the emulated GitHub: proposed, reported, changed, merged in each way, trained, promoted, cancelled, reverted.

use serde_json::{Value, json};
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, BOB, REPOSITORY};
use slipway_github_tests::workflow::{Runner, Workflow};
use slipway_mlflow::{LoggedModelStatus, Metric, RunStatus, Tag};
use slipway_mlflow_server::Mlflow;
use slipway_names::tag;
use slipway_project::code_owners::{CodeOwners, PATHS};

use crate::event::workflow_run;
use crate::origin::origin;
use crate::people::Clone;
use crate::repository::MAIN;

/// The most that GitHub is asked by a command that has nothing left to do.
const MOST_ASKED: usize = 3;
const BOT: &str = "github-actions[bot]";
const JOBS: &str = "overlays/local/training-jobs/";
const HISTORY: &str = "overlays/local/history/";

struct Life {
    github: GitHub,
    ann: Clone,
    mlflow: Mlflow,
    workflow: Workflow,
    _folder: tempfile::TempDir,
}

impl Life {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        origin(&project);
        let workflow = Workflow::read(&project.join(".github/workflows/report.yml")).unwrap();
        let github = GitHub::start(&project).await.unwrap();
        let mlflow = Mlflow::start().await;
        let mut ann = Clone::of(&github, ANN);
        ann.variables.push(("MLFLOW_TRACKING_URI", mlflow.url.clone()));
        Self { github, ann, mlflow, workflow, _folder: folder }
    }

    async fn pull(&self, number: u64) -> Value {
        self.github.get(&format!("/pulls/{number}")).await.unwrap()
    }

    /// The comments of an account on a pull request.
    async fn comments(&self, number: u64, author: &str) -> Vec<Value> {
        let comments = self.github.get(&format!("/issues/{number}/comments")).await.unwrap();
        let mut comments = comments.as_array().unwrap().clone();
        comments.retain(|comment| comment["user"]["login"] == author);
        comments
    }

    /// The only comment of an account.
    async fn comment(&self, number: u64, author: &str) -> Value {
        let comments = self.comments(number, author).await;
        assert_eq!(comments.len(), 1, "{comments:#?}");
        comments[0].clone()
    }

    /// Runs a command twice. The second time it prints its result again, changes nothing and asks little.
    async fn twice(&self, arguments: &[&str]) -> String {
        let text = self.ann.text(arguments);
        self.github.asked().await;
        self.github.pushes().await;
        self.ann.text(arguments);
        let asked = self.github.asked().await;
        assert!(asked.len() <= MOST_ASKED, "{arguments:?} asked {asked:#?}");
        assert!(asked.iter().all(|asked| reads(asked)), "{arguments:?} changed something: {asked:#?}");
        assert!(self.github.pushes().await.is_empty(), "{arguments:?} pushed");
        text
    }

    /// Runs a command that opens a pull request, twice, then once more after somebody has pushed something else to main: it is the same
    /// one. Returns its number.
    async fn opens(&self, arguments: &[&str]) -> u64 {
        let number = self.ann.opens(arguments);
        self.belongs_to_experiments(number).await;
        self.twice(arguments).await;
        let bob = Clone::of(&self.github, BOB);
        bob.write("notes.txt", &format!("beside #{number}\n"));
        bob.git(&["add", "notes.txt"]);
        bob.git(&["commit", "--quiet", "-m", "Notes"]);
        bob.git(&["push", "--quiet", "origin", "HEAD:main"]);
        self.github.pushes().await;
        assert_eq!(self.ann.opens(arguments), number, "{arguments:?}, after main has moved");
        assert!(self.github.pushes().await.is_empty(), "{arguments:?} pushed");
        self.twice(arguments).await;
        number
    }

    /// Fails if this repository's own rules ask for anybody's review but that of the team of experiments.
    async fn belongs_to_experiments(&self, number: u64) {
        let bare = self.github.bare(REPOSITORY);
        let owners = CodeOwners::parse(&bare.git(&["show", &format!("main:{}", PATHS[0])]).await.unwrap());
        let range = format!("main...refs/pull/{number}/head");
        let files = bare.git(&["diff", "--name-only", "--no-renames", &range]).await.unwrap();
        assert_eq!(owners.of(files.lines()), ["slipway-dev/experiments"].into(), "{files}");
    }

    /// Runs the workflow `report` as GitHub does after an event of `checks`.
    async fn workflow(&self, number: u64, action: &str, by: &str) -> slipway_github_tests::workflow::Said {
        let event = workflow_run(&self.pull(number).await, action, by);
        let commit = self.github.bare(REPOSITORY).commit("main").await.unwrap();
        let runner = Runner { github: &self.github, event_name: "workflow_run", event, reference: MAIN, commit };
        let said = runner.run(&self.workflow).await.unwrap();
        assert!(said.jobs.values().all(|succeeded| *succeeded), "{:?}: {}", said.jobs, said.text());
        said
    }

    /// The check of a pull request's head.
    async fn check(&self, number: u64) -> Value {
        let head = self.pull(number).await["head"]["sha"].as_str().unwrap().to_owned();
        let runs = self.github.get(&format!("/commits/{head}/check-runs")).await.unwrap();
        assert_eq!(runs["total_count"], 1, "{runs}");
        runs["check_runs"][0].clone()
    }

    /// The files of main below a folder.
    async fn files(&self, folder: &str) -> Vec<String> {
        let listing =
            self.github.bare(REPOSITORY).git(&["ls-tree", "-r", "--name-only", "main", folder]).await.unwrap();
        listing.lines().map(str::to_owned).collect()
    }

    async fn jobs(&self, experiment: &str) -> Vec<String> {
        let prefix = format!("{JOBS}{experiment}-");
        let mut files = self.files(JOBS).await;
        files.retain(|file| file.starts_with(&prefix));
        files
    }

    async fn served(&self) -> String {
        let models = self.github.bare(REPOSITORY).git(&["show", "main:overlays/local/server/models.yaml"]).await;
        models.unwrap()
    }

    /// What a trained TrainJob leaves in MLflow: a run with its metrics by epoch, and a version.
    async fn train(&self, experiment: &str, job_file: &str, accuracy: f64, digest: char) {
        let job = job_file.strip_prefix(JOBS).unwrap().strip_suffix(".yaml").unwrap();
        let mlflow = &self.mlflow.client;
        let id = mlflow.get_or_create_experiment(experiment).await.unwrap();
        let tags = |all: &[(&str, &str)]| -> Vec<Tag> {
            all.iter().map(|(key, value)| Tag { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
        };
        let file = format!("experiments/{experiment}.yaml");
        let blob = self.github.bare(REPOSITORY).git(&["rev-parse", &format!("main:{file}")]).await.unwrap();
        let rendered = self.github.bare(REPOSITORY).git(&["show", &format!("main:{job_file}")]).await.unwrap();
        let data = rendered.find("sha256:").map(|at| rendered[at..at + "sha256:".len() + 64].to_owned()).unwrap();
        let (accuracy, digest) = (accuracy.to_string(), format!("sha256:{}", digest.to_string().repeat(64)));
        let origin = [
            (tag::TRAINJOB, job),
            (tag::EXPERIMENT_FILE, &file),
            (tag::EXPERIMENT_BLOB, &blob),
            (tag::DATASET_DIGEST, &data),
        ];
        let mut of_run = tags(&origin);
        of_run.extend(tags(&[(tag::GATE, "passed"), (tag::SECONDS, "90")]));
        let begun = 1_790_000_000_000;
        let run = mlflow.create_run(&id, job, &of_run, begun).await.unwrap();
        let reached: f64 = accuracy.parse().unwrap();
        let metric =
            |key: &str, value: f64, step: i64| Metric { key: key.to_owned(), value, timestamp: begun + step, step };
        let mut metrics: Vec<Metric> =
            (0..3).map(|epoch| metric("validation_accuracy", reached - 0.01 * (2 - epoch) as f64, epoch)).collect();
        metrics.push(metric("test_accuracy", reached, 3));
        mlflow.log_batch(&run.run_id, &metrics, &[], &[]).await.unwrap();
        let model = mlflow.create_logged_model(&id, "model", &run.run_id, &[], &[]).await.unwrap();
        mlflow.finalize_logged_model(&model.model_id, LoggedModelStatus::Ready).await.unwrap();
        mlflow.get_or_create_registered_model("mnist").await.unwrap();
        let mut of_version = tags(&origin);
        of_version.extend(tags(&[
            (tag::DIGEST, &digest),
            (tag::ACCURACY, &accuracy),
            (tag::ENGINE, "builtin"),
            (tag::DATASET, "mnist-10k"),
        ]));
        let source = format!("models:/{}", model.model_id);
        mlflow.create_model_version("mnist", &source, &run.run_id, &model.model_id, &of_version).await.unwrap();
        mlflow.update_run(&run.run_id, RunStatus::Finished, begun + 90_000).await.unwrap();
    }
}

/// Whether a request changes nothing.
fn reads(asked: &str) -> bool {
    asked.starts_with("GET ") || asked == "POST /api/graphql"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_from_the_proposal_to_the_revert() {
    let life = Life::begin().await;
    let (github, ann) = (&life.github, &life.ann);

    // a draft, which nobody can merge
    let draft = ann.opens(&["propose", "experiments/mnist-resnet.yaml", "--draft"]);
    assert_eq!(life.pull(draft).await["draft"], true);
    assert!(!ann.slipway(&["merge", &draft.to_string()]).status.success(), "a draft was merged");

    // proposed, with a label and a reviewer
    let propose = ["propose", "experiments/mnist-mlp.yaml", "--label", "training", "--reviewer", "bob"];
    let first = life.opens(&propose).await;
    let pull = life.pull(first).await;
    assert_eq!(
        (pull["labels"][1]["name"].as_str(), pull["requested_reviewers"][0]["login"].as_str()),
        (Some("training"), Some("bob"))
    );
    assert_eq!(github.get("/pulls").await.unwrap().as_array().unwrap().len(), 2);
    let branch = pull["head"]["ref"].as_str().unwrap();
    let show = ["show", &first.to_string()];
    let shown = life.twice(&show).await;
    for said in [
        format!("#{first} Train mnist-mlp"),
        format!("\nopen, {branch} at {} into main: ", &pull["head"]["sha"].as_str().unwrap()[..8]),
        "\nasked for a review: bob\n".to_owned(),
        format!("\nno report yet: `slipway report {first}` writes it\n"),
    ] {
        assert!(shown.contains(&said), "{said}: {shown}");
    }

    // reported, by a person; somebody copies the comment, which stays theirs
    let report = ["report", &first.to_string()];
    life.twice(&report).await;
    let plan = life.comment(first, ANN.login).await;
    let body = plan["body"].as_str().unwrap();
    let head: String = body.lines().take(16).map(|line| format!("{line}\n")).collect();
    for word in ["mnist-10k", "CPU-hours", "USD"] {
        assert!(head.contains(word), "{word} is not among the first lines: {head}");
    }
    let shown = life.twice(&show).await;
    for word in ["mnist-10k", "CPU-hours", "USD"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(!shown.contains("no report yet") && !shown.contains("<!--"), "{shown}");
    let copy = json!({ "body": body });
    let comments = format!("/repos/{REPOSITORY}/issues/{first}/comments");
    github.ask(reqwest::Method::POST, &comments, BOB.token, Some(&copy)).await.unwrap();

    // bob changes the experiment in his browser, without the command line: the workflow renders, and reports
    let bob = Clone::of(github, BOB);
    bob.git(&["switch", "--quiet", branch]);
    let text = bob.read("experiments/mnist-mlp.yaml");
    bob.write("experiments/mnist-mlp.yaml", &text.replace("epochs: 10", "epochs: 5"));
    bob.git(&["commit", "--quiet", "--all", "-m", "Fewer epochs"]);
    bob.git(&["push", "--quiet", "origin", branch]);
    let pushed = bob.git(&["rev-parse", "HEAD"]);
    let said = life.workflow(first, "requested", "pull_request").await;
    assert_eq!(said.jobs.keys().collect::<Vec<_>>(), ["comment", "plan", "render"]);
    assert_eq!(said.dispatched, [format!("checks.yml --ref {branch}")], "{}", said.text());
    let rendered = life.pull(first).await["head"]["sha"].as_str().unwrap().to_owned();
    let bare = github.bare(REPOSITORY);
    assert_eq!(bare.git(&["rev-parse", &format!("{rendered}^")]).await.unwrap(), pushed, "on top of his commit");
    let changed = bare.git(&["diff", "--name-only", &pushed, &rendered]).await.unwrap();
    assert!(changed.lines().all(|file| file.starts_with(JOBS)) && !changed.is_empty(), "{changed}");
    life.twice(&["render", "--pull-request", &first.to_string()]).await;
    let again = life.workflow(first, "completed", "workflow_dispatch").await;
    assert_eq!(again.jobs.keys().collect::<Vec<_>>(), ["comment", "plan"]);
    // the first event once more: each job's command has nothing left to do, and asks little
    github.pushes().await;
    let again = life.workflow(first, "requested", "pull_request").await;
    assert_eq!(again.jobs.keys().collect::<Vec<_>>(), ["comment", "plan", "render"]);
    for (step, asked) in &again.asked {
        assert!(asked.len() <= MOST_ASKED, "{step} asked {asked:#?}");
        assert!(asked.iter().all(|asked| reads(asked)), "{step} changed something: {asked:#?}");
    }
    assert_eq!(again.asked.iter().filter(|(_, asked)| !asked.is_empty()).count(), 3, "{:#?}", again.asked);
    assert!(again.dispatched.is_empty() && github.pushes().await.is_empty(), "{}", again.text());
    let check = life.check(first).await;
    assert_eq!(
        (check["conclusion"].as_str(), check["app"]["slug"].as_str()),
        (Some("success"), Some("github-actions")),
        "{check}"
    );
    let by_workflow = life.comment(first, BOT).await;
    assert_eq!(life.comment(first, BOB.login).await["body"], body, "bob's comment was touched");
    // from now on there is one report: the workflow's, with which everybody who may write goes on
    ann.git(&["fetch", "--quiet", "origin"]);
    life.twice(&report).await;
    assert_eq!(life.comment(first, BOT).await["id"], by_workflow["id"]);
    assert!(life.comments(first, ANN.login).await.is_empty());

    // merged in each way
    let second = ann.opens(&["propose", "experiments/mnist-cnn.yaml"]);
    let text = ann.read("experiments/mnist-mlp.yaml");
    ann.write(
        "experiments/small.yaml",
        &text.replace("name: mnist-mlp", "name: small").replace("epochs: 10", "epochs: 1"),
    );
    let third = ann.opens(&["propose", "experiments/small.yaml"]);
    for (number, method, experiment, jobs) in
        [(first, "merge", "mnist-mlp", 1), (second, "squash", "mnist-cnn", 2), (third, "rebase", "small", 1)]
    {
        let reviewed = bare.git(&["ls-tree", "-r", &format!("refs/pull/{number}/head"), JOBS]).await.unwrap();
        life.twice(&["merge", &number.to_string(), "--method", method]).await;
        assert_eq!(life.pull(number).await["merged"], true);
        assert_eq!(life.jobs(experiment).await.len(), jobs, "{method}");
        let merged = bare.git(&["ls-tree", "-r", "main", JOBS]).await.unwrap();
        let of_experiment = |listing: &str| -> Vec<String> {
            listing.lines().filter(|line| line.contains(&format!("{JOBS}{experiment}-"))).map(str::to_owned).collect()
        };
        assert_eq!(of_experiment(&merged), of_experiment(&reviewed), "reviewed is what runs");
    }

    // trained: the same comment becomes the report of the results
    let jobs = life.jobs("mnist-mlp").await;
    life.train("mnist-mlp", &jobs[0], 0.961, 'a').await;
    ann.git(&["fetch", "--quiet", "origin"]);
    let traced = ann.text(&["trace", "mnist"]);
    assert!(traced.contains(&format!("#{first}")), "{traced}");
    life.twice(&report).await;
    let results = life.comment(first, BOT).await;
    assert_eq!(results["id"], by_workflow["id"]);
    assert!(life.comments(first, ANN.login).await.is_empty());
    let text = results["body"].as_str().unwrap();
    assert!(text.contains("0.961") && text.contains("xychart"), "{text}");
    let shown = life.twice(&show).await;
    assert!(shown.contains(&format!("\nmerged, {branch} at ")) && shown.contains("0.961"), "{shown}");
    assert!(shown.contains("(chart: ") && !shown.contains("xychart"), "{shown}");
    assert_eq!(life.comment(first, BOB.login).await["body"], body, "bob's comment was touched");

    // promoted, and a better one after it
    let promotion = life.opens(&["promote", "mnist"]).await;
    life.twice(&["report", &promotion.to_string()]).await;
    life.twice(&["merge", &promotion.to_string(), "--method", "squash"]).await;
    let before = life.served().await;
    assert!(before.contains(&"a".repeat(64)), "{before}");
    let jobs = life.jobs("mnist-cnn").await;
    life.train("mnist-cnn", &jobs[0], 0.985, 'b').await;
    let better = ann.opens(&["promote", "mnist"]);
    life.twice(&["report", &better.to_string()]).await;
    let text = life.comment(better, ANN.login).await["body"].as_str().unwrap().to_owned();
    assert!(text.contains("0.961") && text.contains("0.985"), "what it replaces, on the same data: {text}");
    life.twice(&["merge", &better.to_string(), "--method", "merge"]).await;
    assert!(life.served().await.contains(&"b".repeat(64)));
    // its report still says what it replaced, and how to go back
    life.twice(&["report", &better.to_string()]).await;
    let text = life.comment(better, ANN.login).await["body"].as_str().unwrap().to_owned();
    let first: String = text.lines().take(16).map(|line| format!("{line}\n")).collect();
    let back = format!("`slipway revert {better}`");
    for said in ["0.985", "was in service with 0.961", back.as_str()] {
        assert!(first.contains(said), "{said}: {first}");
    }

    // one trial of it is to be cancelled, and is not: the pull request is closed
    let one = jobs[1].strip_prefix(JOBS).unwrap().strip_suffix(".yaml").unwrap();
    let trial = life.opens(&["cancel", one]).await;
    let left = bare.git(&["ls-tree", "-r", "--name-only", &format!("refs/pull/{trial}/head"), JOBS]).await.unwrap();
    assert!(!left.contains(one) && left.contains(&jobs[0]), "{left}");
    life.twice(&["close", &trial.to_string()]).await;
    assert_eq!(life.pull(trial).await["state"], "closed");
    assert_eq!(life.jobs("mnist-cnn").await, jobs);

    // cancelled: its files go
    let cancel = life.opens(&["cancel", "mnist-cnn"]).await;
    life.twice(&["merge", &cancel.to_string(), "--method", "rebase"]).await;
    assert!(life.jobs("mnist-cnn").await.is_empty());
    assert_eq!(life.jobs("mnist-mlp").await.len(), 1);

    // archived: what has ended is in the history
    let archive = life.opens(&["archive"]).await;
    life.twice(&["merge", &archive.to_string(), "--method", "squash"]).await;
    assert!(life.jobs("mnist-mlp").await.is_empty());
    let history = life.files(HISTORY).await;
    assert!(matches!(&history[..], [one] if one.starts_with(&format!("{HISTORY}mnist-mlp-"))), "{history:?}");
    assert_eq!(life.jobs("small").await.len(), 1, "it has no run");

    // reverted: the version before is in service again
    let revert = life.opens(&["revert", &better.to_string()]).await;
    life.twice(&["merge", &revert.to_string(), "--method", "squash"]).await;
    assert_eq!(life.served().await, before);

    // what is left: the draft
    let status = life.twice(&["status"]).await;
    assert!(status.contains(&format!("#{draft}")), "{status}");
    assert_eq!(github.get("/pulls").await.unwrap().as_array().unwrap().len(), 1);
}
