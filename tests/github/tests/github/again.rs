//! Two proposals of one experiment at once: after the merge of one, the other is planned again without anybody's doing, and both end well.

use reqwest::Method;
use serde_json::{Value, json};
use slipway_github_tests::accounts::{ANN, BOB, OWNER, REPOSITORY};

use crate::event::{dispatch, push, workflow_run};
use crate::people::Clone;
use crate::repository::{MAIN, Repository};

const EXPERIMENT: &str = "experiments/mnist-mlp.yaml";
/// The lines that each report begins with.
const FIRST_LINES: usize = 15;
const JOBS: &str = "overlays/local/training-jobs/mnist-mlp-";

impl Repository {
    /// What GitHub does once a person has pushed: `checks` begins, and this follows; and the same for what that renders.
    async fn pushed(&self, number: u64) {
        let said =
            self.report("workflow_run", workflow_run(&self.pull(number).await, "requested", "pull_request")).await;
        assert_eq!(said.dispatched.len(), 1, "{}", said.text());
        self.report("workflow_run", workflow_run(&self.pull(number).await, "requested", "workflow_dispatch")).await;
    }

    /// How the check `slipway` of a commit ended: what GitHub shows is its newest run.
    async fn check(&self, commit: &str) -> String {
        let runs = self.github.get(&format!("/commits/{commit}/check-runs")).await.unwrap();
        let runs = runs["check_runs"].as_array().unwrap().iter().filter(|run| run["name"] == "slipway");
        let newest = runs.max_by_key(|run| run["id"].as_u64()).unwrap();
        newest["conclusion"].as_str().unwrap().to_owned()
    }

    async fn comment(&self, number: u64) -> String {
        let comments = self.github.get(&format!("/issues/{number}/comments")).await.unwrap();
        comments[0]["body"].as_str().unwrap().to_owned()
    }

    /// What is missing for the merge, among the first lines of the comment.
    async fn missing(&self, number: u64) -> String {
        let comment = self.comment(number).await;
        // the marker is above them
        let mut first = comment.lines().take(1 + FIRST_LINES);
        let line = first.find(|line| line.starts_with("- **Missing for the merge:**"));
        line.unwrap_or_else(|| panic!("nothing is missing: {comment}")).to_owned()
    }

