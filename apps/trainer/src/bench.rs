//! `slipway-trainer bench`: measures training on this machine with synthetic images and without other services.

use std::path::PathBuf;
use std::time::Instant;

use slipway_job::Environment;
use slipway_model::{Architecture, Config};
use tch::Tensor;

use crate::failure::{Failure, Result};
use crate::train::{Event, Optimizer, Plan, synthetic, train};
use crate::workers::Workers;

/// Options of `slipway-trainer bench`. Workers are set by `PET_*`, as in a job; rank 0 prints.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// `cnn` or `mlp`.
    #[arg(long, default_value = "cnn")]
    architecture: String,
    /// Images in one step, across all workers.
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Steps to train.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Probability that a hidden unit is dropped.
    #[arg(long, default_value_t = 0.25)]
    dropout: f64,
    /// Learning rate of Adam.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Seed of the weights, the order of the images and dropout.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Writes the trained weights to this file, as safetensors.
    #[arg(long)]
    weights: Option<PathBuf>,
}

/// Trains and prints one JSON object: `imagesPerSecond`, `firstStepSeconds` since launch, `losses`, `workers`, …
pub(crate) fn run(options: &Options, environment: &Environment, launched: Instant) -> Result<()> {
    let architecture: Architecture = options
        .architecture
        .parse()
        .map_err(|error: slipway_model::UnknownArchitecture| Failure::Input(format!("--architecture: {error}")))?;
    let plan = Plan {
        model: Config::mnist(architecture, options.dropout),
        epochs: usize::MAX,
        batch_size: options.batch_size,
        optimizer: Optimizer::Adam { learning_rate: options.learning_rate },
        seed: options.seed,
        max_steps: Some(options.steps),
    };
    let workers = Workers::meet(environment)?;
    let images = synthetic(options.batch_size.saturating_mul(options.steps.clamp(1, 125)).min(8_000), 1)?;
    let held_out = synthetic(100, 2)?;
    let mut first_step = f64::NAN;
    let mut losses = Vec::new();
    let trained = train(&plan, &images, &held_out, &workers, |event| {
        match event {
            Event::Step { done: 1, .. } => {
                first_step = launched.elapsed().as_secs_f64();
                tracing::info!(event = "first_step", seconds = first_step);
            }
            Event::Losses(more) => losses.extend(more.into_iter().map(|(_, _, loss)| loss)),
            Event::Step { .. } | Event::Epoch { .. } => {}
        }
        Ok(())
    })?;
    if !workers.leads() {
        return Ok(());
    }
    if let Some(path) = &options.weights {
        let parameters: Vec<_> =
            trained.model.named_parameters().into_iter().map(|(name, tensor)| (name, tensor.detach())).collect();
        Tensor::write_safetensors(&parameters, path)?;
    }
    let report = serde_json::json!({
        "architecture": architecture.as_str(),
        "workers": workers.world_size,
        "threads": environment.threads,
        "batchSize": options.batch_size,
        "steps": trained.steps,
        "imagesPerSecond": trained.images_per_second,
        "firstStepSeconds": first_step,
        "losses": losses,
    });
    println!("{report}");
    Ok(())
}
