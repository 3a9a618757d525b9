//! The training manager: the same program as in a cluster, with this loop's Kubernetes API and this loop's forge.

use std::path::{Path, PathBuf};

use slipway_git::Repository;
use slipway_names::env;

use crate::child::{Child, Launch};
use crate::{Programs, Result, Supervisor, credentials, files, health, listening};

/// The namespace of its Lease, as in a cluster.
const NAMESPACE: &str = "training-manager";

/// The manager as it is started, for the first time or again.
pub(crate) struct Manager {
    supervisor: Supervisor,
    program: PathBuf,
    state: PathBuf,
    environment: Vec<(String, String)>,
}

/// What the manager works with.
pub(crate) struct Surroundings<'a> {
    pub(crate) mlflow: &'a str,
    pub(crate) kubeconfig: &'a Path,
    pub(crate) forge: &'a Repository,
    /// The file with the token that it asks for before it writes.
    pub(crate) token: &'a Path,
}

/// Makes the token that the manager asks for, for its owner alone. A new one at each start.
pub(crate) fn token(state: &Path) -> Result<PathBuf> {
    let path = state.join("manager-token");
    files::write_private(&path, credentials::random(32)?.as_bytes())?;
    Ok(path)
}

impl Manager {
    pub(crate) fn new(
        supervisor: &Supervisor,
        programs: &Programs,
        state: &Path,
        surroundings: &Surroundings<'_>,
    ) -> Self {
        let Surroundings { mlflow, kubeconfig, forge, token } = surroundings;
        let text = |path: &Path| path.display().to_string();
        let mut environment = vec![
            (env::ENVIRONMENT, "local".to_owned()),
            (env::REPOSITORY, text(forge.root())),
            (env::CACHE, text(&state.join("cache/manager"))),
            (env::LEASE_NAMESPACE, NAMESPACE.to_owned()),
            (env::MLFLOW_TRACKING_URI, (*mlflow).to_owned()),
            (env::MLFLOW_PUBLIC_URL, (*mlflow).to_owned()),
            (env::KUBECONFIG, text(kubeconfig)),
            (env::MANAGER_TOKEN_FILE, text(token)),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ];
        if !forge.prefix().is_empty() {
            environment.push((env::PROJECT, forge.prefix().to_owned()));
        }
        Self {
            supervisor: supervisor.clone(),
            program: programs.manager.clone(),
            state: state.to_owned(),
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// It asks this server how trials of versions go.
    pub(crate) fn asks(&mut self, server: &str) {
        self.environment.push((env::SERVER_URL.to_owned(), server.to_owned()));
    }

    /// Starts it on a free port, and returns it with its address once it listens. It waits for MLflow by itself, as it does in a cluster.
    pub(crate) async fn start(&self) -> Result<(Child, String)> {
        let mut child = self.start_at("127.0.0.1:0")?;
        let url = listening::url("the training manager", &mut child, "listening").await?;
        Ok((child, url))
    }

    /// Starts it again, where the page asks for it.
    pub(crate) fn start_again(&self, url: &str) -> Result<Child> {
        self.start_at(url.trim_start_matches("http://"))
    }

    fn start_at(&self, address: &str) -> Result<Child> {
        let mut environment = self.environment.clone();
        environment.push((env::LISTEN.to_owned(), address.to_owned()));
        let launch = Launch {
            name: "the training manager",
            program: &self.program,
            arguments: vec![],
            environment,
            folder: &self.state,
            log: self.state.join("logs/manager.log"),
        };
        Child::spawn(&self.supervisor, launch)
    }
}

/// Returns once it answers.
pub(crate) async fn ready(child: &mut Child, url: &str) -> Result<()> {
    health::answers("the training manager", child, &format!("{url}/healthz")).await
}
