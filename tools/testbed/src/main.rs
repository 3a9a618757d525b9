//! `testbed`: a real Kubernetes on a machine that has Go and Debian's packages, without a container registry.

mod commands;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use testbed::cluster::Error;
use testbed::{Cache, Cluster};

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
        /// Only what a bare node needs, `up --with=`
        #[arg(long, conflicts_with = "programs")]
        node: bool,
    },
    /// Bring a cluster up; what runs already keeps running
    Up {
        /// Forget the cluster's state and keys first
        #[arg(long)]
        fresh: bool,
        /// Only these components and what they need, separated by commas; `--with=` for the bare node [default: all]
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        with: Option<Vec<String>>,
    },
    /// Take a cluster down: its processes, mounts, namespaces and control groups
    Down {
        /// Forget the cluster's state and keys
        #[arg(long)]
        fresh: bool,
        /// Also forget the images that the node has unpacked
        #[arg(long)]
        wipe: bool,
    },
    /// Show the components with state, version and memory
    Status {
        /// A table for people, or JSON
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
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
    /// Run a command inside the cluster's node: in its network, with its mounts and processes
    Exec {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print the variables that a shell needs to talk to a cluster
    Env,
    /// Measure how long a cluster takes and how large it is
    Bench {
        /// Lives of a cluster to measure
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// A table for people, or JSON
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Create the git repositories that replace the pinned upstream repositories
    Mirror,
    /// Supervise a cluster; `up` starts this
    #[command(hide = true)]
    Keep,
    /// Run as process 1 of a cluster; `keep` starts this
    #[command(hide = true)]
    Init,
}

/// The format of an answer.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let cache = Cache::locate().context("there is no folder for the cache: set XDG_CACHE_HOME or HOME")?;
    let cluster = Cluster::new(&cache, &cli.cluster)?;
    match cli.command {
        Command::Build { programs, node } => commands::build(&cache, &programs, node)?,
        Command::Mirror => commands::mirror(&cache)?,
        Command::Up { fresh, with } => commands::up(&cache, &cluster, fresh, with)?,
        Command::Down { fresh, wipe } => cluster.down(commands::forget(fresh, wipe))?,
        Command::Bench { rounds, output } => commands::bench(&cache, rounds, output)?,
        Command::Status { output } => commands::status(&cluster, output)?,
        Command::Load { images } => cluster.load(&images)?.iter().for_each(|reference| println!("{reference}")),
        Command::Kubectl { arguments } => return commands::run(cluster.kubectl(arguments)),
        Command::Exec { command } => {
            return commands::run(cluster.inside(command).ok_or_else(|| Error::NotRunning(cluster.name().to_owned()))?);
        }
        Command::Env => cluster.environment()?.iter().for_each(|(name, value)| println!("export {name}={value}")),
        Command::Keep => testbed::node::run_keeper(&cache, cluster.name())?,
        Command::Init => {
            let Err(error) = testbed::node::run_init(&cache, cluster.name());
            return Err(error.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
