//! The order in which objects are applied: first what others need.

use kube::api::DynamicObject;

use crate::fields::kind;

/// Kinds that others need, in order. Kinds that are not listed come last.
const FIRST: [&str; 17] = [
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "StorageClass",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "PersistentVolumeClaim",
    "Service",
    "AppProject",
];

/// The place of an object's kind in the order. Objects of the same rank do not need each other.
fn rank(object: &DynamicObject) -> usize {
    FIRST.iter().position(|first| *first == kind(object)).unwrap_or(FIRST.len())
}

/// The objects in ranks, each to be applied before the next. Within a rank they keep the order given.
pub(crate) fn ranks(objects: &[DynamicObject]) -> Vec<Vec<&DynamicObject>> {
    let mut sorted: Vec<&DynamicObject> = objects.iter().collect();
    sorted.sort_by_key(|object| rank(object));
    sorted.chunk_by(|a, b| rank(a) == rank(b)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_need_comes_first() {
        let objects: Vec<DynamicObject> =
            ["Deployment", "Application", "AppProject", "CustomResourceDefinition", "Namespace"]
                .iter()
                .map(|kind| {
                    serde_json::from_value(json!({ "apiVersion": "v1", "kind": kind, "metadata": {} })).unwrap()
                })
                .collect();
        let ranks = ranks(&objects);
        let kinds: Vec<Vec<_>> = ranks.iter().map(|rank| rank.iter().map(|object| kind(object)).collect()).collect();
        assert_eq!(
            kinds,
            [
                vec!["Namespace"],
                vec!["CustomResourceDefinition"],
                vec!["AppProject"],
                vec!["Deployment", "Application"]
            ]
        );
    }
}
