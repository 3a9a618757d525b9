//! Pull requests on an emulated GitHub, from `propose` to the revert, and the workflows' own steps. `make test` sets what they need:
//! SLIPWAY_BIN, SLIPWAY_EMULATE, SLIPWAY_KUSTOMIZE and SLIPWAY_PYTHON.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod again;
mod apps;
mod checks;
mod event;
mod forks;
mod harness;
mod hostile;
mod images;
mod life;
mod locks;
mod many;
mod nightly;
mod origin;
mod people;
mod release;
mod repository;
mod summary;
mod without_git;
