//! Whose review is asked for, and how much is asked of GitHub where there are more things than a page of a list has.

use reqwest::Method;
use serde_json::{Value, json};
use slipway_github_tests::accounts::{ANN, BOB, MANAGER, REPOSITORY};

use crate::people::Clone;
use crate::repository::Repository;

/// More than a page has.
const MORE: usize = 101;

impl Repository {
    /// Whose review a pull request asks for.
    async fn reviewers(&self, number: u64) -> Vec<String> {
        let pull = self.pull(number).await;
        let asked = pull["requested_reviewers"].as_array().unwrap().iter();
        asked.map(|reviewer| reviewer["login"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs a command that has nothing left to do; what it asks.
    async fn asks(&self, who: &Clone, arguments: &[&str]) -> Vec<String> {
        self.github.asked().await;
        self.github.pushes().await;
        who.text(arguments);
        let asked = self.github.asked().await;
        let reads = ["/access_tokens", "POST /api/graphql"];
        let writes = |asked: &&String| !asked.starts_with("GET ") && !reads.iter().any(|end| asked.ends_with(end));
        assert_eq!(asked.iter().find(writes), None, "{arguments:?} changed something: {asked:#?}");
        assert!(self.github.pushes().await.is_empty(), "{arguments:?} pushed");
        asked
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_of_what_changes_are_asked_for_a_review_unless_it_is_a_draft() {
    let repository = Repository::begin().await;
    let ann = Clone::of(&repository.github, ANN);
    ann.write(".github/CODEOWNERS", "* @nobody\n/experiments/ @bob\n/overlays/ @bob\n");
    ann.git(&["commit", "--quiet", "--all", "-m", "Owners"]);
    ann.git(&["push", "--quiet", "origin", "HEAD:main"]);

    let propose = ["propose", "experiments/mnist-mlp.yaml"];
    let draft = ann.opens(&[&propose[..], &["--draft", "--reviewer", "bob"]].concat());
    assert_eq!(repository.reviewers(draft).await, [""; 0]);
    let ready = ann.opens(&["propose", "experiments/mnist-cnn.yaml"]);
    assert_eq!(repository.reviewers(ready).await, ["bob"]);
    // the same without --draft
    assert_eq!(ann.opens(&propose), draft);
    assert_eq!(repository.reviewers(draft).await, ["bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_hundred_others_each_further_page_is_one_request_more() {
    let repository = Repository::begin().await;
    let github = &repository.github;
    let ann = Clone::of(github, ANN);
    let propose = ["propose", "experiments/mnist-mlp.yaml"];
    let number = ann.opens(&propose).to_string();
    let report = ["report", number.as_str()];
    ann.text(&report);
    assert_eq!(repository.asks(&ann, &propose).await.len(), 2);
    // the pull request with all that is said against its merge, and its comments
    assert_eq!(repository.asks(&ann, &report).await.len(), 2);

    let bob = Clone::of(github, BOB);
    bob.git(&["commit", "--quiet", "--allow-empty", "-m", "More"]);
    let branches: Vec<String> = (0..MORE).map(|index| format!("HEAD:refs/heads/more-{index}")).collect();
    let branches = branches.iter().map(String::as_str);
    bob.git(&["push", "--quiet", "origin"].into_iter().chain(branches).collect::<Vec<_>>());
    let ask = async |path: &str, body: Value| {
        let path = format!("/repos/{REPOSITORY}{path}");
        let (status, said) = github.ask(Method::POST, &path, BOB.token, Some(&body)).await.unwrap();
        assert_eq!(status.as_u16(), 201, "{said}");
        said["number"].as_u64()
    };
    let mut newest = None;
    for index in 0..MORE {
        let head = format!("more-{index}");
        newest = ask("/pulls", json!({ "title": head, "head": head, "base": "main", "body": "" })).await;
    }

    // the repository, and two pages of open ones
    assert_eq!(ann.opens(&propose).to_string(), number);
    assert_eq!(repository.asks(&ann, &propose).await.len(), 3);
    assert_eq!(repository.asks(&ann, &report).await.len(), 2);
    for index in 0..MORE {
        ask(&format!("/issues/{number}/comments"), json!({ "body": format!("Remark {index}") })).await;
    }
    assert_eq!(repository.asks(&ann, &report).await.len(), 3);

    // an app signs in with two requests, and knows who it is; it asks for its check
    let mut manager = Clone::of(github, ANN);
    manager.variables.push(("SLIPWAY_GITHUB_APP_ID", MANAGER.id.to_string()));
    manager.variables.push(("SLIPWAY_GITHUB_APP_PRIVATE_KEY", github.key(MANAGER).unwrap().to_owned()));
    let newest = newest.unwrap().to_string();
    let report = ["report", newest.as_str()];
    manager.text(&report);
    let asked = repository.asks(&manager, &report).await;
    assert_eq!(asked.len(), 2 + 3, "{asked:#?}");
    assert_eq!(
        asked.iter().filter(|asked| asked.ends_with("/installation") || asked.ends_with("/access_tokens")).count(),
        2
    );
}
