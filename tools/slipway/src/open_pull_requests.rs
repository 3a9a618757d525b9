//! The pull requests that wait for a merge.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_forge::{Forge, Opened};
use slipway_git::Repository;
use slipway_markdown::visible;
use slipway_proposal::Remote;

use crate::context::Context;
use crate::failure::Failure;

/// A pull request that waits for a merge.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OpenPullRequest {
    number: u64,
    title: String,
    branch: String,
    url: String,
    is_draft: bool,
    labels: Vec<String>,
}

impl From<Opened> for OpenPullRequest {
    fn from(opened: Opened) -> Self {
        let Opened { number, title, branch, url, is_draft, labels, .. } = opened;
        Self { number, title, branch, url, is_draft, labels }
    }
}

/// Those of a forge, oldest first.
pub(crate) async fn open_pull_requests(forge: &Forge) -> Result<Vec<OpenPullRequest>, Failure> {
    Ok(forge.list_open().await?.into_iter().map(OpenPullRequest::from).collect())
}

/// Those of the remote `origin` of the project that is here. Returns `None` if there is none, or none that takes any,
/// or if they cannot be listed, which is a warning.
pub(crate) async fn of_origin(context: &Context) -> Option<Vec<OpenPullRequest>> {
    let git = Repository::project(&context.root).ok()?;
    git.remote_url("origin").ok()??;
    let remote = match Remote::named(&git, "origin", &context.root) {
        // a clone of a work tree has no pull requests there, and those of the loop are not asked for without one
        Err(slipway_proposal::Error::Forge(slipway_forge::Error::NotBare(_))) => return None,
        found => found,
    };
    let listed = async { open_pull_requests(&remote?.forge).await };
    listed.await.map_err(|failure: Failure| context.warn(format!("open pull requests are not shown: {failure}"))).ok()
}

/// Prints them as a table; nothing if there are none.
pub(crate) fn show_pull_requests(context: &Context, pull_requests: &[OpenPullRequest]) {
    if pull_requests.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["PULL REQUEST", "WAITS FOR A MERGE", "BRANCH"]);
    for one in pull_requests {
        let draft = if one.is_draft { " (draft)" } else { "" };
        let title = format!("{}{draft}", visible(&one.title));
        table.add_row([format!("#{}", one.number), title, one.branch.clone()]);
    }
    context.say(format!("\n{}", table.trim_fmt()));
}
