//! Server-side apply: of one object, and of many in the order that their kinds need.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde::Serialize;
use serde_json::Value;

use crate::connection::Cluster;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fields::{kind, namespace, title};
use crate::order;

/// What an apply did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The object did not exist.
    Created,
    /// The object was different.
    Changed,
    /// The object was as it must be.
    Unchanged,
}

/// How objects are applied.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOptions<'a> {
    /// The field manager in whose name fields are set, over those that others claim.
    pub manager: &'a str,
    /// The namespace of objects that need one and name none.
    pub namespace: &'a str,
    /// Ask the server what would change, and change nothing.
    pub dry_run: bool,
    /// How many objects are sent at once; at 1, they are sent in the order given.
    pub concurrency: usize,
    /// Until when an API server that is away or busy is waited for.
    pub deadline: Deadline,
}

impl Cluster {
    /// Applies objects, first those that others need. CustomResourceDefinitions are established before anything that comes after
    /// them. `on_applied` hears of each object.
    ///
    /// # Errors
    /// The first object that the server refuses; or when time is up.
    pub async fn apply(
        &self,
        objects: &[DynamicObject],
        options: ApplyOptions<'_>,
        on_applied: &(dyn Fn(&DynamicObject, Outcome) + Sync),
    ) -> Result<()> {
        for rank in order::ranks(objects) {
            stream::iter(
                rank.iter().map(|object| async move { Ok((*object, self.apply_one(object, options).await?)) }),
            )
            .buffered(options.concurrency.max(1))
            .try_for_each(|(object, outcome)| async move {
                on_applied(object, outcome);
                Ok::<_, Error>(())
            })
            .await?;
            let definitions: Vec<&DynamicObject> =
                rank.into_iter().filter(|object| kind(object) == "CustomResourceDefinition").collect();
            if !options.dry_run && !definitions.is_empty() {
                definitions.iter().for_each(|definition| self.kinds().define(definition));
                self.wait_for_rollout(definitions, options.namespace, options.deadline, &|_| {}).await?;
            }
        }
        Ok(())
    }

    /// Applies one object. On a dry run, an object whose namespace or definition does not exist counts as [`Outcome::Created`]: on
    /// a real run they would.
    pub(crate) async fn apply_one(&self, object: &DynamicObject, options: ApplyOptions<'_>) -> Result<Outcome> {
        options.deadline.retry(async || self.patch(object, options).await).await
    }

    async fn patch(&self, object: &DynamicObject, options: ApplyOptions<'_>) -> Result<Outcome> {
        let not_yet =
            |error: Error| if options.dry_run && error.is_not_found() { Ok(Outcome::Created) } else { Err(error) };
        let in_namespace = if namespace(object).is_empty() { options.namespace } else { namespace(object) };
        let api = match self.api_of(object.types.as_ref(), in_namespace).await {
            Ok(api) => api,
            Err(Error::Malformed { message, .. }) => return Err(Error::Malformed { what: title(object), message }),
            Err(error) => return not_yet(error),
        };
        let name = object.name_any();
        let failed = |error| self.failed(&title(object), error);
        let before = api.get_opt(&name).await.map_err(failed)?;
        let params = PatchParams { dry_run: options.dry_run, ..PatchParams::apply(options.manager).force() };
        match (api.patch(&name, &params, &Patch::Apply(object)).await.map_err(failed), before) {
            (Ok(_), None) => Ok(Outcome::Created),
            (Ok(after), Some(before)) if content(&before) == content(&after) => Ok(Outcome::Unchanged),
            (Ok(_), Some(_)) => Ok(Outcome::Changed),
            // so a server answers when the namespace does not exist
            (Err(error), None) => not_yet(error),
            (Err(error), Some(_)) => Err(error),
        }
    }
}

/// What an apply may change. A dry run gives no new resource version, so objects are compared by this.
fn content(object: &DynamicObject) -> (Value, kube::api::ObjectMeta) {
    let (mut data, mut metadata) = (object.data.clone(), object.metadata.clone());
    metadata.managed_fields = None;
    metadata.resource_version = None;
    if let Some(data) = data.as_object_mut() {
        data.remove("status");
    }
    (data, metadata)
}
