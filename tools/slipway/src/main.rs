//! `slipway`: launch distributed training by merging a pull request.

mod cache;
mod commands;
mod context;
mod dataset;
mod examined;
mod failure;
mod local_loop;
mod model_server;
mod named;
mod plan_text;
mod pull_request;
mod remote;
mod renderers;
mod replace;
mod revision;
mod runtime;
mod services;
mod versions;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde_json::json;

use commands::{
    bootstrap, check, dataset as dataset_command, demo, diff, doctor, image, new, plan as plan_command, promote,
    propose, render, status, up,
};
use context::{Color, Context, Output};
use failure::Failure;
use runtime::wait;

/// The hidden command that runs a program, and stops it when the process that started it no longer exists.
const SUPERVISE: &str = "supervise";

/// Launch distributed training by merging a pull request.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done · 1 unexpected · 2 usage · 3 invalid input · 4 rendered files out of date · 5 this machine lacks something ·\n\
                  6 a service is unreachable or refuses · 7 a job or a gate failed\n\nExample:\n  slipway demo"
)]
struct Cli {
    /// How results are printed; messages go to standard error when it is json
    #[arg(short, long, global = true, value_enum, default_value = "text")]
    output: Output,
    /// The repository [default: the nearest folder from here upwards with experiments/]
    #[arg(long, global = true, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented experiment file to start from
    New(new::New),
    /// Show what would start, stop and stay, and what it costs
    Plan(plan_command::Plan),
    /// Render the experiments into TrainJobs
    Render(render::Render),
    /// Check everything in the repository, offline
    Check(check::Check),
    /// Show what changes in each cluster between two revisions, object by object, offline
    Diff(diff::Diff),
    /// Open the pull request that starts an experiment when it is merged
    Propose(propose::Propose),
    /// Open the pull request that puts a version into service when it is merged
    Promote(promote::Promote),
    /// Set up a cluster that follows this repository
    Bootstrap(bootstrap::Bootstrap),
    /// Show jobs, versions and what is served
    Status(status::Status),
    /// Run the whole loop on this machine
    Up(up::Up),
    /// Stop the loop on this machine
    Down(up::Down),
    /// Show the whole loop once: dataset, pull request, training, promotion, a served answer
    Demo(demo::Demo),
    /// Store a dataset by content, or verify it
    Dataset(dataset_command::Dataset),
    /// Build the stack's images without a container engine
    Image(image::Image),
    /// Show what this machine lacks and how to get it, or what is unhealthy in a cluster
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  slipway completions bash > ~/.local/share/bash-completion/completions/slipway")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// What is logged unless `SLIPWAY_LOG` says otherwise. kube's client logs errors that it also returns, and those are reported already.
const LOG: &str = "warn,kube_client=off,kube_runtime=off";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == SUPERVISE) {
        return supervise(&arguments.collect::<Vec<_>>());
    }
    let cli = Cli::parse();
    // each stream decides for itself: a log in a file has no colours because the terminal has some
    anstream::ColorChoice::from(cli.color).write_global();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG").unwrap_or_else(|_| LOG.into()))
        .with_writer(anstream::stderr)
        .init();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&cli, &failure);
            failure.into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "slipway", &mut script);
        // a closed pipe is the reader's choice, not a failure
        let _ = std::io::stdout().write_all(&script);
        return Ok(());
    }
    let context = Context::new(cli.repo.as_deref(), cli.output)?;
    match &cli.command {
        Command::New(command) => command.run(&context),
        Command::Plan(command) => command.run(&context),
        Command::Render(command) => command.run(&context),
        Command::Check(command) => command.run(&context),
        Command::Image(command) => command.run(&context),
        Command::Diff(command) => command.run(&context),
        Command::Bootstrap(command) => wait(command.run(&context)),
        Command::Doctor(command) => wait(command.run(&context)),
        Command::Propose(command) => wait(command.run(&context)),
        Command::Promote(command) => wait(command.run(&context)),
        Command::Status(command) => wait(command.run(&context)),
        Command::Up(command) => wait(command.run(&context)),
        Command::Down(command) => wait(command.run(&context)),
        Command::Demo(command) => wait(command.run(&context)),
        Command::Dataset(command) => wait(command.run(&context)),
        Command::Completions { .. } => Ok(()),
    }
}

/// Prints what failed: findings with their positions, then a summary; as JSON on standard output if JSON was asked for.
fn report(cli: &Cli, failure: &Failure) {
    if matches!(failure, Failure::Reported(_)) {
        return;
    }
    if cli.output == Output::Json {
        let object = json!({ "error": failure.to_string(), "findings": failure.findings() });
        let _ = writeln!(std::io::stdout().lock(), "{object:#}");
        return;
    }
    let mut errors = std::io::stderr().lock();
    for finding in failure.findings() {
        let _ = writeln!(errors, "{finding} [{}]", finding.code);
        for line in finding.help.iter().flat_map(|help| help.lines()) {
            let _ = writeln!(errors, "    {line}");
        }
    }
    let _ = writeln!(errors, "error: {failure}");
}

fn supervise(command: &[OsString]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(slipway_embedded::supervise(command)).map_err(|error| error.to_string()));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error}");
            ExitCode::from(127)
        }
    }
}
