//! Every Application that an environment's root Application leads to, with its objects.

use std::collections::BTreeSet;

use slipway_source::{Finding, Position, documents};

use crate::application::{Application, Source};
use crate::kustomization::{below, file_of, is_folder};
use crate::locate::locate;
use crate::object::{Id, Object, Origin, objects};
use crate::scope::Scopes;
use crate::suggest::suggest_folder;
use crate::{Builds, Files, glob};

/// An environment as its files describe it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The folder's name in `clusters/`.
    pub name: String,
    /// What bootstrap applies: the root Application and its project.
    pub root: Vec<Object>,
    /// The root first, then the others in the order in which they are found.
    pub applications: Vec<Deployed>,
    /// Whether something of this repository could not be built or found. What refers to it is then not judged.
    pub incomplete: bool,
    pub(crate) scopes: Scopes,
}

/// An Application with what it deploys.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The Application.
    pub application: Application,
    /// The objects from its sources in this repository.
    pub objects: Vec<Object>,
    /// Whether a source is in another repository, so that `objects` is incomplete.
    pub upstream: bool,
}

impl Deployed {
    /// The sources in other repositories that objects come from, in order; `repository` is this one. A source that only provides files to
    /// another one is none.
    pub fn upstream_sources<'a>(&'a self, repository: &'a str) -> impl Iterator<Item = &'a Source> {
        let gives_objects =
            |source: &&Source| source.path.is_some() || source.chart.is_some() || source.reference.is_none();
        self.application.sources.iter().filter(move |source| source.repository != repository).filter(gives_objects)
    }

    /// Whether it deploys TrainJobs only. Such an Application becomes healthy when they are done, however long they take.
    pub fn is_jobs(&self) -> bool {
        !self.objects.is_empty() && self.objects.iter().all(|object| object.id.kind == "TrainJob")
    }
}

impl Environment {
    /// Every object with the Application that deploys it.
    pub fn objects(&self) -> impl Iterator<Item = (&Deployed, &Object)> + Clone {
        self.applications.iter().flat_map(|deployed| deployed.objects.iter().map(move |object| (deployed, object)))
    }

    /// The address of this repository, which the root Application follows; empty if there is no root.
    pub fn repository(&self) -> &str {
        let root = self.applications.first().and_then(|root| root.application.sources.first());
        root.map(|source| source.repository.as_str()).unwrap_or_default()
    }

    /// Names every object again, by the scopes that the definitions in this environment give to their kinds.
    fn apply_scopes(&mut self) {
        let definitions = self.root.iter().chain(self.objects().map(|(_, object)| object)).map(|object| &object.node);
        self.scopes = Scopes::defined_by(definitions);
        self.root.iter_mut().for_each(|object| object.apply_scopes("", &self.scopes));
        for deployed in &mut self.applications {
            let namespace = &deployed.application.namespace;
            deployed.objects.iter_mut().for_each(|object| object.apply_scopes(namespace, &self.scopes));
        }
    }

    /// The Application with this name.
    pub fn application(&self, name: &str) -> Option<&Deployed> {
        self.applications.iter().find(|deployed| deployed.application.name() == name)
    }
}

/// Follows an environment's root Application, which `clusters/<name>/root` builds, to everything below it.
///
/// What cannot be followed is a finding. A folder that kustomize could not build is not: [`check`](crate::check()) reports it.
pub fn follow(files: &Files, builds: &Builds, name: &str) -> (Environment, Vec<Finding>) {
    let mut walk = Walk { files, builds, repository: String::new(), findings: Vec::new(), incomplete: false };
    let mut environment = Environment { name: name.to_owned(), ..Environment::default() };
    let folder = root_folder(name);
    let Some(Ok(text)) = builds.get(&folder) else { return (environment, walk.findings) };
    environment.root = walk.parse(text, "", &folder);
    let mut roots: Vec<Application> = environment.root.iter().filter_map(Application::of).collect();
    if roots.len() != 1 {
        let message = format!("{folder} builds {} Applications; it must build one, the root", roots.len());
        let file = file_of(files, &folder).unwrap_or(folder);
        walk.findings.push(
            Finding::at(&file, Position::START, "root-application", message)
                .with_help("keep the one Application that leads to all others, and its AppProject"),
        );
        return (environment, walk.findings);
    }
    let first = roots[0].sources.first();
    walk.repository = first.map(|source| source.repository.clone()).unwrap_or_default();
    let mut seen: BTreeSet<Id> = BTreeSet::new();
    // an Application that deploys itself, or is deployed twice, is walked once
    while let Some(application) = roots.pop() {
        if seen.insert(application.object.id.clone()) {
            let deployed = walk.deploy(application);
            let children: Vec<_> = deployed.objects.iter().filter_map(Application::of).collect();
            roots.extend(children.into_iter().rev());
            environment.applications.push(deployed);
        }
    }
    environment.incomplete = walk.incomplete;
    environment.apply_scopes();
    (environment, walk.findings)
}

