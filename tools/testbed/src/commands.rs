//! The commands, and what they print.

use std::future::Future;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;
use testbed::cluster::{Forget, Options};
use testbed::progress::Progress;
use testbed::{Cache, Cluster};

use crate::Output;

pub(crate) fn build(cache: &Cache, programs: &[String], node: bool) -> anyhow::Result<()> {
    let progress = Progress::new();
    if node {
        testbed::prepare_node(cache, &progress)?;
    } else if programs.is_empty() {
        testbed::prepare(cache, &progress)?;
    } else {
        let programs = programs.iter().map(|name| testbed::build::program(name)).collect::<Result<Vec<_>, _>>()?;
        testbed::build::build(cache, &programs, &progress)?;
    }
    Ok(())
}

/// Creates the mirror, and prints the setting with which git on the machine uses it, to be given with `-c`.
pub(crate) fn mirror(cache: &Cache) -> anyhow::Result<()> {
    testbed::mirror::make(cache, &Progress::new())?;
    for host in testbed::mirror::HOSTS {
        println!("url.file://{}/.insteadOf=https://{host}/", cache.mirror().join(host).display());
    }
    Ok(())
}

pub(crate) fn up(cache: &Cache, cluster: &Cluster, fresh: bool, with: Option<Vec<String>>) -> anyhow::Result<()> {
    let components: Option<Vec<String>> = with.map(|names| names.into_iter().filter(|name| !name.is_empty()).collect());
    if components.as_ref().is_some_and(Vec::is_empty) {
        testbed::prepare_node(cache, &Progress::new())?;
    } else {
        testbed::prepare(cache, &Progress::new())?;
    }
    let began = Instant::now();
    let progress = |text: &str| println!("{:6.1} s  {text}", began.elapsed().as_secs_f32());
    wait(cluster.up(&Options { fresh, components }, &progress))??;
    Ok(())
}

pub(crate) fn forget(fresh: bool, wipe: bool) -> Forget {
    match (fresh, wipe) {
        (_, true) => Forget::Everything,
        (true, false) => Forget::State,
        (false, false) => Forget::Nothing,
    }
}

pub(crate) fn status(cluster: &Cluster, output: Output) -> anyhow::Result<()> {
    let status = wait(cluster.status())??;
    match output {
        Output::Table => print!("{status}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&status)?),
    }
    Ok(())
}

pub(crate) fn bench(cache: &Cache, rounds: usize, output: Output) -> anyhow::Result<()> {
    let progress = Progress::new();
    testbed::prepare(cache, &progress)?;
    let figures = wait(testbed::bench::run(cache, rounds, &|text| progress.line(text)))??;
    match output {
        Output::Table => print!("{figures}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&figures)?),
    }
    Ok(())
}

/// Runs a program and returns its exit code; 1 if a signal ended it.
pub(crate) fn run(mut command: Command) -> anyhow::Result<ExitCode> {
    let program = command.get_program().to_owned();
    let status = command.status().with_context(|| format!("running {}", program.display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Runs a future on this thread: the commands that create namespaces must have no other.
fn wait<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}
