//! One report: what came of a merged pull request, the promotion of its best version, and the comment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use slipway_cluster::Training;
use slipway_forge::{Opened, Publication, PullRequestState};
use slipway_mlflow::Client;
use slipway_outcome::{Merged, Now, Outcome, Report};
use slipway_proposal::merged_commits;
use slipway_report::{Promotion, TrialState};
use slipway_service::{blocking, must_lead};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Reporting;
use crate::declared::Declared;
use crate::error::{Error, Result};
use crate::known::Facts;
use crate::merges::{Merge, What};
use crate::promotions::{Policy, Proposed, better, propose};
use crate::superseded::close_superseded;

/// The most pull requests of which is kept what they did; the newest ones.
const KEPT: usize = 300;

/// How long MLflow may take for a report that somebody waits for. What it has comes later if it takes longer.
const PROMPT: Duration = Duration::from_secs(3);
/// How long it may take for one that is made again.
const PATIENT: Duration = Duration::from_secs(20);

/// What reports are made with, and what never changes of those that were made.
pub(super) struct Reporter<'a> {
    reporting: Reporting<'a>,
    merges: mpsc::UnboundedSender<Merge>,
    merged: RefCell<BTreeMap<u64, Arc<(Opened, Merged)>>>,
}

/// What came of a report.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// When the comment was written; `None` if it said everything already.
    pub(super) written: Option<Instant>,
    /// Whether it has everything that there is.
    pub(super) is_complete: bool,
    /// Whether something of it still runs.
    pub(super) runs: bool,
    /// Which promotion could not be opened or kept in mind, and why. The report is as it should be all the same.
    pub(super) not_promoted: Option<(String, Error)>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(reporting: Reporting<'a>, merges: mpsc::UnboundedSender<Merge>) -> Self {
        Self { reporting, merges, merged: RefCell::default() }
    }

    /// Brings the report on a pull request up to date. `is_again` is whether nobody waits for it, since it is only looked at again; nothing is
    /// written before `not_before`.
    pub(super) async fn report(
        &self,
        number: u64,
        facts: &Facts,
        is_again: bool,
        not_before: Instant,
    ) -> Result<Written> {
        let Reporting { followed, mlflow, environment, pages, leadership, .. } = self.reporting;
        let Some(merged) = self.merged(number, &facts.declared.commit).await? else {
            return Ok(Written { is_complete: true, ..Written::default() });
        };
        let (opened, merged) = &*merged;
        let environments = merged.environments();
        if !environments.contains(environment) {
            return Ok(Written { is_complete: true, ..Written::default() });
        }
        let prompt = mlflow.clone().with_limit(PROMPT);
        let trainings = trainings(merged, facts);
        let newest = if merged.started.is_empty() { Vec::new() } else { followed.remote.forge.newest().await? };
        let now = |mlflow| Now {
            cluster: Some((environment, &trainings)),
            pages,
            ..Now::new(mlflow, &facts.declared.branch, &newest)
        };
        // the cluster's part does not wait for an MLflow that hangs
        let limit = if is_again { PATIENT } else { PROMPT };
        let asked = tokio::time::timeout(limit, merged.outcome(&now(Ok(mlflow)))).await;
        let why = match asked {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(slipway_outcome::Error::Mlflow(error))) => Err(error.to_string()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => Err(format!("MLflow at {} did not answer within {} s", mlflow.tracking_uri(), limit.as_secs())),
        };
        let mut outcome = match why {
            Ok(outcome) => outcome,
            Err(why) => merged.outcome(&now(Err(&why))).await?,
        };
        // a promotion that cannot be opened does not hold up the report
        let not_promoted = self.promote(&mut outcome, &prompt, &facts.declared).await;
        let report = Report::of(environment, &environments, outcome.document(), &opened.head);
        // here and not later: between looking at the comment and writing it somebody else may write
        tokio::time::sleep_until(not_before).await;
        // asked for right before each writing
        let publication = async |_: &Opened, previous: Option<&str>| -> Result<Publication> {
            must_lead(leadership)?;
            Ok(report.publication(previous))
        };
        let published = followed.remote.forge.publish_on(opened.clone(), publication).await?;
        let closed = close_superseded(followed, leadership, environment, (opened, merged)).await;
        if let Err(error) = &closed {
            tracing::warn!("the promotions that #{number} has overtaken are not closed: {error}");
        }
        let trials = outcome.results.experiments.iter().flat_map(|one| &one.trials);
        let runs = trials.clone().any(|trial| trial.state == TrialState::Running);
        Ok(Written {
            written: published.written,
            is_complete: !outcome.is_incomplete() && closed.is_ok(),
            runs,
            not_promoted,
        })
    }

    /// The pull request and what it did; `None` if it is not merged.
    async fn merged(&self, number: u64, tip: &str) -> Result<Option<Arc<(Opened, Merged)>>> {
        if let Some(known) = self.merged.borrow().get(&number) {
            return Ok(Some(Arc::clone(known)));
        }
        let followed = self.reporting.followed;
        let mut opened = followed.remote.forge.get(number).await?;
        if opened.state != PullRequestState::Merged {
            return Ok(None);
        }
        // the plan is there, which is long, and nobody reads it here
        opened.body.clear();
        let merge = opened.merge_commit.clone().unwrap_or_else(|| tip.to_owned());
        let git = followed.git.clone();
        let commits = merged_commits(&git, &followed.remote, &opened, &merge).await?;
        let read = move || Merged::of_commits(&git, number, &merge, &commits);
        let merged = Arc::new((opened, blocking(read).await?));
        let mut known = self.merged.borrow_mut();
        known.insert(number, Arc::clone(&merged));
        while known.len() > KEPT {
            known.pop_first();
        }
        Ok(Some(merged))
    }

    /// Opens the promotions that are due, and adds them to the results. Returns which one failed, and why.
    async fn promote(&self, outcome: &mut Outcome, mlflow: &Client, tree: &Declared) -> Option<(String, Error)> {
        let Reporting { followed, environment, metrics, leadership, .. } = self.reporting;
        let mut failed = None;
        for at in 0..outcome.models.len() {
            let registered = &outcome.models[at];
            let Some(experiment) = outcome.results.experiments.get(registered.at) else { continue };
            let policy = tree.experiments.get(&experiment.experiment).map(|one| one.policy).unwrap_or_default();
            let Some(version) = better(registered, &outcome.results).filter(|_| policy != Policy::Never) else {
                continue;
            };
            let (version, place) = (version.clone(), registered.at);
            let what = format!("version {} of {}", version.version, version.name);
            let proposed = propose(followed, mlflow, leadership, environment, &version).await;
            let Proposed { is_new, open, unmarked } =
                proposed.unwrap_or_else(|error| Proposed { unmarked: Some(error), ..Proposed::default() });
            failed = unmarked.map(|error| (what, error)).or(failed);
            metrics.promotions.inc_by(u64::from(is_new));
            let Some(opened) = open else { continue };
            if policy == Policy::Merge {
                let (number, environment) = (opened.number, environment.to_owned());
                // whoever merges ends with whoever reports
                drop(self.merges.send(Merge { number, environment, what: What::Promotion(version) }));
            }
            let model = outcome.results.experiments.get_mut(place).and_then(|one| one.model.as_mut());
            if let Some(model) = model {
                model.promotion = Some(Promotion { number: opened.number, url: Some(opened.url) });
            }
        }
        failed
    }
}

/// The TrainJobs of a pull request, as the cluster has them or lacks them.
fn trainings(merged: &Merged, facts: &Facts) -> BTreeMap<String, Arc<Training>> {
    let names = merged.started.iter().flat_map(|started| &started.trials).map(|trial| &trial.start.name);
    names.filter_map(|name| Some((name.clone(), Arc::clone(facts.training(name)?)))).collect()
}