/// The folder that builds an environment's root Application.
pub fn root_folder(environment: &str) -> String {
    format!("clusters/{environment}/root")
}

struct Walk<'a> {
    files: &'a Files,
    builds: &'a Builds,
    /// The address of this repository; every other one is upstream.
    repository: String,
    findings: Vec<Finding>,
    incomplete: bool,
}

impl Walk<'_> {
    fn deploy(&mut self, application: Application) -> Deployed {
        let mut deployed = Deployed { objects: Vec::new(), upstream: false, application };
        for source in deployed.application.sources.clone() {
            if source.repository != self.repository {
                deployed.upstream = true;
                continue;
            }
            // a source without a path only provides files to another one
            let Some(path) = &source.path else { continue };
            if !is_folder(self.files, path) {
                self.no_folder(&deployed.application, &source, path);
            } else if file_of(self.files, path).is_some() {
                self.kustomized(&mut deployed, path);
            } else {
                self.directory(&mut deployed, &source, path);
            }
        }
        deployed
    }

    fn no_folder(&mut self, application: &Application, source: &Source, path: &str) {
        self.incomplete = true;
        let (file, at) = locate(self.files, &application.object, &source.at.key("path"));
        let message = format!("Application {} deploys {path}, which is not in this repository", application.name());
        let help = suggest_folder(self.files, path);
        self.findings.push(Finding::at(&file, at, "application-path", message).with_help(help));
    }

    fn kustomized(&mut self, deployed: &mut Deployed, folder: &str) {
        let Some(Ok(text)) = self.builds.get(folder) else {
            self.incomplete = true;
            return;
        };
        let namespace = deployed.application.namespace.clone();
        let objects = self.parse(text, &namespace, folder);
        deployed.objects.extend(objects);
    }

    /// The objects in the output of kustomize for a folder.
    fn parse(&mut self, text: &str, namespace: &str, folder: &str) -> Vec<Object> {
        match documents(text) {
            Ok(nodes) => objects(nodes, namespace, &Origin::Built(folder.to_owned()), &Scopes::default()),
            Err(malformed) => {
                let file = file_of(self.files, folder).unwrap_or_else(|| folder.to_owned());
                let message = format!("the output of kustomize for {folder} is malformed: {malformed}");
                let help = format!("run `kustomize build {folder}` to see it");
                self.findings.push(Finding::at(&file, Position::START, "kustomize-build", message).with_help(help));
                Vec::new()
            }
        }
    }

    fn directory(&mut self, deployed: &mut Deployed, source: &Source, folder: &str) {
        let directory = &source.directory;
        for (file, bytes) in below(self.files, folder) {
            let name = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            let is_read = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
                && (directory.recurse || !name.contains('/'))
                && directory.include.as_ref().is_none_or(|pattern| glob::matches(pattern, name))
                && !directory.exclude.as_ref().is_some_and(|pattern| glob::matches(pattern, name));
            if !is_read {
                continue;
            }
            match documents(&String::from_utf8_lossy(bytes)) {
                Ok(nodes) => {
                    let origin = Origin::File(file.clone());
                    let namespace = &deployed.application.namespace;
                    deployed.objects.extend(objects(nodes, namespace, &origin, &Scopes::default()));
                }
                Err(malformed) => {
                    let help = format!("Application {} deploys this file as it is", deployed.application.name());
                    self.findings.push(malformed.in_file(file).with_help(help));
                }
            }
        }
    }
}
