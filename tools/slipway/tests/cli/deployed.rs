//! What Argo CD would deploy: `check` builds and follows it, `diff` compares it. With the real kustomize, which `make setup` builds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::project::{EXPERIMENT, Project, Ran, git};

pub(crate) const ROOT: &str = "apiVersion: argoproj.io/v1alpha1
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
pub(crate) struct Deployed {
    pub(crate) project: Project,
    kustomize: PathBuf,
    runs: PathBuf,
    cache: PathBuf,
}

impl Deployed {
    /// With the real kustomize.
    pub(crate) fn new() -> Self {
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

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, |_| {})
    }

    /// Runs the program in an environment of its own.
    pub(crate) fn run_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Ran {
        self.project.run_with(arguments, |command| {
            command.env("SLIPWAY_KUSTOMIZE", &self.kustomize).env("XDG_CACHE_HOME", &self.cache);
            change(command);
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
    assert_eq!((&json["notShown"], &json["notCompared"]), (&serde_json::json!([]), &serde_json::json!([])));
    let json = &json["objects"];
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
    let counts =
        "**Objects in the clusters: 0 added, 0 changed, 4 removed**\n\n### `local`: 0 added, 0 changed, 4 removed";
    assert!(markdown.starts_with(counts), "{markdown}");
    assert_eq!(deployed.run(&["diff", "--base", "nothing"]).code(), 3);
    assert_eq!(deployed.run(&["diff", "--environment", "nothing"]).code(), 3);
}

const JOBS: &str = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: training-jobs, namespace: argocd}
spec:
  project: root
  source: {repoURL: https://example.org/this.git, targetRevision: main, path: overlays/local/training-jobs, directory: {include: '*.yaml'}}
  destination: {server: https://kubernetes.default.svc, namespace: training}
";

#[test]
fn an_edited_experiment_differs_by_the_jobs_that_it_renders_to() {
    let deployed = Deployed::new();
    let project = &deployed.project;
    project.write("clusters/local/kustomization.yaml", "resources: [namespaces.yaml, web.yaml, jobs.yaml]\n");
    project.write("clusters/local/jobs.yaml", JOBS);
    // as here, so that the folder stays when the last job goes
    project.write("overlays/local/training-jobs/README.md", "TrainJobs\n");
    // committed and not started: no change is about it
    project.write("experiments/later.yaml", &EXPERIMENT.replace("name: digits", "name: later"));
    assert_eq!(deployed.run(&["render", "experiments/digits.yaml"]).code(), 0);
    project.commit("two jobs");
    let none = deployed.run(&["diff"]);
    assert!(none.text().contains("no object changes") && none.errors().is_empty(), "{none:?}");

    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let edited = deployed.run(&["diff"]);
    assert!(edited.text().contains("4 objects: 2 added, 0 changed, 2 removed"), "{edited:?}");
    let said = "experiments/digits.yaml is compared as it renders to now, which changes 4 files";
    assert!(edited.code() == 0 && edited.errors().contains(said), "{edited:?}");
    let committed = deployed.run(&["diff", "--base", "HEAD", "--head", "HEAD"]);
    assert!(committed.text().contains("no object changes") && committed.errors().is_empty(), "{committed:?}");
    assert_eq!(deployed.run(&["render", "experiments/digits.yaml"]).code(), 0);
    let rendered = deployed.run(&["diff"]);
    assert_eq!((rendered.text(), rendered.errors()), (edited.text(), String::new()));

    // what was rendered and is not committed is not what the experiment asks for any more
    let fewer = EXPERIMENT.replace("epochs: 3", "epochs: 2").replace("[0.001, 0.003]", "[0.001]");
    project.write("experiments/digits.yaml", &fewer);
    let fewer = deployed.run(&["diff"]);
    assert!(fewer.text().contains("3 objects: 1 added, 0 changed, 2 removed"), "{fewer:?}");
    fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    let gone = deployed.run(&["diff"]);
    assert!(gone.text().contains("2 objects: 0 added, 0 changed, 2 removed"), "{gone:?}");

    project.git(&["checkout", "--quiet", "HEAD", "--", "."]);
    project.git(&["clean", "--quiet", "--force", "overlays"]);
    project.write("experiments/digits.yaml", "spec:\n  dataset ten\n  model: x\n");
    let wrong = deployed.run(&["diff"]);
    assert!(wrong.text().contains("no object changes"), "{wrong:?}");
    assert!(wrong.errors().contains("not compared: experiments/digits.yaml:2:3: not valid YAML"), "{wrong:?}");

    // a job that was edited by hand is shown as it is, also if its experiment changes
    project.write("experiments/digits.yaml", &format!("{EXPERIMENT}# edited\n"));
    let jobs = project.list("overlays/local/training-jobs");
    let job = jobs.into_iter().find(|file| file.contains("digits-")).unwrap();
    project.write(&job, &project.read(&job).replace("memory: 2Gi", "memory: 3Gi"));
    let by_hand = deployed.run(&["diff"]);
    assert!(by_hand.text().contains("memory: 3Gi") && by_hand.errors().is_empty(), "{by_hand:?}");
    assert!(by_hand.text().contains("1 object: 0 added, 1 changed, 0 removed"), "{by_hand:?}");
}

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: web
      image: example.org/web:1
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 64Mi}}
      env:
        - {name: A, value: V}
";

/// The pod with a variable of this value.
fn pod(value: &str) -> String {
    POD.replace("value: V", &format!("value: {value}"))
}

#[test]
fn kustomize_reads_words_as_texts_and_numbers_as_numbers() {
    let deployed = Deployed::new();
    deployed.project.write("base/web/kustomization.yaml", "resources: [settings.yaml, pod.yaml]\n");
    deployed.project.write("base/web/pod.yaml", &pod("\"yes\""));
    deployed.project.commit("a pod");
    // kustomize itself writes "yes": the quotes make no difference
    for word in ["yes", "on", "y", "NO"] {
        deployed.project.write("base/web/pod.yaml", &pod(word));
        let ran = deployed.run(&["check", "-o", "json"]);
        assert_eq!((ran.code(), ran.findings()), (0, vec![]), "{word}: {ran:?}");
    }
    deployed.project.write("base/web/pod.yaml", &pod("yes"));
    assert!(deployed.run(&["diff"]).text().contains("no object changes"), "{:?}", deployed.run(&["diff"]));
    for number in ["0755", "1_000", "0x1f", "0o17", "1e3", "true"] {
        deployed.project.write("base/web/pod.yaml", &pod(number));
        let ran = deployed.run(&["check", "-o", "json"]);
        assert_eq!(ran.findings(), ["base/web/pod.yaml:12:28 not-a-text"], "{number}: {ran:?}");
    }
    let text = deployed.run(&["diff"]).text();
    assert!(text.contains("-      value: \"yes\"") && text.contains("+      value: true"), "{text}");
    // a JSON patch is read by another reader of kustomize, for which `yes` is a truth value
    deployed.project.write("base/web/pod.yaml", &pod("\"yes\""));
    deployed.project.write(
        "base/web/kustomization.yaml",
        "resources: [settings.yaml, pod.yaml]\npatches:\n  - target: {kind: Pod}\n    patch: |\n      - {op: replace, path: /spec/containers/0/env/0/value, value: yes}\n",
    );
    let ran = deployed.run(&["check", "-o", "json"]);
    assert!(ran.findings()[0].ends_with(" not-a-text"), "{ran:?}");
    assert!(ran.text().contains("is the truth value true for Kubernetes"), "{ran:?}");
}

#[test]
fn a_base_elsewhere_is_refused_and_never_fetched() {
    let deployed = Deployed::new();
    let base = deployed.project.root().parent().unwrap().join("elsewhere");
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("kustomization.yaml"), "resources: []\n").unwrap();
    crate::project::git(&base, &["init", "--quiet", "--initial-branch=main"]);
    crate::project::git(&base, &["add", "-A"]);
    crate::project::git(&base, &["commit", "--quiet", "-m", "base"]);
    let address = format!("file://{}?ref=main", base.display());
    deployed.project.write("base/web/kustomization.yaml", &format!("resources:\n  - settings.yaml\n  - {address}\n"));
    for _ in 0..2 {
        let ran = deployed.run(&["check", "-o", "json"]);
        assert_eq!(ran.findings(), ["base/web/kustomization.yaml:3:5 remote-base"], "{ran:?}");
        assert!(!deployed.built().contains(&"base/web".to_owned()), "it was built");
    }
    let ran = deployed.run(&["diff"]);
    assert!(ran.code() == 3 && ran.errors().contains("remote-base"), "{ran:?}");
    // what does not look like an address is not fetched either
    deployed.project.write("base/web/kustomization.yaml", "resources: [settings.yaml, localhost/base]\n");
    let ran = deployed.run(&["check", "-o", "json"]);
    assert_eq!(ran.findings(), ["base/web/kustomization.yaml:1:28 kustomize-build"], "{ran:?}");
    assert!(ran.text().contains("`localhost/base` does not exist: there is no base/web/localhost"), "{ran:?}");
}

