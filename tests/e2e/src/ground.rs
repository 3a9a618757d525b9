//! What the stack stands on: a cluster, and around it a registry, a git server and a way in.

mod docker;
mod kind;
mod ports;
mod testbed;

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;

pub use kind::Kind;

/// The name by which clusters/local pulls the images of this repository. Each ground leads it to its own registry.
pub(crate) const REGISTRY: &str = "localhost:5001";

/// The repository's path below its host: the one that the emulated GitHub has.
pub(crate) const REPOSITORY: &str = slipway_github_tests::accounts::REPOSITORY;

/// What the stack stands on. The tests do not know which one it is.
pub(crate) trait Ground: Debug + Send + Sync {
    /// Where everything is. Ports may be others after [`Ground::renew`].
    fn places(&self) -> Result<Places>;

    /// A command in the node: its arguments are the program there, and that program's own. It reaches Services by address, and
    /// has the node's `/tmp`.
    fn inside(&self) -> Result<Command>;

    /// MinIO's client, as a path in the node.
    fn mc(&self) -> PathBuf;

    /// Memory of each pod in bytes, by `namespace/name`. Kubernetes' own programs are not included.
    fn memory(&self) -> Result<Vec<(String, u64)>>;

    /// Kills the node's container runtime, as a crash does. The node starts it again.
    fn kill_runtime(&self) -> Result<()>;

    /// Takes the cluster down with all that it held, and brings an empty one up.
    fn renew(&self) -> Result<()>;
}

/// Where the parts of a ground are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// A kubectl for this cluster.
    pub(crate) kubectl: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    /// Host and port to push images to.
    pub(crate) registry: String,
    /// The bare repository, in the folder of the git server. It may not exist yet.
    pub(crate) forge: PathBuf,
    /// The URL by which pods read that repository.
    pub(crate) repository: String,
    /// How pods meet GitHub under a name of its own; `None` if they cannot.
    pub(crate) github: Option<Named>,
    /// What stands in for `https://github.com/` on this machine; `None` if that is reached itself.
    pub(crate) upstream: Option<String>,
    /// The Gateway's port on this machine's loopback.
    pub(crate) gateway: u16,
}

/// GitHub under a name that is in that URL. Whatever listens at the socket answers for its API.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) host: &'static str,
    pub(crate) socket: PathBuf,
    /// The certificate of the authority that signs for the host.
    pub(crate) authority: PathBuf,
}

/// The ground that the environment variable `CLUSTER` chooses: `kind`, or the test cluster `e2e`. It is up: `make e2e` brings it up.
pub(crate) fn ground() -> Result<Arc<dyn Ground>> {
    Ok(match std::env::var("CLUSTER").as_deref() {
        Ok("kind") => Arc::new(Kind::locate()?),
        _ => Arc::new(testbed::TestCluster::locate()?),
    })
}
