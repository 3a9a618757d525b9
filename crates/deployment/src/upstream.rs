//! An Application's objects with those of its upstream sources, rendered as Argo CD's repo-server does: it checks out the repository at the
//! pinned revision, or fetches the chart, applies the source's changes, and builds it with kustomize or helm.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slipway_causes::without_password;
use slipway_digest::Digest;
use slipway_gitops::{Deployed, Environment, Object, Source, at_source, check_upstream, from_upstream};
use slipway_project::{Tree, count};
use slipway_source::Finding;

use crate::changes::{NAMES, change};
use crate::examine::Deployment;
use crate::helm::{Helm, Release};
use crate::kustomize::{Kustomize, Network};
use crate::{Error, Result};

/// What renders the sources of Applications.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    /// Builds kustomizations.
    pub kustomize: &'a Kustomize,
    /// Renders charts. Without it, a chart is an error.
    pub helm: Option<&'a Helm>,
}

/// What upstream sources deploy.
#[derive(Debug, Default)]
pub struct Upstream {
    /// How many sources were rendered.
    pub rendered: usize,
    /// Every mistake.
    pub findings: Vec<Finding>,
    /// What could not be rendered for a reason that is not in the files, such as a repository that does not answer.
    pub skipped: Vec<String>,
}

/// Every object of an Application, with those of its upstream sources. `tree` is what the environment was read from.
///
/// # Errors
/// When the Application does not exist, a source of it in this repository cannot be read, or an upstream source cannot be fetched, changed or
/// built.
pub fn render(tree: &Tree, environment: &Environment, name: &str, programs: Programs<'_>) -> Result<Vec<Object>> {
    let Some(deployed) = environment.application(name) else {
        return Err(Error::NoApplication { environment: environment.name.clone(), name: name.to_owned() });
    };
    if deployed.omitted {
        let reasons: Vec<String> = environment.omitted.iter().map(ToString::to_string).collect();
        return Err(Error::Upstream(format!("Application {name} cannot be rendered here:\n{}", reasons.join("\n"))));
    }
    let mut objects = deployed.objects.clone();
    objects.extend(Renderer::new(programs).objects(tree, environment, deployed)?);
    Ok(objects)
}

/// Renders every upstream source of a tree, and checks what it deploys: whether the Application's project permits it, whether Pod Security
/// accepts its pods, and whether it can be applied. Fetches what is not in the cache.
#[must_use]
pub fn examine_upstream(tree: &Tree, deployment: &Deployment, programs: Programs<'_>) -> Upstream {
    let renderer = Renderer::new(programs);
    let mut done = Upstream::default();
    for environment in &deployment.environments {
        let mut all = Vec::new();
        for deployed in &environment.applications {
            for source in environment.upstream_sources(deployed) {
                match renderer.source(tree, environment, deployed, source) {
                    Ok(objects) => {
                        done.rendered += 1;
                        all.push((deployed, objects));
                    }
                    Err(error) if error.is_environment() => {
                        let name = deployed.application.name();
                        let skipped = format!("Application {name} was not rendered: {error}");
                        if !done.skipped.contains(&skipped) {
                            done.skipped.push(skipped);
                        }
                    }
                    Err(error) => {
                        let name = deployed.application.name();
                        let (file, at) = at_source(tree.files(), &deployed.application, source);
                        let message = format!("Application {name} cannot be rendered: {error}");
                        done.findings.push(Finding::at(&file, at, "upstream-build", message));
                    }
                }
            }
        }
        done.findings.extend(check_upstream(tree.files(), environment, &all));
    }
    done.findings.sort();
    // environments share their Applications
    done.findings.dedup();
    done
}

/// How many upstream sources the environments have, in words; `None` if there are none.
#[must_use]
pub fn not_rendered(deployment: &Deployment) -> Option<String> {
    let of = |environment: &Environment| {
        environment.applications.iter().map(|one| environment.upstream_sources(one).count()).sum::<usize>()
    };
    let all: usize = deployment.environments.iter().map(of).sum();
    (all > 0).then(|| format!("{} in other repositories", count(all, "source")))
}

