//! Acting as another person, and the token that git needs.

use octocrab::secrecy::ExposeSecret;
use slipway_git::Token;

use super::patience::Repeat;
use super::{Credentials, GitHub};
use crate::{Error, Result};

/// More than any token has.
const LONGEST: usize = 1024;

impl GitHub {
    /// The same repository, but whoever has this token asks: what is made there is made by that person, and GitHub decides what they may
    /// do. Nobody is asked yet.
    ///
    /// # Errors
    /// [`Error::NotAToken`] for a text that cannot be one.
    pub fn acting_as(&self, token: &str) -> Result<Self> {
        let is_one = (1..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_one {
            return Err(Error::NotAToken);
        }
        let person = Self::new(&self.api, &self.owner, &self.repository, Credentials::token(token));
        Ok(Self { http: self.http.clone(), ..person })
    }

    /// The login of whoever asks, of an app with `[bot]`. Of a person GitHub is asked for it, once.
    ///
    /// # Errors
    /// [`Error::Refused`] with 401 for a token that is wrong or has expired, and with 403 for one that is not a person's; when GitHub
    /// cannot be reached.
    pub async fn login(&self) -> Result<String> {
        match self.author().await {
            Err(Error::Refused { status: 403, message, .. }) => Err(Error::Refused {
                status: 403,
                message,
                advice: "the token is not a person's: give a personal access token with `contents: write` and `pull requests: write`",
            }),
            login => login,
        }
    }

    /// Whether nobody asks, so that nothing can be written.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self.credentials, Credentials::Anonymous)
    }

    /// The token that is valid now, for git. That of an app is renewed before it expires.
    ///
    /// # Errors
    /// [`Error::NoToken`] if nobody asks; when the app cannot sign in, or GitHub cannot be reached.
    pub async fn token(&self) -> Result<Token> {
        let token = match &self.credentials {
            Credentials::Token(token) | Credentials::Runner(token) => token.clone(),
            Credentials::App { .. } => {
                let client = self.client().await?;
                self.ask(Repeat::Harmless, || client.installation_token()).await?
            }
            Credentials::Anonymous => return Err(Error::NoToken { host: self.api.clone() }),
        };
        Ok(Token::new(token.expose_secret()))
    }
}
