//! A small world: a repository with one experiment, a cluster, MLflow, and a manager that can be killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use slipway_cluster::{Leadership, Timestamp};
use slipway_forge::{CheckRun, Conclusion, Error, MergeMethod, Opened, Publication};
use slipway_git::{Repository, Update};
use slipway_mlflow::{Client, LoggedModelStatus, Metric, Run, RunStatus, Tag};
use slipway_mlflow_server::{Accounts, Mlflow};
use slipway_names::tag;
use slipway_project::Tree;
use slipway_proposal::{ExperimentProposal, Opening, Remote};
use slipway_report::CHECK;
use slipway_repositories::project::DATASET;
pub(crate) use slipway_repositories::project::EXPERIMENT;
use slipway_service::Followed;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::rest::Metrics;
use slipway_training_manager::schedule::Pace;
use slipway_training_manager::view::{Trainings, Trial};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::{OFTEN, jump, until_shown};
use crate::kubernetes::Kubernetes;

fn cluster(environment: &str, more: &str) -> String {
    format!(
        "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: {{name: {environment}}}
spec:
  trainerImage: slipway/trainer:0.1.0
  maxTrials: 2000
  prices: {{cpuHour: 0.5, currency: EUR}}
{more}"
    )
}

/// A new bare repository in a folder, whose main is a project with these environments and no rendered jobs. `more` comes into their settings.
pub(crate) fn project(path: &Path, environments: &[&str], experiment: &str, more: &str) -> Repository {
    let git = Repository::init_bare(path).unwrap();
    let mut files = vec![
        ("experiments/digits.yaml".to_owned(), experiment.to_owned()),
        ("datasets/ten.yaml".to_owned(), DATASET.to_owned()),
    ];
    for environment in environments {
        files.push((format!("clusters/{environment}/cluster.yaml"), cluster(environment, more)));
        files.push((format!("overlays/{environment}/server/models.yaml"), "models: []\n".to_owned()));
    }
    let files = files.into_iter().map(|(path, text)| (path, Some(text.into_bytes()))).collect();
    let first = git.commit(None, &files, "first").unwrap();
    assert!(git.update(&[Update { name: "refs/heads/main", to: &first, from: None }]).unwrap());
    git
}

/// Fast enough for a test, and otherwise as it is.
pub(crate) const PACE: Pace = Pace {
    interval: Duration::from_millis(200),
    lead: Duration::from_millis(50),
    soon: Duration::from_millis(150),
    calm: Duration::from_millis(20),
    first_pause: Duration::from_millis(50),
    longest_pause: Duration::from_millis(400),
    at_once: 4,
};

