//! What a TrainJob, a run or a version says of its own origin.

use std::collections::BTreeMap;

use slipway_names::tag;

/// What a TrainJob, a run or a version says of its own origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The name of the TrainJob.
    pub train_job: String,
    /// The environment that it ran in; `None` for whichever has it.
    pub environment: Option<String>,
    /// The experiment's file, by its path in the project.
    pub experiment_file: Option<String>,
    /// The content of that file: the id of its blob.
    pub blob: Option<String>,
    /// The commit that held the experiment, where the content is not named.
    pub commit: Option<String>,
    /// The code of the program: the id of its tree. `None` for the built-in trainer.
    pub program_tree: Option<String>,
    /// The dataset's name.
    pub dataset: Option<String>,
    /// The digest of the dataset's content.
    pub dataset_digest: Option<String>,
}

impl Origin {
    /// A TrainJob by its name; its file says the rest.
    #[must_use]
    pub fn of_train_job(name: &str) -> Self {
        Self { train_job: name.to_owned(), ..Self::default() }
    }

    /// The same in an environment.
    #[must_use]
    pub fn in_environment(self, environment: Option<&str>) -> Self {
        Self { environment: environment.map(str::to_owned), ..self }
    }

    /// What the tags of a run or of a version say. Returns `None` if no TrainJob made it.
    #[must_use]
    pub fn of_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        let tag = |name: &str| tags.get(name).filter(|value| !value.is_empty()).cloned();
        Some(Self {
            train_job: tag(tag::TRAINJOB)?,
            environment: None,
            experiment_file: tag(tag::EXPERIMENT_FILE),
            blob: tag(tag::EXPERIMENT_BLOB),
            commit: tag(tag::COMMIT),
            program_tree: tag(tag::PROGRAM_TREE),
            dataset: tag(tag::DATASET),
            dataset_digest: tag(tag::DATASET_DIGEST),
        })
    }
}
