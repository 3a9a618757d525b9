//! What one environment's root Application leads to: every Application below it with its objects.

use std::collections::BTreeSet;

use crate::application::{Application, Source};
use crate::finding::Finding;
use crate::glob;
use crate::kustomization::{below, file_of, is_folder};
use crate::object::{Id, Object, Origin, objects};
use crate::yaml::documents;
use crate::{Builds, Files};

/// An environment as its files say it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The folder's name in `clusters/`.
    pub name: String,
    /// What bootstrap applies: the root Application and its project.
    pub root: Vec<Object>,
    /// Root first, then in the order in which they are found.
    pub applications: Vec<Deployed>,
    /// Whether something of this repository could not be built or found: what refers to it is then not judged.
    pub incomplete: bool,
}

/// An Application with what it deploys.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The Application.
    pub application: Application,
    /// The objects of those of its sources that are in this repository.
    pub objects: Vec<Object>,
    /// Whether a source is elsewhere, so that `objects` is not everything.
    pub upstream: bool,
}

impl Deployed {
    /// Whether it runs jobs and nothing else: then it is healthy when they are done, however long they take.
    pub fn is_jobs(&self) -> bool {
        !self.objects.is_empty() && self.objects.iter().all(|object| object.id.kind == "TrainJob")
    }
}

impl Environment {
    /// Every object with the Application that deploys it.
    pub fn objects(&self) -> impl Iterator<Item = (&Deployed, &Object)> {
        self.applications.iter().flat_map(|deployed| deployed.objects.iter().map(move |object| (deployed, object)))
    }

    /// The repository that the root Application follows: this one.
    pub fn repository(&self) -> &str {
        let root = self.applications.first().and_then(|root| root.application.sources.first());
        root.map(|source| source.repository.as_str()).unwrap_or_default()
    }

    /// The Application with a name.
    pub fn application(&self, name: &str) -> Option<&Deployed> {
        self.applications.iter().find(|deployed| deployed.application.name() == name)
    }
}

/// Follows an environment's root Application (the one that `clusters/<name>/root` builds) to everything below it. What cannot be followed
/// is a finding; what could not be built is none here.
pub fn follow(files: &Files, builds: &Builds, name: &str) -> (Environment, Vec<Finding>) {
    let mut walk = Walk { files, builds, repository: String::new(), findings: Vec::new(), incomplete: false };
    let mut environment = Environment { name: name.to_owned(), ..Environment::default() };
    let folder = root_folder(name);
    let Some(Ok(text)) = builds.get(&folder) else { return (environment, walk.findings) };
    environment.root = walk.parse(text, "", &folder);
    let mut roots: Vec<Application> = environment.root.iter().filter_map(Application::of).collect();
    if roots.len() != 1 {
        let message = format!("{folder} builds {} Applications instead of one, the root", roots.len());
        walk.findings.push(Finding {
            file: file_of(files, &folder).unwrap_or(folder),
            line: 1,
            column: 1,
            code: "root-application",
            message,
            help: "it holds the one Application that leads to all others, and its AppProject".to_owned(),
        });
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
    (environment, walk.findings)
}

/// The folder that builds an environment's root Application.
pub fn root_folder(environment: &str) -> String {
    format!("clusters/{environment}/root")
}

struct Walk<'a> {
    files: &'a Files,
    builds: &'a Builds,
    /// The root's own repository; every other is upstream.
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
            // a source without a path only lends its files to another one
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
        let (file, place) = crate::locate::locate(self.files, &application.object, &source.at.key("path"));
        self.findings.push(Finding {
            file,
            line: place.line,
            column: place.column,
            code: "application-path",
            message: format!("Application {} deploys {path}, which is not in this repository", application.name()),
            help: crate::checks::closest_folder(self.files, path),
        });
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

    /// What kustomize printed for a folder.
    fn parse(&mut self, text: &str, namespace: &str, folder: &str) -> Vec<Object> {
        match documents(text) {
            Ok(nodes) => objects(nodes, namespace, &Origin::Built(folder.to_owned())),
            Err(error) => {
                self.findings.push(Finding {
                    file: file_of(self.files, folder).unwrap_or_else(|| folder.to_owned()),
                    line: 1,
                    column: 1,
                    code: "kustomize-build",
                    message: format!("what kustomize builds from {folder} is not YAML: {error}"),
                    help: format!("see it with `kustomize build {folder}`"),
                });
                Vec::new()
            }
        }
    }

    fn directory(&mut self, deployed: &mut Deployed, source: &Source, folder: &str) {
        let directory = &source.directory;
        for (file, bytes) in below(self.files, folder) {
            let name = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            let wanted = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
                && (directory.recurse || !name.contains('/'))
                && directory.include.as_ref().is_none_or(|pattern| glob::matches(pattern, name))
                && !directory.exclude.as_ref().is_some_and(|pattern| glob::matches(pattern, name));
            if !wanted {
                continue;
            }
            match documents(&String::from_utf8_lossy(bytes)) {
                Ok(nodes) => {
                    let origin = Origin::File(file.clone());
                    deployed.objects.extend(objects(nodes, &deployed.application.namespace, &origin));
                }
                Err(error) => self.findings.push(Finding {
                    file: file.clone(),
                    line: error.at.line,
                    column: error.at.column,
                    code: "yaml-syntax",
                    message: format!("not valid YAML: {}", error.message),
                    help: format!("Application {} deploys this file as it is", deployed.application.name()),
                }),
            }
        }
    }
}
