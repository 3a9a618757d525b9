//! What a person writes, and what becomes of it: the experiment file, its checks, its trials, their TrainJobs, and the records of those.
//!
//! Pure: no files, no network, no clock. Text goes in; text or findings come out.
//!
//! ```text
//! experiments/*.yaml --parse--> Experiment --trials--> Trial --render--> TrainJob YAML --read_job--> TrainJob
//! TrainJob, JobResult --Record::new--> Record --to_bytes--> the record above the TrainJob's YAML --read_record--> Record
//! ```
//!
//! Rendering is deterministic: the same experiment, dataset digest and [`Provenance`] give the same bytes on every machine.

mod bound;
mod cancelled;
mod cost;
mod dataset;
mod deadline;
mod elsewhere;
mod expansion;
mod fields;
mod form;
mod grid;
mod job;
mod limits;
mod metric;
mod name;
mod parameter;
mod parse;
mod parse_training;
mod program;
mod promote;
mod quantity;
mod read_record;
mod read_rendered;
mod reader;
mod record;
mod render;
mod rerun;
mod schema;
mod score;
mod spec;
mod sweep;
mod template;
mod training;
mod trial;
mod work;

pub use bound::{Bound, BoundError, Comparison, Unmet};
pub use cancelled::with_cancelled;
pub use cost::in_hours;
pub use dataset::{
    Amount, CellType, Columns, CsvSource, Dataset, DatasetSpec, Files, IdxPair, IdxSource, ImagesSource, Interval,
    Landing, Location, Monitor, NpmSource, Opens, ParquetSource, Pipeline, Publication, Requests, Retrain, Source,
    SourceFile, Split, Transform, Validate, parse_dataset, pin_digest, pin_digests,
};
pub use deadline::{Deadline, DeadlineError};
pub use expansion::expand;
pub use job::{EnvVar, TrainJob, read_job};
pub use limits::Limits;
pub use metric::{Metric, MetricError};
pub use parameter::Parameter;
pub use parse::{parse, parse_with};
pub use promote::Promote;
pub use quantity::{Quantity, QuantityError};
pub use read_record::{check_record, read_record, recorded_file};
pub use record::{JobResult, JobState, Record, RecordSpec};
pub use render::{NAMESPACE, Provenance, RUNTIME, render};
pub use rerun::with_rerun;
pub use schema::schema;
pub use score::Score;
pub use slipway_architecture::Architecture;
pub use slipway_source::{Finding, Position};
pub use spec::{Budget, Experiment, Register, Spec, Workers};
pub use sweep::{Axis, Setting, Sweep};
pub use training::{Augmentation, EarlyStopping, Model, Optimizer, OptimizerName, Schedule, ScheduleName, Training};
pub use trial::{DatasetRef, Trial, TrialError};
pub use work::{Code, Program, Work};
