//! GitHub against stubs on this machine's loopback.

mod apps;
mod authentication;
mod bounded;
mod commits;
mod finding;
mod green;
mod log;
mod merging;
mod model;
mod objections;
mod opening;
mod patience;
mod person;
mod publishing;
mod pull_requests;
mod redirects;
mod refusals;
mod remotes;
mod tls;

use serde_json::{Value, json};
use wiremock::MockServer;

use super::{Credentials, GitHub};

/// A token that no error and no log may show.
const TOKEN: &str = "ghp_secret";

async fn github() -> (MockServer, GitHub) {
    let server = MockServer::start().await;
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::token(TOKEN));
    (server, github)
}

/// A pull request as GitHub describes it.
fn pull(number: u64, branch: &str) -> Value {
    json!({"id": number, "number": number, "url": format!("https://api.github.com/repos/octo/cat/pulls/{number}"),
           "html_url": format!("https://github.com/octo/cat/pull/{number}"), "title": "Train", "state": "open", "body": "x",
           "head": {"ref": branch, "sha": "abc"}, "base": {"ref": "main", "sha": "def"}})
}
