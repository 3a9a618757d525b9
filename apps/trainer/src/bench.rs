//! `slipway-trainer bench`: measures training on this machine with synthetic images and without other services.

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::PossibleValuesParser;
use slipway_c10d::Algorithm;
use slipway_checkpoint::Attempt;
use slipway_job::{Environment, runtime};
use slipway_model::{Architecture, Config};
use tch::Tensor;

use crate::augment::Augmentation;
use crate::failure::{Failure, Result};
use crate::resume::{self, Found};
use crate::run::{LAST_CHECKPOINT, remove_checkpoints};
use crate::saver::Saver;
use crate::schedule::{Decay, Schedule};
use crate::synthetic::synthetic;
use crate::train::{Event, Keep, Plan, train};
use crate::workers::Workers;

/// Options of `slipway-trainer bench`. Workers are set by `PET_*`, as in a job; rank 0 prints.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The network.
    #[arg(long, default_value = "cnn", value_parser = PossibleValuesParser::new(Architecture::WORDS.iter().map(|(word, _)| *word)))]
    architecture: String,
    /// Images in one step, across all workers.
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Steps to train.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Training images [default: enough for one epoch, at most 8000].
    #[arg(long)]
    images: Option<usize>,
    /// Probability that a hidden unit is dropped.
    #[arg(long, default_value_t = 0.25)]
    dropout: f64,
    /// The optimizer.
    #[arg(long, value_enum, default_value = "adam")]
    optimizer: OptimizerName,
    /// Its learning rate.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Lets the learning rate fall along half a cosine.
    #[arg(long)]
    cosine: bool,
    /// The most pixels by which images are moved.
    #[arg(long, default_value_t = 0)]
    shift: usize,
    /// The most degrees by which images are turned.
    #[arg(long, default_value_t = 0.0)]
    rotation: f64,
    /// Stops after so many epochs without a better accuracy, and keeps the best weights.
    #[arg(long)]
    patience: Option<usize>,
    /// Seed of the weights, the order of the images and dropout.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Writes the trained weights to this file, as safetensors; each further worker writes its own to FILE.RANK.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Stores checkpoints as a job of this name does, in the store that SLIPWAY_CHECKPOINT_STORE names: a bench that was killed goes on from the
    /// last one, and one that ends removes them.
    #[arg(long)]
    job: Option<String>,
    /// Prints where the time of a step goes, as a table instead of JSON.
    #[arg(long)]
    profile: bool,
}

/// The optimizers, with the settings of an experiment that names no others.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum OptimizerName {
    Adam,
    Adamw,
    Sgd,
}

