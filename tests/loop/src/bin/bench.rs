//! `make bench`: every figure as minimum, median and maximum of interleaved rounds, as a table and as JSON.
//!
//! Usage: `bench [ROUNDS] [training | pipeline | serving | cli | accuracy]` (default: 5 rounds of everything but accuracy). The table goes to standard
//! error, the JSON to standard output.
#![expect(clippy::print_stderr, reason = "the table is for the person at the terminal")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Signal;
use slipway_loop::bench::measurement::Measurements;
use slipway_loop::bench::{accuracy, alone, command_line, growth, pipeline, serving, training};
use slipway_loop::{demo, programs};

#[tokio::main]
async fn main() -> Result<()> {
    let rounds: usize =
        std::env::args().nth(1).map_or(Ok(5), |text| text.parse()).context("ROUNDS must be a number")?;
    let folder = tempfile::tempdir()?;
    match std::env::args().nth(2).as_deref() {
        None => everything(rounds, folder.path()).await,
        Some("training") => only_training(rounds).await,
        Some("pipeline") => only_the_pipeline(rounds, folder.path()).await,
        Some("serving") => only_serving(rounds, folder.path()).await,
        Some("cli") => only_the_command_line(rounds, folder.path()),
        Some("accuracy") => only_accuracy(rounds, folder.path()).await,
        Some(other) => anyhow::bail!(
            "{other:?} cannot be measured alone: use `training`, `pipeline`, `serving`, `cli`, `accuracy`, or nothing"
        ),
    }
}

async fn everything(rounds: usize, folder: &Path) -> Result<()> {
    let clone = folder.join("slipway");
    let mut served = Served::start(&clone, folder).await?;
    let mut large = command_line::Large::new(&clone, folder, command_line::TRIALS)?;
    let history = command_line::History::new(&clone, folder)?;
    let mut hundred = command_line::Hundred::new(&clone, folder)?;
    let mut pipeline = pipeline::Pipeline::new(folder)?;

    let mut figures = Measurements::default();
    for round in 1..=rounds {
        begin(round, rounds);
        training::round(&mut figures).await?;
        served.round(&mut figures)?;
        command_line::round(&clone, &mut figures)?;
        large.round(&mut figures)?;
        hundred.round(&mut figures)?;
        history.round(&mut figures)?;
        pipeline.round(&mut figures).await?;
    }
    let demo_seconds = served.end().await?;
    print(rounds, &figures, &serde_json::json!({ "demoSeconds": demo_seconds }))
}

/// A loop that has trained the model, and what serves it beside.
struct Served {
    open: demo::OpenDemo,
    peer: serving::Peer,
    place: alone::Place,
    bundle: PathBuf,
}

impl Served {
    async fn start(clone: &Path, folder: &Path) -> Result<Self> {
        programs::fresh_clone(clone)?;
        eprintln!("running the loop once, to have a model in service");
        let open = demo::open(clone).await?;
        let bundle = folder_with(clone, "model.safetensors")?;
        let peer = serving::Peer::start(&folder_with(clone, "model.pth")?.join("model.pth"), folder)?;
        let place = alone::Place::new(&open.addresses, folder).await?;
        Ok(Self { open, peer, place, bundle })
    }

    fn round(&mut self, figures: &mut Measurements) -> Result<()> {
        serving::round(&mut self.place, &self.peer, &self.bundle, figures)
    }

    /// Ends all of it. Returns how long the phases of the loop took.
    async fn end(self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let seconds = self.open.report.seconds.clone();
        self.open.end(Signal::TERM).await?;
        Ok(seconds)
    }
}

async fn only_serving(rounds: usize, folder: &Path) -> Result<()> {
    let mut served = Served::start(&folder.join("slipway"), folder).await?;
    let mut figures = Measurements::default();
    for round in 1..=rounds {
        begin(round, rounds);
        served.round(&mut figures)?;
    }
    served.end().await?;
    print(rounds, &figures, &serde_json::json!({}))
}

/// Training needs no loop that runs.
async fn only_training(rounds: usize) -> Result<()> {
    let mut figures = Measurements::default();
    for round in 1..=rounds {
        begin(round, rounds);
        training::round(&mut figures).await?;
    }
    print(rounds, &figures, &serde_json::json!({}))
}

/// Neither does a dataset's pipeline.
async fn only_the_pipeline(rounds: usize, folder: &Path) -> Result<()> {
    let mut pipeline = pipeline::Pipeline::new(folder)?;
    let mut figures = Measurements::default();
    for round in 1..=rounds {
        begin(round, rounds);
        pipeline.round(&mut figures).await?;
    }
    print(rounds, &figures, &serde_json::json!({}))
}

/// Neither does the command line, whose growth becomes a picture of the documentation.
fn only_the_command_line(rounds: usize, folder: &Path) -> Result<()> {
    let clone = folder.join("slipway");
    programs::fresh_clone(&clone)?;
    let mut growth = growth::Growth::new(&clone, folder)?;
    let mut hundred = command_line::Hundred::new(&clone, folder)?;
    let mut figures = Measurements::default();
    for round in 1..=rounds {
        begin(round, rounds);
        command_line::round(&clone, &mut figures)?;
        growth.round(&mut figures)?;
        hundred.round(&mut figures)?;
    }
    let picture = programs::repository().join("docs/growth.svg");
    std::fs::write(&picture, growth::picture(&figures))?;
    eprintln!("{} shows how each grows", picture.display());
    print(rounds, &figures, &serde_json::json!({}))
}

/// A loop trains many seeds, and then one experiment in each round.
async fn only_accuracy(rounds: usize, folder: &Path) -> Result<()> {
    let clone = folder.join("slipway");
    programs::fresh_clone(&clone)?;
    eprintln!("running the loop once");
    let open = demo::open(&clone).await?;
    let mut figures = Measurements::default();
    eprintln!("training {} seeds", accuracy::SEEDS);
    let accuracies = accuracy::of_seeds(&open.addresses, &clone, &mut figures).await?;
    for round in 1..=rounds {
        begin(round, rounds);
        accuracy::round(&open.addresses, &clone, round, &mut figures).await?;
    }
    open.end(Signal::TERM).await?;
    print(rounds, &figures, &serde_json::json!({ "accuracies": accuracies }))
}

fn begin(round: usize, rounds: usize) {
    eprintln!("round {round} of {rounds}");
}

/// The table, and the same as JSON with what else there is to say.
fn print(rounds: usize, figures: &Measurements, more: &serde_json::Value) -> Result<()> {
    eprintln!("\n{}", figures.table());
    let mut all = serde_json::json!({"rounds": rounds, "figures": figures.all()});
    for (name, value) in more.as_object().context("an object")? {
        all[name] = value.clone();
    }
    println!("{all}");
    Ok(())
}

/// A folder of a model's files that has this one: as the server keeps them, or as the registry does.
fn folder_with(clone: &Path, file: &str) -> Result<PathBuf> {
    let mut folders = vec![clone.join(".slipway")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == file) {
                return Ok(folder);
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    anyhow::bail!("no {file} in .slipway: has the server loaded a version?")
}
