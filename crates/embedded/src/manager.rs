//! The training manager: the same program as in a cluster, with this loop's Kubernetes API and this loop's forge.

use std::path::{Path, PathBuf};

use slipway_git::Repository;
use slipway_names::env;

use crate::kept::{Kept, variables};
use crate::{Programs, Result, Supervisor, credentials, files};

/// The namespace of its Lease, as in a cluster.
const NAMESPACE: &str = "training-manager";

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

/// The manager as it is started.
pub(crate) fn manager(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    surroundings: &Surroundings<'_>,
) -> Kept {
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
    Kept {
        name: "the training manager",
        log: "manager.log",
        supervisor: supervisor.clone(),
        program: programs.manager.clone(),
        state: state.to_owned(),
        environment: variables(environment),
    }
}
