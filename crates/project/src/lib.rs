//! What a project's files mean: what is declared, what is rendered, what a change starts, stops and costs.
//!
//! Everything is computed from a [`Tree`], which is the work tree or a revision; nothing here uses the network.

pub mod cluster;
pub mod code_owners;
mod count;
mod error;
pub mod experiment_files;
pub mod header;
pub mod history;
mod parallel;
pub mod plan;
pub mod plan_markdown;
mod project;
mod references;
pub mod rendered;
pub mod serving;
mod tree;

pub use count::count;
pub use error::{Error, Result};
pub use plan::Plan;
pub use project::{
    DatasetFile, Environment, ExperimentFile, JobFile, Project, Rendering, TrainerFolder, jobs_folder, trainer_folder,
};
pub use rendered::Changes;
pub use tree::Tree;
