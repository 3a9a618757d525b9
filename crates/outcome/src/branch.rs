//! What the default branch holds now.

use std::collections::{BTreeMap, BTreeSet};

use slipway_experiment::{Record, read_record};
use slipway_git::Repository;
use slipway_project::{Tree, history, jobs_folder, serving};
use slipway_serving::Pins;

use crate::Result;

/// What the default branch holds now, as far as results depend on it.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// The rendered TrainJobs: environments and names.
    pub jobs: BTreeSet<(String, String)>,
    /// The versions in service by environment. A list with a mistake is not here.
    pub pins: BTreeMap<String, Pins>,
    /// The files of the history, which are read when they are asked for: there may be thousands.
    records: BTreeMap<String, String>,
}

impl Branch {
    /// That of a commit.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn at(git: &Repository, commit: &str) -> Result<Self> {
        Ok(Self::of(&Tree::at(git, commit)?))
    }

    /// That of a tree.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let mut branch = Self::default();
        for environment in tree.folders_in("overlays") {
            let folder = jobs_folder(&environment);
            let names =
                tree.yaml_in(&folder).filter_map(|path| path.strip_prefix(&folder)?.get(1..)?.strip_suffix(".yaml"));
            branch.jobs.extend(names.map(|name| (environment.clone(), name.to_owned())));
            let folder = history::folder(&environment);
            let records = tree.yaml_in(&folder);
            branch.records.extend(records.filter_map(|path| Some((path.to_owned(), tree.text(path)?))));
            if let Ok(pins) = serving::read(tree, &environment) {
                branch.pins.insert(environment, pins);
            }
        }
        branch
    }

    /// What the history has of a TrainJob. One that cannot be read counts as none.
    #[must_use]
    pub fn record(&self, environment: &str, job: &str) -> Option<Record> {
        let text = self.history_of(environment, job)?;
        read_record(&history::path(environment, job), text).ok()
    }

    /// The files of the history of an environment: the TrainJobs that they are named after, and their texts.
    pub fn history<'a>(&'a self, environment: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let folder = format!("{}/", history::folder(environment));
        self.records
            .iter()
            .filter_map(move |(path, text)| Some((path.strip_prefix(&folder)?.strip_suffix(".yaml")?, text.as_str())))
    }

    /// The file of the history that is named after a TrainJob.
    #[must_use]
    pub fn history_of(&self, environment: &str, job: &str) -> Option<&str> {
        self.records.get(&history::path(environment, job)).map(String::as_str)
    }

    /// Whether a TrainJob is still asked for.
    #[must_use]
    pub fn asks_for(&self, environment: &str, job: &str) -> bool {
        self.jobs.contains(&(environment.to_owned(), job.to_owned()))
    }
}
