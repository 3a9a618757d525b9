//! How trees differ.

use slipway_gitops::{Change, Difference, Environment, compare, follow, markdown};

use crate::repository::Repository;

fn environment(repository: &Repository) -> Environment {
    let (environment, findings) = follow(&repository.files, &repository.builds(), "local");
    assert!(findings.is_empty(), "{findings:?}");
    environment
}

fn changed(change: impl FnOnce(&mut Repository)) -> Vec<Difference> {
    let before = environment(&Repository::new());
    let mut repository = Repository::new();
    change(&mut repository);
    compare(Some(&before), Some(&environment(&repository)))
}

fn names(differences: &[Difference]) -> Vec<String> {
    differences
        .iter()
        .map(|one| format!("{} {:?} {} {}/{}", one.application, one.change, one.kind, one.namespace, one.name))
        .collect()
}

#[test]
fn the_same_tree_does_not_differ() {
    assert_eq!(changed(|_| {}), []);
    // nor does another order of keys, or a comment
    let reordered = changed(|repository| {
        let path = "overlays/local/training-jobs/digits-1.yaml";
        repository.replace(
            path,
            "{name: digits-1, namespace: training}",
            "{namespace: training, name: digits-1} # why",
        );
    });
    assert_eq!(reordered, []);
    assert_eq!(markdown(&[]), "No object changes in any environment.\n");
}

#[test]
fn each_object_that_differs_is_shown_alone() {
    let all = changed(|repository| {
        repository.replace("base/web/web.yaml", "level: info", "level: debug");
        repository.files.remove("overlays/local/training-jobs/digits-1.yaml");
        repository.replace("clusters/local/applications.yaml", "targetRevision: v1", "targetRevision: v2");
    });
    assert_eq!(
        names(&all),
        [
            "root Changed Application argocd/upstream",
            "training-jobs Removed TrainJob training/digits-1",
            "web Changed ConfigMap web/web-settings",
        ]
    );
    assert!(all[0].diff.contains("-    targetRevision: v1\n+    targetRevision: v2"), "{}", all[0].diff);
    assert_eq!(all[2].change, Change::Changed);
    let text = markdown(&all);
    assert!(text.starts_with("### local: 0 added, 2 changed, 1 removed"), "{text}");
    assert!(text.contains("<summary>~ ConfigMap web/web-settings (web)</summary>"), "{text}");
}

#[test]
fn a_generated_name_is_the_same_object() {
    let with = |hash: &str, level: &str| {
        let mut repository = Repository::new();
        repository.replace(
            "base/web/web.yaml",
            "metadata: {name: web-settings}",
            &format!("metadata: {{name: web-settings-{hash}}}"),
        );
        repository.replace("base/web/web.yaml", "level: info", level);
        environment(&repository)
    };
    let all = compare(Some(&with("bcdfghkmt2", "level: info")), Some(&with("2456789bcd", "level: debug")));
    assert_eq!(names(&all), ["web Changed ConfigMap web/web-settings-2456789bcd"]);
}

#[test]
fn a_new_environment_is_all_added() {
    let all = compare(None, Some(&environment(&Repository::new())));
    assert!(all.len() > 20 && all.iter().all(|one| one.change == Change::Added), "{}", all.len());
    assert!(all.iter().any(|one| one.application == "root" && one.kind == "AppProject"));
}

#[test]
fn a_fence_in_the_content_does_not_end_the_code() {
    let all = changed(|repository| repository.replace("base/web/web.yaml", "level: info", "level: '```'"));
    assert!(markdown(&all).contains("\n````diff\n"), "{}", markdown(&all));
}

#[test]
fn what_is_applied_for_an_application_says_whose_it_is() {
    let environment = environment(&Repository::new());
    let id = |application: &str, kind: &str| {
        let deployed = environment.application(application).unwrap();
        let object = deployed.objects.iter().find(|object| object.id.kind == kind).unwrap();
        let json = deployed.application.applied(object);
        json["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id("web", "Deployment"), "web:apps/Deployment:web/web");
    assert_eq!(id("web", "ConfigMap"), "web:/ConfigMap:web/web-settings");
    assert_eq!(id("web", "ClusterTrainingRuntime"), "web:trainer.kubeflow.org/ClusterTrainingRuntime:web/rust");
}
