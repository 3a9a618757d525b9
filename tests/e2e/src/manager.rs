//! The training manager as people inside meet it, through the Gateway.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::Stack;
use crate::kubectl::text;

/// The labels of its pods.
const PODS: &str = "app.kubernetes.io/name=training-manager";

impl Stack {
    /// What the training manager answers, below `/api/v1`.
    ///
    /// # Errors
    /// If there is no answer, or it is not a success.
    pub fn ask_manager(&self, path: &str) -> Result<Value> {
        self.ask(&format!("{}/api/v1/{path}", self.url("manager")))
    }

    /// Follows the training manager's server-sent events: each trial that it tells of, until `is_enough` says so.
    ///
    /// # Errors
    /// If that is not within `limit`, or the stream ends.
    pub fn follow_trials(&self, limit: Duration, mut is_enough: impl FnMut(&Value) -> bool) -> Result<()> {
        let request = self.http().get(format!("{}/api/v1/events", self.url("manager"))).timeout(limit);
        let mut event = String::new();
        for line in BufReader::new(request.send()?.error_for_status()?).lines() {
            let line = line.with_context(|| format!("no more events, or none in {} s", limit.as_secs()))?;
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut event);
            } else if let Some(data) = line.strip_prefix("data:").filter(|_| event == "trial")
                && is_enough(&serde_json::from_str(data)?)
            {
                return Ok(());
            }
        }
        bail!("the stream of events has ended")
    }

    /// The names of the training manager's pods that are ready.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub fn managers(&self) -> Result<Vec<String>> {
        let mut pods = self.kubectl().list(&["pods", "-n", "training-manager", "-l", PODS])?;
        let is_ready = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready = conditions.filter(|one| one["type"] == "Ready" && one["status"] == "True");
            ready.next().is_some() && pod["metadata"]["deletionTimestamp"].is_null()
        };
        pods.retain(is_ready);
        Ok(pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect())
    }

    /// The name of the pod that holds the training manager's Lease, and so writes; empty if none does.
    ///
    /// # Errors
    /// If there is no Lease.
    pub fn leader(&self) -> Result<String> {
        let lease = self.kubectl().get(&["lease", "training-manager", "-n", "training-manager"])?;
        // the pod's name, and what makes each start of it another one
        let holder = text(&lease, "/spec/holderIdentity");
        Ok(holder.rsplit_once('_').map_or(holder, |(pod, _)| pod).to_owned())
    }

    /// One of the numbers that a pod of the training manager gives Prometheus.
    ///
    /// # Errors
    /// If it gives no such number.
    pub fn manager_metric(&self, pod: &str, name: &str) -> Result<f64> {
        let path = format!("/api/v1/namespaces/training-manager/pods/{pod}:8080/proxy/metrics");
        let all = self.kubectl().run(&["get", "--raw", &path])?;
        let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("{pod} has no {name}"))?.trim().parse()?)
    }
}
