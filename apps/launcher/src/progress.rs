//! How far the program is: from what it logs to its run, or from lines on a descriptor.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::Deserialize;
use slipway_job::Reporter;
use slipway_mlflow::{Client, Run};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

/// Progress counts in steps: as fine as anybody needs.
const STEPS: usize = 1_000_000;
/// The most metrics that are reported; a TrainJob's status is an object in etcd.
const METRICS: usize = 20;
/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// Notes the progress that the run's metrics show, every few seconds, until it is dropped. `epochs` is the program's parameter.
pub(crate) async fn watch_run(
    client: &Client,
    run_id: &str,
    epochs: Option<f64>,
    reporter: &Reporter,
    interval: Duration,
) {
    if !reporter.is_heard() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(interval).await;
        // the client has its own patience, and the next look comes soon
        let Ok(run) = client.get_run(run_id).await else { continue };
        note(reporter, share(&run, epochs), &run.metrics);
    }
}

/// The share that is done: the metric `progress`, or the metric `epoch` of the parameter `epochs`.
fn share(run: &Run, epochs: Option<f64>) -> Option<f64> {
    let metric = |name: &str| run.metrics.get(name).copied().filter(|value| value.is_finite());
    let epochs = epochs.or_else(|| run.params.get("epochs")?.parse().ok()).filter(|epochs| *epochs > 0.0);
    metric("progress").or_else(|| Some(metric("epoch")? / epochs?))
}

fn note(reporter: &Reporter, share: Option<f64>, metrics: &BTreeMap<String, f64>) {
    reporter.note(|progress| {
        if let Some(share) = share.filter(|share| share.is_finite()) {
            progress.step((share.clamp(0.0, 1.0) * STEPS as f64) as usize, STEPS, Instant::now());
        }
        let own = ["progress", "epoch"];
        for (name, value) in metrics
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()) && !name.starts_with("system/"))
            .take(METRICS)
        {
            progress.metric(name.clone(), *value);
        }
    });
}

/// One line on the descriptor.
#[derive(Debug, Default, Deserialize)]
struct Line {
    /// From 0 to 1.
    progress: Option<f64>,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
}

/// The two ends of the pipe that takes lines of progress.
#[derive(Debug)]
pub(crate) struct Lines {
    from: OwnedFd,
    /// What the program inherits.
    to: OwnedFd,
}

impl Lines {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (from, to) = rustix::pipe::pipe()?;
        fcntl_setfd(&from, FdFlags::CLOEXEC)?;
        Ok(Self { from, to })
    }

    /// The program's descriptor.
    pub(crate) fn descriptor(&self) -> i32 {
        self.to.as_raw_fd()
    }

    /// Notes what the program writes until it is dropped. The end that the program inherits stays open here, so that there is no end of file.
    pub(crate) async fn watch(self, reporter: &Reporter) {
        let Ok(from) = pipe::Receiver::from_owned_fd(self.from) else { return };
        let mut from = BufReader::new(from);
        let (mut line, mut warned) = (Vec::new(), false);
        loop {
            let read = match from.fill_buf().await {
                Ok(bytes) if !bytes.is_empty() => {
                    let upto = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
                    line.extend_from_slice(&bytes[..upto]);
                    upto
                }
                _ => return,
            };
            from.consume(read);
            if !line.ends_with(b"\n") && line.len() < LONGEST_LINE {
                continue;
            }
            match serde_json::from_slice::<Line>(&line) {
                Ok(found) => note(reporter, found.progress, &found.metrics),
                Err(error) if !warned => {
                    warned = true;
                    let text: String = String::from_utf8_lossy(&line).chars().take(100).collect();
                    tracing::warn!(
                        event = "progress_not_understood",
                        "SLIPWAY_PROGRESS_FD takes lines such as {{\"progress\": 0.4, \"metrics\": {{\"loss\": 0.1}}}}, not {text:?}: {error}"
                    );
                }
                Err(_) => {}
            }
            line.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn run(metrics: &[(&str, f64)], params: &[(&str, &str)]) -> Run {
        Run {
            run_id: "r".to_owned(),
            run_name: "n".to_owned(),
            experiment_id: "1".to_owned(),
            status: slipway_mlflow::RunStatus::Running,
            start_time: None,
            end_time: None,
            artifact_uri: String::new(),
            metrics: metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            steps: BTreeMap::new(),
            params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn progress_is_what_the_run_says() {
        assert_eq!(share(&run(&[("epoch", 2.0)], &[]), Some(8.0)), Some(0.25));
        assert_eq!(share(&run(&[("epoch", 2.0)], &[("epochs", "4")]), None), Some(0.5));
        assert_eq!(share(&run(&[("epoch", 2.0), ("progress", 0.9)], &[]), Some(8.0)), Some(0.9));
        for (metrics, epochs) in [
            (vec![], Some(8.0)),
            (vec![("epoch", 2.0)], None),
            (vec![("epoch", f64::NAN)], Some(8.0)),
            (vec![("epoch", 2.0)], Some(0.0)),
        ] {
            assert_eq!(share(&run(&metrics, &[("epochs", "many")]), epochs), None, "{metrics:?}");
        }
    }

    #[tokio::test]
    async fn lines_are_noted_and_anything_else_is_not() {
        let reporter = Reporter::start(Duration::from_secs(5)).unwrap();
        let lines = Lines::new().unwrap();
        let to = std::fs::File::from(lines.to.try_clone().unwrap());
        let writing = tokio::task::spawn_blocking(move || {
            use std::io::Write;
            (&to)
                .write_all(b"garbage\n{\"progress\": 7}\n{\"progress\": 0.4, \"metrics\": {\"loss\": 0.5}}\n")
                .unwrap();
        });
        let watched = tokio::time::timeout(Duration::from_millis(500), lines.watch(&reporter)).await;
        writing.await.unwrap();
        assert!(watched.is_err(), "it goes on");
        reporter.note(|progress| {
            assert_eq!(progress.percentage(), Some(40));
            assert_eq!(progress.metrics().collect::<Vec<_>>(), [("loss", 0.5)]);
        });
    }
}
