//! Who asks: a token, or a GitHub App. A token belongs to one host.

use std::fmt;
use std::path::Path;

use octocrab::auth::AppAuth;
use octocrab::models::AppId;
use octocrab::secrecy::SecretString;
use octocrab::{AuthState, EncodingKey};
use slipway_names::env;

use super::remote::PUBLIC;
use super::server::{Variables, enterprise_server, gh_host, is_public, named_server};
use crate::{Error, Result};

/// Who asks GitHub.
#[derive(Clone)]
pub enum Credentials {
    /// A person's token.
    Token(SecretString),
    /// The token that a runner gives to a workflow's job, as which it is `github-actions[bot]`.
    Runner(SecretString),
    /// A GitHub App, which asks for a short-lived token for the repository and renews it.
    App {
        /// The app's number.
        id: u64,
        /// The app's private key.
        key: EncodingKey,
    },
    /// Nobody: only what everybody may read is answered.
    Anonymous,
}

impl Credentials {
    /// A person's token.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self::Token(SecretString::from(token))
    }

    /// A GitHub App, by its number and its RSA private key in PEM format.
    ///
    /// # Errors
    /// [`Error::AppKey`] if the key cannot be read.
    pub fn app(id: u64, pem: &str) -> Result<Self> {
        // one line with `\n` is how some stores of secrets hand out a key
        let pem = pem.replace("\\n", "\n");
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|error| Error::AppKey(error.to_string()))?;
        Ok(Self::App { id, key })
    }

    /// The credentials that this environment has for a host: those of a GitHub App, the token that belongs to the host, or that of a login
    /// by `gh`. Returns `None` if there are none.
    ///
    /// # Errors
    /// [`Error::AppKey`] if an app is named whose key is missing or cannot be read.
    pub(crate) fn for_host(
        host: &str,
        variables: Variables,
        gh: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        if let Some(id) = variables(env::GITHUB_APP_ID).filter(|_| own_server(variables) == host) {
            let id = id.trim().parse().map_err(|_| Error::AppKey(format!("{} is not a number", env::GITHUB_APP_ID)))?;
            return Self::app(id, &app_key(variables)?).map(Some);
        }
        let is_runner = variables("GITHUB_ACTIONS").as_deref() == Some("true");
        Ok(match token_for(host, variables) {
            // a workflow may have been given a person's token instead
            Some(token) if is_runner && !is_of_a_person(&token) => Some(Self::Runner(SecretString::from(token))),
            token => token.or_else(|| gh(host)).map(|token| Self::token(&token)),
        })
    }

    /// For octocrab.
    pub(crate) fn state(&self) -> AuthState {
        match self {
            Self::Token(token) | Self::Runner(token) => AuthState::AccessToken { token: token.clone() },
            Self::App { id, key } => AuthState::App(AppAuth { app_id: AppId(*id), key: key.clone() }),
            Self::Anonymous => AuthState::None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Runner(_) => f.write_str("Runner"),
            Self::App { id, .. } => write!(f, "App({id})"),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}

/// Whether a token is one of a person, or of an app in a person's name.
/// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>
fn is_of_a_person(token: &str) -> bool {
    ["ghp_", "github_pat_", "gho_", "ghu_"].iter().any(|prefix| token.starts_with(prefix))
}

fn app_key(variables: Variables) -> Result<String> {
    if let Some(pem) = variables(env::GITHUB_APP_PRIVATE_KEY) {
        return Ok(pem);
    }
    let file = variables(env::GITHUB_APP_PRIVATE_KEY_FILE).ok_or_else(|| {
        let [key, file] = [env::GITHUB_APP_PRIVATE_KEY, env::GITHUB_APP_PRIVATE_KEY_FILE];
        Error::AppKey(format!("neither {key} nor {file} is set"))
    })?;
    std::fs::read_to_string(Path::new(&file)).map_err(|error| Error::AppKey(format!("{file}: {error}")))
}

/// The server whose GitHub App this environment holds.
fn own_server(variables: Variables) -> String {
    gh_host(variables).or_else(|| named_server(variables)).unwrap_or_else(|| PUBLIC.to_owned())
}

/// The token that belongs to a host, by the rules of `gh` (`gh help environment`) and of GitHub's runners, whose `GITHUB_TOKEN` belongs to
/// the server that runs them.
fn token_for(host: &str, variables: Variables) -> Option<String> {
    if is_public(host) {
        let named = gh_host(variables).or_else(|| named_server(variables)).filter(|named| is_public(named));
        let gh = variables("GH_TOKEN").filter(|_| named.is_none_or(|named| named == host));
        if gh.is_some() {
            return gh;
        }
    } else if enterprise_server(variables).as_deref() == Some(host) {
        let enterprise = variables("GH_ENTERPRISE_TOKEN").or_else(|| variables("GITHUB_ENTERPRISE_TOKEN"));
        if enterprise.is_some() {
            return enterprise;
        }
    }
    variables("GITHUB_TOKEN").filter(|_| named_server(variables).as_deref().unwrap_or(PUBLIC) == host)
}
