//! What Argo CD would deploy to each cluster, from the files alone: built, followed and checked.

use std::collections::BTreeSet;

use slipway_experiment::NAMESPACE;
use slipway_gitops::{
    Builds, Changed, Demands, Environment, buildable, check, follow, kustomizations, root_folder, unbuildable,
};
use slipway_project::{Project, Tree, count};
use slipway_source::Finding;

use crate::credentials;
use crate::kustomize::{HOW_TO_GET_KUSTOMIZE, Kustomize, Wanted};
use crate::{Error, Result};

/// What a tree deploys.
#[derive(Debug, Default)]
pub struct Deployment {
    /// The environments, each with its Applications and their objects.
    pub environments: Vec<Environment>,
    /// Every mistake.
    pub findings: Vec<Finding>,
    /// The number of folders that kustomize built.
    pub built: usize,
    /// What could not be checked, and what to do about it: one text for each.
    pub skipped: Vec<String>,
}

/// Checks what each environment deploys. A repository without kustomizations does not need kustomize; one that has some, and no
/// kustomize, has that in [`Deployment::skipped`].
///
/// # Errors
/// [`Error::Program`] when kustomize cannot be started.
pub fn examine(tree: &Tree, project: &Project, kustomize: Option<&Kustomize>) -> Result<Deployment> {
    // the project has those of the other folders
    let mut deployment = Deployment { findings: tree.unread(&["argocd", "base"]), ..Deployment::default() };
    let mut demands = Vec::new();
    for (name, environment) in &project.environments {
        match credentials(tree, name) {
            Ok(credentials) => demands.push(Demands {
                environment: name.clone(),
                jobs_namespace: NAMESPACE.to_owned(),
                images_by_digest: environment.cluster.images_by_digest,
                secrets: credentials.secrets(),
            }),
            Err(findings) => deployment.findings.extend(findings),
        }
    }
    let all = kustomizations(tree.files()).iter().filter(|one| !one.component).count();
    if all == 0 {
        return Ok(deployment);
    }
    let Some(kustomize) = kustomize else {
        let overlays = count(all, "kustomization");
        deployment.skipped.push(format!(
            "{overlays} not built or checked: kustomize was not found; to get it: {HOW_TO_GET_KUSTOMIZE}"
        ));
        return Ok(deployment);
    };
    let names: Vec<&str> = project.environments.keys().map(String::as_str).collect();
    let Built { builds, followed, remote } = build(tree, kustomize, &names)?;
    deployment.built = builds.folders.len();
    let (environments, findings) = check(tree.files(), &builds, followed, &demands);
    deployment.findings.extend(remote);
    deployment.findings.extend(findings);
    deployment.findings.sort();
    let omitted = environments.iter().flat_map(|environment| &environment.omitted);
    deployment.skipped.extend(omitted.map(|one| format!("{one}; {}", one.help.as_deref().unwrap_or_default())));
    deployment.skipped.sort();
    deployment.skipped.dedup();
    deployment.environments = environments;
    Ok(deployment)
}

/// Every environment of a tree with its objects, without checks.
///
/// # Errors
/// [`Error::Invalid`] when anything cannot be built or followed; [`Error::Program`] when kustomize cannot be started.
pub fn environments(tree: &Tree, kustomize: &Kustomize, only: Option<&str>) -> Result<(Vec<Environment>, Builds)> {
    let names = tree.folders_in("clusters");
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| only.is_none_or(|only| only == *name)).collect();
    let Built { builds, followed, remote: mut findings } = build(tree, kustomize, &names)?;
    findings.extend(tree.unread(&["argocd", "base", "clusters", "overlays"]));
    findings.extend(unbuildable(tree.files(), &builds));
    let mut all = Vec::new();
    for (environment, found) in followed {
        findings.extend(found);
        if builds.folders.contains_key(&root_folder(&environment.name)) {
            all.push(environment);
        }
    }
    findings.sort();
    findings.dedup();
    if findings.is_empty() { Ok((all, builds)) } else { Err(Error::Invalid(findings)) }
}

/// Applications that bring Applications, each with changes to build, are followed this deep.
const MAX_ROUNDS: usize = 10;

/// What was built of a tree, and what its environments are by that.
struct Built {
    builds: Builds,
    followed: Vec<(Environment, Vec<Finding>)>,
    /// References to somewhere else, whose folders are not built.
    remote: Vec<Finding>,
}

/// Builds everything that the named environments need.
fn build(tree: &Tree, kustomize: &Kustomize, environments: &[&str]) -> Result<Built> {
    let files = tree.files();
    let (folders, remote) = buildable(files);
    let wanted: Vec<Wanted> = folders.iter().map(|folder| Wanted::folder(folder)).collect();
    let built = kustomize.build_all(files, &wanted)?;
    let mut builds = Builds { folders: folders.into_iter().zip(built).collect(), ..Builds::default() };
    // an Application in one of these builds may bring more to build
    let mut round = 0;
    loop {
        let followed: Vec<_> = environments.iter().map(|name| follow(files, &builds, name)).collect();
        let unbuilt: BTreeSet<Changed> =
            followed.iter().flat_map(|(environment, _)| environment.unbuilt.iter().cloned()).collect();
        if unbuilt.is_empty() {
            return Ok(Built { builds, followed, remote });
        }
        let wanted: Vec<Wanted> = unbuilt.iter().map(Wanted::changed).collect();
        let built = if round < MAX_ROUNDS {
            kustomize.build_all(files, &wanted)?
        } else {
            vec![Err(format!("it is more than {MAX_ROUNDS} Applications away from the root")); wanted.len()]
        };
        builds.changed.extend(unbuilt.into_iter().zip(built));
        round += 1;
    }
}
