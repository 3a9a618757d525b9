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
    // another order of keys, or a comment, is not a difference
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
fn a_difference_shows_no_login() {
    let path = "clusters/local/applications.yaml";
    let with = |login: &str, text: &str| {
        let mut repository = Repository::new();
        repository.replace(
            path,
            "repoURL: https://example.org/upstream.git",
            &format!("repoURL: 'https://{login}example.org/upstream.git'"),
        );
        repository.replace("base/web/web.yaml", "level: info", &format!("level: 'info {text}'"));
        environment(&repository)
    };
    let (without, first, second) = (
        with("", ""),
        with("ann:s3cret-1@", "at http://ann:s3cret@db/x"),
        with("ann:s3cret-2@", "at http://ann:s3cret@db/y"),
    );
    for (before, after, lines) in [
        (None, Some(&first), 0),
        (Some(&first), None, 0),
        (Some(&without), Some(&first), 1),
        (Some(&first), Some(&second), 1),
    ] {
        let all = compare(before, after);
        let text = serde_json::to_string(&all).unwrap() + &markdown(&all);
        assert!(!all.is_empty() && !text.contains("s3cret") && text.contains("http://db/"), "{text}");
        let only_a_login = all.iter().filter(|one| one.diff.contains("only the login in an address differs")).count();
        assert_eq!(only_a_login, lines, "{text}");
    }
}

#[test]
fn a_difference_shows_no_login_of_a_registry() {
    let mut repository = Repository::new();
    repository.replace(
        "clusters/local/applications.yaml",
        "repoURL: https://example.org/upstream.git",
        "repoURL: 'ann:s3cret@registry.example/charts'",
    );
    let all = compare(None, Some(&environment(&repository)));
    let text = serde_json::to_string(&all).unwrap() + &markdown(&all);
    assert!(!text.contains("s3cret") && text.contains("repoURL: registry.example/charts"), "{text}");
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
    assert!(text.starts_with("### `local`: 0 added, 2 changed, 1 removed"), "{text}");
    assert!(text.contains("<summary><code>&#126; ConfigMap web/web-settings (web)</code></summary>"), "{text}");
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
fn what_is_applied_for_an_application_has_its_tracking_id() {
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

fn added(environment: &str, kind: &str, name: String, lines: usize) -> Difference {
    Difference {
        environment: environment.to_owned(),
        application: "training-jobs".to_owned(),
        kind: kind.to_owned(),
        namespace: "training".to_owned(),
        name,
        change: Change::Added,
        diff: "+ a line with an ö of a rendered job\n".repeat(lines),
    }
}

fn jobs(environment: &str, count: usize, lines: usize) -> Vec<Difference> {
    (0..count).map(|index| added(environment, "TrainJob", format!("mnist-cnn-{index:08x}"), lines)).collect()
}

#[test]
fn a_pull_request_has_room_for_any_number_of_objects() {
    // GitHub accepts 65,536 characters; the rest is for the plan and the warnings
    const LIMIT: usize = 42 * 1024;
    let mut all = jobs("local", 1000, 30);
    all.push(added("local", "Deployment", "server".to_owned(), 5));
    let text = markdown(&all);
    assert!((LIMIT / 2..=LIMIT).contains(&text.chars().count()), "{}", text.chars().count());
    assert!(text.starts_with("### `local`: 1001 added, 0 changed, 0 removed\n"), "{}", &text[..80]);
    // a thousand jobs do not hide one Deployment
    assert!(
        text.contains("<summary><code>&#43; Deployment training/server (training-jobs)</code></summary>"),
        "{text}"
    );
    let shown = text.matches("TrainJob training/").count();
    assert!(shown > 100 && text.contains("<summary><code>&#43; TrainJob"), "{shown}");
    assert!(
        text.ends_with(&format!("… and {} more `TrainJobs`: `slipway diff` shows everything\n\n", 1000 - shown)),
        "{text}"
    );
}

#[test]
fn each_environment_has_its_share_of_a_pull_request() {
    let mut all = jobs("local", 10_000, 30);
    all.push(added("production", "NetworkPolicy", "allow-dns".to_owned(), 400));
    all.extend(jobs("staging", 1, 30));
    let text = markdown(&all);
    assert!(text.chars().count() <= 42 * 1024);
    assert!(text.contains("### `production`: 1 added") && text.contains("NetworkPolicy training/allow-dns"));
    assert!(
        text.contains("### `staging`: 1 added") && text.contains("mnist-cnn-00000000 (training-jobs)</code></summary>")
    );

    let many: Vec<Difference> = (0..5000).flat_map(|index| jobs(&format!("environment-{index:04}"), 3, 30)).collect();
    let text = markdown(&many);
    assert!(text.chars().count() <= 42 * 1024);
    assert!(
        text.contains("### `environment-0000`: 3 added") && text.contains("… and 4950 more environments"),
        "{text}"
    );
}

#[test]
fn an_object_that_is_too_long_is_counted() {
    let all = [
        added("local", "NetworkPolicy", "n".repeat(100_000), 1),
        added("local", "Ingress", "i".repeat(100_000), 1),
        added("local", "Gateway", "g".repeat(100_000), 1),
        added("local", "NetworkPolicy", "m".repeat(100_000), 1),
        added("local", "Gateway", "h".repeat(100_000), 1),
    ];
    let text = markdown(&all);
    assert!(
        text.contains("… and 2 more `Gateways`, 1 more `Ingress`, 2 more `NetworkPolicies`: `slipway diff`"),
        "{text}"
    );
    let kinds: Vec<Difference> =
        (0..500).map(|index| added("local", &format!("Kind{index}"), "x".repeat(100_000), 1)).collect();
    assert!(markdown(&kinds).contains("… and 500 more objects: `slipway diff`"));
}

#[test]
fn no_name_or_diff_is_markup() {
    let mut one = added("@octo</b>", "<img src=x>", "@octo `x` </summary>".to_owned(), 1);
    one.diff = "+ ```\n+ </details> @octo\n".to_owned();
    let text = markdown(&[one.clone()]);
    assert!(text.starts_with("### `@octo</b>`: 1 added"), "{text}");
    let (summary, rest) =
        text.split_once("<summary><code>").and_then(|(_, text)| text.split_once("</code></summary>")).unwrap();
    assert_eq!(
        summary,
        "&#43; &#60;img src=x&#62; training/&#64;<wbr>octo &#96;x&#96; &#60;/summary&#62; (training-jobs)"
    );
    assert!(rest.starts_with("\n\n````diff\n+ ```\n+ </details> @octo\n````\n</details>\n"), "{rest}");
    one.diff = "+ a line\n".repeat(10_000);
    let text = markdown(&[one]);
    assert!(text.contains("\n- ``+ <img src=x> training/@octo `x` </summary> (training-jobs)`` (the diff"), "{text}");
}
