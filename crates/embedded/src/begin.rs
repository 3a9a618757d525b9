//! The start: the parts that are there at once, then those that take their time, side by side.

use std::sync::Arc;
use std::time::Instant;

use crate::child::Child;
use crate::configuration::machine_cpu_millis;
use crate::port::Port;
use crate::queue::{Place, Queue};
use crate::revision::Repository;
use crate::running::Services;
use crate::s3::S3;
use crate::state::{State, StateFolder};
use crate::{Configuration, Credentials, Jobs, Result, Running, files, forge, mlflow, page, server, sync};

/// A loop whose S3 and forge are there and whose other parts are not yet.
pub struct Starting {
    configuration: Configuration,
    folder: StateFolder,
    credentials: Credentials,
    s3: S3,
    forge: Repository,
    mlflow_port: Port,
    page_port: Port,
    queue: Arc<Queue>,
}

/// Takes the state folder, starts S3 and opens the forge: well under a second.
///
/// # Errors
/// When a program is missing, the state folder cannot be taken, or the repository has no commit.
pub async fn begin(configuration: Configuration) -> Result<Starting> {
    configuration.programs.check()?;
    let started = Instant::now();
    let folder = StateFolder::take(&configuration.state, configuration.afresh)?;
    let credentials = Credentials::read_or_make(folder.path())?;
    let s3 = S3::start(&folder.path().join("s3"), &credentials).await?;
    (configuration.observer)("s3", started.elapsed());
    let started = Instant::now();
    let forge = forge::open(folder.path(), &configuration.repository).await?;
    (configuration.observer)("forge", started.elapsed());
    let (mlflow_port, page_port) = (Port::take(None)?, Port::take(configuration.page_port)?);

    let mut environment = credentials.environment(&s3.url);
    let cache = folder.path().join("cache").display().to_string();
    environment.extend(
        [
            ("MLFLOW_TRACKING_URI", mlflow_port.url().as_str()),
            ("SLIPWAY_DATASETS", "s3://datasets"),
            ("SLIPWAY_CACHE", &cache),
            ("NO_PROXY", "127.0.0.1,localhost"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let queue = Arc::new(Queue::start(Place {
        supervisor: configuration.supervisor.clone(),
        trainer: configuration.programs.trainer.clone(),
        environment,
        jobs: folder.path().join("jobs"),
        cpu_millis: configuration.cpu_millis.unwrap_or_else(machine_cpu_millis),
    }));
    Ok(Starting { configuration, folder, credentials, s3, forge, mlflow_port, page_port, queue })
}

impl Starting {
    /// URL of the S3 endpoint.
    pub fn s3(&self) -> &str {
        &self.s3.url
    }

    /// URL that MLflow will have.
    pub fn mlflow(&self) -> String {
        self.mlflow_port.url()
    }

    /// Keys of the S3 endpoint.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The forge's bare repository.
    pub fn forge(&self) -> &std::path::Path {
        &self.forge.0
    }

    /// A view of the jobs.
    pub fn jobs(&self) -> Jobs {
        self.queue.jobs()
    }

    /// Starts MLflow, the server and the page side by side and returns when all answer. Main is followed as soon as MLflow
    /// answers, since that is what a job needs.
    ///
    /// # Errors
    /// When one of them ends or does not answer in time; then none is left.
    pub async fn ready(self) -> Result<Running> {
        let Self { configuration, folder, credentials, s3, forge, mlflow_port, page_port, queue } = self;
        let Configuration { programs, supervisor, observer, .. } = configuration;
        let models = folder.path().join("server/models.yaml");
        files::write(&models, sync::NO_MODELS)?;
        let (mlflow_url, page_url) = (mlflow_port.url(), page_port.url());
        let started = Instant::now();

        let mlflow_child =
            mlflow::start(&supervisor, &programs.python, folder.path(), (&s3.url, &credentials), mlflow_port)?;
        let tracking = async {
            let mut child = mlflow_child;
            mlflow::ready(&mut child, &mlflow_url).await?;
            observer("mlflow", started.elapsed());
            let (forge, queue, models) = (forge.clone(), Arc::clone(&queue), models.clone());
            let sync = tokio::spawn(async move { sync::follow(forge, &queue, &models).await });
            Ok::<_, crate::Error>((child, AbortOnDrop(sync)))
        };
        let serving = async {
            let (child, url) = server::start(&supervisor, &programs, folder.path(), &mlflow_url).await?;
            observer("server", started.elapsed());
            let mut page = page::start(&supervisor, &programs, folder.path(), &mlflow_url, &url, page_port)?;
            page::ready(&mut page, &page_url).await?;
            observer("page", started.elapsed());
            Ok((child, url, page))
        };
        let ((mlflow, sync), (server, server_url, page)) = tokio::try_join!(tracking, serving)?;

        let state = State {
            pid: std::process::id(),
            s3: s3.url.clone(),
            mlflow: mlflow_url,
            server: server_url,
            page: page_url,
            forge: forge.0,
        };
        state.write(folder.path())?;
        let mut services = Services::default();
        let all: [(&'static str, Child); 3] = [("MLflow", mlflow), ("the model server", server), ("the page", page)];
        for (name, child) in all {
            services.add(name, child);
        }
        Ok(Running { state, services, sync, queue, s3, folder })
    }
}

/// A task that ends when its owner does.
pub(crate) struct AbortOnDrop(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
