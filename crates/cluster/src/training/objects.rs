//! The objects of a training with the fields that are read. The others are skipped while an object is read, so they take no memory: a
//! TrainJob's managed fields alone are larger than all that is kept of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer};

/// A TrainJob of Kubeflow Trainer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrainJob {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    pub(super) spec: TrainJobSpec,
    pub(super) status: TrainJobStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrainJobSpec {
    pub(super) suspend: Option<bool>,
    pub(super) active_deadline_seconds: Option<u64>,
    pub(super) trainer: Trainer,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Trainer {
    pub(super) image: Option<String>,
    pub(super) num_nodes: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrainJobStatus {
    pub(super) conditions: Vec<Condition>,
    pub(super) trainer_status: Option<TrainerStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrainerStatus {
    pub(super) progress_percentage: Option<u32>,
    pub(super) estimated_remaining_seconds: Option<u64>,
    pub(super) metrics: Vec<NamedValue>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct NamedValue {
    pub(super) name: String,
    pub(super) value: String,
}

/// The JobSet that Trainer makes of a TrainJob, with the same name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSet {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    pub(super) status: JobSetStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JobSetStatus {
    /// How often all workers were started again.
    pub(super) restarts: u32,
}

/// A condition in an object's status.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_transition_time: Option<Time>,
}

/// The condition of a type, if it is true.
pub(super) fn holding<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind && condition.status == "True")
}

macro_rules! resource {
    ($type:ident, $group:literal, $version:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($type).into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(TrainJob, "trainer.kubeflow.org", "v1alpha1", "trainjobs");
resource!(JobSet, "jobset.x-k8s.io", "v1alpha2", "jobsets");

/// What is read of an object's metadata.
fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Kept {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        labels: Option<BTreeMap<String, String>>,
    }

    let kept = Kept::deserialize(from)?;
    Ok(ObjectMeta {
        name: kept.name,
        namespace: kept.namespace,
        uid: kept.uid,
        resource_version: kept.resource_version,
        creation_timestamp: kept.creation_timestamp,
        deletion_timestamp: kept.deletion_timestamp,
        labels: kept.labels,
        ..ObjectMeta::default()
    })
}
