//! A cluster with the whole stack on it, as `slipway bootstrap local` makes it from a git server that stands in for GitHub, and what
//! a person does with it. The cluster is the testbed's own, or kind.

mod applications;
mod backup;
mod cpu;
mod experiments;
mod github;
mod ground;
mod kubectl;
mod landing;
mod manager;
mod memory;
mod mlflow;
mod repository;
mod rights;
mod settings;
mod stack;
mod waiting;
mod webhook;

pub use applications::Application;
pub use backup::Backup;
pub use experiments::{EASY, Experiment, Proposed};
pub use github::{GitHub, Started};
pub use ground::Kind;
pub use kubectl::{Kubectl, text};
pub use landing::{Picture, SIDE};
pub use mlflow::{Run, Version};
pub use repository::Repository;
pub use stack::{Bootstrapped, Stack};
pub use waiting::until;
