//! A loop that is starting: first the parts that are there at once, then those that take their time, side by side.

use std::path::Path;
use std::time::Instant;

use slipway_git::Repository;
use slipway_names::env;

use crate::child::Child;
use crate::configuration::machine_cpu_millis;
use crate::kubernetes::{Kubernetes, Serving};
use crate::manager::{self, Surroundings};
use crate::mlflow::{self, Mlflow};
use crate::port::Port;
use crate::queue::Queue;
use crate::s3::S3;
use crate::services::Services;
use crate::state::State;
use crate::state_folder::StateFolder;
use crate::task::Task;
use crate::training_runtime::{MAX_RESTARTS, TrainingRuntime};
use crate::{
    Configuration, Credentials, Error, Jobs, Result, Running, Trainers, files, followed, forge, monitor, page, server,
    sync,
};

/// A loop whose S3 and forge answer and whose other parts do not yet.
pub struct Starting {
    // Dropped in this order: nothing may write to the folder once its lock is gone.
    queue: Queue,
    kubernetes: Serving,
    /// With its process, its address, and when it was started.
    mlflow: (Mlflow, Child, String, Instant),
    s3: S3,
    folder: StateFolder,
    configuration: Configuration,
    credentials: Credentials,
    forge: Repository,
    page_port: Port,
}

