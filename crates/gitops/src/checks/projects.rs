//! An Application's project permits its repositories, namespaces and kinds.

use slipway_causes::without_password;
use slipway_source::Node;

use super::Findings;
use crate::application::Destination;
use crate::environment::{Deployed, Environment};
use crate::glob;
use crate::object::{Id, Object};
use crate::path::Path;
use crate::repository::normalized;
use crate::scope::{Scope, Scopes};
use crate::suggest::suggest;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    let projects = projects(environment);
    for deployed in &environment.applications {
        let application = &deployed.application;
        let at = Path::of("spec.project");
        let Some(project) = projects.iter().find(|project| project.id.name == application.project) else {
            let message = format!("Application {} is in project `{}`", application.name(), application.project);
            let names = projects.iter().map(|project| project.id.name.as_str());
            let (message, help) = if application.project == "default" {
                (
                    format!("{message}, which permits everything"),
                    "use a project that limits what the Application may change",
                )
            } else {
                (format!("{message}, which does not exist"), "declare the AppProject, or use another one")
            };
            let help = format!("{help}; {}", suggest(&application.project, names));
            findings.add(&application.object, &at, "unknown-project", message, help);
            continue;
        };
        of_application(deployed, project, &environment.scopes, findings);
    }
}

/// The objects of other repositories. An Application whose project does not exist has a finding already.
pub(super) fn check_upstream(
    environment: &Environment,
    upstream: &[(&Deployed, Vec<Object>)],
    findings: &mut Findings<'_>,
) {
    let projects = projects(environment);
    let all = environment.objects().map(|(_, object)| object).chain(upstream.iter().flat_map(|(_, objects)| objects));
    let scopes = Scopes::defined_by(environment.root.iter().chain(all).map(|object| &object.node));
    for (deployed, objects) in upstream {
        if let Some(project) = projects.iter().find(|project| project.id.name == deployed.application.project) {
            of_objects(deployed, objects, project, &scopes, findings);
        }
    }
}

fn projects(environment: &Environment) -> Vec<&Object> {
    let all = environment.root.iter().chain(environment.objects().map(|(_, object)| object));
    all.filter(|object| object.id.kind == "AppProject").collect()
}

fn of_application(deployed: &Deployed, project: &Object, scopes: &Scopes, findings: &mut Findings<'_>) {
    let (application, name) = (&deployed.application, &project.id.name);
    let object = &application.object;
    for source in &application.sources {
        let permitted = project.node.items_at("spec.sourceRepos").iter().filter_map(Node::text);
        if !permits_repository(permitted, &source.repository) {
            let message =
                format!("project {name} does not permit the repository {}", without_password(&source.repository));
            let help =
                format!("add it to sourceRepos of AppProject {name}, or move the Application to another project");
            findings.add(object, &source.at.key("repoURL"), "source-not-permitted", message, help);
        }
    }
    if !application.namespace.is_empty() && !goes_to(project, &application.destination, &application.namespace) {
        let message = format!("project {name} does not permit the namespace {}", application.namespace);
        let help = format!("add it to destinations of AppProject {name}");
        findings.add(object, &Path::of("spec.destination.namespace"), "namespace-not-permitted", message, help);
    }
    of_objects(deployed, &deployed.objects, project, scopes, findings);
}

fn of_objects(deployed: &Deployed, objects: &[Object], project: &Object, scopes: &Scopes, findings: &mut Findings<'_>) {
    let (application, name) = (&deployed.application, &project.id.name);
    for object in objects {
        let id = &object.id;
        // a kind that is not known may belong to the cluster or to a namespace
        let Some(scope) = scopes.of(&id.group, &id.kind) else { continue };
        if !id.namespace.is_empty()
            && id.namespace != application.namespace
            && !goes_to(project, &application.destination, &id.namespace)
        {
            let message = format!("project {name} does not permit {id} in its namespace");
            let help = format!("add the namespace to destinations of AppProject {name}");
            findings.add(object, &Path::of("metadata.namespace"), "namespace-not-permitted", message, help);
        }
        if !permits_kind(project, id, scope) {
            let group = if id.group.is_empty() { "\"\"" } else { &id.group };
            let message =
                format!("project {name} does not permit {id} (group {group}), which {} deploys", application.name());
            let list = match scope {
                Scope::Cluster => "clusterResourceWhitelist",
                Scope::Namespace => "namespaceResourceWhitelist",
            };
            let help = format!(
                "add {{group: {group}, kind: {}}} to {list} of AppProject {name}, or deploy it elsewhere",
                id.kind
            );
            findings.add(object, &Path::of("kind"), "kind-not-permitted", message, help);
        }
    }
}

/// Whether any pattern matches a repository, and none that begins with `!` does. A `*` does not reach beyond a `/`, except alone.
fn permits_repository<'a>(patterns: impl Iterator<Item = &'a str>, repository: &str) -> bool {
    let repository = normalized(repository);
    let mut permitted = false;
    for pattern in patterns {
        let fits = |pattern: &str| pattern == "*" || glob::matches(&normalized(pattern), &repository, Some('/'));
        match pattern.strip_prefix('!') {
            Some(pattern) if fits(pattern) => return false,
            Some(_) => {}
            None => permitted |= fits(pattern),
        }
    }
    permitted
}

/// Whether a project permits a namespace of a cluster, as Argo CD decides in `isDestinationMatched`.
fn goes_to(project: &Object, to: &Destination, namespace: &str) -> bool {
    /// A pattern with `!` matches what it does not name.
    fn fits(pattern: &str, text: &str) -> bool {
        match pattern.strip_prefix('!') {
            Some(pattern) => !glob::matches(pattern, text, None),
            None => glob::matches(pattern, text, None),
        }
    }
    let denies = |pattern: &str| pattern.starts_with('!');
    let mut permitted = false;
    for item in project.node.items_at("spec.destinations") {
        let [server, name, wanted] = ["server", "name", "namespace"].map(|key| item.text_at(key).unwrap_or_default());
        let by_server = !to.server.is_empty() && fits(server, &to.server);
        let by_name = !to.name.is_empty() && fits(name, &to.name);
        let in_namespace = fits(wanted, namespace);
        if (by_server || by_name) && in_namespace {
            permitted = true;
        } else if (!by_name && denies(name))
            || (!by_server && denies(server) && in_namespace)
            || (!in_namespace && denies(wanted) && by_server)
        {
            return false;
        }
    }
    permitted
}

/// As Argo CD decides: a kind of the cluster must be listed, a kind in a namespace only if there is a list.
fn permits_kind(project: &Object, id: &Id, scope: Scope) -> bool {
    let listed = |list: &str| -> Option<bool> {
        let list = project.node.find("spec").and_then(|spec| spec.get(list))?;
        Some(list.items().iter().any(|item| {
            let (group, kind) = (item.find("group").and_then(Node::text), item.text_at("kind"));
            glob::matches(group.unwrap_or_default(), &id.group, None)
                && glob::matches(kind.unwrap_or_default(), &id.kind, None)
                && item.text_at("name").is_none_or(|name| glob::matches(name, &id.name, None))
        }))
    };
    match scope {
        Scope::Cluster => {
            listed("clusterResourceWhitelist") == Some(true) && listed("clusterResourceBlacklist") != Some(true)
        }
        Scope::Namespace => {
            listed("namespaceResourceWhitelist") != Some(false) && listed("namespaceResourceBlacklist") != Some(true)
        }
    }
}
