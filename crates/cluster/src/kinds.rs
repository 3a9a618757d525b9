//! Where the API server serves the objects of a kind, as discovery says.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::api::{ApiResource, DynamicObject, TypeMeta};
use kube::core::{GroupVersion, GroupVersionKind};
use kube::discovery::{self, Scope};
use kube::{Client, Error};

use crate::fields::text;

/// What discovery found, kept. A kind that is missing is looked up again, since a definition may have appeared.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    found: Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>,
    /// Group and kind of the definitions that were applied here: discovery shows a kind only some time after its definition.
    defined: Mutex<HashSet<(String, String)>>,
}

impl Kinds {
    /// The resource of a kind; `None` if the server does not serve it.
    pub(crate) async fn resolve(
        &self,
        client: &Client,
        kind: &GroupVersionKind,
    ) -> kube::Result<Option<(ApiResource, Scope)>> {
        if let Some(found) = lock(&self.found).get(kind) {
            return Ok(Some(found.clone()));
        }
        let group = GroupVersion::gv(&kind.group, &kind.version);
        let group = match discovery::pinned_group(client, &group).await {
            Ok(group) => group,
            Err(Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut found = lock(&self.found);
        for (resource, capabilities) in group.versioned_resources(&kind.version) {
            let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
            found.insert(kind, (resource, capabilities.scope));
        }
        Ok(found.get(kind).cloned())
    }

    /// Remembers the kind that a CustomResourceDefinition defines.
    pub(crate) fn define(&self, definition: &DynamicObject) {
        let of = |pointer| text(&definition.data, pointer).to_owned();
        lock(&self.defined).insert((of("/spec/group"), of("/spec/names/kind")));
    }

    /// Whether the definition of a kind was applied here.
    pub(crate) fn is_defined(&self, kind: &GroupVersionKind) -> bool {
        lock(&self.defined).contains(&(kind.group.clone(), kind.kind.clone()))
    }
}

/// The kind of an object; `None` if it does not say one.
pub(crate) fn kind_of(types: Option<&TypeMeta>) -> Option<GroupVersionKind> {
    types.and_then(|types| GroupVersionKind::try_from(types).ok()).filter(|kind| !kind.kind.is_empty())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
