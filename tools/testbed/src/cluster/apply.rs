//! Manifests, and server-side apply of them in the order that their kinds need.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt as _};

use super::error::{Error, Tried as _};

const MANAGER: &str = "testbed";
/// How many objects are on their way at once.
const ABREAST: usize = 8;
/// How long a new kind may take to be served, or a webhook's Service to lead to its pod.
const SETTLE: Duration = Duration::from_secs(30);

/// Objects to be applied, with where they come from for messages.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    objects: Vec<DynamicObject>,
}

impl Manifest {
    /// Reads a file of YAML documents.
    ///
    /// # Errors
    /// A file that cannot be read, or a document that is not an object of Kubernetes.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file).tried(format!("reading {}", file.display()))?;
        Self::parse(&text).map_err(|reason| Error::Manifest { file: file.to_owned(), reason })
    }

    /// Reads YAML documents; empty ones are passed over.
    ///
    /// # Errors
    /// What is wrong with which document.
    pub fn parse(text: &str) -> Result<Self, String> {
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
        let mut objects = Vec::new();
        for (n, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
            let object: DynamicObject =
                serde_json::from_value(document).map_err(|error| format!("document {}: {error}", n + 1))?;
            if object.types.is_none() || object.metadata.name.is_none() {
                return Err(format!("document {}: an object needs apiVersion, kind and metadata.name", n + 1));
            }
            objects.push(object);
        }
        Ok(Self { objects })
    }

    /// The objects, in the order of the file.
    #[must_use]
    pub fn objects(&self) -> &[DynamicObject] {
        &self.objects
    }
}

/// Applies every object, those first that others need; `namespace` takes those that name none.
///
/// # Errors
/// The first object that the API server refuses.
pub async fn apply(client: &Client, manifest: &Manifest, namespace: &str) -> Result<(), Error> {
    let mut kinds: HashMap<GroupVersionKind, (ApiResource, Scope)> = HashMap::new();
    for rank in 0..=LAST_RANK {
        let objects: Vec<_> = manifest.objects.iter().filter(|object| rank_of(&kind_of(object).kind) == rank).collect();
        for kind in objects.iter().map(|object| kind_of(object)) {
            if let Entry::Vacant(entry) = kinds.entry(kind) {
                let resource = resource_of(client, entry.key()).await?;
                entry.insert(resource);
            }
        }
        let kinds = &kinds;
        stream::iter(objects.iter().map(|object| async move {
            let (resource, scope) = &kinds[&kind_of(object)];
            let namespace = object.namespace().unwrap_or_else(|| namespace.to_owned());
            let api: Api<DynamicObject> = match scope {
                Scope::Namespaced => Api::namespaced_with(client.clone(), &namespace, resource),
                Scope::Cluster => Api::all_with(client.clone(), resource),
            };
            apply_one(&api, object).await
        }))
        .buffer_unordered(ABREAST)
        .try_collect::<Vec<_>>()
        .await?;
        if rank == RANK_OF_DEFINITIONS {
            let api: Api<CustomResourceDefinition> = Api::all(client.clone());
            for object in objects.iter().filter(|object| kind_of(object).kind == "CustomResourceDefinition") {
                let name = object.name_any();
                let established = await_condition(api.clone(), &name, conditions::is_crd_established());
                if !matches!(tokio::time::timeout(SETTLE, established).await, Ok(Ok(_))) {
                    return Err(Error::Late { what: describe(object), limit: SETTLE, evidence: String::new() });
                }
            }
        }
    }
    Ok(())
}

const RANK_OF_DEFINITIONS: u8 = 0;
const LAST_RANK: u8 = 2;

/// Namespaces and definitions, then what pods mount and run as, then pods and all the rest.
fn rank_of(kind: &str) -> u8 {
    match kind {
        "Namespace" | "CustomResourceDefinition" => RANK_OF_DEFINITIONS,
        "ServiceAccount" | "ConfigMap" | "Secret" | "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding"
        | "Service" => 1,
        _ => LAST_RANK,
    }
}

fn kind_of(object: &DynamicObject) -> GroupVersionKind {
    object
        .types
        .as_ref()
        .and_then(|types| GroupVersionKind::try_from(types).ok())
        .unwrap_or_else(|| GroupVersionKind::gvk("", "", ""))
}

fn describe(object: &DynamicObject) -> String {
    let namespace = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {namespace}{}", kind_of(object).kind, object.name_any())
}

/// A kind is served a moment after its definition was accepted.
async fn resource_of(client: &Client, kind: &GroupVersionKind) -> Result<(ApiResource, Scope), Error> {
    let end = Instant::now() + SETTLE;
    loop {
        match discovery::pinned_kind(client, kind).await {
            Ok((resource, capabilities)) => return Ok((resource, capabilities.scope)),
            Err(kube::Error::Api(_) | kube::Error::Discovery(_)) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// kube-proxy hears of a webhook's pod a moment after it is ready; until then the API server cannot call it.
async fn apply_one(api: &Api<DynamicObject>, object: &DynamicObject) -> Result<(), Error> {
    let end = Instant::now() + SETTLE;
    let force = PatchParams::apply(MANAGER).force();
    loop {
        match api.patch(&object.name_any(), &force, &Patch::Apply(object)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status))
                if status.message.contains("failed calling webhook") && Instant::now() < end =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(kube::Error::Api(status)) => {
                return Err(Error::Refused { object: describe(object), reason: status.message });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_empty_ones_passed_over() {
        let manifest = Manifest::parse(
            "---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {port: \"80\"}\n",
        )
        .unwrap();
        assert_eq!(manifest.objects().len(), 1);
        assert_eq!(manifest.objects()[0].data["data"]["port"], "80");
        let error =
            Manifest::parse("apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n")
                .unwrap_err();
        assert!(error.starts_with("document 1: "), "{error}");
        assert!(Manifest::parse("a: [").unwrap_err().contains("line 1"), "the place is named");
    }
}
