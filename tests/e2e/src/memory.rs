//! The memory of the stack's pods.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::Stack;

impl Stack {
    /// Memory of each workload's pods in bytes, by `namespace/name`: PSS on the test cluster, and on kind what kubelet counts.
    /// Kubernetes' own programs are not included.
    ///
    /// # Errors
    /// If the cluster is not running.
    pub fn memory(&self) -> Result<BTreeMap<String, u64>> {
        let mut all = BTreeMap::new();
        for (pod, memory) in self.ground().memory()?.into_iter().filter(|(_, memory)| *memory > 0) {
            let Some((namespace, name)) = pod.split_once('/') else { continue };
            *all.entry(format!("{namespace}/{}", workload(name))).or_default() += memory;
        }
        Ok(all)
    }
}

/// A pod's name without the suffix that Kubernetes appends, which begins at the first part with a digit.
fn workload(pod: &str) -> String {
    let parts: Vec<&str> = pod.split('-').take_while(|part| !part.contains(|c: char| c.is_ascii_digit())).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_after_its_workload() {
        assert_eq!(workload("argocd-repo-server-6b7f5c9d8-x2xkq"), "argocd-repo-server");
        assert_eq!(workload("postgres-0"), "postgres");
    }
}
