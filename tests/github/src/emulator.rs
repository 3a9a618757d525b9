//! emulate's GitHub as a child process, on a port of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use octocrab::EncodingKey;
use octocrab::auth::AppAuth;
use octocrab::models::AppId;
use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts::{ACTIONS, APPS, App, MALLORY, NAME, OWNER, PEOPLE, REPOSITORY};
use crate::script::Script;

const LIMIT: Duration = Duration::from_secs(60);

/// A running emulator. It ends with this value.
#[derive(Debug)]
pub struct Emulator {
    /// Its address.
    pub url: String,
    client: reqwest::Client,
    /// The app that workflows act as.
    actions: AppAuth,
    /// The private keys of the apps by their numbers.
    keys: BTreeMap<String, String>,
    _script: Script,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The `Link` header, which leads to other pages.
    pub link: Option<String>,
    /// JSON, or nothing.
    pub body: Bytes,
}

impl Answer {
    /// JSON with a status.
    #[must_use]
    pub fn of(status: StatusCode, body: &Value) -> Self {
        Self { status, link: None, body: body.to_string().into() }
    }

    /// Its JSON, null if there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Started {
    port: u16,
    keys: BTreeMap<String, String>,
}

impl Emulator {
    /// Starts it with the people, the repository, its fork and the apps. `server` is the address that its answers name.
    ///
    /// # Errors
    /// When SLIPWAY_EMULATE names no folder in which `npm ci` was run, or it does not start.
    pub async fn start(server: &str) -> Result<Self> {
        let settings = json!({ "baseUrl": server, "seed": seed() }).to_string();
        let (script, Started { port, keys }) = Script::start("emulator.mjs", &settings).await?;
        let key = EncodingKey::from_rsa_pem(key_in(&keys, ACTIONS)?.as_bytes())?;
        let emulator = Self {
            url: format!("http://127.0.0.1:{port}"),
            client: slipway_http::loopback(LIMIT)?,
            actions: AppAuth { app_id: AppId(ACTIONS.id), key },
            keys,
            _script: script,
        };
        let fork = format!("/repos/{REPOSITORY}/forks");
        emulator.must(&Method::POST, &fork, MALLORY.token, Some(&json!({}))).await?;
        Ok(emulator)
    }

    /// A request; its answer, whatever that is.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, method: &Method, path: &str, token: Option<&str>, body: Bytes) -> Result<Answer> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url)).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.header(header::ACCEPT, "application/vnd.github+json").send().await?;
        let link = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: answer.status(), link, body: answer.bytes().await? })
    }

    /// A request of this harness's own, which must succeed; the JSON of its answer.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn must(&self, method: &Method, path: &str, token: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let answer = self.ask(method, path, Some(token), body.clone().into()).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status.is_success(), "{method} {path} {body}: {} {text}", answer.status);
        Ok(answer.json())
    }

    /// A new token of a workflow's job, which may do what `permissions` say: `contents` to `read`, and so on.
    ///
    /// # Errors
    /// When emulate refuses.
    pub async fn job_token(&self, permissions: &BTreeMap<String, String>) -> Result<String> {
        let signed = self.actions.generate_bearer_token()?;
        let path = format!("/app/installations/{}/access_tokens", ACTIONS.installation);
        let answer = self.must(&Method::POST, &path, &signed, Some(&json!({ "permissions": permissions }))).await?;
        Ok(answer["token"].as_str().context("an installation's token")?.to_owned())
    }

    /// The private key of an app, in PEM.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn key(&self, app: App) -> Result<&str> {
        key_in(&self.keys, app)
    }
}

fn key_in(keys: &BTreeMap<String, String>, app: App) -> Result<&str> {
    keys.get(&app.id.to_string()).map(String::as_str).with_context(|| format!("{} has no key", app.slug))
}

fn seed() -> Value {
    let tokens: serde_json::Map<_, _> = PEOPLE
        .iter()
        .map(|person| (person.token.to_owned(), json!({ "login": person.login, "scopes": ["repo", "user"] })))
        .collect();
    let users: Vec<_> = PEOPLE.iter().map(|person| json!({ "login": person.login })).collect();
    let apps: Vec<_> = APPS
        .iter()
        .map(|app| {
            let permissions: BTreeMap<_, _> = app.permissions.iter().copied().collect();
            let installation = json!({ "installation_id": app.installation, "account": OWNER });
            json!({
                "app_id": app.id, "slug": app.slug, "name": app.name, "permissions": permissions,
                "installations": [installation],
            })
        })
        .collect();
    json!({
        "tokens": tokens,
        "github": {
            "users": users,
            "orgs": [{ "login": OWNER, "members": [{ "login": "ann", "role": "admin" }, { "login": "bob" }] }],
            "repos": [{ "owner": OWNER, "name": NAME }],
            "apps": apps,
        },
    })
}
