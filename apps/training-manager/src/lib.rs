//! The training manager: it watches trainings and tells people. It never makes, changes or deletes a TrainJob: git does.

pub mod archive;
pub mod challengers;
pub mod declared;
pub mod error;
mod evidence;
pub mod history;
pub mod known;
#[cfg(test)]
mod leading;
pub mod logs;
pub mod manager;
mod mark;
pub mod merges;
pub mod missing;
pub mod origins;
pub mod promotions;
pub mod recorded;
pub mod reports;
pub mod rest;
pub mod schedule;
pub mod settings;
pub mod stalled;
mod superseded;
pub mod trainings;
mod trial;
pub mod view;
pub mod waiting;
pub mod watch;
