//! Where a child listens: it takes a free port itself, and says which in a line of its log, so that no other program can take it before.

use std::time::Instant;

use serde_json::Value;

use crate::child::Child;
use crate::{Result, health};

/// Returns the URL once the child's log has the line `{"KEY":"127.0.0.1:PORT"}`.
///
/// # Errors
/// When the child ends first or takes too long.
pub(crate) async fn url(name: &'static str, child: &mut Child, key: &str) -> Result<String> {
    let started = Instant::now();
    loop {
        let reason = match tokio::fs::read_to_string(&child.log).await.map(|log| address_in(&log, key)) {
            Ok(Some(address)) => return Ok(format!("http://{address}")),
            Ok(None) => "its log has no address yet".to_owned(),
            Err(error) => format!("its log cannot be read: {error}"),
        };
        health::pause(name, child, started, reason).await?;
    }
}

/// The address in the log, once its line is complete.
fn address_in(log: &str, key: &str) -> Option<String> {
    let complete = log.rsplit_once('\n')?.0;
    let mut lines = complete.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| Some(line.get(key)?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_address_is_read_once_its_line_is_complete() {
        assert_eq!(address_in("{\"level\":\"INFO\"}\n{\"internal\":\"127.0.0.1:1", "internal"), None);
        let complete = "a warning\n{\"level\":\"INFO\"}\n{\"internal\":\"127.0.0.1:12\"}\n";
        assert_eq!(address_in(complete, "internal").as_deref(), Some("127.0.0.1:12"));
        assert_eq!(address_in(complete, "mlflow"), None);
    }
}
