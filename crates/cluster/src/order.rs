//! In which order objects are applied: what others need comes first.

use serde_json::Value;

use crate::fields::text;

/// Kinds that others need, in order; what is not listed comes last, in the order given.
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

/// Sorts objects; those of the same kind keep their order.
pub(crate) fn sort(objects: &mut [Value]) {
    objects.sort_by_key(|object| {
        let kind = text(object, "/kind");
        FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_need_comes_first() {
        let mut objects: Vec<Value> =
            ["Deployment", "Application", "AppProject", "CustomResourceDefinition", "Namespace"]
                .iter()
                .map(|kind| json!({ "kind": kind }))
                .collect();
        sort(&mut objects);
        let kinds: Vec<_> = objects.iter().map(|object| text(object, "/kind")).collect();
        assert_eq!(kinds, ["Namespace", "CustomResourceDefinition", "AppProject", "Deployment", "Application"]);
    }
}