/// Trains and prints one JSON object: `imagesPerSecond`, `firstStepSeconds` since launch, `losses`, `workers`, …
pub(crate) fn run(options: &Options, environment: &Environment, launched: Instant) -> Result<()> {
    let architecture: Architecture = options
        .architecture
        .parse()
        .map_err(|error: slipway_model::UnknownArchitecture| Failure::Input(format!("--architecture: {error}")))?;
    let fitting = options.batch_size.saturating_mul(options.steps.clamp(1, 125)).min(8_000);
    let images = options.images.unwrap_or(fitting);
    let steps_per_epoch = (images / options.batch_size.max(1)).max(1);
    let augmentation = Augmentation { shift: options.shift, rotation: options.rotation };
    let plan = Plan {
        model: Config::mnist(architecture, options.dropout),
        epochs: options.steps.div_ceil(steps_per_epoch),
        batch_size: options.batch_size,
        optimizer: match options.optimizer {
            OptimizerName::Adam => Algorithm::Adam { weight_decay: 0.0 },
            OptimizerName::Adamw => Algorithm::AdamW { weight_decay: 0.01 },
            OptimizerName::Sgd => Algorithm::Sgd { momentum: 0.9, weight_decay: 0.0 },
        },
        learning_rate: options.learning_rate,
        schedule: Schedule { decay: if options.cosine { Decay::Cosine } else { Decay::None }, ..Schedule::CONSTANT },
        augmentation: (options.shift > 0 || options.rotation > 0.0).then_some(augmentation),
        patience: options.patience,
        seed: options.seed,
        max_steps: Some(options.steps),
    };
    let runtime = runtime()?;
    let leads = environment.membership.rank == 0;
    // every worker says whether there are checkpoints, and rank 0 looks for them
    let finding = options.job.as_ref().filter(|_| leads).map(|job| resume::start(&runtime, job.clone())).transpose()?;
    let workers = Workers::meet(environment)?;
    let mut found = match &options.job {
        Some(_) => resume::wait(&workers, &runtime, finding)?,
        None => Found::default(),
    };
    let resumed = found.share(&workers)?.map(|(snapshot, _)| snapshot);
    let first = resumed.as_ref().map_or(0, |snapshot| snapshot.position.step);
    let remover = found.attempt.as_ref().map(Attempt::remover);
    let start = |attempt| Saver::start(runtime.handle(), attempt, environment.checkpoint_interval, None);
    let saver = found.attempt.map(start).transpose()?;
    let images = synthetic(images, 1)?;
    let held_out = synthetic(100, 2)?;
    let mut first_step = f64::NAN;
    let mut losses = Vec::new();
    let mut kept_epoch = None;
    let keeper = saver.as_ref().map(|saver| saver as &dyn Keep);
    let trained = train(&plan, &images, &held_out, &workers, (resumed, keeper), |event| {
        match event {
            Event::Step { done, .. } if done == first + 1 => {
                first_step = launched.elapsed().as_secs_f64();
                tracing::info!(event = "first_step", seconds = first_step);
            }
            Event::Losses(more) => losses.extend(more.into_iter().map(|(_, _, loss)| loss)),
            Event::Kept { epoch, .. } => kept_epoch = Some(epoch),
            Event::Step { .. } | Event::Epoch { .. } => {}
        }
        Ok(())
    });
    if let Some(saver) = saver {
        saver.close();
        runtime.block_on(saver.waiter().settle(LAST_CHECKPOINT))?;
        saver.waiter().abandon();
    }
    let trained = trained?;
    if let Some(path) = &options.weights {
        let path = if workers.leads() { path.clone() } else { path.with_added_extension(workers.rank.to_string()) };
        Tensor::write_safetensors(&trained.model.frozen()?.named_parameters(), path)?;
    }
    if !workers.leads() {
        return Ok(());
    }
    runtime.block_on(remove_checkpoints(remover.as_ref()));
    let parts = trained.profile.microseconds();
    let step = parts.map(|parts| parts.iter().map(|(_, spent)| spent).sum::<f64>());
    if options.profile {
        let too_few = || Failure::Input("--profile: too few --steps, since the first ones are not counted".to_owned());
        print!("{}", table(&parts.ok_or_else(too_few)?));
        return Ok(());
    }
    let report = serde_json::json!({
        "architecture": architecture.as_str(),
        "workers": workers.world_size,
        "threads": environment.threads,
        "batchSize": options.batch_size,
        "steps": trained.steps,
        "resumedAtStep": first,
        "keptEpoch": kept_epoch,
        "exchange": workers.group.as_ref().map(|group| group.exchange().to_string()),
        "stepMicroseconds": parts.map(|parts| parts.iter().copied().collect::<serde_json::Value>()),
        "steadyImagesPerSecond": step.map(|step| options.batch_size as f64 * 1e6 / step),
        "imagesPerSecond": trained.images_per_second,
        "firstStepSeconds": first_step,
        "losses": losses,
    });
    println!("{report}");
    Ok(())
}

/// What a step takes, part by part.
fn table(parts: &[(&str, f64)]) -> String {
    let whole: f64 = parts.iter().map(|(_, spent)| spent).sum();
    let line = |name: &str, spent: f64| format!("{name:<10} {spent:>9.0} µs {:>5.1} %\n", 100.0 * spent / whole);
    parts.iter().map(|(name, spent)| line(name, *spent)).chain([line("step", whole)]).collect()
}
