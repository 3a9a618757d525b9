//! What a server needs to know about a model before it loads it: which engine runs which file, the tensors that go in and come out, and
//! the digest of the files that say so. Pure: no libtorch.
//!
//! A version's folder holds either a bundle of the built-in networks (`config.json`, `model.safetensors`), or a folder `slipway/` with
//! `model.json`, a [`Servable`], and the file that it names. [`content`] says which of its files count, and [`digest`] is their digest.

mod content;
mod datatype;
mod error;
mod mlmodel;
mod servable;
mod tensor;

pub use content::{CONFIG_FILE, Content, WEIGHTS_FILE, content, digest};
pub use datatype::{Datatype, UnknownDatatype};
pub use error::{Error, Result};
pub use mlmodel::{MLMODEL_FILE, MlModel};
pub use servable::{Engine, FOLDER, MODEL_FILE, Servable};
pub use tensor::TensorSpec;
