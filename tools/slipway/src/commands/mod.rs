//! One file for each command, with its parts in a folder of its name. Commands do not use each other: what two of them need is beside this
//! folder.

pub(crate) mod archive;
pub(crate) mod bootstrap;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod close;
pub(crate) mod dataset;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod merge;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod promote;
pub(crate) mod propose;
pub(crate) mod render;
pub(crate) mod report;
pub(crate) mod revert;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod trace;
pub(crate) mod up;
