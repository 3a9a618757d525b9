//! The rules for what an environment deploys, one in each file.

mod builds;
mod duplicates;
mod images;
mod index;
mod logins;
mod names;
mod pod_references;
mod projects;
mod rbac;
mod requirements;
mod routes;
mod runtimes;
mod security;
mod selectors;
mod sizes;
mod texts;
mod urls;
mod waves;

use std::collections::BTreeSet;

use slipway_source::Finding;

use crate::environment::{Deployed, Environment};
use crate::locate::locate;
use crate::object::Object;
use crate::path::Path;
use crate::{Builds, Files};

pub use builds::unbuildable;
use index::Index;

/// What an environment requires beyond what its tree says.
#[derive(Clone, Debug, Default)]
pub struct Demands {
    /// The environment's name.
    pub environment: String,
    /// Whether every image must be named by its digest.
    pub images_by_digest: bool,
    /// The namespace of the TrainJobs. Pods of a ClusterTrainingRuntime will run there, even if there is no job yet.
    pub jobs_namespace: String,
    /// Secrets that are not in git: created by bootstrap, or outside of this repository.
    pub secrets: Vec<Secret>,
}

/// A Secret that is not in git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The keys that it will have.
    pub keys: Vec<String>,
}

/// Checks what [`follow`](crate::follow()) found in every environment. Findings are sorted by position; one that several environments share is
/// given once. An environment without a root Application is left out.
pub fn check(
    files: &Files,
    builds: &Builds,
    followed: Vec<(Environment, Vec<Finding>)>,
    demands: &[Demands],
) -> (Vec<Environment>, Vec<Finding>) {
    let mut all: BTreeSet<Finding> = unbuildable(files, builds).into_iter().collect();
    let mut environments = Vec::new();
    for (environment, findings) in followed {
        all.extend(findings);
        let demands = demands.iter().find(|demands| demands.environment == environment.name);
        if environment.applications.is_empty() {
            continue;
        }
        if let Some(demands) = demands {
            all.extend(of_environment(files, &environment, demands));
            all.extend(builds::not_synced(files, &environment));
        }
        environments.push(environment);
    }
    // environments that share a mistake may differ in the help
    let mut all: Vec<Finding> = all.into_iter().collect();
    all.dedup_by(|a, b| Finding { help: None, ..a.clone() } == Finding { help: None, ..b.clone() });
    (environments, all)
}

fn of_environment(files: &Files, environment: &Environment, demands: &Demands) -> Vec<Finding> {
    let index = Index::new(environment, demands);
    let mut findings = Findings { files, all: Vec::new() };
    duplicates::check(environment, &mut findings);
    names::check(environment, &index, &mut findings);
    projects::check(environment, &mut findings);
    logins::check(environment, &mut findings);
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
    sizes::check(environment.objects(), &mut findings);
    texts::check(environment, &mut findings);
    findings.all
}

/// Checks what Applications get from other repositories, each given with its Application: whether its project permits it, whether its
/// namespace's Pod Security accepts its pods, and whether it can be applied. What upstream's objects refer to is upstream's own affair.
pub fn check_upstream(files: &Files, environment: &Environment, upstream: &[(&Deployed, Vec<Object>)]) -> Vec<Finding> {
    let mut findings = Findings { files, all: Vec::new() };
    let objects =
        || upstream.iter().flat_map(|(deployed, objects)| objects.iter().map(move |object| (*deployed, object)));
    projects::check_upstream(environment, upstream, &mut findings);
    security::check_objects(environment, objects(), &mut findings);
    sizes::check(objects(), &mut findings);
    let mut all = findings.all;
    all.sort();
    all.dedup();
    all
}

/// The findings of all rules.
struct Findings<'a> {
    files: &'a Files,
    all: Vec<Finding>,
}

impl Findings<'_> {
    /// Adds a mistake in a field of an object.
    fn add(
        &mut self,
        object: &Object,
        path: &Path,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (file, at) = locate(self.files, object, path);
        self.all.push(Finding::at(&file, at, code, message).with_help(help));
    }
}
