//! Who may open pull requests, and in whose name.

use std::fmt;
use std::path::PathBuf;

use futures::future::BoxFuture;
use slipway_git::Repository;
use slipway_markdown::code;
use slipway_proposal::Remote;
use slipway_service::blocking;

use super::token::Token;

/// The shortest token of a file.
const SHORTEST: usize = 16;

/// Who may open pull requests.
pub trait Writers: Send + Sync {
    /// Whoever has this token, with the way to open pull requests in that name. The token must not be kept or logged.
    fn sign_in<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Writer, Denied>>;
}

/// Somebody who may open pull requests.
#[derive(Debug)]
pub struct Writer {
    /// Who it is.
    pub who: Who,
    /// The repository in which commits are made.
    pub git: Repository,
    /// Where they go, with the rights of whoever asks.
    pub remote: Remote,
}

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A person, by the login on the forge.
    Login(String),
    /// Somebody who has the manager's own token, by the name in the settings of this machine's git.
    Named(String),
    /// The same where git knows no name.
    Holder,
}

impl Who {
    /// For the body of a pull request.
    pub(crate) fn markdown(&self) -> String {
        match self {
            // as code: nobody is called by it, and nothing in it has an effect
            Self::Login(name) | Self::Named(name) => code(name),
            Self::Holder => "whoever holds the manager's token".to_owned(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(name) | Self::Named(name) => f.write_str(name),
            Self::Holder => f.write_str("the holder of the manager's token"),
        }
    }
}

/// Why somebody may not open pull requests.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Nobody has this token.
    #[error("{0}")]
    Unknown(String),
    /// Somebody has it who may not.
    #[error("{0}")]
    Forbidden(String),
    /// That cannot be found out now.
    #[error("{0}")]
    Unavailable(String),
}

/// A bare repository on this machine: whoever has the token in a file may write. The file is read each time, so the token can be changed.
#[derive(Clone, Debug)]
pub struct Bare {
    git: Repository,
    path: PathBuf,
    token: PathBuf,
}

impl Bare {
    /// A bare repository at `path`, for which commits are made in `git`, and the file with the token.
    #[must_use]
    pub fn new(git: Repository, path: PathBuf, token: PathBuf) -> Self {
        Self { git, path, token }
    }

    async fn token(&self) -> Result<Token, Denied> {
        let shown = self.token.display();
        let text = tokio::fs::read_to_string(&self.token).await;
        let text = text.map_err(|error| Denied::Unavailable(format!("the manager's token {shown}: {error}")))?;
        let token = Some(text.trim()).filter(|text| text.len() >= SHORTEST).and_then(Token::read);
        token.ok_or_else(|| {
            let how = format!("put {SHORTEST} or more letters and digits into it, such as from `openssl rand -hex 32`");
            Denied::Unavailable(format!("there is no token in {shown}: {how}"))
        })
    }
}

impl Writers for Bare {
    fn sign_in<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Writer, Denied>> {
        Box::pin(async move {
            if !self.token().await?.is(token) {
                return Err(Denied::Unknown("the token is not the one of this manager".to_owned()));
            }
            let remote = Remote::at(&self.path).map_err(|error| Denied::Unavailable(error.to_string()))?;
            // the loop of a machine is that of its user, whose name the commits have too
            let git = self.git.clone();
            let name = blocking(move || git.author_name()).await;
            let name = name.map_err(|error: slipway_git::Error| Denied::Unavailable(error.to_string()))?;
            Ok(Writer { who: name.map_or(Who::Holder, Who::Named), git: self.git.clone(), remote })
        })
    }
}
