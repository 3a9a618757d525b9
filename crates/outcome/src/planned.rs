//! What a pull request would do, and once it is merged, what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use slipway_cluster::Training;
use slipway_deployment::Kustomize;
use slipway_forge::{Objections, Opened, PullRequestState};
use slipway_git::Repository;
use slipway_mlflow::Client;
use slipway_proposal::Remote;
use slipway_report::{About, Document, Examination, plan_report};

use crate::recorded::expectations;
use crate::report::Report;
use crate::{Branch, Error, Merged, Now, Result};

/// What a report is made from.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// The repository that has the commits, or fetches them.
    pub git: &'a Repository,
    /// What builds the objects that a change would deploy.
    pub kustomize: Option<&'a Kustomize>,
    /// MLflow; why there is none otherwise.
    pub mlflow: std::result::Result<Client, String>,
    /// Where everything is that does not fit.
    pub everything: Option<&'a str>,
    /// What speaks against the merge, where somebody has asked.
    pub objections: Option<&'a Objections>,
}

/// The environment that a report on what came of a pull request is about.
#[derive(Clone, Copy, Debug, Default)]
pub enum Scope<'a> {
    /// All of those that the pull request has to do with, or the only one.
    #[default]
    All,
    /// The one whose MLflow is asked.
    One(&'a str),
    /// The one whose cluster is known as well, as its training manager knows it: both write the same report.
    Here(&'a Here),
}

/// An environment as its training manager knows it.
#[derive(Clone, Debug)]
pub struct Here {
    /// The environment.
    pub environment: String,
    /// Its TrainJobs by name.
    pub trainings: BTreeMap<String, Arc<Training>>,
    /// Where a browser finds its MLflow.
    pub pages: String,
}

impl Sources<'_> {
    /// The report on a pull request: before the merge what it would do, after it what came of it. `newest` are other pull requests, as far as
    /// they are known.
    ///
    /// # Errors
    /// [`Error::OtherEnvironment`]; when its commits cannot be fetched or read, or MLflow refuses.
    pub async fn report(
        &self,
        remote: &Remote,
        opened: &Opened,
        newest: &[Opened],
        scope: Scope<'_>,
    ) -> Result<Report> {
        if opened.state != PullRequestState::Merged {
            let (document, base) = self.of_pull_request(remote, opened).await?;
            return Ok(Report::new(document, &opened.head).on(base));
        }
        let tip = remote.fetch(self.git, &opened.base).await?;
        let merged = Merged::read(self.git, remote, opened, &tip).await?;
        let branch = Branch::at(self.git, &tip)?;
        let environments = merged.environments();
        let all = Now { everything: self.everything, ..Now::new(self.mlflow.as_ref(), &branch, newest) };
        let (environment, now) = match scope {
            Scope::Here(Here { environment, trainings, pages }) if environments.contains(environment) => {
                let cluster = Some((environment.as_str(), trainings));
                (Some(environment.as_str()), Now { cluster, pages: Some(pages), ..all })
            }
            Scope::One(environment) if environments.contains(environment) => {
                (Some(environment), Now { environment: Some(environment), ..all })
            }
            Scope::One(environment) => {
                let (number, environment) = (opened.number, environment.to_owned());
                return Err(Error::OtherEnvironment { number, environment, known: environments });
            }
            Scope::All | Scope::Here(_) => (None, all),
        };
        let document = merged.outcome(&now).await?.document();
        Ok(match environment {
            Some(environment) => Report::of(environment, &environments, document, &opened.head),
            None => Report::of_all(environments, document, &opened.head),
        })
    }

    /// The report on merging one revision into another, and the commit of the former.
    ///
    /// # Errors
    /// When one of them does not exist here, or the project cannot be read.
    pub async fn of_revisions(&self, base: &str, head: &str) -> Result<(Document, String)> {
        let about = About { base_branch: base.to_owned(), ..About::default() };
        self.planned(base, head, about).await
    }

    /// The report on a pull request that is not merged, and the commit of its base branch that it was made on.
    async fn of_pull_request(&self, remote: &Remote, opened: &Opened) -> Result<(Document, String)> {
        let base = remote.fetch(self.git, &opened.base).await?;
        let newest = remote.fetch_reference(self.git, &format!("refs/pull/{}/head", opened.number)).await?;
        // in a bare repository the reference follows the branch only when the pull request is merged
        if self.git.resolve(&opened.head)?.is_none() && !opened.is_fork {
            remote.fetch(self.git, &opened.branch).await?;
        }
        // one that was pushed in between brings this one along, unless it was forced
        if self.git.resolve(&opened.head)?.is_none() {
            let (number, expected) = (opened.number, opened.head.clone());
            return Err(slipway_forge::Error::HeadMoved { number, expected, head: newest }.into());
        }
        let about = About {
            number: Some(opened.number),
            is_draft: opened.is_draft,
            is_fork: opened.is_fork,
            base_branch: opened.base.clone(),
            resolution: remote.forge.resolution(opened),
            // where nobody can give an approval, none is missing
            reviewers: if remote.forge.has_reviews() { opened.reviewers.clone() } else { Vec::new() },
            missing: self.objections.map(Objections::texts).unwrap_or_default(),
            unknown: self.objections.map(|objections| objections.unknown.clone()).unwrap_or_default(),
            ..About::default()
        };
        let (document, _) = self.planned(&base, &opened.head, about).await?;
        Ok((document, base))
    }

    async fn planned(&self, base: &str, head: &str, about: About) -> Result<(Document, String)> {
        let about = About { everything: self.everything.map(str::to_owned), ..about };
        let examination = Examination::of(self.git, base, head, self.kustomize)?;
        let expected = expectations(self.mlflow.as_ref(), &examination).await;
        Ok((plan_report(&examination, &about, &expected), examination.head))
    }
}
