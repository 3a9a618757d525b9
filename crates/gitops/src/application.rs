//! Argo CD's Applications: the sources that each deploys, and the destination.

use serde_json::{Map, Value as Json};
use slipway_source::Node;

use crate::object::Object;
use crate::path::Path;

/// An Application.
#[derive(Clone, Debug)]
pub struct Application {
    /// The object itself.
    pub object: Object,
    /// `spec.project`
    pub project: String,
    /// `spec.source` or `spec.sources`.
    pub sources: Vec<Source>,
    /// `spec.destination.namespace`; empty if it is not set.
    pub namespace: String,
    /// `spec.destination.server` and `.name`; empty where it is not set.
    pub(crate) destination: Destination,
    /// Whether Argo CD creates the namespace itself.
    pub creates_namespace: bool,
}

/// The cluster that an Application deploys to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destination {
    pub(crate) server: String,
    pub(crate) name: String,
}

/// The cluster that Argo CD itself runs in.
const OWN_CLUSTER: (&str, &str) = ("https://kubernetes.default.svc", "in-cluster");

/// One source of an Application.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The repository.
    pub repository: String,
    /// The branch, tag or commit; `HEAD` if it is not set.
    pub revision: String,
    /// The folder; `None` for a Helm chart and for a source that only provides files to another one.
    pub path: Option<String>,
    /// `chart`: the name of a chart in the repository, which then is a chart repository or an OCI registry.
    pub chart: Option<String>,
    /// `ref`: the name by which `valueFiles` of other sources refer to this one.
    pub reference: Option<String>,
    /// `kustomize`: changes to the kustomization before it is built; `None` if there are none.
    pub kustomize: Option<Json>,
    /// `helm`: a chart's values and how it is rendered.
    pub helm: Option<Json>,
    /// `directory`: which files are read; `None` if the folder decides what it is.
    pub(crate) directory: Option<Directory>,
    /// `helm` or `plugin`, which make the objects by other programs.
    pub(crate) program: Option<&'static str>,
    /// Its path in the Application.
    pub(crate) at: Path,
}

/// Which files of a folder are read as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directory {
    pub(crate) recurse: bool,
    pub(crate) include: Option<String>,
    pub(crate) exclude: Option<String>,
}

impl Destination {
    /// The own cluster is known by its address and by its name.
    fn new(server: String, name: String) -> Self {
        if server == OWN_CLUSTER.0 || name == OWN_CLUSTER.1 {
            return Self { server: OWN_CLUSTER.0.to_owned(), name: OWN_CLUSTER.1.to_owned() };
        }
        Self { server, name }
    }
}

impl Application {
    /// Reads an Application; `None` if the object is of another kind.
    pub fn of(object: &Object) -> Option<Self> {
        if object.id.kind != "Application" || object.id.group != "argoproj.io" {
            return None;
        }
        let node = &object.node;
        let text = |keys: &str| node.text_at(keys).unwrap_or_default().to_owned();
        let listed = node.items_at("spec.sources");
        // with a list, Argo CD ignores the single one
        let single = node
            .find("spec.source")
            .filter(|_| listed.is_empty())
            .into_iter()
            .map(|source| (source, Path::of("spec.source")));
        let many = listed.iter().enumerate().map(|(index, source)| (source, Path::of("spec.sources").item(index)));
        let sources = single.chain(many).map(|(source, at)| Source {
            repository: source.text_at("repoURL").unwrap_or_default().to_owned(),
            revision: source.text_at("targetRevision").unwrap_or("HEAD").to_owned(),
            path: source.text_at("path").map(|path| path.trim_matches('/').trim_start_matches("./").to_owned()),
            chart: source.text_at("chart").map(str::to_owned),
            reference: source.text_at("ref").map(str::to_owned),
            kustomize: source.get("kustomize").filter(|changes| !changes.entries().is_empty()).map(Node::to_json),
            helm: source.get("helm").map(Node::to_json),
            directory: source.get("directory").filter(|directory| !directory.is_null()).map(|directory| Directory {
                recurse: directory.is_true("recurse"),
                include: directory.text_at("include").map(str::to_owned),
                exclude: directory.text_at("exclude").map(str::to_owned),
            }),
            program: [("helm", "helm"), ("chart", "helm"), ("plugin", "a plugin")]
                .into_iter()
                .find_map(|(field, program)| source.get(field).map(|_| program)),
            at,
        });
        let options = node.items_at("spec.syncPolicy.syncOptions");
        Some(Self {
            project: text("spec.project"),
            sources: sources.collect(),
            namespace: text("spec.destination.namespace"),
            destination: Destination::new(text("spec.destination.server"), text("spec.destination.name")),
            creates_namespace: options.iter().any(|option| option.text() == Some("CreateNamespace=true")),
            object: object.clone(),
        })
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        &self.object.id.name
    }

    /// An object as Argo CD itself would apply it for this Application, with the annotation by which Argo CD recognizes its own objects.
    /// An object that is applied without it no longer belongs to the Application.
    ///
    /// Source: <https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/>
    pub fn applied(&self, object: &Object) -> Json {
        let mut json = object.to_json();
        let id = &object.id;
        // definitions are shared between Applications, so Argo CD does not track them
        if id.kind != "CustomResourceDefinition"
            && let Some(metadata) = json.get_mut("metadata").and_then(Json::as_object_mut)
        {
            let namespace = if id.namespace.is_empty() { &self.namespace } else { &id.namespace };
            let tracking = format!("{}:{}/{}:{namespace}/{}", self.name(), id.group, id.kind, id.name);
            let annotations = metadata.entry("annotations").or_insert_with(|| Json::Object(Map::new()));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert("argocd.argoproj.io/tracking-id".to_owned(), Json::String(tracking));
            }
        }
        json
    }
}
