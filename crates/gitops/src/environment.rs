//! Every Application that an environment's root Application leads to, with its objects.

use std::collections::BTreeSet;

use slipway_causes::without_password;
use slipway_source::{Finding, Node, Position, documents};

use crate::application::{Application, Source};
use crate::application_set::{expand, is_set};
use crate::build::{Builds, Changed, unsupported};
use crate::build_error::innermost;
use crate::kustomization::{below, file_of, is_folder, join};
use crate::locate::locate;
use crate::object::{Id, Object, Origin, lacks, objects};
use crate::path::{Path, Step};
use crate::remote::is_remote;
use crate::repository::is_same_repository;
use crate::scope::Scopes;
use crate::suggest::suggest_folder;
use crate::{Files, glob};

/// An environment as its files describe it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The folder's name in `clusters/`.
    pub name: String,
    /// What bootstrap applies: the root Application and its project.
    pub root: Vec<Object>,
    /// The root first, then the others in the order in which they are found.
    pub applications: Vec<Deployed>,
    /// Whether something of this repository could not be built, found or read. What refers to it is then not judged.
    pub incomplete: bool,
    /// What Argo CD deploys and cannot be read here, each with its place and the reason. It is not a mistake.
    pub omitted: Vec<Finding>,
    /// The builds that were missing.
    pub unbuilt: Vec<Changed>,
    /// Whether there may be Applications that are not known here.
    pub(crate) unexpanded: bool,
    pub(crate) scopes: Scopes,
}

/// An Application with what it deploys.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The Application.
    pub application: Application,
    /// The objects from its sources in this repository.
    pub objects: Vec<Object>,
    /// Whether a source is in another repository, or at another revision of this one, so that `objects` is incomplete.
    pub upstream: bool,
    /// Whether a source in this repository could not be read, so that `objects` is incomplete. [`Environment::omitted`] says why.
    pub omitted: bool,
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

    /// Whether a source is in this repository.
    pub fn is_own(&self, source: &Source) -> bool {
        is_same_repository(&source.repository, self.repository())
    }

    /// The sources of an Application in other repositories that objects come from, in order. A source that only provides files to another one
    /// is none.
    pub fn upstream_sources<'a>(&'a self, deployed: &'a Deployed) -> impl Iterator<Item = &'a Source> {
        let gives_objects =
            |source: &&Source| source.path.is_some() || source.chart.is_some() || source.reference.is_none();
        deployed.application.sources.iter().filter(|source| !self.is_own(source)).filter(gives_objects)
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
/// What is wrong is a finding, except a folder that kustomize could not build: [`check`](crate::check()) reports it. What is right, and cannot
/// be followed here, is in [`Environment::omitted`].
pub fn follow(files: &Files, builds: &Builds, name: &str) -> (Environment, Vec<Finding>) {
    let environment = Environment { name: name.to_owned(), ..Environment::default() };
    let mut walk = Walk { files, builds, environment, root: None, findings: Vec::new() };
    let folder = root_folder(name);
    let Some(Ok(text)) = builds.folders.get(&folder) else { return (walk.environment, walk.findings) };
    walk.environment.root = walk.parse(text, "", &folder);
    let mut roots: Vec<Application> = walk.environment.root.iter().filter_map(Application::of).collect();
    if roots.len() != 1 {
        let message = format!("{folder} builds {} Applications; it must build one, the root", roots.len());
        let file = file_of(files, &folder).unwrap_or(folder);
        walk.findings.push(
            Finding::at(&file, Position::START, "root-application", message)
                .with_help("keep the one Application that leads to all others, and its AppProject"),
        );
        return (walk.environment, walk.findings);
    }
    walk.root = roots[0].sources.first().cloned();
    let mut seen: BTreeSet<Id> = BTreeSet::new();
    // an Application that deploys itself, or is deployed twice, is walked once
    while let Some(application) = roots.pop() {
        if seen.insert(application.object.id.clone()) {
            let deployed = walk.deploy(application);
            let children: Vec<Application> = walk.children(&deployed.objects);
            roots.extend(children.into_iter().rev());
            walk.environment.applications.push(deployed);
        }
    }
    walk.build_options();
    walk.environment.apply_scopes();
    (walk.environment, walk.findings)
}

/// The folder that builds an environment's root Application.
pub fn root_folder(environment: &str) -> String {
    format!("clusters/{environment}/root")
}

struct Walk<'a> {
    files: &'a Files,
    builds: &'a Builds,
    environment: Environment,
    /// The root Application's source: this repository at the revision that these files are.
    root: Option<Source>,
    findings: Vec<Finding>,
}

/// Argo CD's own settings, and those of them that change what kustomize builds.
const SETTINGS: &str = "argocd-cm";
const BUILD_OPTIONS: &str = "kustomize.buildOptions";

/// Files that have this text are not manifests for Argo CD.
const SKIPPED: &str = "+argocd:skip-file-rendering";

