//! `slipway dataset build` of many small images: what a core reads in a second, and how much memory the program takes at most. Linux tells both.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use slipway_object_store::{KEYS, serve};

use super::measurement::{Goal, Measurements};
use crate::programs::{given, program};

/// Images of the source.
const IMAGES: u32 = 400_000;
/// Their height and width.
const SIDE: u32 = 28;
/// Between two looks at the program's memory, whose highest value the system keeps.
const LOOK: Duration = Duration::from_millis(20);
/// Ticks of `/proc/<pid>/stat` in a second.
const TICKS: f64 = 100.0;
const DECLARATION: &str = "apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: noise}\nspec:\n  \
    source: {idx: {images: x, labels: y}}\n  classes: 10\n  shape: [28, 28]\n  split: {validation: 0.1, test: 0.1, seed: 0}\n  pipeline: {}\n";

/// A project with a large source.
#[derive(Debug)]
pub struct Pipeline {
    project: PathBuf,
    rounds: usize,
}

/// What a run of the program took.
struct Used {
    cpu_seconds: f64,
    peak_mib: f64,
}

impl Pipeline {
    /// Creates it in `folder`: noise, which is the same each time.
    pub fn new(folder: &Path) -> Result<Self> {
        let project = folder.join("noise");
        // a folder with experiments is a project
        for folder in ["datasets", "experiments"] {
            std::fs::create_dir_all(project.join(folder))?;
        }
        std::fs::write(project.join("datasets/noise.yaml"), DECLARATION)?;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (file, head) in [(&mut pixels, &[0x0803, IMAGES, SIDE, SIDE][..]), (&mut labels, &[0x0801, IMAGES])] {
            file.extend(head.iter().flat_map(|number| number.to_be_bytes()));
        }
        // xorshift (Marsaglia, 2003)
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..IMAGES * SIDE * SIDE / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            pixels.extend(state.to_le_bytes());
        }
        labels.extend((0..IMAGES).map(|number| (number % 10) as u8));
        std::fs::write(project.join("x"), pixels)?;
        std::fs::write(project.join("y"), labels)?;
        Ok(Self { project, rounds: 0 })
    }

    /// One round: a first build, and one for which nothing is new. The store is a part of this process, so the figures are the program's alone.
    pub async fn round(&mut self, figures: &mut Measurements) -> Result<()> {
        let mut programs = vec![("", program("slipway")?)];
        if let Ok(before) = given("SLIPWAY_BEFORE") {
            programs.push((" (before)", before.join("slipway")));
        }
        let megabytes = f64::from(IMAGES) * f64::from(SIDE * SIDE) / 1e6;
        for (suffix, program) in programs {
            self.rounds += 1;
            let round = self.project.join(format!("round-{}", self.rounds));
            std::fs::create_dir_all(round.join("s3"))?;
            let store = serve(&round.join("s3")).await;
            let mut command = Command::new(program);
            command
                .args(["--repo".as_ref(), self.project.as_os_str()])
                .args(["dataset", "build", "noise"])
                .env("AWS_ENDPOINT_URL_S3", &store)
                .env("AWS_ACCESS_KEY_ID", KEYS.0)
                .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
                .env("AWS_REGION", "us-east-1")
                .env("XDG_CACHE_HOME", round.join("cache"))
                .env_remove("SLIPWAY_DATASETS");
            let run = async |mut command: Command| tokio::task::spawn_blocking(move || used(&mut command)).await?;
            let again = {
                let mut again = Command::new(command.get_program());
                again
                    .args(command.get_args())
                    .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
                again
            };
            let first = run(command).await?;
            let name = format!("dataset build, {IMAGES} images{suffix}");
            figures.add_for(&name, "MB/s a core", Goal::AtLeast(200.0), megabytes / first.cpu_seconds);
            figures.add_for(&format!("{name}, memory"), "MiB", Goal::AtMost(64.0), first.peak_mib);
            let second = run(again).await?;
            figures.add(&format!("{name}, nothing new"), "s", second.cpu_seconds);
            std::fs::remove_dir_all(&round)?;
        }
        Ok(())
    }
}

/// Runs a program to its end, and says what it used.
fn used(command: &mut Command) -> Result<Used> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let pid = Pid::from_child(&child);
    let own = PathBuf::from(format!("/proc/{}", child.id()));
    let mut peak = 0.0_f64;
    // it stays there until it is waited for below, so that its times can be read
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(pid), options)?.is_none() {
        peak = peak.max(peak_mib(&own).unwrap_or_default());
        std::thread::sleep(LOOK);
    }
    let stat = std::fs::read_to_string(own.join("stat")).context("this system has no /proc")?;
    let ended = child.wait()?;
    let mut errors = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        std::io::Read::read_to_string(&mut stderr, &mut errors)?;
    }
    ensure!(ended.success(), "{command:?}: {ended}: {errors}");
    // the program's name, in brackets, may hold spaces; user and system time are the 14th and the 15th field (proc(5))
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("/proc/<pid>/stat");
    Ok(Used { cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS, peak_mib: peak })
}

/// The most memory that a process had so far.
fn peak_mib(own: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(own.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}
