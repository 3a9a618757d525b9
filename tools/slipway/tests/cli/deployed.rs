//! What Argo CD would deploy: `check` builds and follows it, `diff` compares it. With the real kustomize, which `make setup` builds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::project::{Project, Ran, git};

const ROOT: &str = "apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: root, namespace: argocd}
spec:
  sourceRepos: ['*']
  destinations: [{server: '*', namespace: '*'}]
  clusterResourceWhitelist: [{group: '', kind: Namespace}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: root, namespace: argocd}
spec:
  project: root
  source: {repoURL: https://example.org/this.git, targetRevision: main, path: clusters/local}
  destination: {server: https://kubernetes.default.svc, namespace: argocd}
";

const WEB: &str = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  project: root
  source: {repoURL: https://example.org/this.git, targetRevision: main, path: overlays/local/web}
  destination: {server: https://kubernetes.default.svc, namespace: web}
";

const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: info, server: 'http://nothing.example.org'}
";

/// A project with a tree, and a kustomize that records each folder that it builds.
struct Deployed {
    project: Project,
    kustomize: PathBuf,
    runs: PathBuf,
    cache: PathBuf,
}

impl Deployed {
    /// With the real kustomize.
    fn new() -> Self {
        let real = std::env::var_os("SLIPWAY_KUSTOMIZE").map(PathBuf::from);
        let real =
            real.expect("SLIPWAY_KUSTOMIZE is not set; `make test` sets it to the kustomize that `make setup` builds");
        assert!(real.is_file(), "SLIPWAY_KUSTOMIZE: {} does not exist; `make setup` builds kustomize", real.display());
        Self::with(&format!("'{}' build", real.display()))
    }

    /// With another command in place of `kustomize build`, as a shell runs it.
    fn with(program: &str) -> Self {
        let project = Project::new();
        project.write("clusters/local/root/kustomization.yaml", "resources: [root.yaml]\n");
        project.write("clusters/local/root/root.yaml", ROOT);
        project.write("clusters/local/kustomization.yaml", "resources: [namespaces.yaml, web.yaml]\n");
        project.write("clusters/local/web.yaml", WEB);
        project.write("overlays/local/web/kustomization.yaml", "namespace: web\nresources: [../../../base/web]\n");
        // Not in an overlay with a namespace: kustomize would give them all that name.
        project.write(
            "clusters/local/namespaces.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n",
        );
        project.write("base/web/kustomization.yaml", "resources: [settings.yaml]\n");
        project.write("base/web/settings.yaml", SETTINGS);
        project.commit("the tree");
        let folder = project.root().parent().unwrap().to_owned();
        let (kustomize, runs) = (folder.join("kustomize"), folder.join("runs"));
        fs::write(&runs, "").unwrap();
        let script = format!("#!/bin/sh\necho \"$2\" >> '{}'\nexec {program} \"$2\"\n", runs.display());
        fs::write(&kustomize, script).unwrap();
        fs::set_permissions(&kustomize, fs::Permissions::from_mode(0o755)).unwrap();
        Self { project, kustomize, runs, cache: folder.join("cache") }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.project.run_with(arguments, |command| {
            command.env("SLIPWAY_KUSTOMIZE", &self.kustomize).env("XDG_CACHE_HOME", &self.cache);
        })
    }

    /// The folders that were built since the last call.
    fn built(&self) -> Vec<String> {
        let mut all: Vec<String> = fs::read_to_string(&self.runs).unwrap().lines().map(str::to_owned).collect();
        fs::write(&self.runs, "").unwrap();
        all.sort();
        all
    }
}

#[test]
fn a_right_tree_is_built_once() {
    let deployed = Deployed::new();
    let ran = deployed.run(&["check", "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!((&ran.json()["kustomizations"], &ran.json()["objects"]), (&4.into(), &4.into()));
    assert_eq!(deployed.built(), ["base/web", "clusters/local", "clusters/local/root", "overlays/local/web"]);
    assert_eq!(deployed.run(&["check"]).code(), 0);
    assert_eq!(deployed.built(), [""; 0], "nothing changed");
    deployed.project.write("base/web/settings.yaml", &SETTINGS.replace("info", "debug"));
    assert_eq!(deployed.run(&["check"]).code(), 0);
    assert_eq!(deployed.built(), ["base/web", "overlays/local/web"], "what reads the changed file, and nothing else");
}

#[test]
fn what_is_wrong_has_its_place() {
    let deployed = Deployed::new();
    deployed
        .project
        .write("base/web/settings.yaml", &SETTINGS.replace("http://nothing.example.org", "http://none.web.svc:1"));
    deployed.project.write("clusters/local/web.yaml", &WEB.replace("project: root", "project: rot"));
    let ran = deployed.run(&["check", "-o", "json"]);
    assert_eq!(ran.code(), 3);
    assert_eq!(
        ran.findings(),
        ["base/web/settings.yaml:4:29 unknown-service", "clusters/local/web.yaml:5:12 unknown-project"]
    );
    let text = deployed.run(&["check"]).errors();
    assert!(text.contains("did you mean `root`?"), "{text}");

    deployed.project.write("base/web/kustomization.yaml", "resources: [none.yaml]\n");
    let ran = deployed.run(&["check", "-o", "json"]);
    assert!(ran.findings().contains(&"base/web/kustomization.yaml:1:13 kustomize-build".to_owned()), "{ran:?}");
    assert!(ran.text().contains("`none.yaml` does not exist: there is no base/web/none.yaml"), "{ran:?}");
}

#[test]
fn one_cause_is_one_finding_also_in_the_pull_request() {
    let deployed = Deployed::new();
    let project = &deployed.project;
    // several overlays, and then the folder that all of them use is gone
    let names = ["a", "b", "c", "d"];
    for name in names {
        let file = format!("overlays/local/web/{name}/kustomization.yaml");
        project.write(&file, "resources:\n- ../../../../base/web\n");
    }
    project.write("overlays/local/web/kustomization.yaml", &format!("resources: [{}]\n", names.join(", ")));
    fs::remove_dir_all(project.root().join("base")).unwrap();
    let ran = deployed.run(&["check", "-o", "json"]);
    assert_eq!(
        (ran.code(), ran.findings()),
        (3, vec!["overlays/local/web/a/kustomization.yaml:2:3 kustomize-build".to_owned()])
    );
    assert!(ran.text().contains("base/ does not exist, and 4 kustomizations name files there"), "{ran:?}");
    let shown = deployed.run(&["check"]).errors();
    assert!(shown.lines().count() <= 3 && shown.ends_with("error: 1 problem found\n"), "{shown}");

    project.commit("no base");
    let forge = project.forge();
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    let ran = deployed.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let record = git(std::path::Path::new(&forge), &["show", "refs/slipway/pull/1"]);
    assert!(record.contains("- `overlays/local/web/a/kustomization.yaml:2:3: base/ does not exist"), "{record}");
}

#[test]
fn without_kustomize_it_says_what_it_leaves_out() {
    let deployed = Deployed::with("false");
    let alone = |arguments: &[&str]| {
        deployed.project.run_with(arguments, |command| {
            command.env("PATH", "/nowhere").env("XDG_CACHE_HOME", &deployed.cache).env_remove("SLIPWAY_KUSTOMIZE");
        })
    };
    let ran = alone(&["check", "-o", "json"]);
    assert_eq!((ran.code(), ran.json()["kustomizations"].as_u64()), (0, Some(0)));
    assert!(ran.json()["skipped"][0].as_str().unwrap().contains("4 kustomizations not built"), "{ran:?}");
    assert!(ran.errors().contains("skipped: 4 kustomizations not built"), "{ran:?}");
    assert_eq!(alone(&["check", "--complete"]).code(), 5);
    let named = alone(&["check", "--kustomize", "/nowhere/kustomize"]);
    assert!(named.code() == 5 && named.errors().contains("https://github.com/kubernetes-sigs/kustomize"), "{named:?}");
}

#[test]
fn two_revisions_differ_by_object() {
    let deployed = Deployed::new();
    assert!(deployed.run(&["diff"]).text().contains("no object changes"));
    deployed.project.write("base/web/settings.yaml", &SETTINGS.replace("info", "debug"));
    let json = deployed.run(&["diff", "-o", "json"]).json();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(
        (&json[0]["application"], &json[0]["kind"], &json[0]["change"]),
        (&"web".into(), &"ConfigMap".into(), &"changed".into())
    );
    assert!(json[0]["diff"].as_str().unwrap().contains("-  level: info\n+  level: debug"), "{json}");

    deployed.project.commit("debug");
    deployed.project.write("clusters/local/kustomization.yaml", "resources: []\n");
    deployed.project.commit("no web");
    let text = deployed.run(&["diff", "--base", "HEAD~2", "--head", "HEAD~1"]).text();
    assert!(
        text.contains("~ ConfigMap web/settings") && text.contains("1 object: 0 added, 1 changed, 0 removed"),
        "{text}"
    );
    let markdown = deployed.run(&["diff", "--base", "HEAD~1", "--head", "HEAD", "--markdown"]).text();
    assert!(markdown.starts_with("### local: 0 added, 0 changed, 4 removed"), "{markdown}");
    assert_eq!(deployed.run(&["diff", "--base", "nothing"]).code(), 3);
    assert_eq!(deployed.run(&["diff", "--environment", "nothing"]).code(), 3);
}

#[test]
fn no_cluster_is_said_so_with_what_to_do() {
    let deployed = Deployed::with("false");
    let folder = deployed.cache.parent().unwrap().to_owned();
    let with = |config: &str| {
        let path = folder.join("kubeconfig");
        fs::write(&path, config).unwrap();
        deployed.project.run_with(&["bootstrap", "local"], |command| {
            command.env("KUBECONFIG", &path).env("SLIPWAY_KUSTOMIZE", &deployed.kustomize);
            command.env_remove("KUBERNETES_SERVICE_HOST");
        })
    };
    let none = with("apiVersion: v1\nkind: Config\n");
    assert!(none.code() == 5 && none.errors().contains("--context"), "{none:?}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = with(&format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    ));
    assert!(away.code() == 6 && away.errors().contains("does not answer"), "{away:?}");
    let unknown = deployed.run(&["bootstrap", "nowhere"]);
    assert!(unknown.code() == 3 && unknown.errors().contains("unknown-environment"), "{unknown:?}");
}
