//! Everything that `check` looks at, one concept a file.

mod builds;
mod duplicates;
mod images;
mod index;
mod names;
mod pod_references;
mod projects;
mod rbac;
mod requirements;
mod routes;
mod runtimes;
mod security;
mod selectors;
mod urls;
mod waves;

use std::collections::BTreeSet;

use crate::environment::{Environment, follow};
use crate::finding::Finding;
use crate::kustomization::below;
use crate::locate::locate;
use crate::object::Object;
use crate::path::Path;
use crate::{Builds, Files};

use index::Index;

/// What an environment asks beyond what its tree says.
#[derive(Clone, Debug, Default)]
pub struct Demands {
    /// The environment.
    pub environment: String,
    /// Whether every image must be named by its digest.
    pub images_by_digest: bool,
    /// The namespace of the TrainJobs, where the pods of a cluster's runtime will be also while there is none.
    pub jobs_namespace: String,
    /// Secrets that are not in git: made by bootstrap, or by something outside.
    pub secrets: Vec<Secret>,
}

/// A Secret that is not in git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The keys that it will have.
    pub keys: Vec<String>,
}

/// Checks the tree of every environment. Findings are sorted by place and each is given once, however many environments share it.
pub fn check(files: &Files, builds: &Builds, demands: &[Demands]) -> (Vec<Environment>, Vec<Finding>) {
    let mut all: BTreeSet<Finding> = builds::findings(files, builds).into_iter().collect();
    let mut environments = Vec::new();
    for demands in demands {
        let (environment, findings) = follow(files, builds, &demands.environment);
        all.extend(findings);
        if environment.applications.is_empty() {
            continue;
        }
        all.extend(of_environment(files, &environment, demands));
        all.extend(builds::not_synced(files, &environment));
        environments.push(environment);
    }
    // environments that share a mistake may differ in what they propose
    let mut all: Vec<Finding> = all.into_iter().collect();
    all.dedup_by(|a, b| Finding { help: String::new(), ..a.clone() } == Finding { help: String::new(), ..b.clone() });
    (environments, all)
}

fn of_environment(files: &Files, environment: &Environment, demands: &Demands) -> Vec<Finding> {
    let index = Index::new(environment, demands);
    let mut findings = Findings { files, all: Vec::new() };
    duplicates::check(environment, &mut findings);
    names::check(environment, &index, &mut findings);
    projects::check(environment, &mut findings);
    waves::check(environment, &mut findings);
    images::check(environment, demands, &mut findings);
    requirements::check(environment, &mut findings);
    security::check(environment, &mut findings);
    pod_references::check(environment, &index, demands, &mut findings);
    routes::check(environment, &index, &mut findings);
    urls::check(environment, &index, &mut findings);
    runtimes::check(environment, &index, &mut findings);
    rbac::check(environment, &index, &mut findings);
    selectors::check(environment, &mut findings);
    findings.all
}

/// Where checks put what they find.
struct Findings<'a> {
    files: &'a Files,
    all: Vec<Finding>,
}

impl Findings<'_> {
    /// A mistake in a field of an object.
    fn add(
        &mut self,
        object: &Object,
        path: &Path,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (file, place) = locate(self.files, object, path);
        self.all.push(Finding {
            file,
            line: place.line,
            column: place.column,
            code,
            message: message.into(),
            help: help.into(),
        });
    }
}

/// What there is, the closest first.
fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let near = known.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let list = || known.iter().copied().collect::<Vec<_>>().join(", ");
    match near {
        None => "there is none".to_owned(),
        Some(near) if strsim::jaro_winkler(name, near) > 0.8 => format!("did you mean `{near}`? There are: {}", list()),
        Some(_) => format!("there are: {}", list()),
    }
}

/// What to do about a folder that is not there.
pub(crate) fn closest_folder(files: &Files, path: &str) -> String {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let folders: BTreeSet<&str> = below(files, parent)
        .filter_map(|(file, _)| file.strip_prefix(parent)?.trim_start_matches('/').split_once('/'))
        .map(|(name, _)| name)
        .collect();
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("in {}/: {}", if parent.is_empty() { "." } else { parent }, closest(name, folders))
}
