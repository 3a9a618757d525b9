//! A service that listens, and is started again when it ends: as it is started, for the first time or again.

use std::path::PathBuf;

use slipway_names::env;

use crate::child::{Child, Launch};
use crate::{Result, Supervisor, health, listening};

/// A service that is kept running.
pub(crate) struct Kept {
    /// Such as "the training manager".
    pub(crate) name: &'static str,
    /// The name of its log in `logs`.
    pub(crate) log: &'static str,
    pub(crate) supervisor: Supervisor,
    pub(crate) program: PathBuf,
    /// The loop's state folder.
    pub(crate) state: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

impl Kept {
    /// Starts it on a free port, and returns it with its address once it listens. It waits for what it needs by itself, as it does in a cluster.
    pub(crate) async fn start(&self) -> Result<(Child, String)> {
        let mut child = self.start_at("127.0.0.1:0")?;
        let url = listening::url(self.name, &mut child, "listening").await?;
        Ok((child, url))
    }

    /// Starts it again, where others ask for it.
    pub(crate) fn start_again(&self, url: &str) -> Result<Child> {
        self.start_at(url.trim_start_matches("http://"))
    }

    /// Returns once it answers.
    pub(crate) async fn ready(&self, child: &mut Child, url: &str) -> Result<()> {
        health::answers(self.name, child, &format!("{url}/healthz")).await
    }

    fn start_at(&self, address: &str) -> Result<Child> {
        let mut environment = self.environment.clone();
        environment.push((env::LISTEN.to_owned(), address.to_owned()));
        let launch = Launch {
            name: self.name,
            program: &self.program,
            arguments: vec![],
            environment,
            folder: &self.state,
            log: self.state.join("logs").join(self.log),
        };
        Child::spawn(&self.supervisor, launch)
    }
}

/// Variables with their values.
pub(crate) fn variables(pairs: Vec<(&str, String)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
