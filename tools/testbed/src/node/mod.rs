//! The node: every process of a cluster, in namespaces of its own.
//!
//! `keeper` is the one process outside: it creates the control groups, starts the init of a new PID namespace, waits for its end
//! and removes the control groups. `init` is process 1 of that namespace: it gives the node its mounts, network and keys, starts
//! the components and restarts those that end. When it ends, for whatever reason, the kernel ends every process of the namespace,
//! and the mounts and the network disappear with the last of them.

pub(crate) mod cgroups;
mod forward;
mod init;
pub(crate) mod keeper;
mod keys;
mod mounts;
mod network;
pub(crate) mod programs;
mod supervisor;

pub use init::run as run_init;
pub use keeper::run as run_keeper;

/// The node's name in Kubernetes, and its host name.
pub const NAME: &str = "slipway";
/// The node's address, on a bridge of its own.
pub const ADDRESS: &str = "10.200.0.1";
