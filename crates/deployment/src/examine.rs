//! What Argo CD would deploy to each cluster, from the files alone: built, followed and checked.

use std::path::Path;

use slipway_experiment::NAMESPACE;
use slipway_gitops::{Builds, Demands, Environment, check, follow, kustomizations, root_folder};
use slipway_project::{Project, Tree, count};
use slipway_source::{Finding, Position};

use crate::credentials;
use crate::kustomize::{HOW_TO_GET_KUSTOMIZE, Kustomize};
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
    /// What could not be checked, and what to do about it.
    pub skipped: Option<String>,
}

/// Checks what each environment deploys. A repository without kustomizations does not need kustomize; one that has some, and no
/// kustomize, has [`Deployment::skipped`]. `root` is the folder that holds the tree.
///
/// # Errors
/// [`Error::Program`] when kustomize cannot be started.
pub fn examine(tree: &Tree, root: &Path, project: &Project, kustomize: Option<&Kustomize>) -> Result<Deployment> {
    let folders = folders(tree);
    let mut deployment = Deployment::default();
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
    if folders.is_empty() {
        return Ok(deployment);
    }
    let Some(kustomize) = kustomize else {
        let overlays = count(folders.len(), "kustomization");
        deployment.skipped = Some(format!(
            "{overlays} not built or checked: kustomize was not found; to get it: {HOW_TO_GET_KUSTOMIZE}"
        ));
        return Ok(deployment);
    };
    let builds = kustomize.build_all(tree.files(), Some(root), &folders)?;
    deployment.built = builds.len();
    let (environments, findings) = check(tree.files(), &builds, &demands);
    deployment.environments = environments;
    deployment.findings.extend(findings);
    Ok(deployment)
}

/// Every environment of a tree with its objects, without checks. `root` is the folder that holds the tree, if one does.
///
/// # Errors
/// [`Error::Invalid`] when anything cannot be built or followed; [`Error::Program`] when kustomize cannot be started.
pub fn environments(
    tree: &Tree,
    root: Option<&Path>,
    kustomize: &Kustomize,
    only: Option<&str>,
) -> Result<(Vec<Environment>, Builds)> {
    let builds = kustomize.build_all(tree.files(), root, &folders(tree))?;
    let mut findings = Vec::new();
    for (folder, built) in &builds {
        if let Err(error) = built {
            let message = format!("kustomize cannot build {folder}: {}", error.trim());
            findings.push(Finding::at(folder, Position::START, "kustomize-build", message));
        }
    }
    let mut all = Vec::new();
    for name in tree.folders_in("clusters") {
        if only.is_none_or(|only| only == name) && builds.contains_key(&root_folder(&name)) {
            let (environment, found) = follow(tree.files(), &builds, &name);
            findings.extend(found);
            all.push(environment);
        }
    }
    if findings.is_empty() { Ok((all, builds)) } else { Err(Error::Invalid(findings)) }
}

/// The folders to build. Components are left out, because they are built as parts of other folders.
fn folders(tree: &Tree) -> Vec<String> {
    let all = kustomizations(tree.files()).into_iter();
    all.filter(|one| !one.component).map(|one| one.folder).collect()
}
