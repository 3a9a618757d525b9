//! Reaching what the manager works with. None of it has to be there at the start: `/readyz` says what is missing and what to do, the log says
//! it once, and it is tried again until it is there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use slipway_causes::{chain, without_password};
use slipway_cluster::Cluster;
use slipway_mlflow::Client;
use slipway_names::env;
use tokio::sync::watch;

use crate::repository::{Followed, blocking};
use crate::settings::Settings;
use crate::warned::Warned;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// What is missing before the manager is ready: for each of it why, and what to do.
pub type Missing = BTreeMap<What, String>;

/// What the manager waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The repository, with its forge.
    Repository,
    /// The API server.
    Cluster,
    /// MLflow.
    Mlflow,
    /// What git and the cluster hold.
    Content,
}

/// What is missing, for a person.
#[must_use]
pub fn said(missing: &Missing) -> String {
    missing.values().map(String::as_str).collect::<Vec<_>>().join(" · ")
}

/// Keeps what is missing up to date.
#[derive(Debug)]
pub struct Awaited(watch::Sender<Missing>);

impl Default for Awaited {
    fn default() -> Self {
        let all = [
            (What::Repository, "the repository has not answered yet"),
            (What::Cluster, "the cluster has not answered yet"),
            (What::Mlflow, "MLflow has not answered yet"),
            (What::Content, "neither git nor the cluster has been read yet"),
        ];
        Self(watch::Sender::new(all.map(|(what, why)| (what, why.to_owned())).into()))
    }
}

impl Awaited {
    /// Follows what is missing.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Missing> {
        self.0.subscribe()
    }

    /// Tries something until it succeeds. It fails with why, and what to do.
    pub async fn until<T>(&self, what: What, attempt: impl AsyncFn() -> Result<T, String>) -> T {
        let mut warned = Warned::default();
        loop {
            match attempt().await {
                Ok(there) => {
                    warned.clear();
                    self.set(what, Ok(()));
                    return there;
                }
                Err(why) => {
                    warned.warn("not ready", &why);
                    self.set(what, Err(why));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Follows for ever whether git and the cluster were read.
    pub async fn content(&self, mut read: watch::Receiver<Result<(), String>>) -> Infallible {
        loop {
            let now = read.borrow_and_update().clone();
            self.set(What::Content, now.map_err(|why| format!("{why}: if that stays so, the manager's log says why")));
            if read.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn set(&self, what: What, state: Result<(), String>) {
        self.0.send_modify(|missing| match state {
            Ok(()) => drop(missing.remove(&what)),
            Err(why) => drop(missing.insert(what, why)),
        });
    }
}

/// The repository, once something was fetched from it.
///
/// # Errors
/// Why it cannot be read.
pub async fn repository(settings: &Settings) -> Result<Followed, String> {
    let Settings { repository, project, cache, .. } = settings.clone();
    let shown = without_password(&repository);
    let wrong = |error: &dyn Display| {
        format!("the repository {shown}, which {} names, cannot be read: {error}", env::REPOSITORY)
    };
    // it may ask programs of this machine
    let followed = blocking(move || Followed::open(&repository, &project, &cache)).await;
    let followed = followed.map_err(|error| wrong(&error))?;
    let read = async {
        let branch = followed.remote.forge.default_branch().await?;
        let commit = followed.fetch(&branch).await?;
        Ok::<_, slipway_proposal::Error>((branch, commit))
    };
    match read.await {
        Ok((_, Some(_))) => Ok(followed),
        Ok((branch, None)) => {
            Err(wrong(&format!("it has no commit on its default branch {branch} yet: push the project to it")))
        }
        Err(error) if followed.is_read_only() => {
            let how = format!("{} and the app's private key", env::GITHUB_APP_ID);
            Err(wrong(&format!("{error}; there are no credentials for it, and a private one needs them: set {how}")))
        }
        Err(error) => Err(wrong(&error)),
    }
}

/// The cluster, once its API server has answered, and a client for logs.
///
/// # Errors
/// Why it cannot be asked.
pub async fn cluster() -> Result<(Cluster, kube::Client), String> {
    let cluster = Cluster::connect(None).await.map_err(|error| error.to_string())?;
    cluster.client().apiserver_version().await.map_err(|error| {
        let how = format!("check {} and the network", env::KUBECONFIG);
        format!("the cluster at {} does not answer as it should: {}; {how}", cluster.server(), chain(&error))
    })?;
    let patient = cluster.patient_client().map_err(|error| error.to_string())?;
    Ok((cluster, patient))
}

/// MLflow, once it has answered.
///
/// # Errors
/// Why it cannot be asked.
pub async fn mlflow(mlflow: &Client) -> Result<(), String> {
    mlflow.health().await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_said_until_it_is_there() {
        let awaited = Awaited::default();
        let missing = awaited.changes();
        assert_eq!(missing.borrow().len(), 4);
        let tries = Cell::new(0);
        let there = awaited.until(What::Cluster, async || {
            tries.set(tries.get() + 1);
            if tries.get() > 3 { Ok("there") } else { Err(format!("try {} failed", tries.get())) }
        });
        let seen = async {
            let mut missing = awaited.changes();
            for number in 1..=3 {
                let said = format!("try {number} failed");
                missing.wait_for(|missing| missing.get(&What::Cluster) == Some(&said)).await.unwrap();
            }
        };
        assert_eq!(tokio::join!(there, seen).0, "there");
        assert!(!missing.borrow().contains_key(&What::Cluster));

        for what in [What::Repository, What::Mlflow] {
            awaited.until(what, async || Ok(())).await;
        }
        let read = watch::Sender::new(Err("git is being read".to_owned()));
        let follow = awaited.content(read.subscribe());
        let seen = async {
            let mut missing = awaited.changes();
            missing.wait_for(|missing| said(missing).starts_with("git is being read: ")).await.unwrap();
            let _ = read.send_replace(Ok(()));
            missing.wait_for(Missing::is_empty).await.unwrap();
        };
        tokio::select! {
            never = follow => match never {},
            () = seen => {}
        }
    }
}
