//! `slipway-trainer`: one worker of a distributed training job.
//!
//! Its only input is the environment that the rendered TrainJob and Kubeflow Trainer give it. Exit codes: 0 done (also when
//! the gate refused the model, and when an earlier attempt had done everything), 1 unexpected, 3 bad input, 6 a service is down,
//! 7 the gate's metric is missing or NaN, 8 another worker was lost, 143 stopped by SIGTERM. docs/configuration.md says how a cluster
//! reacts to each.

mod augment;
mod bench;
mod data;
mod describe;
mod early_stopping;
mod evaluate;
mod failure;
mod font;
mod images;
mod pictures;
mod profile;
mod resume;
mod run;
mod saver;
mod schedule;
mod snapshot;
mod synthetic;
mod train;
mod workers;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use slipway_job::Environment;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Result;

/// One worker of a distributed training job: reads SLIPWAY_TRIAL and PET_* from its environment.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures training on synthetic images and prints JSON.
    ///
    /// Example: OMP_NUM_THREADS=1 slipway-trainer bench --steps 200
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let launched = Instant::now();
    let arguments = Arguments::parse();
    slipway_allocator::keep();
    let filter =
        slipway_log::filter(std::env::var("RUST_LOG").ok().as_deref(), "warn,slipway_trainer=info,slipway_job=info");
    let messages = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(messages.with_filter(filter)).init();
    match start(&arguments, launched) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(event = "failed", "{failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn start(arguments: &Arguments, launched: Instant) -> Result<()> {
    let environment = Environment::read()?;
    tch::set_num_threads(environment.threads);
    tch::set_num_interop_threads(1);
    match &arguments.command {
        Some(Command::Bench(options)) => bench::run(options, &environment, launched),
        None => run::run(&environment, launched),
    }
}