/// Renders sources; each that several environments share only once.
#[derive(Debug)]
pub(crate) struct Renderer<'a> {
    programs: Programs<'a>,
    /// The rendered text by the folder, the chart and all options.
    done: RefCell<BTreeMap<String, String>>,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(programs: Programs<'a>) -> Self {
        Self { programs, done: RefCell::default() }
    }

    /// The objects of all upstream sources of an Application.
    pub(crate) fn objects(&self, tree: &Tree, environment: &Environment, deployed: &Deployed) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        for source in environment.upstream_sources(deployed) {
            objects.extend(self.source(tree, environment, deployed, source)?);
        }
        Ok(objects)
    }

    fn source(
        &self,
        tree: &Tree,
        environment: &Environment,
        deployed: &Deployed,
        source: &Source,
    ) -> Result<Vec<Object>> {
        let application = &deployed.application;
        let referenced = |file: &str| referenced(tree, environment, deployed, file).map(<[u8]>::to_vec);
        let release = Release {
            application: application.name(),
            namespace: &application.namespace,
            options: source.helm.as_ref(),
            referenced: &referenced,
        };
        // files of this repository may differ although the source is the same
        let files: Vec<_> = value_files(source).map(referenced).collect::<Result<_>>()?;
        let key = format!("{} {} {source:?} {files:?}", release.application, release.namespace);
        let known = self.done.borrow().get(&key).cloned();
        let text = match known {
            Some(text) => text,
            None => {
                let text = self.build(source, &release)?;
                self.done.borrow_mut().insert(key, text.clone());
                text
            }
        };
        from_upstream(tree.files(), application, source, &text)
            .map_err(|error| Error::Upstream(format!("what was rendered from {}: {error}", shown(source))))
    }

    fn build(&self, source: &Source, release: &Release<'_>) -> Result<String> {
        let Programs { kustomize, helm } = self.programs;
        let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let origin = format!("{} at {}", shown(source), source.revision);
        if source.chart.is_some() || source.repository.starts_with("oci://") {
            let helm = helm.ok_or(Error::NoHelm)?;
            // the cached chart stays unchanged
            copy(&chart(source, helm, kustomize.cache())?, folder.path())?;
            let what = source.chart.as_deref().unwrap_or("the chart");
            return helm
                .template(folder.path(), release)?
                .map_err(|reason| Error::Upstream(format!("helm cannot render {what} of {origin}: {reason}")));
        }
        let Some(path) = &source.path else {
            return Err(Error::Upstream(format!("{origin}: a source needs a path or a chart")));
        };
        let checkout = checkout(source, path, kustomize.cache())?;
        let top = top(path);
        copy(&checkout.join(top), &folder.path().join(top))?;
        let here = folder.path().join(path);
        let is_kustomization = NAMES.iter().any(|name| here.join(name).is_file());
        if source.helm.is_some() || (!is_kustomization && here.join("Chart.yaml").is_file()) {
            return helm
                .ok_or(Error::NoHelm)?
                .template(&here, release)?
                .map_err(|reason| Error::Upstream(format!("helm cannot render {path} of {origin}: {reason}")));
        }
        if !is_kustomization {
            return Err(Error::Upstream(format!(
                "{path} of {origin} holds neither a kustomization nor a chart, and nothing else can be rendered here"
            )));
        }
        if let Some(changes) = &source.kustomize {
            change(&here, changes)?;
        }
        kustomize
            .run(folder.path(), path, Network::Allowed)?
            .map_err(|reason| Error::Upstream(format!("kustomize cannot build {path} of {origin}: {}", reason.trim())))
    }
}

/// The entries of `valueFiles` that are in another source: `$REF/PATH`.
pub(crate) fn value_files(source: &Source) -> impl Iterator<Item = &str> {
    let files = source.helm.as_ref().and_then(|helm| helm.get("valueFiles")).and_then(Value::as_array);
    files.into_iter().flatten().filter_map(Value::as_str).filter(|file| file.starts_with('$'))
}

/// The content of `$REF/PATH`, where REF is a source of the Application in this repository.
pub(crate) fn referenced<'a>(
    tree: &'a Tree,
    environment: &Environment,
    deployed: &Deployed,
    file: &str,
) -> Result<&'a [u8]> {
    let (name, path) = file.trim_start_matches('$').split_once('/').unwrap_or_default();
    let Some(source) = deployed.application.sources.iter().find(|one| one.reference.as_deref() == Some(name)) else {
        return Err(Error::Upstream(format!("valueFiles: {file}: no source has `ref: {name}`")));
    };
    if !environment.is_own(source) {
        return Err(Error::Upstream(format!(
            "valueFiles: {file} is in {}, and values of another repository cannot be read here",
            shown(source)
        )));
    }
    tree.bytes(path).ok_or_else(|| {
        Error::Upstream(format!(
            "valueFiles: {file}: there is no {path}; of this repository, only regular files below argocd/, base/, clusters/, datasets/, \
             experiments/ and overlays/ are read"
        ))
    })
}

