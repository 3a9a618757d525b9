//! What a pull request says about itself: what it would start, stop and cost, what it changes in the clusters, and later what came of it.
//!
//! ```text
//! git objects --Examination::of--> Examination --plan_report--> Document --compose--> Publication: the comment's parts, the check
//! what MLflow has  -------------------------> Results --results_report-->  --write_whole--> one file with everything
//! ```
//!
//! Only [`Examination::of`] reads anything. All of it comes from git objects, none from what a workflow of the change itself has computed.

mod about;
mod amount;
mod annotations;
mod chart;
mod comparison;
mod compose;
mod costs;
mod document;
mod earlier;
mod error;
mod examination;
mod expectation;
mod in_service;
mod jobs;
mod link;
mod plan;
mod plan_sections;
mod results;
mod results_charts;
mod results_report;
mod reviewed;
mod shared;
mod short;
mod superseded;
mod whole;

pub use about::About;
pub use chart::bars_and_line;
pub use compose::{PART_CHARACTERS, PARTS, Packed, compose, pack};
pub use document::{Block, Check, Document, FIRST_CHARACTERS, FIRST_LINES, Object, Rows, SUMMARY, Section, Subject};
pub use earlier::ReportedOn;
pub use error::{Error, Result};
pub use examination::{Conflict, Examination, TrainerImage};
pub use expectation::{Expectations, PastRun};
pub use in_service::InService;
pub use jobs::{EnvironmentJobs, Job};
pub use plan::{CHECK, plan_report};
pub use results::{
    ExperimentResults, Hindrance, ModelResult, Promotion, Ranking, Results, TrialResult, TrialState, Version,
};
pub use results_report::results_report;
pub use reviewed::{moved_and_changed, out_of_date};
pub use shared::{Shared, pack_shared};
pub use slipway_forge::{Annotation, CheckRun, Conclusion, Level, Publication};
pub use superseded::{Superseded, superseded_report};
pub use whole::write_whole;
