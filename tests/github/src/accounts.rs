//! Who asks: people, workflows' jobs, and GitHub Apps.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The organization that has the repository.
pub const OWNER: &str = "acme";
/// The repository's name.
pub const NAME: &str = "models";
/// Owner and name of the repository.
pub const REPOSITORY: &str = "acme/models";
/// The fork of somebody who may not push to the repository.
pub const FORK: &str = "mallory/models";

/// Who owns the organization. Its token also keeps emulate in step with git.
pub const ANN: Person = Person { login: "ann", token: "ghp_m4rkedTokenOfAnn00000000000000000000" };
/// A member, who reviews.
pub const BOB: Person = Person { login: "bob", token: "ghp_m4rkedTokenOfBob00000000000000000000" };
/// Who owns the fork.
pub const MALLORY: Person = Person { login: "mallory", token: "ghp_m4rkedTokenOfMallory0000000000000000" };

/// A user with a personal access token.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The user's name.
    pub login: &'static str,
    /// What signs in.
    pub token: &'static str,
}

/// Everybody.
pub const PEOPLE: [Person; 3] = [ANN, BOB, MALLORY];

/// A GitHub App that is installed in the organization.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Its number.
    pub id: u64,
    /// The name in its address; what it writes is by this and `[bot]`.
    pub slug: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The number of its installation.
    pub installation: u64,
    /// What it may do.
    pub permissions: &'static [(&'static str, &'static str)],
}

/// GitHub's own app, which gives workflows' jobs their tokens.
pub const ACTIONS: App = App {
    id: 15368,
    slug: "github-actions",
    name: "GitHub Actions",
    installation: 1,
    permissions: &[
        ("actions", "write"),
        ("checks", "write"),
        ("contents", "write"),
        ("packages", "write"),
        ("pull_requests", "write"),
        ("statuses", "write"),
    ],
};

/// The training manager's, with the permissions that docs/github.md asks for.
pub const MANAGER: App = App {
    id: 4242,
    slug: "slipway-manager",
    name: "Slipway's training manager",
    installation: 2,
    permissions: &[
        ("metadata", "read"),
        ("contents", "write"),
        ("pull_requests", "write"),
        ("issues", "write"),
        ("checks", "write"),
    ],
};

/// Every app.
pub const APPS: [App; 2] = [ACTIONS, MANAGER];

/// Whose token a request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// No token.
    Nobody,
    /// A person's.
    Person(&'static str),
    /// A job's, with the permissions that its workflow gives it, or an installed app's.
    Job(BTreeMap<String, String>),
    /// A GitHub App's signature, which emulate checks.
    App,
}

impl Account {
    /// Whose token it is, of the people and of these jobs. Returns `None` for one that nobody has.
    #[must_use]
    pub fn of(token: Option<&str>, jobs: &BTreeMap<String, BTreeMap<String, String>>) -> Option<Self> {
        let Some(token) = token else { return Some(Self::Nobody) };
        if token.starts_with("eyJ") {
            return Some(Self::App);
        }
        let person = PEOPLE.iter().find(|person| person.token == token).map(|person| Self::Person(person.login));
        person.or_else(|| jobs.get(token).cloned().map(Self::Job))
    }

    /// Whether it may push to a repository.
    #[must_use]
    pub fn may_push(&self, repository: &str) -> bool {
        match self {
            Self::Nobody | Self::App => false,
            Self::Person(login) if repository == FORK => *login == MALLORY.login,
            Self::Person(login) => *login != MALLORY.login,
            Self::Job(permissions) => {
                repository == REPOSITORY && permissions.get("contents").is_some_and(|level| level == "write")
            }
        }
    }
}

/// The token of a request: a bearer's, as the API takes it, or a password, as git sends it.
#[must_use]
pub fn token_in(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, value) = text.split_once(' ')?;
    if kind.eq_ignore_ascii_case("basic") {
        let login = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        return login.split_once(':').map(|(_, password)| password.to_owned());
    }
    Some(value.trim().to_owned())
}
