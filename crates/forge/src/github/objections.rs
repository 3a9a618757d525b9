//! What reviews and checks say against a merge, in two requests.
//! <https://docs.github.com/en/rest/pulls/reviews>, <https://docs.github.com/en/rest/checks/runs>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::patience::Repeat;
use super::pull::Account;
use super::{GitHub, PAGE};
use crate::{Error, Objections, Opened, Result};

/// Who has nothing to do with the repository: reviews of them do not hold up a merge. To a workflow's token a member of an organization may look
/// like somebody who has contributed, so those count.
const STRANGERS: [&str; 4] = ["NONE", "FIRST_TIMER", "FIRST_TIME_CONTRIBUTOR", "MANNEQUIN"];
/// How a check ends that holds up a merge. One that was cancelled makes room for a newer one.
const FAILED: [&str; 4] = ["failure", "timed_out", "action_required", "startup_failure"];

#[derive(Deserialize)]
struct Review {
    user: Option<Account>,
    state: Option<String>,
    author_association: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    name: String,
    conclusion: Option<String>,
}

impl GitHub {
    /// What speaks against the merge of a pull request, apart from the check of this name.
    pub(crate) async fn objections(&self, opened: &Opened, except: &str) -> Result<Objections> {
        let mut objections = Objections::default();
        match told(self.changes_requested(opened.number).await)? {
            Ok(logins) => objections.changes_requested = logins,
            Err(reason) => objections.unknown.push(format!("reviews are not known: {reason}")),
        }
        match told(self.failed_checks(&opened.head, except).await)? {
            Ok(names) => objections.failed_checks = names,
            Err(reason) => objections.unknown.push(format!("other checks are not known: {reason}")),
        }
        Ok(objections)
    }

    async fn changes_requested(&self, number: u64) -> Result<Vec<String>> {
        let route = self.route(&format!("pulls/{number}/reviews"));
        let reviews: Vec<Review> = self.all(&route, &json!({ "per_page": PAGE })).await?;
        // the oldest first; a comment leaves an earlier decision as it is
        let mut decisions = BTreeMap::new();
        for review in reviews {
            let counts = review.author_association.as_deref().is_none_or(|one| !STRANGERS.contains(&one));
            if let (true, Some(user), Some(state)) = (counts, review.user, review.state)
                && matches!(state.as_str(), "APPROVED" | "CHANGES_REQUESTED" | "DISMISSED")
            {
                decisions.insert(user.login, state);
            }
        }
        Ok(decisions.into_iter().filter(|(_, state)| state == "CHANGES_REQUESTED").map(|(login, _)| login).collect())
    }

    async fn failed_checks(&self, commit: &str, except: &str) -> Result<Vec<String>> {
        let route = self.route(&format!("commits/{commit}/check-runs"));
        let client = self.client().await?;
        let query = json!({ "filter": "latest", "per_page": PAGE });
        let runs: Runs = self.ask(Repeat::Harmless, || client.get(&route, Some(&query))).await?;
        let mut newest: BTreeMap<String, Run> = BTreeMap::new();
        for run in runs.check_runs.into_iter().filter(|run| run.name != except) {
            if newest.get(&run.name).is_none_or(|other| other.id < run.id) {
                newest.insert(run.name.clone(), run);
            }
        }
        let failed = |run: &Run| run.conclusion.as_deref().is_some_and(|conclusion| FAILED.contains(&conclusion));
        Ok(newest.into_values().filter(failed).map(|run| run.name).collect())
    }
}

/// What a token may not read is a reason and no failure.
fn told<T>(result: Result<T>) -> Result<std::result::Result<T, String>> {
    match result {
        Err(Error::Refused { status: 403 | 404, message, .. }) => Ok(Err(message)),
        result => result.map(Ok),
    }
}
