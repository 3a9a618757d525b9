//! What comes from upstream, judged by the rules of `slipway check --complete`: AppProjects, Pod Security, and the size of definitions.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::Value;
use slipway_deployment::{Kustomize, environments};
use slipway_gitops::{check_upstream, from_upstream, is_same_repository};
use slipway_gitops_tests::program::{need, path};
use slipway_gitops_tests::tree::repository;
use slipway_gitops_tests::upstream;
use slipway_project::Tree;

#[test]
fn projects_permit_what_comes_from_upstream_and_it_can_be_applied() {
    need(&["go", "helm", "kustomize"]).unwrap();
    let root = repository().canonicalize().unwrap();
    let tree = Tree::of_work_tree(&root).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let kustomize = Kustomize::find(&path("kustomize").unwrap(), cache.path()).unwrap();
    let (environments, _) = environments(&tree, &kustomize, None).unwrap();
    assert_eq!(environments.len(), 3);
    for environment in &environments {
        let is_elsewhere =
            |source: &Value| !is_same_repository(source["repoURL"].as_str().unwrap(), environment.repository());
        let mut all = Vec::new();
        for deployed in &environment.applications {
            let application = &deployed.application;
            let spec = &application.object.to_json()["spec"];
            let listed = spec["sources"].as_array().cloned().unwrap_or_else(|| vec![spec["source"].clone()]);
            let elsewhere: Vec<Value> = listed.into_iter().filter(is_elsewhere).collect();
            for (source, json) in environment.upstream_sources(deployed).zip(&elsewhere) {
                let text = upstream::render(application.name(), &application.namespace, json).unwrap();
                all.push((deployed, from_upstream(tree.files(), application, source, &text).unwrap()));
            }
        }
        let charts = all.iter().filter(|(deployed, _)| deployed.application.sources[0].chart.is_some()).count();
        assert_eq!(
            charts,
            match environment.name.as_str() {
                "production" => 2,
                "staging" => 1,
                _ => 0,
            }
        );
        assert!(all.iter().all(|(_, objects)| !objects.is_empty()), "{}: a source without objects", environment.name);
        assert_eq!(check_upstream(tree.files(), environment, &all), [], "{}", environment.name);
    }
}
