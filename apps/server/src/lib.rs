//! The model server: versions of MLflow's registry, pinned by content, over the Open Inference Protocol.
//!
//! ```text
//! models.yaml --follow--> Models --find--> Loaded      connections --routes--> infer --ask--> Workers (queue)--> Loaded --> response
//!                            |--on demand--> Registry (MLflow, verified) --> Cache     |
//!                            \--Challengers: versions that are tried beside those in service
//! ```

pub mod address;
pub mod ask;
pub mod bench;
pub mod body;
pub mod cache;
pub mod catalog;
pub mod challenge;
pub mod connections;
pub mod drain;
pub mod exchange;
pub mod fatal;
pub mod feedback;
pub mod follow;
pub mod grpc;
pub mod infer;
pub mod interface;
pub mod invocations;
pub mod loaded;
pub mod metrics;
pub mod models;
pub mod network;
mod quick;
pub mod refusal;
pub mod registry;
pub mod room;
pub mod routes;
pub mod sampling;
pub mod settings;
pub mod statistics;
mod streams;
pub mod tensor;
pub mod trial;
pub mod workers;
