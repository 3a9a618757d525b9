//! A queue with the API in front of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use slipway_embedded::{JobStatus, Kubernetes, Queue, Serving, Supervisor, Trainers, TrainingRuntime};
use slipway_git::Repository;
use tempfile::TempDir;

/// Far more than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) queue: Queue,
    pub(crate) serving: Serving,
    pub(crate) client: Client,
    files: BTreeMap<String, Vec<u8>>,
}

/// A TrainJob as `slipway render` writes it, with a command where the trainer would be.
pub(crate) fn job(name: &str, nodes: u32, command: &[&str]) -> String {
    let resources = "{cpu: \"1\", memory: 1Gi}";
    // the shell's own dollar signs, kept from the expansion of `$(NAME)`
    let command = serde_json::to_string(command).unwrap().replace("$$", "$$$$");
    format!(
        "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {name}
  namespace: training
  labels: {{slipway.dev/experiment: test}}
  annotations:
    slipway.dev/experiment-file: experiments/test.yaml
spec:
  activeDeadlineSeconds: 600
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: slipway-torch}}
  trainer:
    image: slipway/trainer:0.1.0
    command: {command}
    numNodes: {nodes}
    numProcPerNode: 1
    env:
      - {{name: OMP_NUM_THREADS, value: \"1\"}}
    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
"
    )
}

impl Bench {
    /// Main has no job yet.
    pub(crate) async fn new(cpus: u64) -> Self {
        let bench = Self::before_main(cpus).await;
        bench.queue.apply(BTreeMap::new());
        bench
    }

    /// Main was not read yet.
    pub(crate) async fn before_main(cpus: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let jobs = path.join("jobs");
        std::fs::create_dir(&jobs).unwrap();
        let kubernetes = Kubernetes::bind().await.unwrap();
        let queue = Queue::start(TrainingRuntime {
            supervisor: Supervisor(vec![env!("CARGO_BIN_EXE_slipway-supervise").into()]),
            trainer: PathBuf::from("/bin/false"),
            launcher: PathBuf::from("/bin/false"),
            trainers: Trainers {
                forge: Repository::init_bare(&path.join("forge.git")).unwrap(),
                // packages of programs are never there
                packages: ["sh", "-c", "exec sleep 1000"].map(Into::into).into(),
            },
            environment: Vec::new(),
            status_server: Some(kubernetes.status_server()),
            jobs: jobs.clone(),
            checkpoints: None,
            cpu_millis: cpus * 1000,
            max_restarts: 0,
        });
        let serving = kubernetes.serve(&queue, &jobs, path).unwrap();
        let client = client(&serving.kubeconfig).await;
        Self { folder, queue, serving, client, files: BTreeMap::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a job that runs a script.
    pub(crate) fn add(&mut self, name: &str, nodes: u32, script: &str) {
        self.add_file(name, &job(name, nodes, &["sh", "-c", script]));
    }

    pub(crate) fn add_file(&mut self, name: &str, file: &str) {
        self.add_all([(name.to_owned(), file.to_owned())]);
    }

    /// Adds jobs by name with one merge.
    pub(crate) fn add_all(&mut self, jobs: impl IntoIterator<Item = (String, String)>) {
        self.files.extend(jobs.into_iter().map(|(name, file)| (format!("{name}.yaml"), file.into_bytes())));
        self.queue.apply(self.files.clone());
    }

    /// A job whose program comes from `trainers/own`; at this tree, if one is given.
    pub(crate) fn add_program(&mut self, name: &str, tree: Option<&str>) {
        let trial = serde_json::json!({
            "name": name, "experiment": "own", "dataset": {"name": "d", "digest": format!("sha256:{}", "0".repeat(64))},
            "program": {"command": ["true"], "args": [], "parameters": {}, "trainer": "own"}, "workers": 1, "parameters": {},
        });
        let mut variables =
            format!("      - {{name: SLIPWAY_TRIAL, value: {}}}\n", serde_json::json!(trial.to_string()));
        if let Some(tree) = tree {
            variables.push_str(&format!("      - {{name: SLIPWAY_PROGRAM_TREE, value: \"{tree}\"}}\n"));
        }
        let file = job(name, 1, &["slipway-launch"]).replace("    resources", &format!("{variables}    resources"));
        self.add_file(name, &file);
    }

    /// The tree of a program whose packages are being installed for ever.
    pub(crate) fn slow_program(&self) -> String {
        let forge = Repository::open(&self.path("forge.git")).unwrap();
        let commit = forge.commit(None, &[("train.py".to_owned(), Some(Vec::new()))].into(), "a program").unwrap();
        forge.tree_of(&commit).unwrap()
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.files.remove(&format!("{name}.yaml")).unwrap();
        self.queue.apply(self.files.clone());
    }

    /// The status of a job once it has ended and the API shows that.
    pub(crate) async fn finished(&self, name: &str) -> JobStatus {
        let has_ended = |job: &DynamicObject| {
            let conditions = job.data["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|one| one["type"] == "Complete" || one["type"] == "Failed")
        };
        within(async {
            let status = self.queue.jobs().finished(name).await.unwrap();
            while !self.train_jobs().get_opt(name).await.unwrap().is_some_and(|job| has_ended(&job)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            status
        })
        .await
    }

    pub(crate) fn train_jobs(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), "training", &train_jobs())
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "training")
    }

    /// The pod of a worker, once it is as it should be.
    pub(crate) async fn pod(&self, job: &str, rank: u32, is: impl Fn(&Pod) -> bool) -> Pod {
        let labels = format!("jobset.sigs.k8s.io/jobset-name={job},batch.kubernetes.io/job-completion-index={rank}");
        within(async {
            loop {
                let found = self.pods().list(&ListParams::default().labels(&labels)).await.unwrap();
                if let Some(pod) = found.items.into_iter().find(&is) {
                    return pod;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    /// A request with the token, and whatever else it has.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let (http, token) = http(&self.serving.kubeconfig);
        http.request(method, format!("{}{path}", self.serving.url)).bearer_auth(token)
    }
}

/// Fails if it takes too long.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

/// A plain client that trusts the certificate of a kubeconfig, and the token in it.
pub(crate) fn http(kubeconfig: &Path) -> (reqwest::Client, String) {
    use base64::Engine as _;
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
    let certificate = file["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap();
    let certificate = base64::engine::general_purpose::STANDARD.decode(certificate).unwrap();
    let certificate = reqwest::Certificate::from_pem(&certificate).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().unwrap();
    (http, file["users"][0]["user"]["token"].as_str().unwrap().to_owned())
}

pub(crate) fn train_jobs() -> ApiResource {
    resource("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs")
}

pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
