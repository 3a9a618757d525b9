//! Containers have requests, a memory limit and probes.

use super::Findings;
use crate::environment::Environment;
use crate::pods::pods;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        for pod in pods(object) {
            for container in pod.containers() {
                let subject = format!("container {} of {}", container.name, object.id);
                let has = |keys: &str| container.node.find(keys).is_some();
                // a TrainJob brings the resources
                if !pod.for_train_jobs {
                    let missing: Vec<&str> = ["cpu", "memory"]
                        .into_iter()
                        .filter(|resource| !has(&format!("resources.requests.{resource}")))
                        .collect();
                    if !missing.is_empty() {
                        let message = format!("{subject} requests no {}", missing.join(" and no "));
                        let help =
                            "the scheduler places pods by their requests: set resources.requests to measured values";
                        findings.add(
                            object,
                            &container.at.key("resources.requests"),
                            "missing-requests",
                            message,
                            help,
                        );
                    }
                    if !has("resources.limits.memory") {
                        let message = format!("{subject} has no memory limit");
                        let help =
                            "without it, the container can use up the node's memory: set resources.limits.memory";
                        findings.add(object, &container.at.key("resources.limits"), "missing-limits", message, help);
                    }
                }
                if pod.serves && !container.init {
                    for probe in ["readinessProbe", "livenessProbe"] {
                        if !has(probe) {
                            let message = format!("{subject} has no {probe}");
                            let help = if probe == "readinessProbe" {
                                "without it, requests arrive and Argo CD starts the next wave before the container can answer"
                            } else {
                                "without it, nothing restarts the container when it hangs"
                            };
                            findings.add(object, &container.at.key(probe), "missing-probe", message, help);
                        }
                    }
                }
            }
        }
    }
}
