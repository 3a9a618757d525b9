//! How the command line grows with the number of jobs: whole commands on repositories of different sizes, and rendering and reading in process.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use slipway_experiment::{DatasetRef, Limits, Provenance, parse_with, read_job, render};

use super::command_line::{Large, experiment_of};
use super::measurement::{Goal, Measurements};
use super::plot::{Line, Plot};

/// Rendered jobs of a repository, and trials of an experiment.
const SIZES: [usize; 4] = [10, 100, 1_000, MOST];
const MOST: usize = 10_000;

/// Repositories with so many rendered jobs.
#[derive(Debug)]
pub struct Growth(Vec<Large>);

impl Growth {
    /// Creates them in `folder`, from a clone of this repository.
    pub fn new(clone: &Path, folder: &Path) -> Result<Self> {
        Ok(Self(SIZES.into_iter().map(|jobs| Large::new(clone, folder, jobs)).collect::<Result<_>>()?))
    }

    /// One round: the commands on each repository, and trials of each number rendered and read.
    pub fn round(&mut self, figures: &mut Measurements) -> Result<()> {
        for large in &mut self.0 {
            large.round(figures)?;
        }
        for trials in SIZES {
            in_process(trials, figures)?;
        }
        Ok(())
    }
}

/// From the text of an experiment to the texts of its jobs, and from those to jobs.
fn in_process(trials: usize, figures: &mut Measurements) -> Result<()> {
    let text = experiment_of("growth", 10, 7, trials / 10);
    let dataset = DatasetRef { name: "mnist-10k".to_owned(), digest: format!("sha256:{}", "a".repeat(64)) };
    let provenance = Provenance {
        image: "slipway/trainer:0.1.0".to_owned(),
        blob: Some("b".repeat(40)),
        commit: None,
        program_tree: None,
    };
    let begun = Instant::now();
    let parsed = parse_with("growth.yaml", &text, &Limits { max_trials: MOST });
    let experiment = parsed.map_err(|findings| anyhow!("{}", findings[0]))?;
    let all = experiment.trials(&dataset);
    let jobs: Vec<String> =
        all.iter().map(|trial| render(&experiment, trial, "experiments/growth.yaml", &provenance)).collect();
    let goal = |most| (trials == MOST).then_some(Goal::AtMost(most));
    figures.add_to(&rendered(trials), "ms", goal(250.0), begun.elapsed().as_secs_f64() * 1e3);
    ensure!(jobs.len() == trials, "{} jobs", jobs.len());
    let begun = Instant::now();
    let read = jobs.iter().filter(|job| black_box(read_job("job.yaml", job)).is_ok()).count();
    figures.add_to(&read_back(trials), "ms", goal(400.0), begun.elapsed().as_secs_f64() * 1e3);
    ensure!(read == trials, "{read} of {trials} jobs could be read");
    Ok(())
}

fn rendered(trials: usize) -> String {
    format!("{trials} trials rendered")
}

fn read_back(trials: usize) -> String {
    format!("{trials} trials read back")
}

/// How each grows, as a picture.
pub fn picture(figures: &Measurements) -> String {
    let line = |name: &str, figure: &dyn Fn(usize) -> String, goal| Line {
        name: name.to_owned(),
        points: SIZES.iter().filter_map(|size| Some((*size as f64, figures.median(&figure(*size))?))).collect(),
        goal,
    };
    let plot = Plot {
        title: "Time by the number of jobs; rings are goals",
        x: "jobs or trials",
        y: "milliseconds",
        lines: vec![
            line("slipway check", &|jobs| format!("slipway check, {jobs} jobs"), Some((1_000.0, 300.0))),
            line("slipway plan", &|jobs| format!("slipway plan, {jobs} jobs"), Some((1_000.0, 100.0))),
            line("slipway report", &|jobs| format!("slipway report, {jobs} jobs"), None),
            line("rendering", &rendered, Some((MOST as f64, 250.0))),
            line("reading back", &read_back, Some((MOST as f64, 400.0))),
        ],
    };
    plot.svg()
}
