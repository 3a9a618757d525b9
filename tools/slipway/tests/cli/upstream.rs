//! Sources in other repositories: `check --complete` renders and judges them, `diff` shows what they change. With the real kustomize and
//! helm, which `make setup` builds, and a chart repository on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::deployed::ROOT;
use crate::project::{Project, Ran, git};

const NAMESPACES: &str = "apiVersion: v1
kind: Namespace
metadata: {name: web, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: argocd}
";

const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  project: root
  source:
    repoURL: REPOSITORY
    chart: web
    targetRevision: 1.0.0
    helm:
      valuesObject: {level: info}
  destination: {server: https://kubernetes.default.svc, namespace: web}
";

const TEMPLATES: [(&str, &str); 4] = [
    (
        "settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-settings}\ndata: {level: {{ .Values.level }}, chart: '{{ .Chart.Version }}'}\n",
    ),
    (
        "deployment.yaml",
        "{{- if .Values.pod }}\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: {{ .Release.Namespace }}}\nspec:\n  \
         selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers: [{name: web, image: 'web:1'}]\n{{- end }}\n",
    ),
    (
        "role.yaml",
        "{{- if .Values.role }}\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: web}\nrules: []\n{{- end }}\n",
    ),
    (
        "test.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: try, annotations: {helm.sh/hook: test}}\nspec: {containers: [{name: try, image: 'web:1'}]}\n",
    ),
];

const SCHEMA: &str = r#"{"type": "object", "properties": {"level": {"enum": ["info", "debug"]}}}"#;

/// A project whose Application `web` is a chart of a repository on loopback, which has it as 1.0.0 and as 1.1.0.
struct Charts {
    project: Project,
    /// `None` once it does not answer any more.
    repository: Option<Server>,
    url: String,
    folder: PathBuf,
    cache: PathBuf,
}

impl Charts {
    fn new() -> Self {
        let project = Project::new();
        let folder = project.top().parent().unwrap().to_owned();
        let repository = Server::new(&folder.join("charts"));
        let url = format!("http://{}", repository.address);
        for version in ["1.0.0", "1.1.0"] {
            let chart = folder.join("chart");
            fs::create_dir_all(chart.join("templates")).unwrap();
            fs::create_dir_all(chart.join("crds")).unwrap();
            fs::write(chart.join("Chart.yaml"), format!("apiVersion: v2\nname: web\nversion: {version}\n")).unwrap();
            fs::write(chart.join("values.yaml"), "level: info\npod: false\nrole: false\n").unwrap();
            fs::write(chart.join("values.schema.json"), SCHEMA).unwrap();
            fs::write(chart.join("crds/sites.yaml"), definition(300 * 1024)).unwrap();
            for (name, text) in TEMPLATES {
                fs::write(chart.join("templates").join(name), text).unwrap();
            }
            run(Command::new(helm()).arg("package").arg(&chart).arg("--destination").arg(folder.join("charts")));
        }
        run(Command::new(helm()).args(["repo", "index"]).arg(folder.join("charts")));
        project.write("clusters/local/root/kustomization.yaml", "resources: [root.yaml]\n");
        let kinds = "[{group: '', kind: Namespace}, {group: apiextensions.k8s.io, kind: CustomResourceDefinition}]";
        let root = ROOT.replace("[{group: '', kind: Namespace}]", kinds);
        project.write("clusters/local/root/root.yaml", &root);
        project.write("clusters/local/kustomization.yaml", "resources: [namespaces.yaml, web.yaml]\n");
        project.write("clusters/local/namespaces.yaml", NAMESPACES);
        let charts = Self { project, repository: Some(repository), url, cache: folder.join("cache"), folder };
        charts.application("{level: info}", "syncPolicy: {syncOptions: [ServerSideApply=true]}");
        charts.project.commit("the tree");
        charts
    }

    /// Writes the Application with these values, and one more field.
    fn application(&self, values: &str, field: &str) {
        let text = APPLICATION.replace("REPOSITORY", &self.url).replace("{level: info}", values);
        self.project.write("clusters/local/web.yaml", &format!("{text}  {field}\n"));
    }

    fn was_asked(&self) -> bool {
        self.repository.as_ref().unwrap().asked.load(Ordering::Relaxed)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, helm().to_str().unwrap())
    }

    fn run_with(&self, arguments: &[&str], helm: &str) -> Ran {
        self.project.run_with(arguments, |command| {
            command.env("XDG_CACHE_HOME", &self.cache).env("SLIPWAY_HELM", helm);
            command.env("HELM_CONFIG_HOME", self.folder.join("helm"));
        })
    }

    /// Runs the program where helm cannot be found. git and kustomize can.
    fn run_without_helm(&self, arguments: &[&str]) -> Ran {
        let bin = self.folder.join("bin");
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            let path = std::env::var_os("PATH").unwrap();
            let mut all = std::env::split_paths(&path).map(|folder| folder.join("git"));
            std::os::unix::fs::symlink(all.find(|git| git.is_file()).unwrap(), bin.join("git")).unwrap();
        }
        self.project.run_with(arguments, |command| {
            command.env("XDG_CACHE_HOME", &self.cache).env_remove("SLIPWAY_HELM").env("PATH", &bin);
        })
    }
}

