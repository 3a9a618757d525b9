//! `slipway-launch`: one worker of a training job that runs a program of one's own.
//!
//! It is the first process of the program's container, and the only thing there that knows Slipway. Its only input is the environment
//! that the rendered TrainJob and Kubeflow Trainer give it; docs/programs.md says what the program gets, and docs/configuration.md what the
//! exit codes mean.

mod checkpoints;
mod conclude;
mod data;
mod ending;
mod environment;
mod meeting;
mod model;
mod processes;
mod progress;
mod relay;
mod run;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use slipway_job::Environment;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// One worker of a training job that runs a program of one's own: reads SLIPWAY_TRIAL and PET_* from its environment.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    let launched = Instant::now();
    let _ = Arguments::parse();
    let filter =
        slipway_log::filter(std::env::var("RUST_LOG").ok().as_deref(), "warn,slipway_launch=info,slipway_job=info");
    let messages = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(messages.with_filter(filter)).init();
    match Environment::read().and_then(|environment| run::run(&environment, launched)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(event = "failed", "{failure}");
            ExitCode::from(failure.code())
        }
    }
}
