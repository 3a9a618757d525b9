//! A Kubernetes cluster as `slipway` meets it: does it fit, what has to be put into it once, is everything well, and if not, why. And which
//! of several programs in it acts ([`Election`]).
//!
//! Requests are kube's: typed where a kind is built into Kubernetes, dynamic by discovery otherwise. There is one way to apply
//! objects, one order, and one rule for when a rollout is complete. Pure functions decide ([`fit`], [`rollout`], [`secrets`],
//! [`trouble`]); the rest asks the API server, watches and waits. Nothing here knows how objects are made.

mod addresses;
mod applications;
mod apply;
mod architecture;
mod bootstrap;
mod connection;
mod deadline;
mod diagnosis;
mod error;
mod exposure;
mod fields;
mod fit;
mod kinds;
mod lease;
mod order;
mod paging;
mod permissions;
mod pods;
mod preflight;
mod refused;
mod rollout;
mod secrets;
mod template;
mod train_jobs;
mod training;
mod tree;
mod trouble;
mod watch;

pub use addresses::{Address, addresses};
pub use applications::{Component, components};
pub use apply::{ApplyOptions, Outcome};
pub use architecture::pins_architecture;
pub use bootstrap::{Bootstrap, Event, JobsPolicy, Options, Report, Step, Summary, TrainingJobs, bootstrap};
pub use connection::Cluster;
pub use deadline::Deadline;
pub use diagnosis::{Diagnosis, ResourceTrouble, diagnose};
pub use error::{Error, Result};
pub use exposure::exposure;
pub use fit::{Examined, Requirements};
pub use k8s_openapi::jiff::Timestamp;
pub use kube::api::DynamicObject;
pub use lease::{Candidacy, Election, Leadership, Timing};
pub use paging::list_all;
pub use pods::PodTrouble;
pub use preflight::preflight;
pub use refused::refused;
pub use rollout::pending;
pub use secrets::Credential;
pub use template::{Malformed, Template};
pub use train_jobs::{Job, train_jobs};
pub use training::{
    Hindrance, JOBSET, JobSet, Progress, State, TrainJob, Training, WARNINGS, Warning, Worker, WorkerPod, trainings,
};
pub use tree::{Expected, Goal};
