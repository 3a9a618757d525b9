//! `slipway`: launch distributed training by merging a pull request.

mod cache;
mod cancelled;
mod clean;
mod commands;
mod context;
mod dataset;
mod draft_state;
mod ended;
mod examined;
mod failure;
mod finding_text;
mod harmless;
mod kept_logs;
mod local_loop;
mod lookup;
mod missing_data;
mod model_server;
mod named;
mod open_pull_requests;
mod opening;
mod pipeline;
mod plan_text;
mod pull_request;
mod record_text;
mod registries;
mod remote;
mod renderers;
mod replace;
mod report_text;
mod reports;
mod revision;
mod running;
mod runtime;
mod services;
mod uncommitted;
mod versions;
mod warnings;
mod whole_number;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde_json::json;
use slipway_markdown::visible;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use commands::{
    archive, bootstrap, cancel, check, close, dataset as dataset_command, demo, diff, doctor, drift, history, image,
    merge, new, plan as plan_command, promote, propose, render, report as report_command, revert, show, status, trace,
    up,
};
use context::{Color, Context, Output};
use failure::Failure;
use finding_text::finding_text;
use harmless::{Harmless, harmless, harmless_json};
use runtime::wait;

/// The hidden command that runs a program, and stops it when the process that started it no longer exists.
const SUPERVISE: &str = "supervise";

/// The heading of the options that every command has.
const GLOBAL: &str = "Options of every command";

/// Launch distributed training by merging a pull request.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit codes:\n  0  done\n  1  unexpected\n  2  wrong arguments\n  3  invalid input\n  4  rendered files out of date\n  \
                  5  this machine lacks something\n  6  a service is unreachable or refuses\n  7  a job or a gate failed\n\n\
                  Examples:\n  slipway demo\n  slipway propose --help"
)]
struct Cli {
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value = "text", help_heading = GLOBAL)]
    output: Output,
    /// The project's folder [default: the nearest one, from here upwards, that has experiments/]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    repo: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto", help_heading = GLOBAL)]
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
    /// Show what changes in each cluster between two revisions, object by object
    Diff(diff::Diff),
    /// Open the pull request that starts an experiment when it is merged
    Propose(propose::Propose),
    /// Open the pull request that puts a version into service when it is merged
    Promote(promote::Promote),
    /// Open the pull request that stops TrainJobs when it is merged
    Cancel(cancel::Cancel),
    /// Open the pull request that moves TrainJobs that have ended to the history
    Archive(archive::Archive),
    /// Open the pull request that undoes a merged one
    Revert(revert::Revert),
    /// Write the report of a pull request: what it would do, and once it is merged, what came of it
    Report(report_command::Report),
    /// Show a pull request with its report
    Show(show::Show),
    /// Merge a pull request
    Merge(merge::Merge),
    /// Close a pull request without a merge
    Close(close::Close),
    /// Set up a cluster that follows this repository
    Bootstrap(bootstrap::Bootstrap),
    /// Show jobs, versions and which version is in service
    Status(status::Status),
    /// Show what came of TrainJobs that are in the history
    History(history::History),
    /// Show what a version or a job came from: experiment, commit, pull request, dataset
    Trace(trace::Trace),
    /// Run the whole loop on this machine
    Up(up::Up),
    /// Stop the loop on this machine
    Down(up::Down),
    /// Show the whole loop once: dataset, pull request, training, promotion, a served answer
    Demo(demo::Demo),
    /// Store a dataset by content, or verify it
    Dataset(dataset_command::Dataset),
    /// Show whether datasets have changed, whether that matters, and what the monitor would do
    Drift(drift::Drift),
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
    let filter = slipway_log::filter(std::env::var("SLIPWAY_LOG").ok().as_deref(), LOG);
    let messages = tracing_subscriber::fmt::layer().with_writer(|| Harmless(anstream::stderr()));
    tracing_subscriber::registry().with(messages.with_filter(filter)).init();
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
    let needs_project = match &cli.command {
        Command::Doctor(_) => false,
        Command::Status(status) => status.needs_project(),
        Command::Image(image) => image.needs_project(),
        _ => true,
    };
    let find = if needs_project { Context::new } else { Context::anywhere };
    let context = find(cli.repo.as_deref(), cli.output)?;
    match &cli.command {
        Command::New(command) => command.run(&context),
        Command::Plan(command) => command.run(&context),
        Command::Render(command) => wait(command.run(&context)),
        Command::Check(command) => command.run(&context),
        Command::Image(command) => command.run(&context),
        Command::Diff(command) => command.run(&context),
        Command::Bootstrap(command) => wait(command.run(&context)),
        Command::Doctor(command) => wait(command.run(&context)),
        Command::Propose(command) => wait(command.run(&context)),
        Command::Promote(command) => wait(command.run(&context)),
        Command::Cancel(command) => wait(command.run(&context)),
        Command::Archive(command) => wait(command.run(&context)),
        Command::Revert(command) => wait(command.run(&context)),
        Command::Report(command) => wait(command.run(&context)),
        Command::Show(command) => wait(command.run(&context)),
        Command::Merge(command) => wait(command.run(&context)),
        Command::Close(command) => wait(command.run(&context)),
        Command::Status(command) => wait(command.run(&context)),
        Command::History(command) => command.run(&context),
        Command::Trace(command) => wait(command.run(&context)),
        Command::Up(command) => wait(command.run(&context)),
        Command::Down(command) => wait(command.run(&context)),
        Command::Demo(command) => wait(command.run(&context)),
        Command::Dataset(command) => wait(command.run(&context)),
        Command::Drift(command) => wait(command.run(&context)),
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
        let _ = writeln!(std::io::stdout().lock(), "{}", harmless_json(&format!("{object:#}")));
        return;
    }
    let mut errors = std::io::stderr().lock();
    for finding in failure.findings() {
        let _ = writeln!(errors, "{}", harmless(&finding_text(finding)));
    }
    let _ = writeln!(errors, "{}", harmless(&visible(&format!("error: {failure}"))));
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

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// Every command with its parents' names, such as `slipway image push`.
    fn commands(command: &Command, parents: &str, all: &mut Vec<(String, Command)>) {
        let name = format!("{parents} {}", command.get_name()).trim().to_owned();
        command.get_subcommands().for_each(|inner| commands(inner, &name, all));
        all.push((name, command.clone()));
    }

    #[test]
    fn every_command_has_an_example_and_fits_a_narrow_terminal() {
        let mut all = Vec::new();
        commands(&Cli::command(), "", &mut all);
        assert!(all.len() > 20, "{}", all.len());
        for (name, command) in all {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (prose, examples) = after.split_once("Example").unwrap_or_else(|| panic!("{name} has no example"));
            assert!(examples.contains(&format!("\n  {name}")), "{name}: {examples}");
            // text is wrapped by clap, so a line break in a paragraph would break it twice
            for paragraph in prose.split("\n\n").filter(|paragraph| !paragraph.starts_with("Exit codes:")) {
                assert!(!paragraph.trim_end().contains('\n'), "{name}: {paragraph}");
            }
            for width in [80, 120] {
                let mut shown = command.clone().term_width(width);
                for help in [shown.render_help(), shown.render_long_help()] {
                    let help = help.to_string();
                    let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > width).collect();
                    assert!(long.is_empty(), "{name} at {width}: {long:#?}");
                }
            }
            for line in examples.lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
        }
    }
}
