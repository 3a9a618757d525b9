//! What is done about a decision: the retrain pull request, an issue, a line of the log.

use slipway_cluster::Leadership;
use slipway_digest::Digest;
use slipway_evidence::{Decision, Found, Hold, issue, pull_request, requests};
use slipway_experiment::Monitor;
use slipway_forge::NewIssue;
use slipway_proposal::{Opening, Retraining};
use slipway_service::{Followed, must_lead};

use crate::error::Result;
use crate::metrics::Metrics;

/// The label of issues about changes.
const LABEL: &str = "drift";

/// Who does it.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) followed: &'a Followed,
    pub(crate) leadership: &'a Leadership,
    pub(crate) metrics: &'a Metrics,
}

/// Does what was decided about a head; done again, it comes to the same. Returns the page of what was opened or found, for a person.
pub(crate) async fn act(hands: Hands<'_>, found: &Found) -> Result<Option<String>> {
    let Found { evidence, decision, monitor } = found;
    let dataset = evidence.dataset.as_str();
    match decision {
        Decision::Retrain { .. } => {
            let shows_pictures = hands.followed.remote.forge.is_private().await?;
            let body = pull_request(evidence, decision, shows_pictures);
            retrain(hands, (dataset, &evidence.head), monitor, decision, &body).await
        }
        Decision::Issue { .. } => {
            let shows_pictures = hands.followed.remote.forge.is_private().await?;
            // one for a dataset and what it is compared with
            let about = format!("drift {dataset} {}", short(&evidence.reference.digest));
            report(hands, dataset, about, issue(evidence, decision, shows_pictures), decision.why()).await
        }
        _ => opened(hands, decision).await,
    }
}

/// The same about the requests of the version that was trained on a dataset. `is_reported` is whether there is an issue that says it already.
pub(crate) async fn act_on_requests(
    hands: Hands<'_>,
    evidence: &requests::Evidence,
    decision: &Decision,
    monitor: &Monitor,
    is_reported: bool,
) -> Result<Option<String>> {
    if let (Decision::Retrain { .. }, Some(head)) = (decision, &evidence.head) {
        let is_private = hands.followed.remote.forge.is_private().await?;
        let body = requests::pull_request(evidence, decision, is_private);
        return retrain(hands, (evidence.dataset.as_str(), head), monitor, decision, &body).await;
    }
    let mut reported = None;
    if is_issue(evidence, decision) && !is_reported {
        let is_private = hands.followed.remote.forge.is_private().await?;
        let text = requests::issue(evidence, decision, is_private);
        reported = report(hands, &evidence.dataset, about(evidence), text, decision.why()).await?;
    }
    Ok(opened(hands, decision).await?.or(reported))
}

/// Whether there is to be an issue about the requests: also if a pull request for something else is why there is none about them.
pub(crate) fn is_issue(evidence: &requests::Evidence, decision: &Decision) -> bool {
    match decision {
        Decision::Issue { .. } => true,
        Decision::Opened { .. } | Decision::HeldBack { retrain: true, by: Hold::Cooldown | Hold::Budget, .. } => {
            evidence.matters()
        }
        _ => false,
    }
}

/// What an issue is about: a version and what its requests are compared with. That it matters is another one, so that who was told that it does not is told.
fn about(evidence: &requests::Evidence) -> String {
    let requests::Evidence { dataset, model, reference, .. } = evidence;
    let matters = if evidence.matters() { " matters" } else { "" };
    let about = format!("requests {dataset} {} {} {}{matters}", model.name, model.version, short(&reference.digest));
    // a registered name may be anything
    about
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.') { c } else { '-' })
        .collect()
}

/// The page of a retrain pull request that was there.
async fn opened(hands: Hands<'_>, decision: &Decision) -> Result<Option<String>> {
    let Decision::Opened { number, .. } = decision else { return Ok(None) };
    Ok(Some(hands.followed.remote.forge.get(*number).await?.url))
}

async fn retrain(
    hands: Hands<'_>,
    (dataset, head): (&str, &Digest),
    monitor: &Monitor,
    decision: &Decision,
    body: &str,
) -> Result<Option<String>> {
    let Hands { followed: Followed { git, remote, .. }, leadership, metrics } = hands;
    let retraining = Retraining::prepare(git, remote, dataset, head, monitor).await?;
    must_lead(leadership)?;
    // who opens it has no kustomize, and the report shows what changes in the clusters
    let opening = Opening { is_reported: true, ..Opening::default() };
    let retrained = retraining.open(git, remote, None, opening, body).await?;
    if retrained.is_new {
        metrics.retrainings.inc();
        let number = retrained.opened.number;
        tracing::info!(event = "retrain", "opened #{number} to train again on {dataset}: {}", decision.why());
    }
    Ok(Some(retrained.opened.url))
}

/// An issue: one for what it is about, ever.
pub(crate) async fn report(
    hands: Hands<'_>,
    dataset: &str,
    about: String,
    (title, body): (String, String),
    why: &str,
) -> Result<Option<String>> {
    let Hands { followed, leadership, metrics } = hands;
    must_lead(leadership)?;
    let issue = NewIssue { about, title, body, labels: vec![LABEL.to_owned()] };
    match followed.remote.forge.open_issue(&issue).await? {
        Some(issue) => {
            if issue.is_new {
                metrics.issues.inc();
                tracing::info!(event = "issue", "opened #{} about {dataset}: {why}", issue.number);
            }
            Ok(Some(issue.url))
        }
        None => {
            tracing::warn!(event = "drift", "{dataset}: {why}; `slipway drift {dataset}` shows it");
            Ok(None)
        }
    }
}

/// What stands for a digest in the name of what an issue is about.
pub(crate) fn short(digest: &Digest) -> String {
    digest.hex()[..16].to_owned()
}
