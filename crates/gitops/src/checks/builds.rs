//! Every folder builds, and an Application deploys every overlay.

use slipway_source::{Finding, Position};

use crate::build_error::innermost;
use crate::environment::Environment;
use crate::kustomization::{file_of, kustomizations, reach};
use crate::object::Origin;
use crate::{Builds, Files};

/// Folders that kustomize cannot build. The finding is at the folder with the mistake, so that one mistake in a base is one finding.
pub fn unbuildable(files: &Files, builds: &Builds) -> Vec<Finding> {
    let failed = builds.folders.iter().filter_map(|(folder, built)| Some((folder, built.as_ref().err()?)));
    failed
        .map(|(folder, error)| {
            let (folder, reason) = innermost(files, folder, error);
            let file = file_of(files, &folder).unwrap_or_else(|| folder.clone());
            let message = format!("kustomize cannot build {folder}: {reason}");
            Finding::at(&file, Position::START, "kustomize-build", message)
                .with_help("run `kustomize build` on this folder, or on one that uses it as a component")
        })
        .collect()
}

/// Overlays of an environment that no Application deploys, neither directly nor as a part of another folder.
pub(super) fn not_synced(files: &Files, environment: &Environment) -> Vec<Finding> {
    if environment.unexpanded {
        return Vec::new();
    }
    let mut deployed: Vec<String> = Vec::new();
    for one in &environment.applications {
        for path in one.application.sources.iter().filter_map(|source| source.path.as_deref()) {
            deployed.extend(reach(files, path));
        }
        deployed.extend(one.objects.iter().filter_map(|object| match &object.origin {
            Origin::Built(folder) => Some(folder.clone()),
            Origin::File(_) | Origin::Upstream(..) => None,
        }));
    }
    let prefix = format!("overlays/{}/", environment.name);
    kustomizations(files)
        .into_iter()
        .filter(|one| one.folder.starts_with(&prefix) && !one.component && !deployed.contains(&one.folder))
        .map(|one| {
            let message = format!("no Application of {} deploys {}", environment.name, one.folder);
            Finding::at(&one.file, Position::START, "not-synced", message)
                .with_help(format!("add an Application to clusters/{}, or remove the folder", environment.name))
        })
        .collect()
}
