//! One file a command. Each says in its `after_help` how it is used.

pub(crate) mod bootstrap;
mod bootstrap_progress;
pub(crate) mod check;
pub(crate) mod dataset;
pub(crate) mod demo;
mod demo_report;
pub(crate) mod diff;
pub(crate) mod doctor;
mod doctor_cluster;
pub(crate) mod image;
mod named;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod promote;
pub(crate) mod propose;
pub(crate) mod render;
pub(crate) mod status;
mod status_cluster;
pub(crate) mod up;
