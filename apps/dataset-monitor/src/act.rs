//! What is done about a decision: the retrain pull request, an issue, a line of the log.

use slipway_cluster::Leadership;
use slipway_evidence::{Decision, Evidence, Found, issue, pull_request};
use slipway_experiment::Monitor;
use slipway_forge::NewIssue;
use slipway_proposal::{Opening, Retraining};
use slipway_service::{Followed, must_lead};

use crate::error::Result;
use crate::metrics::Metrics;

/// Does what was decided; done again, it comes to the same. Returns the page of what was opened or found, for a person.
pub(crate) async fn act(
    followed: &Followed,
    leadership: &Leadership,
    metrics: &Metrics,
    found: &Found,
) -> Result<Option<String>> {
    let Found { evidence, decision, monitor } = found;
    match decision {
        Decision::Retrain { .. } => retrain(followed, leadership, metrics, evidence, decision, monitor).await,
        Decision::Issue { .. } => report(followed, leadership, metrics, evidence, decision).await,
        Decision::Opened { number, .. } => {
            let opened = followed.remote.forge.get(*number).await?;
            Ok(Some(opened.url))
        }
        Decision::Nothing { .. } | Decision::HeldBack { .. } => Ok(None),
    }
}

async fn retrain(
    followed: &Followed,
    leadership: &Leadership,
    metrics: &Metrics,
    evidence: &Evidence,
    decision: &Decision,
    monitor: &Monitor,
) -> Result<Option<String>> {
    let Followed { git, remote, .. } = followed;
    let retraining = Retraining::prepare(git, remote, &evidence.dataset, &evidence.head, monitor).await?;
    let shows_pictures = remote.forge.is_private().await?;
    let body = pull_request(evidence, decision, shows_pictures);
    must_lead(leadership)?;
    // who opens it has no kustomize, and the report shows what changes in the clusters
    let opening = Opening { is_reported: true, ..Opening::default() };
    let retrained = retraining.open(git, remote, None, opening, &body).await?;
    if retrained.is_new {
        metrics.retrainings.inc();
        let (number, dataset) = (retrained.opened.number, &evidence.dataset);
        tracing::info!(event = "retrain", "opened #{number} to train again on {dataset}: {}", decision.why());
    }
    Ok(Some(retrained.opened.url))
}

/// An issue: one for a dataset and what it is compared with.
async fn report(
    followed: &Followed,
    leadership: &Leadership,
    metrics: &Metrics,
    evidence: &Evidence,
    decision: &Decision,
) -> Result<Option<String>> {
    let forge = &followed.remote.forge;
    let shows_pictures = forge.is_private().await?;
    let (title, body) = issue(evidence, decision, shows_pictures);
    let about = format!("drift {} {}", evidence.dataset, &evidence.reference.digest.hex()[..16]);
    must_lead(leadership)?;
    match forge.open_issue(&NewIssue { about, title, body, labels: vec!["drift".to_owned()] }).await? {
        Some(issue) => {
            if issue.is_new {
                metrics.issues.inc();
                tracing::info!(
                    event = "issue",
                    "opened #{} about {}: {}",
                    issue.number,
                    evidence.dataset,
                    decision.why()
                );
            }
            Ok(Some(issue.url))
        }
        None => {
            let dataset = &evidence.dataset;
            tracing::warn!(event = "drift", "{dataset}: {}; `slipway drift {dataset}` shows it", decision.why());
            Ok(None)
        }
    }
}
