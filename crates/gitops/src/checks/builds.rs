//! Every folder builds, and every overlay is deployed by someone.

use crate::environment::Environment;
use crate::finding::Finding;
use crate::kustomization::{file_of, kustomizations, reach};
use crate::object::Origin;
use crate::{Builds, Files};

/// Folders that kustomize refused.
pub(super) fn findings(files: &Files, builds: &Builds) -> Vec<Finding> {
    let failed = builds.iter().filter_map(|(folder, built)| Some((folder, built.as_ref().err()?)));
    failed
        .map(|(folder, said)| {
            // the innermost cause is the last thing that it says
            let said = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
            Finding {
                file: file_of(files, folder).unwrap_or_else(|| folder.clone()),
                line: 1,
                column: 1,
                code: "kustomize-build",
                message: format!("kustomize cannot build {folder}: {}", said.trim_start_matches("Error: ")),
                help: format!("see it with `kustomize build {folder}`"),
            }
        })
        .collect()
}

/// Overlays of an environment that no Application deploys, neither by itself nor as a part of another.
pub(super) fn not_synced(files: &Files, environment: &Environment) -> Vec<Finding> {
    let mut deployed: Vec<String> = Vec::new();
    for one in &environment.applications {
        for path in one.application.sources.iter().filter_map(|source| source.path.as_deref()) {
            deployed.extend(reach(files, path));
        }
        deployed.extend(one.objects.iter().filter_map(|object| match &object.origin {
            Origin::Built(folder) => Some(folder.clone()),
            Origin::File(_) => None,
        }));
    }
    let prefix = format!("overlays/{}/", environment.name);
    kustomizations(files)
        .into_iter()
        .filter(|one| one.folder.starts_with(&prefix) && !one.component && !deployed.contains(&one.folder))
        .map(|one| Finding {
            file: one.file,
            line: 1,
            column: 1,
            code: "not-synced",
            message: format!("no Application of {} deploys {}", environment.name, one.folder),
            help: format!("add an Application to clusters/{}, or remove the folder", environment.name),
        })
        .collect()
}
