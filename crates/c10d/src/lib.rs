//! Data parallelism from Rust: the TCP store and the gloo process group of PyTorch's c10d, a faster exchange of gradients beside them, and
//! libtorch's fused optimizers; and [`Engine`], which runs a model that was trained elsewhere.
//!
//! A C++ shim (`shim/`) turns exceptions into messages; this crate turns those into [`Error`]. The order of use in training is [`Store::tcp`], [`Group::meet`], [`Parameters::flatten`], [`Optimizer::new`], and then for
//! each step forward, backward, [`Parameters::take_gradients`], [`Parameters::average`], [`Optimizer::step`].

mod engine;
mod error;
mod exchange;
mod exit;
mod ffi;
mod group;
mod optimizer;
mod parameters;
mod store;
mod temporary;

pub use engine::Engine;
pub use error::{Error, Result};
pub use exchange::Exchange;
pub use exit::exit_at_once;
pub use group::{Group, Op};
pub use optimizer::{Algorithm, Optimizer, OptimizerState};
pub use parameters::Parameters;
pub use store::{Store, StoreConfig};
pub use temporary::set_temporary_folder;
