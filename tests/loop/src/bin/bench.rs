//! `make bench`: every figure as minimum, median and maximum of interleaved rounds, as a table and as JSON.
//!
//! Usage: `bench [ROUNDS] [training | pipeline]` (default: 5 rounds of everything). The table goes to standard error, the JSON to standard output.
#![expect(clippy::print_stderr, reason = "the table is for the person at the terminal")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Signal;
use slipway_loop::bench::measurement::Measurements;
use slipway_loop::bench::{command_line, pipeline, serving, training};
use slipway_loop::{demo, programs};

#[tokio::main]
async fn main() -> Result<()> {
    let rounds: usize =
        std::env::args().nth(1).map_or(Ok(5), |text| text.parse()).context("ROUNDS must be a number")?;
    match std::env::args().nth(2).as_deref() {
        None => {}
        Some("training") => return only_training(rounds),
        Some("pipeline") => return only_the_pipeline(rounds).await,
        Some(other) => anyhow::bail!("{other:?} cannot be measured alone: use `training`, `pipeline`, or nothing"),
    }
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("slipway");
    programs::fresh_clone(&clone)?;
    eprintln!("running the loop once, to have a model in service");
    let open = demo::open(&clone).await?;
    let bundle = folder_with(&clone, "model.safetensors")?;
    let peer = serving::Peer::start(&folder_with(&clone, "model.pth")?.join("model.pth"), folder.path())?;

    let mut large = command_line::Large::new(&clone, folder.path())?;
    let history = command_line::History::new(&clone, folder.path())?;
    let mut hundred = command_line::Hundred::new(&clone, folder.path())?;
    let mut pipeline = pipeline::Pipeline::new(folder.path())?;

    let mut figures = Measurements::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        training::round(&mut figures)?;
        serving::round(&open.addresses.server, &peer, &bundle, &mut figures)?;
        command_line::round(&clone, &mut figures)?;
        large.round(&mut figures)?;
        hundred.round(&mut figures)?;
        history.round(&mut figures)?;
        pipeline.round(&mut figures).await?;
    }
    let demo_seconds = open.report.seconds.clone();
    open.end(Signal::TERM).await?;
    eprintln!("\n{}", figures.table());
    println!("{}", serde_json::json!({"rounds": rounds, "figures": figures.all(), "demoSeconds": demo_seconds}));
    Ok(())
}

/// Training needs no loop that runs.
fn only_training(rounds: usize) -> Result<()> {
    let mut figures = Measurements::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        training::round(&mut figures)?;
    }
    eprintln!("\n{}", figures.table());
    println!("{}", serde_json::json!({"rounds": rounds, "figures": figures.all()}));
    Ok(())
}

/// Neither does a dataset's pipeline.
async fn only_the_pipeline(rounds: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut pipeline = pipeline::Pipeline::new(folder.path())?;
    let mut figures = Measurements::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        pipeline.round(&mut figures).await?;
    }
    eprintln!("\n{}", figures.table());
    println!("{}", serde_json::json!({"rounds": rounds, "figures": figures.all()}));
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
