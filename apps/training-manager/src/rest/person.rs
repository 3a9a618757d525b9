//! People of GitHub, each with a token of their own.

use std::sync::Arc;

use futures::future::BoxFuture;
use slipway_forge::{Error as ForgeError, Forge};
use slipway_git::Repository;
use slipway_proposal::{Error, Remote};

use super::token::Token;
use super::writer::{Denied, Who, Writer, Writers};

/// What a token has to be.
const ADVICE: &str = "make another one in the settings of your GitHub account, with `contents: write` and `pull requests: write` on this \
    repository";

/// A repository on GitHub: whoever has a token there acts as themselves, and GitHub decides what they may do.
#[derive(Clone, Debug)]
pub struct People {
    git: Repository,
    remote: Arc<Remote>,
}

impl People {
    /// Those of a remote, for which commits are made in `git`.
    #[must_use]
    pub fn new(git: Repository, remote: Arc<Remote>) -> Self {
        Self { git, remote }
    }
}

impl Writers for People {
    fn sign_in<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Writer, Denied>> {
        Box::pin(async move {
            let remote = self.remote.acting_as(token.secret()).map_err(denied)?;
            let Forge::GitHub(github) = &remote.forge else {
                return Err(Denied::Unavailable("people have tokens of their own on GitHub alone".to_owned()));
            };
            let login = github.login().await.map_err(|error| denied(Error::Forge(error)))?;
            Ok(Writer { who: Who::Login(login), git: self.git.clone(), remote })
        })
    }
}

/// Why a token is not accepted.
fn denied(error: Error) -> Denied {
    match error {
        Error::Forge(ForgeError::NotAToken | ForgeError::Refused { status: 401, .. }) => {
            Denied::Unknown(format!("GitHub does not know the token, so it is wrong or has expired: {ADVICE}"))
        }
        Error::Forge(error @ ForgeError::Refused { status: 403, .. }) => Denied::Forbidden(error.to_string()),
        error => Denied::Unavailable(error.to_string()),
    }
}
