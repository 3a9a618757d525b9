//! No address of a repository holds a login: everybody who reads this repository would have it.

use slipway_causes::holds_secret;

use super::Findings;
use crate::environment::Environment;
use crate::object::Object;
use crate::path::Path;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    for deployed in &environment.applications {
        for source in &deployed.application.sources {
            if holds_secret(&source.repository) {
                add(&deployed.application.object, &source.at.key("repoURL"), findings);
            }
        }
    }
    let all = environment.root.iter().chain(environment.objects().map(|(_, object)| object));
    for project in all.filter(|object| object.id.kind == "AppProject") {
        for (index, pattern) in project.node.items_at("spec.sourceRepos").iter().enumerate() {
            if pattern.text().is_some_and(holds_secret) {
                add(project, &Path::of("spec.sourceRepos").item(index), findings);
            }
        }
    }
}

fn add(object: &Object, at: &Path, findings: &mut Findings<'_>) {
    findings.add(
        object,
        at,
        "login-in-address",
        "a login is committed here: whoever can read this repository, or its history, has it",
        "remove it from the address and have its owner revoke it or change it; give Argo CD the new one in a Secret with the label \
         argocd.argoproj.io/secret-type: repository",
    );
}
