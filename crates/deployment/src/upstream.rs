//! An Application's objects with those of its upstream sources, built as Argo CD's repo-server does: it checks out the repository at
//! the pinned revision, applies the source's changes to its kustomization, and builds it.

use std::path::{Path, PathBuf};

use slipway_digest::Digest;
use slipway_gitops::{Environment, Object, Source, built};

use crate::changes::change;
use crate::kustomize::{Kustomize, Network};
use crate::{Error, Result};

/// Every object of an Application, with those of its upstream sources.
///
/// # Errors
/// When the Application does not exist, a source of it in this repository cannot be read, or an upstream source cannot be fetched, changed or
/// built.
pub fn render(environment: &Environment, name: &str, kustomize: &Kustomize) -> Result<Vec<Object>> {
    let Some(deployed) = environment.application(name) else {
        return Err(Error::NoApplication { environment: environment.name.clone(), name: name.to_owned() });
    };
    if deployed.omitted {
        let reasons: Vec<String> = environment.omitted.iter().map(ToString::to_string).collect();
        return Err(Error::Upstream(format!("Application {name} cannot be rendered here:\n{}", reasons.join("\n"))));
    }
    let mut objects = deployed.objects.clone();
    for source in &deployed.application.sources {
        if environment.is_own(source) {
            continue;
        }
        let Some(path) = &source.path else {
            return Err(Error::Upstream(format!(
                "Application {name} has a source without a path ({}): only kustomize sources can be rendered here",
                source.repository
            )));
        };
        let text = build(source, path, kustomize)?;
        let namespace = &deployed.application.namespace;
        let more = built(&text, namespace, path)
            .map_err(|error| Error::Upstream(format!("what kustomize built from {path}: {error}")))?;
        objects.extend(more);
    }
    Ok(objects)
}

fn build(source: &Source, path: &str, kustomize: &Kustomize) -> Result<String> {
    let checkout = checkout(source, path, kustomize.cache())?;
    // the cached checkout stays unchanged
    let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
    let top = top(path);
    copy(&checkout.join(top), &folder.path().join(top))?;
    if let Some(changes) = &source.kustomize {
        change(&folder.path().join(path), changes)?;
    }
    kustomize.run(folder.path(), path, Network::Allowed)?.map_err(|reason| {
        let origin = format!("{} at {}", source.repository, source.revision);
        Error::Upstream(format!("kustomize cannot build {path} of {origin}: {}", reason.trim()))
    })
}

/// The first folder of a path. Manifests refer to their neighbours, so no more of the repository is needed.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// The repository at a revision (a branch, a tag or a commit), from the cache or by the user's git with its proxies and credentials.
fn checkout(source: &Source, path: &str, cache: &Path) -> Result<PathBuf> {
    let (url, revision, top) = (&source.repository, &source.revision, top(path));
    let name = Digest::of(format!("{url}\n{revision}\n{top}")).hex();
    let folder = cache.join("upstream").join(&name[..32]);
    if folder.is_dir() {
        if is_fixed(revision) {
            return Ok(folder);
        }
        // a branch moves: what was fetched before may be out of date
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    let failed = Error::file(&folder);
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(&failed)?;
    // moved there when it is complete, so that no process sees a part of it
    let part = tempfile::tempdir_in(parent).map_err(&failed)?;
    slipway_git::check_out(url, revision, top, part.path())?;
    if !part.path().join(path).is_dir() {
        return Err(Error::Upstream(format!("{url} has no folder {path} at {revision}")));
    }
    let part = part.keep();
    match std::fs::rename(&part, &folder) {
        // another process was faster, and its checkout is the same
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&part).map_err(&failed)?,
        other => other.map_err(&failed)?,
    }
    Ok(folder)
}

/// Whether a revision stays what it is: a whole commit hash, or the tag of a release such as `v1.2.3`.
fn is_fixed(revision: &str) -> bool {
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let numbers = revision.strip_prefix('v').unwrap_or(revision).split('.').take(3);
    let is_release = numbers.clone().count() == 3
        && numbers.take(2).all(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    is_commit || is_release
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = Error::file(from);
    std::fs::create_dir_all(to).map_err(&failed)?;
    for entry in std::fs::read_dir(from).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).map_err(&failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_and_a_release_are_kept_and_a_branch_is_not() {
        for fixed in ["8162c7c4a48f3ee0e91b1a3eb90616cf319a4b1a", "v2.3.0", "1.6.1", "v0.12.0-rc.1"] {
            assert!(is_fixed(fixed), "{fixed}");
        }
        for moving in ["main", "HEAD", "release-1.2", "v1", "1.x", "8162c7c", "v1.x.0"] {
            assert!(!is_fixed(moving), "{moving}");
        }
    }
}
