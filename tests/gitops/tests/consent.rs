//! What a line removed from a list cannot do without a person's consent: delete a component, a namespace or Argo CD.
//!
//! Definitions need nothing: Argo CD gives none of them its tracking mark, so it never prunes one, and leaves them out when it deletes an
//! Application (v3.5.7: `GenerateManifests` in reposerver/repository, `shouldBeDeleted` in controller/appcontroller.go).
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::Value;
use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{documents, environments, repository};

#[test]
fn a_component_and_a_namespace_are_deleted_with_consent_only() {
    need(&["kustomize"]).unwrap();
    for environment in environments().unwrap() {
        let built = |folder: &str| documents(&kustomize(&repository().join(folder)).unwrap()).unwrap();
        // every other Application is in the list of this one
        let root = applications(built(&format!("clusters/{environment}/root")));
        assert_eq!(root.iter().map(name).collect::<Vec<_>>(), ["root"]);
        assert!(asks(&root[0]), "{environment}: {}", root[0]);

        let (mut namespaces, mut finished) = (0, 0);
        for application in applications(built(&format!("clusters/{environment}"))) {
            let argocd = name(&application) == "argocd";
            // what deletes everything that an Application has made is Argo CD's controller, which cannot do it to itself
            assert_eq!(
                application["metadata"]["finalizers"].is_null(),
                argocd,
                "{environment}: {}",
                name(&application)
            );
            finished += usize::from(!argocd);
            let sources = application["spec"]["sources"].as_array().cloned().unwrap_or_default();
            for source in sources.iter().chain(application["spec"].get("source")) {
                // upstream's namespaces are left out by patches
                let path = source["path"].as_str().unwrap_or_default();
                if !path.starts_with("overlays/") || source.get("directory").is_some() {
                    continue;
                }
                for object in built(path).iter().filter(|object| object["kind"] == "Namespace") {
                    namespaces += 1;
                    assert!(asks(&application), "{environment}: {} deletes {}", name(&application), name(object));
                }
            }
        }
        assert!(namespaces >= 9 && finished >= 13, "{environment}: {namespaces} namespaces, {finished} Applications");
    }
}

/// Whether Argo CD asks before it prunes an object of this Application, and before it deletes all of them.
fn asks(application: &Value) -> bool {
    let options = application["spec"]["syncPolicy"]["syncOptions"].as_array().unwrap();
    ["Prune=confirm", "Delete=confirm"].iter().all(|option| options.iter().any(|one| one == option))
}

fn applications(objects: Vec<Value>) -> Vec<Value> {
    objects.into_iter().filter(|object| object["kind"] == "Application").collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}
