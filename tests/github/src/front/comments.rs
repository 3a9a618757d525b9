//! Comments: whoever may write to the repository may edit and remove those of others, and everybody their own.

use anyhow::Result;
use axum::body::Bytes;
use axum::http::{Method, StatusCode};

use super::{Asked, refused};
use crate::accounts::{Account, REPOSITORY};
use crate::emulator::Answer;
use crate::server::Inner;

/// Edits or removes a comment, if GitHub would.
pub(super) async fn change(asked: &Asked<'_>, inner: &Inner, id: &str) -> Result<Answer> {
    let there =
        asked.ask(inner, &Method::GET, &format!("/repos/{REPOSITORY}/issues/comments/{id}"), Bytes::new()).await?;
    if !there.status.is_success() {
        return Ok(there);
    }
    let may = match &asked.account {
        Account::Nobody | Account::App => false,
        Account::Person(login) => there.json()["user"]["login"] == *login || asked.account.may_push(REPOSITORY),
        Account::Job(permissions) => {
            ["issues", "pull_requests"].iter().any(|name| permissions.get(*name).is_some_and(|level| level == "write"))
        }
    };
    if may {
        asked.forward(inner).await
    } else {
        Ok(refused(StatusCode::FORBIDDEN, "Must have admin rights to Repository."))
    }
}