pub(crate) struct World {
    pub(crate) kubernetes: Kubernetes,
    /// With the login of whoever trains, if it asks for one.
    pub(crate) mlflow: Mlflow,
    /// MLflow as a manager reaches it.
    pub(crate) managed: Client,
    /// The files of an MLflow with accounts.
    pub(crate) _accounts: Option<TempDir>,
    pub(crate) git: Repository,
    pub(crate) remote: Remote,
    pub(crate) folder: TempDir,
    /// How often is looked for something on the forge.
    pub(crate) look: Duration,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&["local"], EXPERIMENT).await
    }

    /// A project with these environments, whose main has no rendered jobs.
    pub(crate) async fn with(environments: &[&str], experiment: &str) -> Self {
        Self::with_settings(environments, experiment, "").await
    }

    /// The same with more in the settings of its environments.
    pub(crate) async fn with_settings(environments: &[&str], experiment: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge.git");
        let git = project(&path, environments, experiment, more);
        Self::of(folder, git, Remote::at(&path).unwrap()).await
    }

    /// One with this repository.
    pub(crate) async fn of(folder: TempDir, git: Repository, remote: Remote) -> Self {
        let (kubernetes, mlflow) = (Kubernetes::start().await, Mlflow::start().await);
        let managed = mlflow.client.clone();
        Self { kubernetes, mlflow, managed, _accounts: None, git, remote, folder, look: OFTEN }
    }

    /// This world with an MLflow that asks for the logins of base/mlflow/login.
    pub(crate) async fn with_accounts(self) -> Self {
        let accounts = Accounts::start().await;
        let (managed, client) = (accounts.client("manager"), accounts.client("trainer"));
        let Accounts { mut mlflow, folder } = accounts;
        mlflow.client = client;
        Self { mlflow, managed, _accounts: Some(folder), ..self }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("forge.git")
    }

    /// A manager of this world; with `leadership` it writes.
    pub(crate) fn manager(&self, environment: &str, leadership: Leadership) -> Manager {
        let path = self.path().display().to_string();
        let followed = Followed::open(&path, "", &self.folder.path().join("cache")).unwrap();
        let followed = Followed { pause: Duration::from_millis(50), ..followed };
        Manager { pace: PACE, ..self.manager_of(followed, environment, leadership) }
    }

    /// One that follows a repository, as fast as it does.
    pub(crate) fn manager_of(&self, followed: Followed, environment: &str, leadership: Leadership) -> Manager {
        Manager {
            cluster: self.kubernetes.cluster(),
            namespace: crate::kubernetes::NAMESPACE.to_owned(),
            environment: environment.to_owned(),
            followed,
            mlflow: self.managed.clone(),
            pages: Some("https://mlflow.example.org".to_owned()),
            server: None,
            archive: None,
            leadership,
            pace: Pace::default(),
            metrics: Metrics::new().unwrap(),
        }
    }

    /// The newest commit of main.
    pub(crate) async fn main(&self) -> String {
        self.remote.fetch(&self.git, "main").await.unwrap()
    }

    /// Proposes and merges the experiment; the names of the TrainJobs that start in an environment, in the order of the sweep.
    pub(crate) async fn merge(&self, environment: &str) -> (u64, Vec<String>) {
        let tree = Tree::at(&self.git, &self.main().await).unwrap();
        self.merge_tree(&tree, environment).await
    }

    /// The same with a new learning rate, so that another trial starts.
    pub(crate) async fn merge_another(&self, environment: &str, rate: &str) -> (u64, Vec<String>) {
        let mut tree = Tree::at(&self.git, &self.main().await).unwrap();
        let text = tree.text("experiments/digits.yaml").unwrap().replace("[0.001, ", &format!("[{rate}, 0.001, "));
        tree.insert("experiments/digits.yaml", text.into_bytes());
        self.merge_tree(&tree, environment).await
    }

    async fn merge_tree(&self, tree: &Tree, environment: &str) -> (u64, Vec<String>) {
        let files = ["experiments/digits.yaml".to_owned()];
        let proposal = ExperimentProposal::prepare(&self.git, &self.remote, tree, &files).await.unwrap();
        let change = proposal.plan.changes.iter().find(|change| change.environment == environment).unwrap();
        let jobs: Vec<String> = change.starts.iter().map(|start| start.name.clone()).collect();
        let opened = proposal.open(&self.git, &self.remote, None, Opening::default()).await.unwrap();
        self.merge_opened(&opened).await;
        (opened.number, jobs)
    }

    /// A person merges a pull request.
    pub(crate) async fn merge_opened(&self, opened: &Opened) {
        self.remote.forge.merge(opened.number, MergeMethod::Merge, &opened.head).await.unwrap();
    }

    /// The report on an open pull request is written, whose check is green.
    pub(crate) async fn judge(&self, number: u64) {
        judge(&self.remote, number).await;
    }

    /// Commits to main without a pull request.
    pub(crate) fn push(&self, path: &str, content: Option<&str>) {
        let main = self.git.reference("refs/heads/main").unwrap().unwrap();
        let changes = [(path.to_owned(), content.map(|text| text.as_bytes().to_vec()))].into();
        let commit = self.git.commit(Some(&main), &changes, "by hand").unwrap();
        assert!(self.git.update(&[Update { name: "refs/heads/main", to: &commit, from: Some(&main) }]).unwrap());
    }

    /// A TrainJob as Argo CD makes it.
    pub(crate) fn create(&self, job: &str) {
        self.kubernetes.put(
            "trainjobs",
            json!({
                "apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob",
                "metadata": {"name": job, "creationTimestamp": now(), "labels": {"slipway.dev/experiment": "digits"}},
                "spec": {"activeDeadlineSeconds": 1800, "trainer": {"image": "slipway/trainer:0.1.0", "numNodes": 2}},
            }),
        );
        self.kubernetes.put("jobsets", json!({"metadata": {"name": job}}));
    }

    /// The workers of a job, all in the same state.
    pub(crate) fn pods(&self, job: &str, status: &Value) {
        for rank in 0..2 {
            let labels = json!({"jobset.sigs.k8s.io/jobset-name": job, "batch.kubernetes.io/job-completion-index": rank.to_string()});
            self.kubernetes.put(
                "pods",
                json!({
                    "metadata": {"name": pod(job, rank), "creationTimestamp": now(), "labels": labels},
                    "spec": {"nodeName": "node-a", "containers": [{"name": "node"}]}, "status": status,
                }),
            );
        }
    }

    /// Its workers run, and rank 0 has made its run.
    pub(crate) async fn run(&self, job: &str) -> Run {
        self.pods(job, &container("Running", &json!({"running": {"startedAt": now()}})));
        let client = &self.mlflow.client;
        let experiment = client.get_or_create_experiment("digits").await.unwrap();
        let tags = [Tag::new(tag::TRAINJOB, job)];
        client.create_run(&experiment, job, &tags, Timestamp::now().as_millisecond()).await.unwrap()
    }

    /// Both of these jobs have started and finished, with these accuracies on the usual data. Returns their runs.
    pub(crate) async fn finish_both(&self, jobs: &[String], accuracies: [f64; 2]) -> Vec<Run> {
        let mut runs = Vec::new();
        for (job, accuracy) in jobs.iter().zip(accuracies) {
            self.create(job);
            let run = self.run(job).await;
            self.finish(job, &run, accuracy, DATA).await;
            runs.push(run);
        }
        runs
    }

    /// It has finished, and registered a version with this accuracy on data with this digest.
    pub(crate) async fn finish(&self, job: &str, run: &Run, accuracy: f64, data: &str) {
        let client = &self.mlflow.client;
        let metrics = [Metric::new("test_accuracy", accuracy, 1, 3)];
        client.log_batch(&run.run_id, &metrics, &[], &[Tag::new(tag::GATE, "passed")]).await.unwrap();
        client.get_or_create_registered_model("mnist").await.unwrap();
        let model = client.create_logged_model(&run.experiment_id, "model", &run.run_id, &[], &[]).await.unwrap();
        client.upload_logged_model_artifact(&model, "config.json", "{}").await.unwrap();
        client.finalize_logged_model(&model.model_id, LoggedModelStatus::Ready).await.unwrap();
        let tags = [
            Tag::new(tag::TRAINJOB, job),
            Tag::new(tag::ACCURACY, accuracy.to_string()),
            Tag::new(tag::DATASET_DIGEST, data),
            Tag::new(tag::DIGEST, format!("sha256:{}", "b".repeat(64))),
        ];
        let source = format!("models:/{}", model.model_id);
        client.create_model_version("mnist", &source, &run.run_id, &model.model_id, &tags).await.unwrap();
        client.update_run(&run.run_id, RunStatus::Finished, Timestamp::now().as_millisecond()).await.unwrap();
        self.pods(job, &container("Succeeded", &json!({"terminated": {"exitCode": 0, "startedAt": now()}})));
        self.conclude(job, "Complete", "AllJobsCompleted", "jobset completed successfully");
    }

    /// Gives a TrainJob a condition that is true.
    pub(crate) fn conclude(&self, job: &str, kind: &str, reason: &str, message: &str) {
        let condition =
            json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now()});
        self.kubernetes.update("trainjobs", job, |object| object["status"] = json!({"conditions": [condition]}));
    }

    /// The report on a pull request.
    pub(crate) async fn report(&self, number: u64) -> String {
        self.remote.forge.published(number).await.unwrap().concat()
    }

    /// Waits until the report on a pull request says this.
    pub(crate) async fn reported(&self, number: u64, text: &str) -> String {
        let says = async || self.report(number).await.contains(text);
        let what = format!("the report on #{number} says {text}");
        until_shown(&what, self.look, says, async || self.report(number).await).await;
        self.report(number).await
    }

    /// The same of something that is only told after a while: time jumps ahead by a minute again and again.
    pub(crate) async fn reported_later(&self, number: u64, text: &str) {
        let says = async || {
            jump(Duration::from_secs(60)).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            self.report(number).await.contains(text)
        };
        let what = format!("the report on #{number} says {text}");
        until_shown(&what, OFTEN, says, async || self.report(number).await).await;
    }

    /// Every promotion, in whatever state.
    pub(crate) async fn promotions(&self) -> Vec<Opened> {
        self.of_branches("slipway/serve-").await
    }

    /// Every pull request whose branch begins so, the newest first.
    pub(crate) async fn of_branches(&self, name: &str) -> Vec<Opened> {
        let all = self.remote.forge.newest().await.unwrap();
        all.into_iter().filter(|opened| opened.branch.starts_with(name)).collect()
    }
}

