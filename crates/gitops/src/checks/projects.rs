//! What an Application's project permits: repositories, namespaces, kinds.

use super::{Findings, closest};
use crate::environment::{Deployed, Environment};
use crate::glob;
use crate::object::{Id, Object, is_cluster_scoped};
use crate::path::Path;
use crate::yaml::Node;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    let all = || environment.root.iter().chain(environment.objects().map(|(_, object)| object));
    let projects: Vec<&Object> = all().filter(|object| object.id.kind == "AppProject").collect();
    for deployed in &environment.applications {
        let application = &deployed.application;
        let at = Path::of("spec.project");
        let Some(project) = projects.iter().find(|project| project.id.name == application.project) else {
            let message = format!("Application {} is of project `{}`", application.name(), application.project);
            let known = projects.iter().map(|project| project.id.name.as_str());
            let (message, help) = if application.project == "default" {
                (format!("{message}, which permits everything"), "name one that says what it may touch")
            } else {
                (format!("{message}, which is not in the tree"), "declare the AppProject, or name another one")
            };
            let help = format!("{help}; {}", closest(&application.project, known));
            findings.add(&application.object, &at, "unknown-project", message, help);
            continue;
        };
        of_application(deployed, project, findings);
    }
}

fn of_application(deployed: &Deployed, project: &Object, findings: &mut Findings<'_>) {
    let (application, name) = (&deployed.application, &project.id.name);
    let object = &application.object;
    for source in &application.sources {
        let permitted = project.node.items_at("spec.sourceRepos").iter().filter_map(Node::text);
        if !permits(permitted, &source.repository) {
            let message = format!("project {name} does not permit the repository {}", source.repository);
            let help =
                format!("add it to sourceRepos of AppProject {name}, or move the Application to another project");
            findings.add(object, &source.at.key("repoURL"), "source-not-permitted", message, help);
        }
    }
    if !application.namespace.is_empty() && !goes_to(project, &application.namespace) {
        let message = format!("project {name} does not permit the namespace {}", application.namespace);
        let help = format!("add it to destinations of AppProject {name}");
        findings.add(object, &Path::of("spec.destination.namespace"), "namespace-not-permitted", message, help);
    }
    for object in &deployed.objects {
        let id = &object.id;
        if !id.namespace.is_empty() && id.namespace != application.namespace && !goes_to(project, &id.namespace) {
            let message = format!("project {name} does not permit {id} in its namespace");
            let help = format!("add the namespace to destinations of AppProject {name}");
            findings.add(object, &Path::of("metadata.namespace"), "namespace-not-permitted", message, help);
        }
        if !permits_kind(project, id) {
            let group = if id.group.is_empty() { "\"\"" } else { &id.group };
            let message =
                format!("project {name} does not permit {id} (group {group}), which {} deploys", application.name());
            let list =
                if is_cluster_scoped(&id.kind) { "clusterResourceWhitelist" } else { "namespaceResourceWhitelist" };
            let help = format!(
                "add {{group: {group}, kind: {}}} to {list} of AppProject {name}, or deploy it elsewhere",
                id.kind
            );
            findings.add(object, &Path::of("kind"), "kind-not-permitted", message, help);
        }
    }
}

/// Whether any pattern permits and none that begins with `!` forbids.
fn permits<'a>(patterns: impl Iterator<Item = &'a str>, text: &str) -> bool {
    let mut permitted = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob::matches(pattern, text) => return false,
            Some(_) => {}
            None => permitted |= glob::matches(pattern, text),
        }
    }
    permitted
}

fn goes_to(project: &Object, namespace: &str) -> bool {
    let destinations = project.node.items_at("spec.destinations");
    permits(destinations.iter().filter_map(|destination| destination.text_at("namespace")), namespace)
}

/// As Argo CD decides: what is of the cluster must be listed, what is of a namespace only where there is a list.
fn permits_kind(project: &Object, id: &Id) -> bool {
    let listed = |list: &str| -> Option<bool> {
        let list = project.node.find("spec").and_then(|spec| spec.get(list))?;
        Some(list.items().iter().any(|item| {
            let (group, kind) = (item.find("group").and_then(Node::text), item.text_at("kind"));
            glob::matches(group.unwrap_or_default(), &id.group)
                && glob::matches(kind.unwrap_or_default(), &id.kind)
                && item.text_at("name").is_none_or(|name| glob::matches(name, &id.name))
        }))
    };
    if is_cluster_scoped(&id.kind) {
        listed("clusterResourceWhitelist") == Some(true) && listed("clusterResourceBlacklist") != Some(true)
    } else {
        listed("namespaceResourceWhitelist") != Some(false) && listed("namespaceResourceBlacklist") != Some(true)
    }
}
