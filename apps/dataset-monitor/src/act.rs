//! What is done about a decision: the retrain pull request, an issue, a line of the log.

use slipway_cluster::Leadership;
use slipway_digest::Digest;
use slipway_evidence::{Decision, Found, Hold, issue, pull_request, requests, unix_seconds};
use slipway_experiment::Monitor;
use slipway_forge::{Forge, NewIssue, Opened};
use slipway_proposal::{Opening, Retraining, is_retraining_of};
use slipway_service::{Followed, must_lead};

use crate::error::Result;
use crate::metrics::Metrics;

/// So long, in seconds, a pull request counts that says the same: 30 days, as for the budget.
const MONTH: i64 = 30 * 86_400;
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
            // one for a dataset and what it is compared with; that it matters is another one
            let matters = if evidence.loss.as_ref().is_some_and(|loss| loss.matters) { " matters" } else { "" };
            let about = format!("drift {dataset} {}{matters}", short(&evidence.reference.digest));
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
        // found again after a restart
        let body = format!("{}\n{}", mark(&about(evidence)), requests::pull_request(evidence, decision, is_private));
        return retrain(hands, (evidence.dataset.as_str(), head), monitor, decision, &body).await;
    }
    let mut reported = None;
    let forge = &hands.followed.remote.forge;
    if is_issue(evidence, decision)
        && !is_reported
        && !is_said(forge, &evidence.dataset, &about(evidence), decision).await?
    {
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

/// Whether a retrain pull request says it already, because it was opened about these very requests: by a monitor that remembered it, before a restart.
async fn is_said(forge: &Forge, dataset: &str, about: &str, decision: &Decision) -> Result<bool> {
    let opened = match decision {
        Decision::Opened { number, .. } => vec![forge.get(*number).await?],
        Decision::HeldBack { .. } => forge.opened_since(unix_seconds().saturating_sub(MONTH)).await?,
        _ => return Ok(false),
    };
    let mark = mark(about);
    let says = |one: &Opened| !one.is_fork && is_retraining_of(dataset, &one.branch) && one.body.contains(&mark);
    Ok(opened.iter().any(says))
}

/// What a pull request is about, for a program. Nobody sees it.
fn mark(about: &str) -> String {
    format!("<!-- slipway:about {about} -->")
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

#[cfg(test)]
mod tests {
    use slipway_forge::PullRequest;
    use slipway_git::{Repository, Update};
    use slipway_proposal::{Remote, retrain_branch};

    use super::*;

    #[tokio::test]
    async fn what_a_pull_request_says_is_said_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge.git");
        let git = Repository::init_bare(&path).unwrap();
        let commit = |parent: Option<&str>, text: &str| {
            let files = [("file".to_owned(), Some(text.as_bytes().to_vec()))];
            git.commit(parent, &files.into(), text).unwrap()
        };
        let main = commit(None, "first");
        assert!(git.update(&[Update { name: "refs/heads/main", to: &main, from: None }]).unwrap());
        let forge = Remote::at(&path).unwrap().forge;
        let about = "requests digits mnist 3 a matters";
        let mut numbers = Vec::new();
        for (digest, body) in [("one", "of data".to_owned()), ("other", mark(about))] {
            let branch = retrain_branch("digits", &Digest::of(digest));
            let (name, change) = (format!("refs/heads/{branch}"), commit(Some(&main), digest));
            assert!(git.update(&[Update { name: &name, to: &change, from: None }]).unwrap());
            let (base, title) = ("main".to_owned(), digest.to_owned());
            let request = PullRequest { branch, base, title, body, ..PullRequest::default() };
            numbers.push(forge.open(&request).await.unwrap().number);
        }
        let opened = |number| Decision::Opened { number, why: String::new() };
        let held = Decision::HeldBack { retrain: true, by: Hold::Cooldown, until: None, why: String::new() };
        for (about, decision, expected) in [
            (about, opened(numbers[1]), true),
            (about, held.clone(), true),
            // that of the data, and one about another version, do not say it
            (about, opened(numbers[0]), false),
            ("requests digits mnist 4 a matters", held, false),
            (about, Decision::Issue { why: String::new() }, false),
        ] {
            assert_eq!(is_said(&forge, "digits", about, &decision).await.unwrap(), expected, "{about}: {decision:?}");
        }
    }
}
