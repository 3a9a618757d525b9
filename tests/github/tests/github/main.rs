//! Pull requests on an emulated GitHub, from `propose` to the revert, and the workflows' own steps for those of forks. `make test` sets what
//! they need: SLIPWAY_BIN, SLIPWAY_EMULATE, SLIPWAY_KUSTOMIZE and SLIPWAY_PYTHON.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod again;
mod apps;
mod event;
mod forks;
mod harness;
mod hostile;
mod life;
mod origin;
mod people;
mod without_git;
