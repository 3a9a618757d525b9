//! The dataset monitor: the same program as in a cluster, with this loop's store, registry, server and forge.

use std::path::Path;

use slipway_git::Repository;
use slipway_names::env;

use crate::kept::{Kept, variables};
use crate::{Credentials, Programs, Supervisor};

/// The namespace of its Lease, as in a cluster.
const NAMESPACE: &str = "dataset-monitor";

/// What the monitor works with.
pub(crate) struct Surroundings<'a> {
    pub(crate) s3: &'a str,
    pub(crate) credentials: &'a Credentials,
    pub(crate) mlflow: &'a str,
    pub(crate) server: &'a str,
    pub(crate) kubeconfig: &'a Path,
    pub(crate) forge: &'a Repository,
}

/// The monitor as it is started.
pub(crate) fn monitor(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    surroundings: &Surroundings<'_>,
) -> Kept {
    let Surroundings { s3, credentials, mlflow, server, kubeconfig, forge } = surroundings;
    let text = |path: &Path| path.display().to_string();
    let mut environment = vec![
        (env::ENVIRONMENT, "local".to_owned()),
        (env::REPOSITORY, text(forge.root())),
        (env::CACHE, text(&state.join("cache/monitor"))),
        (env::LEASE_NAMESPACE, NAMESPACE.to_owned()),
        (env::MLFLOW_TRACKING_URI, (*mlflow).to_owned()),
        (env::SERVER_URL, (*server).to_owned()),
        (env::KUBECONFIG, text(kubeconfig)),
        (env::DATASETS, "s3://datasets".to_owned()),
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
    ];
    if !forge.prefix().is_empty() {
        environment.push((env::PROJECT, forge.prefix().to_owned()));
    }
    let mut environment = variables(environment);
    environment.extend(credentials.environment(s3));
    Kept {
        name: "the dataset monitor",
        log: "monitor.log",
        supervisor: supervisor.clone(),
        program: programs.monitor.clone(),
        state: state.to_owned(),
        environment,
    }
}
