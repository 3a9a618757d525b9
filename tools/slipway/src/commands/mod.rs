//! One file a command. Each says in its `after_help` how it is used.

pub(crate) mod check;
pub(crate) mod dataset;
pub(crate) mod demo;
mod demo_report;
pub(crate) mod doctor;
pub(crate) mod image;
mod named;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod promote;
pub(crate) mod propose;
pub(crate) mod render;
pub(crate) mod status;
pub(crate) mod up;
