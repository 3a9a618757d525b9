//! Waiting until a child answers over HTTP.

use std::time::{Duration, Instant};

use crate::child::Child;
use crate::{Error, Result};

/// Longer than a slow, busy machine takes to import MLflow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(50);

/// Returns once `url` answers with a success; an error when the child ends first or takes too long.
pub(crate) async fn answers(name: &'static str, child: &mut Child, url: &str) -> Result<()> {
    // Loopback is never a proxy's to see.
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let client = client.unwrap_or_default();
    let asked = Instant::now();
    loop {
        if let Ok(answer) = client.get(url).send().await
            && answer.status().is_success()
        {
            return Ok(());
        }
        wait_a_step(name, child, asked).await?;
    }
}

/// Waits a little for a child that is not ready yet.
pub(crate) async fn wait_a_step(name: &'static str, child: &mut Child, since: Instant) -> Result<()> {
    if let Ok(exit) = tokio::time::timeout(STEP, child.wait()).await {
        return Err(Error::Ended { name, how: exit.to_string(), log: child.log.clone(), tail: child.tail(15) });
    }
    if since.elapsed() > PATIENCE {
        return Err(Error::NotReady { name, seconds: PATIENCE.as_secs(), log: child.log.clone() });
    }
    Ok(())
}
