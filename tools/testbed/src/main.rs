//! `testbed`: a real Kubernetes on a machine that has Go, Debian's packages and no container registry.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Parser, Subcommand};

/// A real Kubernetes for tests, without pulling an image. Needs Linux and root.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  testbed up && testbed kubectl get pods -A && testbed down")]
struct Cli {
    /// Which cluster; clusters of different names run side by side
    #[arg(long, global = true, default_value = "slipway", value_name = "NAME")]
    cluster: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the programs, images and manifests that are missing or out of date
    Build {
        /// What to build [default: everything]
        #[arg(value_name = "PROGRAM")]
        programs: Vec<String>,
    },
    /// Bring a cluster up; what runs already is left alone
    Up {
        /// Forget the cluster's state and keys first
        #[arg(long)]
        fresh: bool,
    },
    /// Take a cluster down: its processes, mounts, namespaces and cgroups
    Down {
        /// Forget the cluster's state and keys
        #[arg(long)]
        fresh: bool,
    },
    /// Show the components with state, version and memory
    Status,
    /// Put images, OCI layouts or archives of them, into a cluster
    Load {
        /// A folder or a .tar
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
    },
    /// Run kubectl against a cluster
    Kubectl {
        /// Arguments of kubectl
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Print the variables that a shell needs to talk to a cluster
    Env,
    /// Make the git repositories that stand where the pinned upstream repositories are
    Mirror,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Command::Build { .. }
        | Command::Up { .. }
        | Command::Down { .. }
        | Command::Status
        | Command::Load { .. }
        | Command::Kubectl { .. }
        | Command::Env
        | Command::Mirror => bail!("not written yet"),
    }
}
