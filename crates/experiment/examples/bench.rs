//! Times parsing, expanding and rendering an experiment of 10,000 trials. Prints one JSON object, in milliseconds.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use slipway_experiment::{DatasetRef, Limits, Provenance, parse_with, read_job, render};

const ROUNDS: usize = 5;
const TRIALS: usize = 10_000;

fn main() {
    let text = experiment();
    let dataset = DatasetRef { name: "mnist-10k".to_owned(), digest: format!("sha256:{}", "a".repeat(64)) };
    let provenance = Provenance {
        image: "slipway/trainer:0.1.0".to_owned(),
        blob: Some("b".repeat(40)),
        commit: None,
        program_tree: None,
    };
    let limits = Limits { max_trials: TRIALS };
    let mut phases: [(&str, Vec<f64>); 4] = ["parse", "expand", "render", "read"].map(|name| (name, Vec::new()));
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let experiment = match parse_with("bench.yaml", &text, &limits) {
            Ok(experiment) => experiment,
            Err(findings) => panic!("{}", findings[0]),
        };
        phases[0].1.push(milliseconds(start));
        let start = Instant::now();
        let trials = experiment.trials(&dataset);
        phases[1].1.push(milliseconds(start));
        assert_eq!(trials.len(), TRIALS);
        let start = Instant::now();
        let jobs: Vec<String> =
            trials.iter().map(|trial| render(&experiment, trial, "experiments/bench.yaml", &provenance)).collect();
        phases[2].1.push(milliseconds(start));
        let start = Instant::now();
        assert!(jobs.iter().all(|job| black_box(read_job("job.yaml", job)).is_ok()));
        phases[3].1.push(milliseconds(start));
    }
    let mut json = format!("{{\"trials\":{TRIALS},\"rounds\":{ROUNDS}");
    for (name, times) in &mut phases {
        times.sort_by(f64::total_cmp);
        let (minimum, median, maximum) = (times[0], times[times.len() / 2], times[times.len() - 1]);
        let _ =
            write!(json, ",\"{name}\":{{\"minimum\":{minimum:.2},\"median\":{median:.2},\"maximum\":{maximum:.2}}}");
    }
    println!("{json}}}");
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn experiment() -> String {
    let list = |count: usize, value: &dyn Fn(usize) -> String| (1..=count).map(value).collect::<Vec<_>>().join(", ");
    format!(
        "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {{name: bench}}
spec:
  dataset: mnist-10k
  model: {{architecture: cnn, dropout: 0.25}}
  training: {{epochs: 3, batchSize: 64, optimizer: {{name: adam, learningRate: 0.001}}, seed: 7}}
  sweep:
    training.seed: [{}]
    training.optimizer.learningRate: [{}]
  workers: {{count: 2, cpu: \"1\", memory: 2Gi}}
  budget: {{cpuHours: 10000, deadline: 30m}}
  register: {{model: mnist, require: {{accuracy: \">= 0.97\"}}}}
",
        list(100, &|seed| seed.to_string()),
        list(100, &|rate| format!("0.{rate:04}")),
    )
}
