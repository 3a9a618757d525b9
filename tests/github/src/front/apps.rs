//! GitHub Apps that sign in: their installation, and the tokens that they get for it.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Asked, refused};
use crate::emulator::Answer;
use crate::server::Inner;

/// GitHub's clock, so many seconds ahead of this machine's.
pub(super) fn clock(ahead: i64) -> SystemTime {
    let by = Duration::from_secs(ahead.unsigned_abs());
    if ahead < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
}

/// Whether GitHub takes an app's signature at this time: it was not made in the future, and ends within ten minutes. emulate looks at
/// its end, and by this machine's clock.
///
/// # Errors
/// When it is not one.
pub(super) fn is_of(now: SystemTime, signature: &str) -> Result<bool> {
    let claims = URL_SAFE_NO_PAD.decode(signature.split('.').nth(1).context("a signature has three parts")?)?;
    let claims: Value = serde_json::from_slice(&claims)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let (made, ends) = (claims["iat"].as_u64().context("no iat")?, claims["exp"].as_u64().context("no exp")?);
    Ok(made <= now + 60 && ends > now && ends <= now + 600)
}

/// The installation of the app that asks.
pub(super) async fn installation(asked: &Asked<'_>, inner: &Inner) -> Result<Answer> {
    let all = asked.ask(inner, &Method::GET, "/app/installations", Bytes::new()).await?;
    if !all.status.is_success() {
        return Ok(all);
    }
    Ok(match all.json().get(0) {
        Some(own) => Answer::of(StatusCode::OK, own),
        None => refused(StatusCode::NOT_FOUND, "Not Found"),
    })
}

/// A new token, which is known here from now on.
pub(super) async fn token(asked: &Asked<'_>, inner: &mut Inner) -> Result<Answer> {
    let answer = asked.forward(inner).await?;
    let mut made = answer.json();
    let Some(token) = made["token"].as_str().map(str::to_owned) else { return Ok(answer) };
    inner.jobs.insert(token, serde_json::from_value(made["permissions"].clone())?);
    for repository in made["repositories"].as_array_mut().into_iter().flatten() {
        let name = repository["full_name"].as_str().unwrap_or_default();
        repository["url"] = format!("{}/repos/{name}", asked.state.server).into();
    }
    Ok(Answer { body: made.to_string().into(), ..answer })
}
