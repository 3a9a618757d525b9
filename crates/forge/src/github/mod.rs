//! GitHub, by octocrab.

mod authentication;
mod bounded;
mod client;
mod commit;
mod patience;
mod program;
mod refusal;
mod remote;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use octocrab::models::IssueState;
use octocrab::models::pulls::PullRequest as Pull;
use octocrab::params::State;
use octocrab::{Octocrab, Page};
use tokio::sync::OnceCell;

pub use authentication::Credentials;

use crate::{Error, Opened, PullRequest, PullRequestState, Result};
use bounded::{bounded, bounded_title};
use patience::{Repeat, is_fault, persist};
use remote::RemoteRepository;
use server::Variables;
pub(crate) use server::is_public;

/// The most pull requests that a page may hold.
const PAGE: u8 = 100;

/// A repository on GitHub, or on a GitHub Enterprise server.
#[derive(Clone)]
pub struct GitHub {
    api: String,
    owner: String,
    repository: String,
    credentials: Credentials,
    /// Made by the first request: it needs tokio's runtime, and an app asks for its installation.
    client: Arc<OnceCell<Octocrab>>,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GitHub({} at {}, {:?})", self.name(), self.api, self.credentials)
    }
}

impl GitHub {
    /// The repository that a remote's URL names, with the credentials that belong to its server (docs/configuration.md). Returns `None` if
    /// the server is not GitHub.
    ///
    /// # Errors
    /// [`Error::NoToken`], [`Error::AppKey`].
    pub fn of(url: &str) -> Result<Option<Self>> {
        let variables = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::of_remote(url, &variables, program::gh_token, |name| program::ssh_host(name, &variables))
    }

    fn of_remote(
        url: &str,
        variables: Variables,
        gh: impl Fn(&str) -> Option<String>,
        ssh: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        let Some(remote) = RemoteRepository::of(url) else { return Ok(None) };
        let RemoteRepository { host, owner, repository, .. } = remote.resolved(ssh);
        let named = server::is_named(&host, variables);
        match Credentials::for_host(&host, variables, gh)? {
            Some(credentials) => {
                Ok(Some(Self::new(&server::api_of(&host, variables), &owner, &repository, credentials)))
            }
            None if named => Err(Error::NoToken { host }),
            // without a login of `gh` nothing says that it is GitHub
            None => Ok(None),
        }
    }

    /// A repository by the URL of its server's API.
    #[must_use]
    pub fn new(api: &str, owner: &str, repository: &str, credentials: Credentials) -> Self {
        let [api, owner, repository] = [api.trim_end_matches('/'), owner, repository].map(str::to_owned);
        Self { api, owner, repository, credentials, client: Arc::default() }
    }

    /// The branch that pull requests are merged into.
    ///
    /// # Errors
    /// When GitHub refuses or cannot be reached.
    pub async fn default_branch(&self) -> Result<String> {
        let client = self.client().await?;
        let repository = || async { client.repos(&self.owner, &self.repository).get().await };
        let branch = self.ask(Repeat::Harmless, repository).await?.default_branch;
        branch.ok_or_else(|| self.unreadable("the repository has no default branch"))
    }

    pub(crate) async fn open_pull_request(&self, request: &PullRequest) -> Result<Opened> {
        let client = self.client().await?;
        let create = || async {
            let pulls = client.pulls(&self.owner, &self.repository);
            let create = pulls.create(bounded_title(&request.title), &request.branch, &request.base);
            create.body(bounded(&request.body)).send().await
        };
        let error = match persist(Repeat::MakesAnother, create).await {
            Ok(pull) => return self.opened(pull),
            Err(error) => error,
        };
        // One that is open already is refused; one whose answer was lost may be there.
        let refused = matches!(&error, octocrab::Error::GitHub { source, .. } if source.status_code.as_u16() == 422);
        let opened = if refused || is_fault(&error) { self.open_for(&request.branch).await? } else { None };
        opened.ok_or_else(|| refusal::explain(&self.api, &error))
    }

    pub(crate) async fn open_for(&self, branch: &str) -> Result<Option<Opened>> {
        let client = self.client().await?;
        let head = format!("{}:{branch}", self.owner);
        let first = || async {
            let pulls = client.pulls(&self.owner, &self.repository);
            pulls.list().head(&head).state(State::Open).per_page(PAGE).send().await
        };
        let mut page: Page<Pull> = self.ask(Repeat::Harmless, first).await?;
        loop {
            if let Some(pull) = page.take_items().into_iter().find(|pull| pull.head.ref_field == branch) {
                return self.opened(pull).map(Some);
            }
            // The path alone: credentials go with requests to this server, and with no others.
            let next = page.next.as_ref().and_then(|next| next.path_and_query()?.as_str().parse().ok());
            let following = || async { client.get_page(&next).await };
            match self.ask(Repeat::Harmless, following).await? {
                Some(next) => page = next,
                None => return Ok(None),
            }
        }
    }

    /// The merged pull request that brought a commit; of several, the one that was merged as this commit.
    pub(crate) async fn pull_request_of(&self, commit: &str) -> Result<Option<Opened>> {
        let client = self.client().await?;
        let pulls = || async {
            let repository = client.repos(&self.owner, &self.repository);
            repository.list_pulls(commit.to_owned()).per_page(PAGE).send().await
        };
        let page: Page<Pull> = self.ask(Repeat::Harmless, pulls).await?;
        let mut merged: Vec<Pull> = page.items.into_iter().filter(|pull| pull.merged_at.is_some()).collect();
        let exact = merged.iter().position(|pull| pull.merge_commit_sha.as_deref() == Some(commit));
        match exact {
            Some(at) => self.opened(merged.swap_remove(at)).map(Some),
            None => merged.into_iter().next().map(|pull| self.opened(pull)).transpose(),
        }
    }

    /// Owner and repository.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    fn opened(&self, pull: Pull) -> Result<Opened> {
        let state = match (pull.state, pull.merged_at) {
            (_, Some(_)) => PullRequestState::Merged,
            (Some(IssueState::Open), None) => PullRequestState::Open,
            _ => PullRequestState::Closed,
        };
        let url = pull.html_url.ok_or_else(|| self.unreadable("a pull request has no html_url"))?;
        Ok(Opened {
            number: pull.number,
            url: url.into(),
            branch: pull.head.ref_field,
            title: pull.title.unwrap_or_default(),
            head: pull.head.sha,
            state,
        })
    }

    async fn client(&self) -> Result<&Octocrab> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Octocrab> {
        let client = client::connect(&self.api, &self.credentials)?;
        let Credentials::App { .. } = self.credentials else { return Ok(client) };
        let installation = || async { client.apps().get_repository_installation(&self.owner, &self.repository).await };
        let id = self.ask(Repeat::Harmless, installation).await?.id;
        // octocrab renews the token that it gets for this
        let client = client.installation_builder(id).repositories(vec![self.repository.clone()]).build();
        client.map_err(|error| refusal::explain(&self.api, &error))
    }

    async fn ask<T, F>(&self, repeat: Repeat, request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = octocrab::Result<T>>,
    {
        persist(repeat, request).await.map_err(|error| refusal::explain(&self.api, &error))
    }

    fn unreadable(&self, reason: &str) -> Error {
        Error::Unreadable { url: self.api.clone(), reason: reason.to_owned() }
    }
}
