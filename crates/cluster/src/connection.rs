//! The way to a cluster's API server.

use std::fmt::{self, Debug};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::{Error, Result};
use crate::fields::title_of;
use crate::kinds::{Kinds, kind_of};
use crate::paging::list_all;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the API server may be silent. A watch in which nothing happens for longer is resumed.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a watch may say nothing: two of the marks that an API server sends about once a minute may be missing.
const WATCH_SILENCE: Duration = Duration::from_secs(150);
/// After so many seconds the API server ends a watch, and another one goes on. In a watch of events it sends no marks, so one in which nothing
/// happens has to end before its silence is taken for a loss.
pub(crate) const WATCH_SECONDS: u32 = 120;
const _: () = assert!((WATCH_SECONDS as u64) < WATCH_SILENCE.as_secs());

/// A cluster's API server. A clone shares the connection and what discovery found.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    config: Arc<Config>,
    context: String,
    server: String,
    kinds: Arc<Kinds>,
}

/// kube's client has no `Debug`.
impl Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("context", &self.context).field("server", &self.server).finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster of the named context, or of the current one, as `KUBECONFIG` or `~/.kube/config` say. Inside a cluster, that
    /// cluster.
    ///
    /// # Errors
    /// When nothing is configured, the context does not exist, or its credential plugin fails. The server is not asked yet.
    pub async fn connect(context: Option<&str>) -> Result<Self> {
        match (context, Kubeconfig::read()) {
            (None, Err(outside)) => {
                // a person has a kubeconfig, so that is what the message is about
                let config = Config::incluster().map_err(|_| Error::NoConfiguration(outside.to_string()))?;
                Self::of(config, "in-cluster".to_owned())
            }
            (_, file) => Self::of_file(file, context).await,
        }
    }

    /// The cluster of the named context, or of the current one, in a kubeconfig file.
    ///
    /// # Errors
    /// As [`Cluster::connect`].
    pub async fn of_kubeconfig(file: &Path, context: Option<&str>) -> Result<Self> {
        Self::of_file(Kubeconfig::read_from(file), context).await
    }

    async fn of_file(file: Result<Kubeconfig, KubeconfigError>, context: Option<&str>) -> Result<Self> {
        let unusable = |error: KubeconfigError| Error::NoConfiguration(error.to_string());
        let file = file.map_err(unusable)?;
        let name = context.map(str::to_owned).or_else(|| file.current_context.clone());
        let name =
            name.ok_or_else(|| Error::NoConfiguration("the configuration names no current context".to_owned()))?;
        let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
        Self::of(Config::from_custom_kubeconfig(file, &options).await.map_err(unusable)?, name)
    }

    /// The cluster at an address, without credentials: for tests against an API server of their own.
    ///
    /// # Errors
    /// When `address` is not a URL.
    pub fn at(address: &str) -> Result<Self> {
        let uri = address.parse().map_err(|error: http::uri::InvalidUri| Error::NoConfiguration(error.to_string()))?;
        Self::of(Config::new(uri), "test".to_owned())
    }

    /// The text of a kubeconfig for the cluster at an address, without credentials: for tests of programs against an API server of their own.
    #[must_use]
    pub fn kubeconfig_at(address: &str) -> String {
        // JSON is YAML too
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": address}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {}}],
        });
        config.to_string()
    }

    fn of(mut config: Config, context: String) -> Result<Self> {
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        // otherwise the time that a connection was idle counts as silence
        config.reset_reader_on_write = true;
        // kube's own retries take minutes and know no deadline
        config.default_retry = false;
        if config.cluster_url.host().is_some_and(slipway_http::is_loopback) {
            config.proxy_url = None;
        }
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config.clone()).map_err(|error| Error::of_request(&server, &context, error))?;
        Ok(Self { client, config: Arc::new(config), context, server, kinds: Arc::default() })
    }

    /// The same over any client.
    #[cfg(test)]
    pub(crate) fn over(client: Client) -> Self {
        let config = Arc::new(Config::new(http::Uri::from_static("http://test")));
        Self { client, config, context: "test".to_owned(), server: "http://test".to_owned(), kinds: Arc::default() }
    }

    /// kube's client, for what is not asked here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client that waits for as long as the API server is silent, for logs that are followed: a worker may say nothing for minutes.
    ///
    /// # Errors
    /// When its certificates cannot be read any more.
    pub fn patient_client(&self) -> Result<Client> {
        let mut config = (*self.config).clone();
        config.read_timeout = None;
        Client::try_from(config).map_err(|error| Error::of_request(&self.server, &self.context, error))
    }

    /// A client for watches. An API server says something in most of them about once a minute; the loop on one machine, every 20 s.
    ///
    /// # Errors
    /// When its certificates cannot be read any more.
    pub fn watching_client(&self) -> Result<Client> {
        let mut config = (*self.config).clone();
        config.read_timeout = Some(WATCH_SILENCE);
        Client::try_from(config).map_err(|error| Error::of_request(&self.server, &self.context, error))
    }

    /// The context's name.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The API for objects of a type. `namespace` is passed over for kinds that have none.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] if the server does not serve the kind; [`Error::NotServedYet`] if its definition was just applied.
    pub async fn api_of(&self, types: Option<&TypeMeta>, namespace: &str) -> Result<Api<DynamicObject>> {
        let Some(kind) = kind_of(types) else {
            let message = "an object needs apiVersion and kind".to_owned();
            return Err(Error::Malformed { what: "an object of no kind".to_owned(), message });
        };
        let found = self.kinds.resolve(&self.client, &kind).await;
        match found.map_err(|error| self.failed(&kind.api_version(), error))? {
            Some((resource, Scope::Namespaced)) => Ok(Api::namespaced_with(self.client.clone(), namespace, &resource)),
            Some((resource, Scope::Cluster)) => Ok(Api::all_with(self.client.clone(), &resource)),
            None if self.kinds.is_defined(&kind) => {
                Err(Error::NotServedYet { api_version: kind.api_version(), kind: kind.kind })
            }
            None => Err(Error::UnknownKind { api_version: kind.api_version(), kind: kind.kind }),
        }
    }

    /// An object by kind, namespace and name; `None` if it or its kind does not exist.
    pub(crate) async fn find(&self, types: &TypeMeta, namespace: &str, name: &str) -> Result<Option<DynamicObject>> {
        let api = match self.api_of(Some(types), namespace).await {
            Ok(api) => api,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let what = || title_of(&types.kind, namespace, name);
        api.get_opt(name).await.map_err(|error| self.failed(&what(), error))
    }

    /// Every object that matches; empty if the cluster does not serve the kind.
    pub(crate) async fn list<K>(&self, api: &Api<K>, params: &ListParams) -> Result<Vec<K>>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        list_all(api, params).await.map_err(|error| self.failed(&format!("GET {}", api.resource_url()), error))
    }

    /// Every object of a kind that is not built into Kubernetes; empty if the cluster does not serve it. `None` is all namespaces.
    pub(crate) async fn list_custom(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
    ) -> Result<Vec<DynamicObject>> {
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        self.list(&api, &ListParams::default()).await
    }

    pub(crate) fn failed(&self, what: &str, error: kube::Error) -> Error {
        Error::of_request(&self.server, what, error)
    }
}

/// A resource whose plural is known, so that discovery need not be asked.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
