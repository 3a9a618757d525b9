//! The CPU that pods use.

use anyhow::{Context as _, Result};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Stack;
use crate::kubectl::text;

impl Stack {
    /// How much CPU a pod has used so far, in seconds of one core, and when the kubelet looked: it does so every ten seconds or so.
    ///
    /// # Errors
    /// If there is no such pod, or the kubelet has not looked yet.
    pub fn cpu(&self, namespace: &str, pod: &str) -> Result<(OffsetDateTime, f64)> {
        let nodes = self.kubectl().list(&["nodes"])?;
        let node = text(nodes.first().context("there is no node")?, "/metadata/name");
        let summary = self.kubectl().run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/stats/summary")])?;
        let summary: Value = serde_json::from_str(&summary)?;
        let is_it = |one: &&Value| text(one, "/podRef/namespace") == namespace && text(one, "/podRef/name") == pod;
        let found = summary["pods"].as_array().into_iter().flatten().find(is_it);
        let cpu = &found.with_context(|| format!("the kubelet does not know {namespace}/{pod}"))?["cpu"];
        let nanoseconds = cpu["usageCoreNanoSeconds"].as_u64().with_context(|| format!("the CPU of {pod}: {cpu}"))?;
        Ok((OffsetDateTime::parse(text(cpu, "/time"), &Rfc3339)?, nanoseconds as f64 / 1e9))
    }
}
