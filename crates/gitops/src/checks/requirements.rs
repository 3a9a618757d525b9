//! Containers say what they need and how to ask them how they are.

use super::Findings;
use crate::environment::Environment;
use crate::pods::pods;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        for pod in pods(object) {
            for container in pod.containers() {
                let who = format!("container {} of {}", container.name, object.id);
                let has = |keys: &str| container.node.find(keys).is_some();
                // a TrainJob brings its own
                if !pod.for_train_jobs {
                    let missing: Vec<&str> = ["cpu", "memory"]
                        .into_iter()
                        .filter(|resource| !has(&format!("resources.requests.{resource}")))
                        .collect();
                    if !missing.is_empty() {
                        let message = format!("{who} requests no {}", missing.join(" and no "));
                        let help =
                            "the scheduler places pods by their requests: set resources.requests to what was measured";
                        findings.add(
                            object,
                            &container.at.key("resources.requests"),
                            "missing-requests",
                            message,
                            help,
                        );
                    }
                    if !has("resources.limits.memory") {
                        let message = format!("{who} has no memory limit");
                        let help = "without one it may take the node's memory from others: set resources.limits.memory";
                        findings.add(object, &container.at.key("resources.limits"), "missing-limits", message, help);
                    }
                }
                if pod.serves && !container.init {
                    for probe in ["readinessProbe", "livenessProbe"] {
                        if !has(probe) {
                            let message = format!("{who} has no {probe}");
                            let help = if probe == "readinessProbe" {
                                "without one it is sent requests, and Argo CD goes on to the next wave, before it can answer"
                            } else {
                                "without one nothing restarts it when it hangs"
                            };
                            findings.add(object, &container.at.key(probe), "missing-probe", message, help);
                        }
                    }
                }
            }
        }
    }
}
