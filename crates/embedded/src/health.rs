//! Waiting until a child answers over HTTP.

use std::time::{Duration, Instant};

use crate::child::Child;
use crate::{Error, Result};

/// Longer than a slow, busy machine takes to import MLflow.
const LIMIT: Duration = Duration::from_secs(120);
/// For one request.
const REQUEST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Returns once `url` answers with a success.
///
/// # Errors
/// When the child ends first or takes too long.
pub(crate) async fn answers(name: &'static str, child: &mut Child, url: &str) -> Result<()> {
    let client = slipway_http::loopback(REQUEST).map_err(Error::HttpClient)?;
    let started = Instant::now();
    loop {
        let reason = match client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("{url} answers {}", answer.status()),
            Err(error) => slipway_causes::chain(&error),
        };
        pause(name, child, started, reason).await?;
    }
}

/// Waits a little for a child that is not ready yet, for the given reason.
///
/// # Errors
/// When the child ends, or the time limit has passed since it was started.
pub(crate) async fn pause(name: &'static str, child: &mut Child, started: Instant, reason: String) -> Result<()> {
    if let Ok(exit) = tokio::time::timeout(PAUSE, child.wait()).await {
        return Err(child.ended(name, exit).await);
    }
    if started.elapsed() > LIMIT {
        return Err(Error::NotReady { name, seconds: LIMIT.as_secs(), reason, log: child.log.clone() });
    }
    Ok(())
}
