//! The test cluster `e2e`: tools/testbed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use testbed::cluster::Options;
use testbed::{Cache, Cluster};

use super::{Ground, Named, Places, REPOSITORY};

/// The host that the test cluster's git server answers for, with a GitHub behind it that tests start.
const GITHUB: &str = "github.test";

/// What the test cluster has before `slipway bootstrap`: what a cloud's cluster has as well.
const COMPONENTS: [&str; 2] = ["dns", "storage"];

/// The test cluster `e2e`. Inside of it, its own git server stands in for github.com and github.test.
#[derive(Debug)]
pub(crate) struct TestCluster {
    cache: Cache,
    cluster: Cluster,
}

impl TestCluster {
    pub(crate) fn locate() -> Result<Self> {
        let cache = Cache::locate().context("HOME is not set")?;
        let cluster = Cluster::new(&cache, "e2e")?;
        Ok(Self { cache, cluster })
    }
}

impl Ground for TestCluster {
    fn places(&self) -> Result<Places> {
        let given = self.cluster.environment().context("`make e2e` brings the test cluster up")?;
        let value = |name: &str| {
            let found = given.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
            found.with_context(|| format!("the test cluster does not say its {name}"))
        };
        let gateway = value("SLIPWAY_TESTBED_GATEWAY")?;
        Ok(Places {
            kubectl: self.cluster.kubectl_program(),
            kubeconfig: self.cluster.folder().kubeconfig(),
            registry: value("SLIPWAY_TESTBED_REGISTRY")?,
            forge: self.cluster.folder().git().join(format!("{GITHUB}/{REPOSITORY}.git")),
            repository: format!("https://{GITHUB}/{REPOSITORY}.git"),
            github: Some(Named {
                host: GITHUB,
                socket: self.cluster.folder().github(),
                authority: self.cache.authority().join("ca.crt"),
            }),
            upstream: Some(format!("{}/github.com/", value("SLIPWAY_TESTBED_GIT")?)),
            gateway: gateway.rsplit(':').next().context("the Gateway has no port")?.parse()?,
        })
    }

    fn inside(&self) -> Result<Command> {
        self.cluster.inside::<&str>([]).context("the cluster is not running")
    }

    fn mc(&self) -> PathBuf {
        self.cache.program("mc")
    }

    /// PSS: shared pages are divided among the programs that share them.
    fn memory(&self) -> Result<Vec<(String, u64)>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let status = runtime.block_on(self.cluster.status())?;
        let pods = status.components.into_iter().filter(|one| one.pid.is_none());
        Ok(pods.map(|pod| (pod.name, pod.memory)).collect())
    }

    fn kill_runtime(&self) -> Result<()> {
        Ok(self.cluster.kill("containerd")?)
    }

    fn renew(&self) -> Result<()> {
        let options = Options { fresh: true, components: Some(COMPONENTS.map(str::to_owned).to_vec()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(self.cluster.up(&options, &|_| {}))?)
    }
}
