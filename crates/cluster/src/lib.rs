//! A Kubernetes cluster as `slipway` meets it: is it fit, what has to be put into it once, is everything well, and if not, why.
//!
//! What is decided is decided by pure functions on objects as JSON ([`fit`], [`rollout`], [`secrets`], [`trouble`]); the rest asks the
//! API server and waits. Nothing here knows how objects are made.

mod addresses;
mod applications;
mod apply;
mod bootstrap;
mod connection;
mod diagnosis;
mod error;
mod fields;
mod fit;
mod kinds;
mod order;
mod permissions;
mod pods;
mod preflight;
mod rollout;
mod secrets;
mod template;
mod train_jobs;
mod trouble;
mod waiting;

pub use addresses::{Address, addresses};
pub use applications::{Component, components};
pub use apply::Outcome;
pub use bootstrap::{Bootstrap, Event, Expected, Options, Report, Step, Summary, bootstrap};
pub use connection::Cluster;
pub use diagnosis::{Diagnosis, ResourceTrouble, diagnose};
pub use error::{Error, Result};
pub use fit::{Examined, Requirements};
pub use pods::PodTrouble;
pub use preflight::preflight;
pub use secrets::Credential;
pub use template::{Malformed, Template};
pub use train_jobs::{Job, train_jobs};
