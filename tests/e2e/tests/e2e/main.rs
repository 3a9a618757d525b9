//! The whole stack on the test cluster. `make e2e` brings the cluster up, runs these one after another, and takes it down.

mod bootstrap;
mod consent;
mod faults;
mod learning;
mod manager;
mod memory;
mod mistakes;
mod programs;
mod recorded;
mod retraining;
mod rights;
mod stopping;