/// Writes the report on an open pull request, whose check is green.
pub(crate) async fn judge(remote: &Remote, number: u64) {
    let judged = async |opened: &Opened, _: Option<&str>| {
        let check = CheckRun {
            name: CHECK.to_owned(),
            conclusion: Conclusion::Success,
            title: String::new(),
            summary: String::new(),
            annotations: Vec::new(),
        };
        Ok::<_, Error>(Publication { head: opened.head.clone(), parts: Vec::new(), check: Some(check) })
    };
    remote.forge.publish(number, judged).await.unwrap();
}

/// Waits until the read model has a trial for which something holds.
pub(crate) async fn shown(published: &Published, job: &str, holds: impl Fn(&Trial) -> bool) -> Arc<Trial> {
    let trainings = || Arc::clone(&published.trainings.borrow());
    let trial = |all: &Trainings| all.trials.get(job).cloned();
    until_shown(
        "the read model",
        OFTEN,
        async || trial(&trainings()).is_some_and(|trial| holds(&trial)),
        async || format!("{:#?}", trial(&trainings())),
    )
    .await;
    trial(&trainings()).unwrap()
}

/// Does something while a manager runs.
pub(crate) async fn with<T>(manager: &Manager, published: &Published, scenario: impl Future<Output = T>) -> T {
    tokio::select! {
        never = manager.run(published) => match never {},
        done = scenario => done,
    }
}

/// A leadership that nobody takes away.
pub(crate) fn leader() -> Leadership {
    let (is_leader, until) = (watch::Sender::new(true), watch::Sender::new(Some(far())));
    Leadership::told(is_leader.subscribe(), until.subscribe())
}

/// Longer than any test takes, however fast its time passes.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(365 * 24 * 3600)
}

pub(crate) fn pod(job: &str, rank: u32) -> String {
    format!("{job}-node-0-{rank}-x7k2p")
}

pub(crate) fn container(phase: &str, state: &Value) -> Value {
    json!({"phase": phase, "containerStatuses": [
        {"name": "node", "image": "slipway/trainer:0.1.0", "imageID": "", "ready": true, "restartCount": 0, "state": state}
    ]})
}

pub(crate) fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap().to_string()
}

pub(crate) const DATA: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
