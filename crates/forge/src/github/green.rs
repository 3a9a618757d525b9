//! Whether a check of a commit is green.

use serde::Deserialize;
use serde_json::json;

use super::patience::Repeat;
use super::{GitHub, PAGE};
use crate::Result;

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    status: Option<String>,
    conclusion: Option<String>,
}

impl GitHub {
    /// Whether the newest run of a check of a commit, whoever wrote it, has ended well. One that does not exist has not.
    pub(crate) async fn is_green(&self, commit: &str, check: &str) -> Result<bool> {
        let route = format!("{}?per_page={PAGE}", self.route(&format!("commits/{commit}/check-runs")));
        let client = self.client().await?;
        let query = json!({ "check_name": check, "filter": "latest" });
        let runs: Runs = self.ask(Repeat::Harmless, || client.get(&route, Some(&query))).await?;
        let newest = runs.check_runs.into_iter().max_by_key(|run| run.id);
        let has_ended = |run: &Run| run.status.as_deref() == Some("completed");
        Ok(newest.filter(has_ended).is_some_and(|run| run.conclusion.as_deref() == Some("success")))
    }
}