/// The address of a source's repository, as messages show it.
fn shown(source: &Source) -> String {
    without_password(&source.repository)
}

/// The first folder of a path. Manifests refer to their neighbours, so no more of the repository is needed.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// The repository at a revision (a branch, a tag or a commit), from the cache or by the user's git with its proxies and credentials.
fn checkout(source: &Source, path: &str, cache: &Path) -> Result<PathBuf> {
    let (url, revision, top) = (&source.repository, &source.revision, top(path));
    kept(cache, &format!("{url}\n{revision}\n{top}"), is_fixed(revision), |part| {
        slipway_git::check_out(url, revision, top, part)?;
        if part.join(path).is_dir() {
            return Ok(());
        }
        Err(Error::Upstream(format!("{} has no folder {path} at {revision}", shown(source))))
    })
}

/// A chart, from the cache or by helm with the user's proxies and logins.
fn chart(source: &Source, helm: &Helm, cache: &Path) -> Result<PathBuf> {
    let (repository, version) = (&source.repository, &source.revision);
    let name = source.chart.as_deref().unwrap_or_default();
    let key = format!("chart\n{repository}\n{name}\n{version}");
    let folder = kept(cache, &key, is_fixed(version), |part| helm.pull(source, part))?;
    // helm unpacks it into a folder with the chart's own name
    let failed = Error::file(&folder);
    let inside = std::fs::read_dir(&folder).map_err(&failed)?.map(|entry| Ok(entry.map_err(&failed)?.path()));
    let inside = inside.collect::<Result<Vec<_>>>()?;
    inside.into_iter().find(|path| path.join("Chart.yaml").is_file()).ok_or_else(|| {
        Error::Upstream(format!("what {} has as {name} {version} is not a chart: it has no Chart.yaml", shown(source)))
    })
}

/// A folder of the cache, filled by `fetch` if it does not exist. One that is not `fixed` is filled again each time.
fn kept(cache: &Path, key: &str, fixed: bool, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let name = Digest::of(key).hex();
    let folder = cache.join("upstream").join(&name[..32]);
    if folder.is_dir() {
        if fixed {
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
    fetch(part.path())?;
    let part = part.keep();
    match std::fs::rename(&part, &folder) {
        // another process was faster, and it has the same
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&part).map_err(&failed)?,
        other => other.map_err(&failed)?,
    }
    Ok(folder)
}

/// Whether a revision stays what it is: a whole commit hash, or the tag of a release such as `v1.2.3`.
fn is_fixed(revision: &str) -> bool {
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let version = revision.strip_prefix('v').unwrap_or(revision);
    // what follows the numbers names a pre-release or a build; a range of versions has `*`, `x`, a comparison or a space
    let (numbers, rest) = version.split_at(version.find(['-', '+']).unwrap_or(version.len()));
    let is_release = numbers.split('.').count() == 3
        && numbers.split('.').all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte));
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
        for fixed in
            ["8162c7c4a48f3ee0e91b1a3eb90616cf319a4b1a", "v2.3.0", "1.6.1", "v0.12.0-rc.1", "1.2.3-rc.x+build-7"]
        {
            assert!(is_fixed(fixed), "{fixed}");
        }
        let branches = ["main", "HEAD", "release-1.2", "v1", "8162c7c"];
        let ranges = [
            "1.x",
            "v1.x.0",
            "1.6.*",
            "1.2.x",
            "1.2.X",
            "1.*",
            "*",
            "~1.2.3",
            "^1.2.3",
            ">=1.2.3",
            "1.2.3 - 1.5.0",
            "1.2.3 || 2.0.0",
            "1.2.3 <2.0.0",
            "1.2.",
            "1.2",
        ];
        for moving in branches.into_iter().chain(ranges) {
            assert!(!is_fixed(moving), "{moving}");
        }
    }
}