#[test]
fn a_chart_is_rendered_and_judged() {
    let charts = Charts::new();
    let plain = charts.run(&["check", "-o", "json"]);
    assert_eq!((plain.code(), &plain.json()["upstream"]), (0, &0.into()), "{plain:?}");
    assert!(plain.json()["skipped"][0].as_str().unwrap().contains("1 source in other repositories"), "{plain:?}");
    assert_eq!(charts.run(&["check", "--complete", "--offline"]).code(), 0);
    assert!(!charts.was_asked(), "only --complete uses the network");

    let complete = charts.run(&["check", "--complete", "-o", "json"]);
    assert_eq!((complete.code(), &complete.json()["upstream"]), (0, &1.into()), "{complete:?}");
    assert_eq!(complete.json()["skipped"], serde_json::json!([]));

    charts.application("{pod: true, role: true}", "syncPolicy: {}");
    let wrong = charts.run(&["check", "--complete", "-o", "json"]);
    assert_eq!(wrong.code(), 3, "{wrong:?}");
    let codes = ["kind-not-permitted", "missing-security-context", "too-large-to-apply"];
    let mut found = wrong.findings();
    found.sort();
    found.dedup();
    assert_eq!(found, codes.map(|code| format!("clusters/local/web.yaml:6:3 {code}")), "{wrong:?}");
    assert!(!wrong.errors().contains("Pod web/try"), "Argo CD does not create what is for `helm test`: {wrong:?}");

    charts.application("{level: loud}", "syncPolicy: {syncOptions: [ServerSideApply=true]}");
    let refused = charts.run(&["check", "--complete", "-o", "json"]);
    assert_eq!(
        (refused.code(), refused.findings()),
        (3, vec!["clusters/local/web.yaml:6:3 upstream-build".to_owned()])
    );
    assert!(charts.run(&["check", "--complete"]).errors().contains("level"), "helm's reason is shown");
}

#[test]
fn what_cannot_be_had_is_skipped_and_not_complete() {
    let mut charts = Charts::new();
    let without = charts.run_without_helm(&["check", "--complete"]);
    assert!(without.code() == 5 && without.errors().contains("helm/releases"), "{without:?}");
    assert_eq!(charts.run_without_helm(&["check"]).code(), 0);
    let named = charts.run_with(&["check", "--complete"], "/nowhere/helm");
    assert!(named.code() == 5 && named.errors().contains("--helm /nowhere/helm"), "{named:?}");

    assert_eq!(charts.run(&["check", "--complete"]).code(), 0);
    charts.repository = None;
    assert_eq!(charts.run(&["check", "--complete"]).code(), 0, "the chart is in the cache");
    let text = charts.project.read("clusters/local/web.yaml");
    charts.project.write("clusters/local/web.yaml", &text.replace("1.0.0", "1.1.0"));
    let away = charts.run(&["check", "--complete"]);
    assert!(away.code() == 5 && away.errors().contains("Application web was not rendered"), "{away:?}");
    assert!(away.errors().contains(&charts.url), "{away:?}");
}