impl Walk<'_> {
    /// Records what Argo CD deploys and is not read here.
    fn omit(&mut self, object: &Object, path: &Path, message: String, help: &str) {
        let (file, at) = locate(self.files, object, path);
        self.omit_at(&file, at, message, help);
    }

    fn omit_at(&mut self, file: &str, at: Position, message: String, help: &str) {
        self.environment.incomplete = true;
        self.environment.omitted.push(Finding::at(file, at, "not-followed", message).with_help(help));
    }

    /// The Applications among some objects, and those that ApplicationSets make.
    fn children(&mut self, objects: &[Object]) -> Vec<Application> {
        let mut all = Vec::new();
        for object in objects {
            all.extend(Application::of(object));
            if !is_set(object) {
                continue;
            }
            match expand(object) {
                Ok(made) => all.extend(made.iter().filter_map(Application::of)),
                Err((path, reason)) => {
                    self.environment.unexpanded = true;
                    let message = format!("the Applications of {} are not followed: {reason}", object.id);
                    self.omit(
                        object,
                        &path,
                        message,
                        "a list generator with texts, and a template that names them, is followed",
                    );
                }
            }
        }
        all
    }

    fn deploy(&mut self, application: Application) -> Deployed {
        let mut deployed = Deployed { objects: Vec::new(), upstream: false, omitted: false, application };
        let omitted = self.environment.omitted.len();
        if deployed.application.sources.is_empty() {
            let object = &deployed.application.object;
            let message = format!("Application {} has neither a source nor sources", object.id.name);
            self.omit(object, &Path::of("spec"), message, "other ways to name what it deploys are not read here");
        }
        for source in deployed.application.sources.clone() {
            let Some(root) = self.root.clone().filter(|root| is_same_repository(&root.repository, &source.repository))
            else {
                deployed.upstream = true;
                continue;
            };
            // a source without a path only provides files to another one
            let Some(path) = &source.path else { continue };
            if source.revision != root.revision {
                deployed.upstream = true;
                let message = format!(
                    "Application {} deploys {path} at {}, and these files are {}: its objects are not read",
                    deployed.application.name(),
                    source.revision,
                    root.revision
                );
                let help = "give it the root's targetRevision to have it read";
                self.omit(&deployed.application.object, &source.at.key("targetRevision"), message, help);
            } else {
                self.source(&mut deployed, &source, path);
            }
        }
        deployed.omitted = self.environment.omitted.len() > omitted;
        deployed
    }

    /// Reads one source as Argo CD does: by the program that the source names, otherwise by what the folder holds.
    fn source(&mut self, deployed: &mut Deployed, source: &Source, path: &str) {
        let folder = join("", path).filter(|folder| is_folder(self.files, folder));
        let Some(folder) = folder else { return self.no_folder(&deployed.application, source, path) };
        let is_kustomized = file_of(self.files, &folder).is_some() && source.directory.is_none();
        let chart = self.files.contains_key(&format!("{folder}/Chart.yaml")) && source.directory.is_none();
        match source.program.or((chart && !is_kustomized).then_some("helm")) {
            Some(program) => {
                let name = deployed.application.name().to_owned();
                let message =
                    format!("Application {name} makes its objects from {folder} by {program}, which does not run here");
                let help = "kustomize and plain manifests are read";
                self.omit(&deployed.application.object, &source.at.key("path"), message, help);
            }
            None => match &source.kustomize {
                Some(_) => self.changed(deployed, source, &folder),
                None if is_kustomized => self.kustomized(deployed, &folder),
                None => self.directory(deployed, source, &folder),
            },
        }
    }

    fn no_folder(&mut self, application: &Application, source: &Source, path: &str) {
        self.environment.incomplete = true;
        let (file, at) = locate(self.files, &application.object, &source.at.key("path"));
        let message = format!("Application {} deploys {path}, which is not in this repository", application.name());
        let help = suggest_folder(self.files, path);
        self.findings.push(Finding::at(&file, at, "application-path", message).with_help(help));
    }

    fn kustomized(&mut self, deployed: &mut Deployed, folder: &str) {
        let Some(Ok(text)) = self.builds.folders.get(folder) else {
            self.environment.incomplete = true;
            return;
        };
        let namespace = deployed.application.namespace.clone();
        let objects = self.parse(text, &namespace, folder);
        deployed.objects.extend(objects);
    }

    /// Reads a folder whose kustomization the source changes before it is built.
    fn changed(&mut self, deployed: &mut Deployed, source: &Source, folder: &str) {
        let object = deployed.application.object.clone();
        let Some(changes) = &source.kustomize else { return };
        let at = source.at.key("kustomize");
        if let Some(field) = unsupported(changes) {
            let message =
                format!("Application {} changes {folder} by kustomize.{field}, which is not done here", object.id.name);
            return self.omit(&object, &at.key(field), message, "patches in a kustomization are built");
        }
        let components = changes.get("components").and_then(serde_json::Value::as_array);
        for component in components.into_iter().flatten().filter_map(serde_json::Value::as_str) {
            if is_remote(self.files, folder, component) {
                let message = format!(
                    "Application {} adds {} to {folder}, which is in another repository",
                    object.id.name,
                    without_password(component)
                );
                return self.omit(&object, &at.key("components"), message, "a component of this repository is built");
            }
        }
        let changed = Changed { folder: folder.to_owned(), changes: changes.to_string() };
        match self.builds.changed.get(&changed) {
            Some(Ok(text)) => {
                let namespace = deployed.application.namespace.clone();
                let objects = self.parse(text, &namespace, folder);
                deployed.objects.extend(objects);
            }
            Some(Err(error)) => {
                self.environment.incomplete = true;
                let reason = innermost(self.files, folder, error).1;
                let (file, at) = locate(self.files, &object, &at);
                let message =
                    format!("kustomize cannot build {folder} as Application {} changes it: {reason}", object.id.name);
                let help = "correct source.kustomize, or move it into the kustomization";
                self.findings.push(Finding::at(&file, at, "kustomize-build", message).with_help(help));
            }
            None => {
                self.environment.incomplete = true;
                self.environment.unbuilt.push(changed);
            }
        }
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

    /// Reads the manifests of a folder as they are.
    fn directory(&mut self, deployed: &mut Deployed, source: &Source, folder: &str) {
        let directory = source.directory.clone().unwrap_or_default();
        for (file, bytes) in below(self.files, folder) {
            let name = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            let is_read = [".yaml", ".yml", ".json", ".jsonnet"].iter().any(|ending| name.ends_with(ending))
                && (directory.recurse || !name.contains('/'))
                && directory.include.as_ref().is_none_or(|pattern| glob::matches(pattern, name, None))
                && !directory.exclude.as_ref().is_some_and(|pattern| glob::matches(pattern, name, None));
            let text = String::from_utf8_lossy(bytes);
            if !is_read || text.contains(SKIPPED) {
                continue;
            }
            let application = deployed.application.name();
            if name.ends_with(".jsonnet") {
                let message = format!(
                    "Application {application} makes objects from this file by Jsonnet, which does not run here"
                );
                self.omit_at(file, Position::START, message, "plain manifests are read");
                continue;
            }
            match documents(&text) {
                Ok(nodes) => {
                    self.findings.extend(strays(file, &text, &nodes, application));
                    let origin = Origin::File(file.clone());
                    let namespace = &deployed.application.namespace;
                    deployed.objects.extend(objects(nodes, namespace, &origin, &Scopes::default()));
                }
                Err(malformed) => {
                    let help = format!("Application {application} deploys this file as it is");
                    self.findings.push(malformed.in_file(file).with_help(help));
                }
            }
        }
    }

    /// Options that Argo CD gives to kustomize, and that builds here do not have: they may run programs and read any file.
    fn build_options(&mut self) {
        let help = "what it builds may differ from what Argo CD builds";
        let mut set: Vec<(Object, Path, String)> = Vec::new();
        for (_, object) in
            self.environment.objects().filter(|(_, one)| one.id.kind == "ConfigMap" && one.id.name == SETTINGS)
        {
            for entry in object.node.get("data").map(Node::entries).unwrap_or_default() {
                let options = entry.value.text().unwrap_or_default().trim();
                if entry.key.starts_with(BUILD_OPTIONS) && !options.is_empty() {
                    let at = Path(vec![Step::Key("data".to_owned()), Step::Key(entry.key.clone())]);
                    set.push((
                        object.clone(),
                        at,
                        format!("Argo CD runs kustomize with `{options}`, which is not done here"),
                    ));
                }
            }
        }
        for deployed in &self.environment.applications {
            for source in &deployed.application.sources {
                if source.kustomize.as_ref().is_some_and(|changes| changes.to_string().contains(BUILD_OPTIONS)) {
                    let message = format!(
                        "Application {} sets {BUILD_OPTIONS}, which is not done here",
                        deployed.application.name()
                    );
                    set.push((deployed.application.object.clone(), source.at.key("kustomize"), message));
                }
            }
        }
        for (object, at, message) in set {
            self.omit(&object, &at, message, help);
        }
    }
}

/// Documents that are not objects, in a file where Argo CD refuses them: one that has objects, or seems to.
fn strays(file: &str, text: &str, nodes: &[Node], application: &str) -> Vec<Finding> {
    let strays: Vec<(&Node, &str)> = nodes.iter().filter_map(|node| Some((node, lacks(node)?))).collect();
    let is_manifest = ["apiVersion:", "kind:", "metadata:"].iter().all(|field| text.contains(field));
    if strays.len() == nodes.len() && !is_manifest {
        return Vec::new();
    }
    let finding = |(node, field): (&Node, &str)| {
        let message = format!("this document is not an object: it lacks {field}");
        Finding::at(file, node.at, "not-an-object", message)
            .with_help(format!("Application {application} deploys this file as it is"))
    };
    strays.into_iter().map(finding).collect()
}