#[test]
fn the_work_tree_and_a_commit_are_built_alike() {
    let deployed = Deployed::new();
    deployed.project.write("base/shared/settings.yaml", SETTINGS);
    fs::remove_file(deployed.project.root().join("base/web/settings.yaml")).unwrap();
    std::os::unix::fs::symlink("../shared/settings.yaml", deployed.project.root().join("base/web/settings.yaml"))
        .unwrap();
    let here = deployed.run(&["check", "-o", "json"]);
    assert!(here.findings().contains(&"base/web/settings.yaml:1:1 link".to_owned()), "{here:?}");
    assert!(here.findings().contains(&"base/web/kustomization.yaml:1:13 kustomize-build".to_owned()), "{here:?}");
    deployed.project.commit("a link");
    let committed = deployed.run(&["diff", "--base", "HEAD~1", "--head", "HEAD", "-o", "json"]);
    let work_tree = deployed.run(&["diff", "--base", "HEAD~1", "-o", "json"]);
    assert_eq!((committed.code(), committed.findings()), (3, work_tree.findings()), "{committed:?}");
    assert!(committed.findings().contains(&"base/web/settings.yaml:1:1 link".to_owned()), "{committed:?}");
}

#[test]
fn another_spelling_of_the_address_is_the_same_repository() {
    let deployed = Deployed::new();
    deployed
        .project
        .write("clusters/local/web.yaml", &WEB.replace("https://example.org/this.git", "https://Example.org/this"));
    deployed.project.commit("another spelling");
    deployed.project.write("base/web/settings.yaml", &SETTINGS.replace("info", "debug"));
    assert_eq!(deployed.run(&["check", "-o", "json"]).json()["objects"], 4);
    assert!(deployed.run(&["diff"]).text().contains("~ ConfigMap web/settings"));
}