#[test]
fn a_new_version_of_a_chart_differs_by_object() {
    let charts = Charts::new();
    assert_eq!(charts.run(&["diff", "-o", "json"]).json()["objects"], serde_json::json!([]));
    assert!(!charts.was_asked(), "no source changes");
    let text = charts.project.read("clusters/local/web.yaml");
    charts.project.write("clusters/local/web.yaml", &text.replace("1.0.0", "1.1.0").replace("info", "debug"));
    let ran = charts.run(&["diff", "-o", "json"]);
    let changed: Vec<_> = ran.json()["objects"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(changed, ["Application", "ConfigMap"], "{ran:?}");
    let diff = ran.json()["objects"][1]["diff"].as_str().unwrap().to_owned();
    for line in ["-  level: info", "+  level: debug", "-  chart: \"1.0.0\"", "+  chart: \"1.1.0\""] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    let without = charts.run_without_helm(&["diff"]);
    assert_eq!(without.code(), 0, "{without:?}");
    assert!(
        without.errors().contains("not shown: the objects of local's Application web: helm is needed"),
        "{without:?}"
    );
    assert!(without.text().contains("~ Application argocd/web"), "{without:?}");
    let json = charts.run_without_helm(&["diff", "-o", "json"]).json();
    let not_shown = json["notShown"][0].as_str().unwrap();
    assert!(not_shown.starts_with("the objects of local's Application web: helm is needed"), "{json}");

    // values in a file of this repository
    let sources = text
        .replace("  source:\n    repoURL", "  sources:\n  - repoURL: https://example.org/this.git\n    targetRevision: main\n    ref: here\n  - repoURL")
        .replace("valuesObject: {level: info}", "valueFiles: [$here/overlays/local/web/values.yaml]");
    charts.project.write("clusters/local/web.yaml", &sources);
    charts.project.write("overlays/local/web/values.yaml", "level: debug\n");
    charts.project.commit("values of its own");
    charts.project.write("overlays/local/web/values.yaml", "level: info\n");
    let ran = charts.run(&["diff", "-o", "json"]);
    let objects = ran.json()["objects"].clone();
    assert_eq!((&objects[0]["kind"], objects.as_array().unwrap().len()), (&"ConfigMap".into(), 1), "{ran:?}");
    charts.project.write("clusters/local/web.yaml", &sources.replace("web/values.yaml", "web/none.yaml"));
    let missing = charts.run(&["check", "--complete"]);
    assert!(
        missing.code() == 3 && missing.errors().contains("there is no overlays/local/web/none.yaml"),
        "{missing:?}"
    );
}

#[test]
fn a_chart_in_a_git_repository_is_rendered() {
    let charts = Charts::new();
    let upstream = charts.folder.join("upstream");
    fs::create_dir_all(upstream.join("deploy")).unwrap();
    fs::rename(charts.folder.join("chart"), upstream.join("deploy/web")).unwrap();
    git(&upstream, &["init", "--quiet", "--initial-branch=main"]);
    git(&upstream, &["add", "-A"]);
    git(&upstream, &["commit", "--quiet", "-m", "one"]);
    git(&upstream, &["tag", "v1.0.0"]);
    let text = charts.project.read("clusters/local/web.yaml");
    let text = text.replace(&charts.url, &format!("file://{}", upstream.display()));
    let text =
        text.replace("chart: web", "path: deploy/web").replace("targetRevision: 1.0.0", "targetRevision: v1.0.0");
    charts.project.write("clusters/local/web.yaml", &text.replace("{level: info}", "{role: true}"));
    let ran = charts.run(&["check", "--complete", "-o", "json"]);
    assert_eq!(ran.findings(), ["clusters/local/web.yaml:6:3 kind-not-permitted"], "{ran:?}");
}

/// A definition of about so many bytes.
fn definition(bytes: usize) -> String {
    let description = "x".repeat(bytes);
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: sites.example.org}}\nspec:\n  group: example.org\n  \
         scope: Namespaced\n  names: {{kind: Site, plural: sites}}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    \
         schema: {{openAPIV3Schema: {{type: object, description: {description}}}}}\n"
    )
}

fn helm() -> PathBuf {
    let helm = std::env::var_os("SLIPWAY_HELM").map(PathBuf::from);
    let helm = helm.expect("SLIPWAY_HELM is not set; `make test` sets it to the helm that `make setup` builds");
    assert!(helm.is_file(), "SLIPWAY_HELM: {} does not exist; `make setup` builds helm", helm.display());
    helm
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Serves the files of a folder on loopback.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (asked, ended, folder) = (asked.clone(), ended.clone(), folder.to_owned());
            move || {
                for connection in listener.incoming().map_while(Result::ok) {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    asked.store(true, Ordering::Relaxed);
                    answer(connection, &folder);
                }
            }
        });
        Self { address, asked, ended, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // wakes it, so that it sees that it has ended
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(connection: TcpStream, folder: &Path) {
    let mut lines = BufReader::new(&connection).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (status, body) = match fs::read(folder.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = (&connection).write_all(&[head.as_bytes(), &body].concat());
}