/// Takes the state folder, starts S3, opens the forge and begins to start MLflow: well under a second.
///
/// # Errors
/// When a program is missing, the state folder cannot be taken, or the repository has no commit.
pub async fn begin(configuration: Configuration) -> Result<Starting> {
    configuration.programs.check()?;
    let started = Instant::now();
    let (state, afresh) = (configuration.state.clone(), configuration.afresh);
    // An earlier loop's folder may be large.
    let (folder, credentials) = tokio::task::spawn_blocking(move || take(&state, afresh))
        .await
        .map_err(|error| Error::Part { name: "the start", reason: error.to_string() })??;
    let s3 = S3::start(&folder.path().join("s3"), &credentials).await?;
    (configuration.observer)("s3", started.elapsed());
    let started = Instant::now();
    let forge = forge::open(folder.path(), &configuration.repository).await?;
    (configuration.observer)("forge", started.elapsed());
    let page_port = Port::take(configuration.page_port)?;
    let (supervisor, python) = (&configuration.supervisor, &configuration.programs.python);
    let started = Instant::now();
    let mlflow = Mlflow::new(supervisor, python, folder.path(), (&s3.url, &credentials));
    let (mlflow_child, mlflow_url) = mlflow.start().await?;

    let mut environment = credentials.environment(&s3.url);
    let cache = folder.path().join("cache").display().to_string();
    environment.extend(
        [
            (env::MLFLOW_TRACKING_URI, mlflow_url.as_str()),
            (env::DATASETS, "s3://datasets"),
            (env::CHECKPOINT_STORE, "s3://checkpoints"),
            (env::CACHE, &cache),
            ("NO_PROXY", "127.0.0.1,localhost"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let kubernetes = Kubernetes::bind().await?;
    let jobs = folder.path().join("jobs");
    let queue = Queue::start(TrainingRuntime {
        supervisor: configuration.supervisor.clone(),
        trainer: configuration.programs.trainer.clone(),
        launcher: configuration.programs.launcher.clone(),
        trainers: Trainers { forge: forge.clone(), packages: configuration.packages.clone() },
        environment,
        status_server: Some(kubernetes.status_server()),
        jobs: jobs.clone(),
        checkpoints: Some(folder.path().join("s3/checkpoints")),
        cpu_millis: configuration.cpu_millis.unwrap_or_else(machine_cpu_millis),
        max_restarts: MAX_RESTARTS,
    });
    // nothing runs before MLflow answers, but what there is, is known now
    queue.desired().show(sync::jobs(&forge).await?);
    let kubernetes = kubernetes.serve(&queue, &jobs, folder.path())?;
    let mlflow = (mlflow, mlflow_child, mlflow_url, started);
    Ok(Starting { queue, kubernetes, mlflow, s3, folder, configuration, credentials, forge, page_port })
}

fn take(state: &Path, afresh: bool) -> Result<(StateFolder, Credentials)> {
    let folder = StateFolder::take(state, afresh)?;
    let credentials = Credentials::read_or_make(folder.path())?;
    Ok((folder, credentials))
}

impl Starting {
    /// URL of the S3 endpoint.
    pub fn s3(&self) -> &str {
        &self.s3.url
    }

    /// Keys of the S3 endpoint.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The forge's bare repository.
    pub fn forge(&self) -> &Path {
        self.forge.root()
    }

    /// A view of the jobs.
    pub fn jobs(&self) -> Jobs {
        self.queue.jobs()
    }

    /// Starts MLflow, the server, the training manager and the page side by side and returns when all answer. Main is followed as soon
    /// as MLflow answers, since that is what a job needs.
    ///
    /// # Errors
    /// When one of them ends or does not answer in time; then nothing is left running.
    pub async fn ready(self) -> Result<Running> {
        let Self { queue, kubernetes, s3, folder, configuration, forge, mlflow, page_port, credentials } = self;
        let Configuration { programs, supervisor, observer, page_port: given_port, .. } = configuration;
        files::write(&folder.path().join(sync::SERVED), sync::NO_MODELS)?;
        followed::forget(folder.path())?;
        let manager_token = manager::token(folder.path())?;
        let (mlflow, mut mlflow_child, mlflow_url, mlflow_started) = mlflow;
        let surroundings = Surroundings {
            mlflow: &mlflow_url,
            kubeconfig: &kubernetes.kubeconfig,
            forge: &forge,
            token: &manager_token,
        };
        let mut manager = manager::manager(&supervisor, &programs, folder.path(), &surroundings);
        let started = Instant::now();

        let tracking = async {
            mlflow::ready(&mut mlflow_child, &mlflow_url).await?;
            observer("mlflow", mlflow_started.elapsed());
            let (forge, desired, state) = (forge.clone(), queue.desired(), folder.path().to_owned());
            let sync = tokio::spawn(async move { sync::follow(forge, &desired, &state).await });
            Ok::<_, Error>(Task::new("what follows main", sync))
        };
        let serving = async {
            // each says within milliseconds where it listens, which those that follow are told
            let store = credentials.environment(&s3.url);
            let server = server::start(&supervisor, &programs, folder.path(), &mlflow_url, store).await?;
            observer("server", started.elapsed());
            manager.environment.push((env::SERVER_URL.to_owned(), server.1.clone()));
            let (mut manager_child, manager_url) = manager.start().await?;
            // it asks the server, whose address is known now
            let surroundings = monitor::Surroundings {
                s3: &s3.url,
                credentials: &credentials,
                mlflow: &mlflow_url,
                server: &server.1,
                kubeconfig: &kubernetes.kubeconfig,
                forge: &forge,
            };
            let monitor = monitor::monitor(&supervisor, &programs, folder.path(), &surroundings);
            let (mut monitor_child, monitor_url) = monitor.start().await?;
            let services = page::Services {
                mlflow: &mlflow_url,
                server: &server.1,
                forge: forge.root(),
                manager: &manager_url,
                monitor: &monitor_url,
                manager_token: &manager_token,
            };
            let answers = async {
                manager.ready(&mut manager_child, &manager_url).await?;
                observer("manager", started.elapsed());
                Ok::<_, Error>(())
            };
            let watching = async {
                monitor.ready(&mut monitor_child, &monitor_url).await?;
                observer("monitor", started.elapsed());
                Ok::<_, Error>(())
            };
            let page = async {
                let page = page::start(&supervisor, &programs, folder.path(), &services, page_port, given_port).await?;
                observer("page", started.elapsed());
                Ok(page)
            };
            let ((), (), page) = tokio::try_join!(answers, watching, page)?;
            Ok((server, (manager_child, manager_url), (monitor, monitor_child, monitor_url), page))
        };
        let (sync, (server, (manager_child, manager_url), (monitor, monitor_child, monitor_url), (page, page_url))) =
            match tokio::try_join!(tracking, serving) {
                Ok(started) => started,
                Err(error) => {
                    // It must not write to the folder once that is given up.
                    queue.shutdown().await?;
                    return Err(error);
                }
            };

        let (server, server_url) = server;
        let state = State {
            pid: std::process::id(),
            s3: s3.url.clone(),
            mlflow: mlflow_url.clone(),
            server: server_url,
            manager: manager_url.clone(),
            monitor: monitor_url.clone(),
            page: page_url,
            kubeconfig: kubernetes.kubeconfig.clone(),
            forge: forge.root().to_owned(),
        };
        state.publish(&folder)?;
        let mut services = Services::default();
        for (name, child) in [("the model server", server), ("the page", page)] {
            services.add(name, child);
        }
        services.keep("MLflow", mlflow_child, move || mlflow.start_again(&mlflow_url));
        services.keep("the training manager", manager_child, move || manager.start_again(&manager_url));
        services.keep("the dataset monitor", monitor_child, move || monitor.start_again(&monitor_url));
        Ok(Running { state, services, sync, queue, kubernetes, s3, folder })
    }
}