#[test]
fn an_application_set_is_followed_or_said_not_to_be() {
    let deployed = Deployed::new();
    let set = |generator: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: sites, namespace: argocd}}\nspec:\n  generators:\n    - {generator}\n  template:\n    metadata: {{name: '{{{{site}}}}'}}\n    spec:\n      project: root\n      source: {{repoURL: https://example.org/this.git, targetRevision: main, path: 'overlays/local/{{{{site}}}}'}}\n      destination: {{server: https://kubernetes.default.svc, namespace: '{{{{site}}}}'}}\n"
        )
    };
    deployed.project.write("clusters/local/web.yaml", &set("list: {elements: [{site: web}]}"));
    deployed.project.commit("a set");
    deployed.project.write("base/web/settings.yaml", &SETTINGS.replace("info", "debug"));
    assert_eq!(deployed.run(&["check"]).code(), 0, "{:?}", deployed.run(&["check"]));
    assert_eq!(deployed.run(&["diff", "-o", "json"]).json()["objects"][0]["application"], "web");

    deployed.project.write("clusters/local/web.yaml", &set("clusters: {}"));
    let ran = deployed.run(&["check"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let said = "clusters/local/web.yaml:6:7: the Applications of ApplicationSet argocd/sites are not followed";
    assert!(ran.errors().contains(&format!("skipped: {said}")), "{ran:?}");
    assert_eq!(deployed.run(&["check", "--complete"]).code(), 5);
    let json = deployed.run(&["diff", "-o", "json"]).json();
    let at = &json["notCompared"][0];
    assert_eq!((&at["file"], &at["line"]), (&"clusters/local/web.yaml".into(), &6.into()), "{json}");
    assert!(at["message"].as_str().unwrap().contains("ApplicationSet argocd/sites are not followed"), "{json}");
    let ran = deployed.run(&["diff", "--markdown"]);
    assert!(ran.errors().contains(&format!("not compared: {said}")), "{ran:?}");
    assert!(ran.text().contains("Not read here, and so not compared:"), "{ran:?}");
}

#[test]
fn what_a_source_changes_is_built_with_it() {
    let deployed = Deployed::new();
    deployed.project.write("base/web/kustomization.yaml", "resources: [settings.yaml, pod.yaml]\n");
    deployed.project.write("base/web/pod.yaml", &pod("text"));
    deployed.project.commit("a pod");
    let changed = |changes: &str| {
        let source = format!("path: overlays/local/web, kustomize: {changes}}}");
        deployed.project.write("clusters/local/web.yaml", &WEB.replace("path: overlays/local/web}", &source));
    };
    changed("{images: ['example.org/web=example.org/web:latest'], commonAnnotations: {a: b}}");
    let ran = deployed.run(&["check", "-o", "json"]);
    assert_eq!(ran.findings(), ["base/web/pod.yaml:8:14 floating-image"], "{ran:?}");
    let text = deployed.run(&["diff"]).text();
    assert!(text.contains("+    a: b") && text.contains("+    image: example.org/web:latest"), "{text}");
    deployed.built();
    deployed.run(&["check"]);
    assert_eq!(deployed.built(), [""; 0], "nothing changed");
    changed("{images: ['example.org/web=example.org/web:2']}");
    assert_eq!(deployed.run(&["check"]).code(), 0);
    changed("{patches: [{target: {kind: Pod}, patch: '- {op: remove, path: /none}'}]}");
    let ran = deployed.run(&["check", "-o", "json"]);
    assert_eq!(ran.findings(), ["clusters/local/web.yaml:6:99 kustomize-build"], "{ran:?}");
    assert!(!ran.text().contains("/tmp"), "{ran:?}");
    changed("{version: v4}");
    assert!(deployed.run(&["check"]).errors().contains("by kustomize.version, which is not done here"));
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
