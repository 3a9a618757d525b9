//! What a pull request would do.

use slipway_deployment::Kustomize;
use slipway_embedded::State;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_mlflow::Client;
use slipway_proposal::Remote;
use slipway_report::{About, Document, Examination, plan_report};

use super::recorded::expectations;
use crate::failure::Failure;
use crate::services;

/// What a report is made with.
pub(crate) struct Planning<'a> {
    pub(super) git: &'a Repository,
    kustomize: Option<&'a Kustomize>,
    /// MLflow; why there is none otherwise.
    pub(super) mlflow: Result<Client, String>,
    /// Where everything is that does not fit.
    pub(crate) everything: Option<&'a str>,
}

impl<'a> Planning<'a> {
    /// `running` is the loop that runs here.
    pub(crate) fn new(git: &'a Repository, kustomize: Option<&'a Kustomize>, running: Option<&State>) -> Self {
        let mlflow = services::mlflow(running).map_err(|failure| failure.to_string());
        Self { git, kustomize, mlflow, everything: None }
    }

    /// The report on merging one revision into another, and the commit of the former.
    pub(crate) async fn of_revisions(&self, base: &str, head: &str) -> Result<(Document, String), Failure> {
        let about = About { base_branch: base.to_owned(), ..About::default() };
        self.report(base, head, about).await
    }

    /// The report on a pull request that is not merged.
    pub(super) async fn of_pull_request(&self, remote: &Remote, opened: &Opened) -> Result<Document, Failure> {
        let base = self.git.fetch(&remote.name, &opened.base)?;
        let newest = self.git.fetch_reference(&remote.name, &format!("refs/pull/{}/head", opened.number))?;
        // in a bare repository the reference follows the branch only when the pull request is merged
        if self.git.resolve(&opened.head)?.is_none() && !opened.is_fork {
            self.git.fetch(&remote.name, &opened.branch)?;
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
            reviewers: opened.reviewers.clone(),
            ..About::default()
        };
        Ok(self.report(&base, &opened.head, about).await?.0)
    }

    async fn report(&self, base: &str, head: &str, about: About) -> Result<(Document, String), Failure> {
        let about = About { everything: self.everything.map(str::to_owned), ..about };
        let examination = Examination::of(self.git, base, head, self.kustomize)?;
        let expected = expectations(self.mlflow.as_ref(), &examination).await;
        Ok((plan_report(&examination, &about, &expected), examination.head))
    }
}
