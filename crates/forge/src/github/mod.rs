//! GitHub, by octocrab.

mod authentication;
mod author;
mod bounded;
mod check_run;
mod client;
mod comment;
mod commit;
mod finding;
mod green;
mod issue;
mod merging;
mod objections;
mod opening;
mod overview;
mod patience;
mod person;
mod program;
mod publishing;
mod pull;
mod refusal;
mod remote;
mod server;
mod signing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use octocrab::models::InstallationId;
use octocrab::{Octocrab, Page};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slipway_http::Client;
use tokio::sync::OnceCell;

pub use authentication::Credentials;
pub use commit::{NewCommit, NewFile};

use crate::{Error, Result};
use patience::{Repeat, persist};
use remote::RemoteRepository;
use server::Variables;
pub(crate) use server::is_public;

/// The most items that a page may hold.
const PAGE: u8 = 100;

/// A repository on GitHub, or on a GitHub Enterprise server.
#[derive(Clone)]
pub struct GitHub {
    api: String,
    owner: String,
    repository: String,
    credentials: Credentials,
    /// Made by the first request, because reading certificates takes its time. Whoever asks, its connections are the same.
    http: Arc<OnceCell<Client>>,
    /// Made by the first request, because it needs tokio's runtime. An app signs with it as itself.
    transport: Arc<OnceCell<Octocrab>>,
    /// Made by the first request, because an app asks for its installation.
    connection: Arc<OnceCell<Connection>>,
    /// The login of the user whose token it is.
    login: Arc<OnceCell<String>>,
}

/// A client that signs in, and as whom.
struct Connection {
    client: Octocrab,
    /// Of an app, the name in its address.
    app: Option<String>,
}

/// An app's installation. octocrab's own type does not have the app's name.
#[derive(Deserialize)]
struct Installation {
    id: u64,
    app_slug: Option<String>,
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

    /// The same as [`of`](Self::of), for whoever only reads: without credentials it is anonymous.
    ///
    /// # Errors
    /// [`Error::AppKey`].
    pub fn readable(url: &str) -> Result<Option<Self>> {
        match Self::of(url) {
            Err(Error::NoToken { .. }) => {
                let variables = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
                let remote = RemoteRepository::of(url).map(|remote| remote.resolved(|_| None));
                Ok(remote.map(|RemoteRepository { host, owner, repository, .. }| {
                    Self::new(&server::api_of(&host, &variables), &owner, &repository, Credentials::Anonymous)
                }))
            }
            found => found,
        }
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
        let (http, transport, connection, login) = <_>::default();
        Self { api, owner, repository, credentials, http, transport, connection, login }
    }

    /// The same over a transport that there is already.
    #[cfg(test)]
    fn over(transport: Octocrab, owner: &str, repository: &str, credentials: Credentials) -> Self {
        let transport = Arc::new(OnceCell::new_with(Some(transport)));
        Self { transport, ..Self::new("https://api.github.com", owner, repository, credentials) }
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

    /// Whether only people with a right to it may read the repository.
    pub(crate) async fn is_private(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Repository {
            #[serde(default)]
            private: bool,
        }
        let repository: Repository = self.read(&format!("/repos/{}", self.name())).await?;
        Ok(repository.private)
    }

    /// Owner and repository.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    /// The path of something of this repository.
    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.owner, self.repository)
    }

    async fn client(&self) -> Result<&Octocrab> {
        Ok(&self.connection().await?.client)
    }

    async fn connection(&self) -> Result<&Connection> {
        self.connection.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Connection> {
        let transport = || async {
            let http = self.http.get_or_try_init(|| async { client::http(&self.api) }).await?;
            client::connect(http.clone(), &self.api, &self.credentials)
        };
        let client = self.transport.get_or_try_init(transport).await?;
        let Credentials::App { .. } = self.credentials else {
            return Ok(Connection { client: client.clone(), app: None });
        };
        let route = self.route("installation");
        let installation = || client.get::<Installation, _, _>(&route, None::<&()>);
        let Installation { id, app_slug } = self.ask(Repeat::Harmless, installation).await?;
        // octocrab renews the token that it gets for this
        let client = client.installation_builder(InstallationId(id)).repositories(vec![self.repository.clone()]);
        let client = client.build().map_err(|error| refusal::explain(&self.api, &error))?;
        Ok(Connection { client, app: app_slug })
    }

    /// What is at a path.
    async fn read<T: DeserializeOwned>(&self, route: &str) -> Result<T> {
        let client = self.client().await?;
        self.ask(Repeat::Harmless, || client.get(route, None::<&()>)).await
    }

    /// All items of a list, from all its pages.
    async fn all<T: DeserializeOwned>(&self, route: &str, query: &impl Serialize) -> Result<Vec<T>> {
        let client = self.client().await?;
        let mut page: Page<T> = self.ask(Repeat::Harmless, || client.get(route, Some(query))).await?;
        let mut items = page.take_items();
        loop {
            // The path alone: credentials go with requests to this server, and with no others.
            let next = page.next.as_ref().and_then(|next| next.path_and_query()?.as_str().parse().ok());
            match self.ask(Repeat::Harmless, || client.get_page(&next)).await? {
                Some(next) => page = next,
                None => return Ok(items),
            }
            items.append(&mut page.items);
        }
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