    async fn jobs(&self) -> usize {
        let files = self.github.bare(REPOSITORY).git(&["ls-tree", "-r", "--name-only", "main", "overlays/"]).await;
        files.unwrap().lines().filter(|file| file.starts_with(JOBS)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_proposals_at_once_the_second_is_red_and_rendered_again_after_the_merge_of_the_first() {
    let repository = Repository::begin().await;
    let first = repository.open(ANN, "dropout", EXPERIMENT, |text| text.replace("dropout: 0.25", "dropout: 0.5")).await;
    let second = repository.open(BOB, "memory", EXPERIMENT, |text| text.replace("memory: 512Mi", "memory: 640Mi"));
    let second = second.await;
    let other = repository.open(BOB, "words", "README.md", |text| format!("{text}\nMore.\n")).await;
    for number in [first, second] {
        repository.pushed(number).await;
        assert_eq!(repository.check(&repository.head(number).await).await, "success");
    }
    repository.merge(first).await;
    let reviewed = repository.head(second).await;
    assert_eq!(repository.pull(second).await["mergeable"], true, "git alone sees nothing wrong");

    // the push to main starts the workflow for the pull request with an experiment, and not for the one with words
    let said = repository.report("push", push(MAIN)).await;
    assert_eq!(said.jobs.keys().collect::<Vec<_>>(), ["again"]);
    let asked = format!("report.yml --raw-field head={OWNER}:memory --raw-field commit={reviewed}");
    assert_eq!(said.dispatched, [asked], "#{other} has nothing that is planned");

    let said = repository
        .report("workflow_dispatch", dispatch(&json!({ "head": format!("{OWNER}:memory"), "commit": reviewed })))
        .await;
    assert_eq!(said.jobs.keys().collect::<Vec<_>>(), ["comment", "plan", "render"]);
    assert_eq!(
        repository.check(&reviewed).await,
        "failure",
        "it would start jobs that the merged experiment does not ask for"
    );
    let comment = repository.comment(second).await;
    assert!(comment.contains(&format!("`slipway render --pull-request {second}`")), "{comment}");
    assert_eq!(said.dispatched, ["checks.yml --ref memory"], "{}", said.text());
    let rendered = repository.head(second).await;
    assert_ne!(rendered, reviewed);

    // a second run for the commit of before does nothing: nobody is told that something is wrong
    let late = repository
        .report("workflow_dispatch", dispatch(&json!({ "head": format!("{OWNER}:memory"), "commit": reviewed })))
        .await;
    assert_eq!(late.dispatched, [""; 0]);
    assert_eq!(repository.head(second).await, rendered);

    repository
        .report("workflow_run", workflow_run(&repository.pull(second).await, "requested", "workflow_dispatch"))
        .await;
    assert_eq!(repository.check(&rendered).await, "success");
    repository.merge(second).await;
    assert_eq!(repository.jobs().await, 1, "the jobs of the merged experiment, and no others");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reviews_checks_and_rules_say_is_missing_for_the_merge_whoever_reports() {
    let repository = Repository::begin().await;
    let ann = Clone::of(&repository.github, ANN);
    let number = repository.open(ANN, "fewer", EXPERIMENT, |text| text.replace("epochs: 10", "epochs: 5")).await;
    let reviews = format!("/repos/{REPOSITORY}/pulls/{number}/reviews");
    let write = async |path: &str, token: &str, body: Value| {
        let (status, said) = repository.github.ask(Method::POST, path, token, Some(&body)).await.unwrap();
        assert!(status.is_success(), "{said}");
    };
    repository.github.set_required(1, &["lint", "slipway", "test"]).await;
    write(&reviews, BOB.token, json!({ "event": "REQUEST_CHANGES", "body": "no" })).await;
    repository.pushed(number).await;
    let missing = repository.missing(number).await;
    for said in [
        "`bob requests changes`",
        "`an approval, which the branch's rules require`",
        "`the checks lint, test have not ended`",
    ] {
        assert!(missing.contains(said), "{said}: {missing}");
    }

    // a person who reports loses nothing of it, and asks no more than three things
    let report = ["report", &number.to_string()];
    ann.git(&["fetch", "--quiet", "origin"]);
    ann.text(&report);
    assert_eq!(repository.missing(number).await, missing);
    repository.github.asked().await;
    let said = ann.text(&report);
    assert!(said.contains("the report is up to date"), "{said}");
    let asked = repository.github.asked().await;
    assert!(asked.len() <= 3, "{asked:#?}");

    write(&reviews, BOB.token, json!({ "event": "APPROVE" })).await;
    let token = repository.github.job_token(&[("checks".to_owned(), "write".to_owned())].into()).await.unwrap();
    let checks = format!("/repos/{REPOSITORY}/check-runs");
    let head = repository.head(number).await;
    let failed = json!({ "name": "lint", "head_sha": head, "status": "completed", "conclusion": "failure" });
    write(&checks, &token, failed).await;
    write(&checks, &token, json!({ "name": "build", "head_sha": head, "status": "in_progress" })).await;
    // what has changed since is in the comment, also if a person reports and no workflow runs
    let said = ann.text(&report);
    assert!(said.contains("wrote the report"), "{said}");
    let missing = repository.missing(number).await;
    assert!(missing.contains("`the check lint has failed`"), "{missing}");
    assert!(missing.contains("`the checks build, test have not ended`"), "{missing}");
    assert!(!missing.contains("requests changes") && !missing.contains("approval"), "{missing}");
    // the workflow has nothing to add
    let said = repository
        .report("workflow_run", workflow_run(&repository.pull(number).await, "completed", "pull_request"))
        .await;
    assert_eq!(said.jobs.keys().collect::<Vec<_>>(), ["comment", "plan"]);
    assert_eq!(repository.missing(number).await, missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_gone_and_a_pull_request_that_is_closed_are_no_failure() {
    let repository = Repository::begin().await;
    let edit = |text: &str| text.replace("epochs: 10", "epochs: 5");
    let closed = repository.open(ANN, "closed", EXPERIMENT, edit).await;
    let event = workflow_run(&repository.pull(closed).await, "requested", "pull_request");
    let path = format!("/repos/{REPOSITORY}/pulls/{closed}");
    let (status, said) =
        repository.github.ask(Method::PATCH, &path, ANN.token, Some(&json!({ "state": "closed" }))).await.unwrap();
    assert!(status.is_success(), "{said}");
    let said = repository.report("workflow_run", event).await;
    assert_eq!(said.jobs.len(), 3, "{}", said.text());
    assert_eq!(said.dispatched, [""; 0]);
    assert_eq!(repository.github.get(&format!("/issues/{closed}/comments")).await.unwrap(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_from_a_clone_that_was_not_pulled_keeps_what_was_merged() {
    let repository = Repository::begin().await;
    let (ann, bob) = (Clone::of(&repository.github, ANN), Clone::of(&repository.github, BOB));
    bob.write(EXPERIMENT, &bob.read(EXPERIMENT).replace("epochs: 10", "epochs: 9"));
    bob.git(&["commit", "--quiet", "--all", "-m", "Nine epochs"]);
    bob.git(&["push", "--quiet", "origin", "HEAD:main"]);

    // on the line above
    ann.write(EXPERIMENT, &ann.read(EXPERIMENT).replace("dropout: 0.25", "dropout: 0.5"));
    let number = ann.opens(&["propose", EXPERIMENT]);
    let bare = repository.github.bare(REPOSITORY);
    let proposed = bare.git(&["show", &format!("refs/pull/{number}/head:{EXPERIMENT}")]).await.unwrap();
    assert!(proposed.contains("epochs: 9") && proposed.contains("dropout: 0.5"), "{proposed}");
    let body = repository.pull(number).await["body"].as_str().unwrap().to_owned();
    let file = "What changes in <code>experiments/mnist-mlp&#46;yaml</code>";
    assert!(body.contains(file) && body.contains("dropout: 0.5") && !body.contains("epochs: 10"), "{body}");
}
