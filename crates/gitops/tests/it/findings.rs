//! One mistake at a time: what is found, and where.

use rstest::rstest;

use crate::repository::Repository;

const APPS: &str = "clusters/local/applications.yaml";
const ROOT: &str = "clusters/local/root/root.yaml";
const WEB: &str = "base/web/web.yaml";
const JOB: &str = "overlays/local/training-jobs/digits-1.yaml";

#[test]
fn a_correct_repository_has_no_findings() {
    assert_eq!(Repository::new().found(), [""; 0]);
}

#[rstest]
#[case::path(APPS, "path: overlays/local/web", "path: overlays/local/wep", &["application-path | path: overlays/local/wep", "not-synced | resources: [../../../base/web]"])]
#[case::project(APPS, "project: stack", "project: stak", &["unknown-project | project: stak"])]
#[case::default_project(APPS, "project: stack", "project: default", &["unknown-project | project: default"])]
#[case::repository(APPS, "'https://example.org/*'", "'https://example.org/this.git'", &["source-not-permitted | source: {repoURL: https://example.org/upstream.git, targetRevision: v1, path: manifests}"])]
#[case::cluster_kind(APPS, "kind: ClusterTrainingRuntime", "kind: Other", &["kind-not-permitted | kind: ClusterTrainingRuntime"])]
#[case::namespaced_kind(APPS, "  clusterResourceWhitelist:", "  namespaceResourceBlacklist: [{group: '', kind: ConfigMap}]\n  clusterResourceWhitelist:", &["kind-not-permitted | kind: ConfigMap"])]
#[case::namespace(APPS, "namespace: '*'", "namespace: '!web'}, {namespace: '*'", &["namespace-not-permitted | destination: {server: https://kubernetes.default.svc, namespace: web}"])]
#[case::root_project(ROOT, "kind: '*'", "kind: AppProject", &["kind-not-permitted | kind: Application", "kind-not-permitted | kind: Application", "kind-not-permitted | kind: Application", "kind-not-permitted | kind: Application"])]
#[case::wave(APPS, "sync-wave: '0'", "sync-wave: first", &["wrong-wave | annotations: {argocd.argoproj.io/sync-wave: first}"])]
#[case::two_roots(ROOT, "kind: AppProject", "kind: Application", &["root-application | resources: [root.yaml]"])]
#[case::no_namespace(APPS, "server: https://kubernetes.default.svc, namespace: web", "server: https://kubernetes.default.svc", &["many no-namespace"])]
#[case::upstream_namespace("base/namespaces/namespaces.yaml", "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: upstream}\n", "", &["unknown-namespace | namespace: upstream"])]
#[case::job_namespace(JOB, "namespace: training", "namespace: trainin", &["unknown-namespace | metadata: {name: digits-1, namespace: trainin}", "unknown-secret | - secretRef: {name: trainer-s3}"])]
#[case::config_map(WEB, "configMapRef: {name: web-settings}", "configMapRef: {name: web-setting}", &["unknown-config-map | - configMapRef: {name: web-setting}"])]
#[case::key(WEB, "key: level, path", "key: levle, path", &["unknown-key | items: [{key: levle, path: level}]"])]
#[case::secret(WEB, "{name: web-password, key", "{name: web-passwort, key", &["unknown-secret | secretKeyRef: {name: web-passwort, key: password}"])]
#[case::secret_key(WEB, "key: password}", "key: pass}", &["unknown-key | secretKeyRef: {name: web-password, key: pass}"])]
#[case::runtime_secret(WEB, "secretRef: {name: trainer-s3}", "secretRef: {name: trainer-s4}", &["unknown-secret | - secretRef: {name: trainer-s4}"])]
#[case::service_account(WEB, "serviceAccountName: web", "serviceAccountName: wep", &["unknown-service-account | serviceAccountName: wep"])]
#[case::claim(WEB, "claimName: web-data", "claimName: web-date", &["unknown-volume-claim | persistentVolumeClaim: {claimName: web-date}"])]
#[case::backend(WEB, "        - name: web\n          port: 80", "        - name: wep\n          port: 80", &["unknown-service | - name: wep"])]
#[case::port(WEB, "          port: 80", "          port: 81", &["unknown-port | port: 81"])]
#[case::url_service(WEB, "http://web.web.svc:80/", "http://wep.web.svc:80/", &["unknown-service | value: http://wep.web.svc:80/"])]
#[case::url_port(WEB, "http://web.web.svc:80/", "http://web.web.svc:8080/", &["unknown-port | value: http://web.web.svc:8080/"])]
#[case::url_upstream(WEB, "http://web.web.svc:80/", "http://any.upstream.svc:1/", &[])]
#[case::gateway(WEB, "    - name: gate\n", "    - name: gatt\n", &["unknown-gateway | - name: gatt"])]
#[case::listener(WEB, "sectionName: http", "sectionName: https", &["unknown-listener | sectionName: https"])]
#[case::grant(WEB, "          port: 80\n", "          port: 80\n          namespace: upstream\n", &["no-reference-grant | namespace: upstream"])]
#[case::certificate(WEB, "{name: http, protocol: HTTP, port: 80}", "{name: http, protocol: HTTPS, port: 80, tls: {certificateRefs: [{name: tls}]}}", &["unknown-secret | listeners: [{name: http, protocol: HTTPS, port: 80, tls: {certificateRefs: [{name: tls}]}}]"])]
#[case::role(WEB, "  kind: Role\n  name: reader", "  kind: Role\n  name: writer", &["unknown-role | name: writer"])]
#[case::subject(WEB, "  - kind: ServiceAccount\n    name: web", "  - kind: ServiceAccount\n    name: wep", &["unknown-service-account | name: wep"])]
#[case::own_selector(WEB, "      labels: {app: web}", "      labels: {app: wep}", &["selector-mismatch | matchLabels: {app: web}", "selects-nothing | matchLabels: {app: web}", "selects-nothing | selector: {app: web}"])]
#[case::selector(WEB, "  selector: {app: web}", "  selector: {app: wep}", &["selects-nothing | selector: {app: wep}"])]
#[case::runtime(JOB, "name: rust", "name: rusty", &["unknown-runtime | name: rusty"])]
#[case::latest(WEB, "example.org/web:1.2", "example.org/web:latest", &["floating-image | image: example.org/web:latest"])]
#[case::untagged(JOB, "example.org/trainer:1", "example.org/trainer", &["floating-image | image: example.org/trainer"])]
#[case::requests(WEB, "requests: {cpu: 100m, memory: 64Mi}", "requests: {cpu: 100m}", &["missing-requests | requests: {cpu: 100m}"])]
#[case::limits(WEB, "            limits: {memory: 64Mi}\n", "", &["missing-limits | resources:"])]
#[case::probe(WEB, "          livenessProbe: {httpGet: {path: /, port: 8080}}\n", "", &["missing-probe | - name: web"])]
#[case::root_user(WEB, "        runAsNonRoot: true\n", "", &["missing-security-context | securityContext:"])]
#[case::capabilities(WEB, "{drop: [ALL]}", "{drop: [NET_RAW]}", &["missing-security-context | capabilities: {drop: [NET_RAW]}"])]
#[case::escalation(WEB, "allowPrivilegeEscalation: false", "privileged: true", &["missing-security-context | privileged: true", "missing-security-context | securityContext:"])]
#[case::duplicate(WEB, "metadata: {name: web-data}", "metadata: {name: web-data}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}", &["duplicate-object | metadata: {name: web}"])]
#[case::duplicate_key(JOB, "spec:", "kind: TrainJob\nspec:", &["yaml-duplicate-key | kind: TrainJob"])]
#[case::number_for_a_text(WEB, "value: http://web.web.svc:80/", "value: 0755", &["not-a-text | value: 0755"])]
#[case::truth_for_a_text(JOB, "namespace: training}", "namespace: training, annotations: {a: yes, b: 'yes', c: text}}", &["not-a-text | metadata: {name: digits-1, namespace: training, annotations: {a: yes, b: 'yes', c: text}}"])]
#[case::number_in_a_config_map(WEB, "level: info", "level: 1_000", &["not-a-text | level: 1_000"])]
#[case::argument(WEB, "          resources:\n", "          args: [serve, on]\n          resources:\n", &["not-a-text | args: [serve, on]"])]
#[case::pod_label(WEB, "      labels: {app: web}", "      labels: {app: web, tier: 1}", &["not-a-text | labels: {app: web, tier: 1}"])]
#[case::server(APPS, "destinations: [{server: https://kubernetes.default.svc", "destinations: [{server: https://other.example.org", &["namespace-not-permitted | destination: {server: https://kubernetes.default.svc, namespace: web}", "namespace-not-permitted | namespace: upstream", "namespace-not-permitted | destination: {server: https://kubernetes.default.svc, namespace: training}"])]
#[case::nested_repository(APPS, "https://example.org/upstream.git", "https://example.org/group/upstream.git", &["source-not-permitted | source: {repoURL: https://example.org/group/upstream.git, targetRevision: v1, path: manifests}"])]
#[case::document_without_a_kind(JOB, "kind: TrainJob\n", "kind: TrainJob\n---\n", &["not-an-object | apiVersion: trainer.kubeflow.org/v1alpha1", "not-an-object | metadata: {name: digits-1, namespace: training}"])]
#[case::infinite(JOB, "image: example.org/trainer:1", "image: example.org/trainer:1\n    numNodes: .inf", &["yaml-number | numNodes: .inf"])]
#[case::remote("base/web/kustomization.yaml", "[web.yaml]", "[web.yaml, https://example.org/base?ref=main]", &["remote-base | resources: [web.yaml, https://example.org/base?ref=main]"])]
#[case::login(APPS, "source: {repoURL: https://example.org/upstream.git", "source: {repoURL: 'https://ann:s3cret@example.org/upstream.git'", &["login-in-address | source: {repoURL: 'https://ann:s3cret@example.org/upstream.git', targetRevision: v1, path: manifests}", "source-not-permitted | source: {repoURL: 'https://ann:s3cret@example.org/upstream.git', targetRevision: v1, path: manifests}"])]
#[case::token(APPS, "source: {repoURL: https://example.org/upstream.git", "source: {repoURL: 'https://glpat-s3cret89012345678@example.org/upstream.git'", &["login-in-address | source: {repoURL: 'https://glpat-s3cret89012345678@example.org/upstream.git', targetRevision: v1, path: manifests}", "source-not-permitted | source: {repoURL: 'https://glpat-s3cret89012345678@example.org/upstream.git', targetRevision: v1, path: manifests}"])]
#[case::login_of_a_project(APPS, "'https://example.org/*'", "'https://example.org/*', 'https://ann:s3cret@example.org/x'", &["login-in-address | sourceRepos: ['https://example.org/*', 'https://ann:s3cret@example.org/x']"])]
#[case::syntax(JOB, "spec:", "spec: [", &["yaml-syntax | name: rust"])]
#[case::build("base/web/kustomization.yaml", "web.yaml", "wep.yaml", &["kustomize-build | resources: [wep.yaml]"])]
fn one_mistake_has_its_finding(#[case] file: &str, #[case] from: &str, #[case] to: &str, #[case] expected: &[&str]) {
    let mut repository = Repository::new();
    repository.replace(file, from, to);
    let mut found = repository.found();
    if let [many] = expected
        && let Some(code) = many.strip_prefix("many ")
    {
        assert!(found.len() > 5 && found.iter().any(|one| one.starts_with(code)), "{found:?}");
        return;
    }
    let mut expected: Vec<String> = expected.iter().map(|one| (*one).to_owned()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{:#?}", repository.findings());
}

#[test]
fn a_runtime_is_judged_before_there_is_a_job() {
    let mut repository = Repository::new();
    repository.files.remove(JOB);
    repository.replace(WEB, "secretRef: {name: trainer-s3}", "secretRef: {name: trainer-s4}");
    assert_eq!(repository.found(), ["unknown-secret | - secretRef: {name: trainer-s4}"]);
}

#[test]
fn every_finding_says_what_to_do() {
    let mut repository = Repository::new();
    repository.replace(WEB, "secretKeyRef: {name: web-password", "secretKeyRef: {name: web-passwort");
    repository.replace(WEB, "example.org/web:1.2", "example.org/web");
    for finding in repository.findings() {
        let help = finding.help.as_deref().unwrap_or_default();
        assert!(!help.is_empty() && !finding.message.is_empty(), "{finding:?}");
    }
    let text = format!("{:?}", repository.findings());
    assert!(text.contains("did you mean `web-password`?"), "{text}");
}

#[test]
fn digests_are_required_where_the_environment_says_so() {
    let mut repository = Repository::new();
    repository.demands.images_by_digest = true;
    assert_eq!(
        repository.found(),
        ["image-without-digest | image: example.org/web:1.2", "image-without-digest | image: example.org/trainer:1"]
    );
}

#[test]
fn a_namespace_may_have_a_laxer_level() {
    let mut repository = Repository::new();
    repository.replace(WEB, "        runAsNonRoot: true\n", "");
    let labels = "metadata: {name: web, labels: {pod-security.kubernetes.io/enforce: baseline}}";
    repository.replace("base/namespaces/namespaces.yaml", "metadata: {name: web}", labels);
    assert_eq!(repository.found(), [""; 0]);
}

#[test]
fn what_is_too_large_for_an_annotation_needs_server_side_apply() {
    let mut repository = Repository::new();
    let large = format!("metadata: {{name: web-data, labels: {{text: {}}}}}", "x".repeat(300 * 1024));
    repository.replace(WEB, "metadata: {name: web-data}", &large);
    assert_eq!(repository.found(), ["too-large-to-apply | kind: PersistentVolumeClaim"]);
    let option = "    path: overlays/local/web\n  syncPolicy: {syncOptions: [ServerSideApply=true]}\n";
    repository.replace(APPS, "    path: overlays/local/web\n", option);
    assert_eq!(repository.found(), [""; 0]);
}

#[test]
fn a_patch_is_where_its_value_is_wrong() {
    let mut repository = Repository::new();
    // kustomize would build the base with the field from a base without it and this patch
    repository.write(
        "overlays/local/web/kustomization.yaml",
        "resources: [../../../base/web]\npatches:\n  - path: image.yaml\n",
    );
    repository.write(
        "overlays/local/web/image.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          image: example.org/web\n",
    );
    repository.replace(WEB, "image: example.org/web:1.2", "image: example.org/web");
    assert_eq!(repository.found(), ["floating-image | image: example.org/web"]);
    assert_eq!(repository.findings()[0].to_string().split(' ').next(), Some("overlays/local/web/image.yaml:9:18:"));
}

#[test]
fn what_external_secrets_and_certificates_bring_is_there() {
    let mut repository = Repository::new();
    repository.replace(WEB, "{name: web-password, key: password}", "{name: brought, key: one}");
    repository.replace(
        WEB,
        "---\napiVersion: v1\nkind: ServiceAccount",
        "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: x}\nspec: {target: {name: brought}, data: [{secretKey: one}]}\n---\napiVersion: v1\nkind: ServiceAccount",
    );
    assert_eq!(repository.found(), [""; 0]);
    repository.replace(WEB, "{name: brought, key: one}", "{name: brought, key: two}");
    assert_eq!(repository.found(), ["unknown-key | secretKeyRef: {name: brought, key: two}"]);
}

#[test]
fn an_environment_without_a_root_is_not_judged() {
    let mut repository = Repository::new();
    repository.files.remove("clusters/local/root/kustomization.yaml");
    assert_eq!(repository.found(), [""; 0]);
}

/// The findings for a custom resource without a namespace, in an Application without one. With a scope, another Application has the
/// definition of its kind.
fn custom(scope: Option<&str>, kind: &str) -> Vec<String> {
    let mut repository = Repository::new();
    let resource = format!("---\napiVersion: example.org/v1\nkind: {kind}\nmetadata: {{name: one}}\n");
    repository.append("base/namespaces/namespaces.yaml", &resource);
    let mut permitted = vec!["apiextensions.k8s.io, kind: CustomResourceDefinition"];
    if let Some(scope) = scope {
        repository.append(
            WEB,
            &format!(
                "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.example.org}}\n\
                 spec: {{group: example.org, scope: {scope}, names: {{kind: {kind}, plural: widgets}}}}\n"
            ),
        );
        if scope == "Cluster" {
            permitted.push("example.org, kind: '*'");
        }
    }
    for group in permitted {
        repository.replace(
            APPS,
            "  clusterResourceWhitelist:\n",
            &format!("  clusterResourceWhitelist:\n    - {{group: {group}}}\n"),
        );
    }
    repository.found()
}

#[test]
fn the_scope_of_a_kind_is_what_its_definition_says() {
    assert_eq!(custom(Some("Cluster"), "Widget"), [""; 0]);
    assert_eq!(custom(Some("Namespaced"), "Widget"), ["no-namespace | metadata: {name: one}"]);
    // the group counts: these names are built-in kinds of other groups
    assert_eq!(custom(Some("Namespaced"), "Namespace"), ["no-namespace | metadata: {name: one}"]);
    assert_eq!(custom(Some("Cluster"), "Service"), [""; 0]);
}

#[test]
fn a_kind_that_nothing_defines_is_not_judged() {
    assert_eq!(custom(None, "Widget"), [""; 0]);
}

#[test]
fn a_cluster_resource_that_no_project_permits_is_found_by_its_definition() {
    let mut repository = Repository::new();
    repository.append(
        WEB,
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.org}\n\
         spec: {group: example.org, scope: Cluster, names: {kind: Widget, plural: widgets}}\n\
         ---\napiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\n",
    );
    assert_eq!(
        repository.found(),
        ["kind-not-permitted | kind: CustomResourceDefinition", "kind-not-permitted | kind: Widget"]
    );
    let text = format!("{:?}", repository.findings());
    assert!(text.contains("add {group: example.org, kind: Widget} to clusterResourceWhitelist"), "{text}");
}
