//! `slipway doctor --cluster`: what is unhealthy, from the Application down to the last log lines of a container.

use serde_json::json;
use slipway_cluster::{Cluster, Diagnosis, components, diagnose, exposure};
use slipway_project::count;

use crate::context::Context;
use crate::examined::{self, Mark};
use crate::failure::Failure;

pub(super) async fn run(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let cluster = Cluster::connect(name).await?;
    let all = components(&cluster, None).await?;
    if all.is_empty() {
        let message = format!(
            "the cluster of context {} has no Application: set it up with `slipway bootstrap <env>`",
            cluster.context()
        );
        return Err(Failure::Service(message));
    }
    let diagnoses = diagnose(&cluster).await?;
    for component in all.iter().filter(|component| component.is_green()) {
        context.say(format!(
            "{} {:<22} {}, {}",
            context.paint("32", "✓"),
            component.name,
            component.sync,
            component.health
        ));
    }
    for diagnosis in &diagnoses {
        show(context, diagnosis);
    }
    let addresses = exposure(&cluster).await?;
    for one in &addresses {
        let mark = if one.ok { Mark::Good } else { Mark::Bad };
        examined::show(context, mark, &one.what, &one.found, one.how.as_deref());
    }
    context.json(&json!({ "applications": all, "unhealthy": diagnoses, "addresses": addresses }))?;
    let exposed = addresses.iter().filter(|one| !one.ok).count();
    if diagnoses.is_empty() && exposed == 0 {
        return Ok(());
    }
    if !diagnoses.is_empty() {
        context.say(format!("{} out of sync or not healthy", count(diagnoses.len(), "Application")));
    }
    if exposed > 0 {
        context.say(format!("{} not known to be private", count(exposed, "load balancer")));
    }
    Err(Failure::Reported(6))
}

fn show(context: &Context, diagnosis: &Diagnosis) {
    let component = &diagnosis.component;
    let state = match (component.sync.as_str(), component.health.as_str()) {
        ("", _) => "not seen by Argo CD yet".to_owned(),
        (sync, health) => format!("{sync}, {health}"),
    };
    context.say(format!("{} {:<22} {state}", context.paint("31", "✗"), component.name));
    for line in component.message.lines() {
        context.say(format!("    {line}"));
    }
    for resource in &diagnosis.resources {
        context.say(format!("    {}: {}", context.paint("1", &resource.resource), resource.reason));
        if let Some(warning) = &resource.warning {
            context.say(format!("      {warning}"));
        }
        for pod in &resource.pods {
            let container =
                if pod.container.is_empty() { String::new() } else { format!(", container {}", pod.container) };
            context.say(format!(
                "      pod {}{container}: {} {}",
                pod.pod,
                context.paint("31", &pod.reason),
                pod.message
            ));
            for line in &pod.log {
                context.say(format!("        | {line}"));
            }
        }
    }
}
