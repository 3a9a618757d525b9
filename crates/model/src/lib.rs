//! The networks, their preprocessing and the bundle that a trained one travels in.
//!
//! Trainer and server share this crate, so that training and serving cannot disagree: a [`Model`] takes images whose ink
//! is 1.0 on paper 0.0 and normalises them itself; a [`Bundle`] is a frozen model on disk, with `config.json` and
//! `model.safetensors` as its content, and a TorchScript copy of them for `mlflow.pyfunc.load_model`. A [`Prepared`] bundle answers
//! in the form that is fastest on this machine.

mod bundle;
mod config;
mod error;
mod inference;
mod init;
mod mlflow;
mod network;
mod prepared;

pub use bundle::{Bundle, FILES, TORCHSCRIPT_FILE};
pub use config::{Config, Preprocessing};
pub use error::{Error, Result};
pub use inference::Inference;
pub use init::SplitMix64;
pub use network::Model;
pub use prepared::{Measured, Prepared, Times};
pub use slipway_architecture::{Architecture, UnknownArchitecture};
