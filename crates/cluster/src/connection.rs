//! The way to a cluster's API server.

use std::time::Duration;

use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::kinds::Kinds;

/// How long the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A cluster that can be asked.
#[derive(Debug)]
pub struct Cluster {
    client: Transport,
    context: String,
    server: String,
    pub(crate) kinds: Kinds,
}

/// kube's client, which has no `Debug`.
struct Transport(Client);

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

impl Cluster {
    /// As `KUBECONFIG` or `~/.kube/config` say, in the context named or the current one; inside a cluster, that cluster.
    ///
    /// # Errors
    /// When nothing is configured, or the context is not there. Nothing is asked of the server yet.
    pub async fn connect(context: Option<&str>) -> Result<Self> {
        let none = |error: &dyn std::fmt::Display| Error::NoConfiguration(error.to_string());
        let (mut config, name) = match (context, Kubeconfig::read()) {
            (None, Err(_)) => (Config::infer().await.map_err(|error| none(&error))?, "in-cluster".to_owned()),
            (Some(_), Err(error)) => return Err(none(&error)),
            (_, Ok(file)) => {
                let name = context.map(str::to_owned).or_else(|| file.current_context.clone());
                let name = name.ok_or_else(|| none(&"the configuration names no current context"))?;
                let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
                let config = Config::from_custom_kubeconfig(file, &options).await.map_err(|error| none(&error))?;
                (config, name)
            }
        };
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(ANSWER);
        Self::of(config, name)
    }

    /// The cluster at an address, without credentials: for tests against an API server of their own.
    ///
    /// # Errors
    /// When the address is none.
    pub fn at(address: &str) -> Result<Self> {
        let uri = address.parse().map_err(|error: http::uri::InvalidUri| Error::NoConfiguration(error.to_string()))?;
        Self::of(Config::new(uri), "test".to_owned())
    }

    fn of(config: Config, context: String) -> Result<Self> {
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| Error::NoConfiguration(error.to_string()))?;
        Ok(Self { client: Transport(client), context, server, kinds: Kinds::default() })
    }

    /// The context's name.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What is at a path; none when there is nothing.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Value>> {
        match self.send(Method::GET, path, "application/json", Vec::new()).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The items of a list; none when the kind is not there.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        Ok(match self.get(path).await? {
            Some(Value::Object(mut list)) => match list.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        })
    }

    /// Creates an object.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, path, "application/json", body.to_string().into_bytes()).await
    }

    /// Changes an object; the content type says how.
    pub(crate) async fn patch(&self, path: &str, content_type: &str, body: &Value) -> Result<Value> {
        self.send(Method::PATCH, path, content_type, body.to_string().into_bytes()).await
    }

    /// A text, such as a log.
    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        let request = self.request(Method::GET, path, "application/json", Vec::new())?;
        self.client.0.request_text(request).await.map_err(|error| self.failed(&Method::GET, path, error))
    }

    async fn send(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<Value> {
        let request = self.request(method.clone(), path, content_type, body)?;
        self.client.0.request(request).await.map_err(|error| self.failed(&method, path, error))
    }

    fn request(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", content_type)
            .body(body)
            .map_err(|error| Error::Malformed { what: path.to_owned(), message: error.to_string() })
    }

    fn failed(&self, method: &Method, path: &str, error: kube::Error) -> Error {
        let path = path.split('?').next().unwrap_or(path);
        match error {
            kube::Error::Api(status) => Error::Refused {
                what: format!("{method} {path}"),
                code: status.code,
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            kube::Error::SerdeError(error) => Error::Malformed { what: path.to_owned(), message: error.to_string() },
            other => Error::Unreachable { server: self.server.clone(), message: innermost(&other) },
        }
    }
}

/// The cause that says most: the outer ones repeat it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
