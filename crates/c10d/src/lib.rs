//! PyTorch's own data parallelism from Rust: the TCP store, the gloo process group and the DDP reducer of c10d, and libtorch's optimizers;
//! and [`Engine`], which runs a model that was trained elsewhere.
//!
//! A C++ shim (`shim/`) turns exceptions into messages; this crate turns those into [`Error`]. It is the only crate
//! with `unsafe`. The order of use in training is [`Store::tcp`], [`Group::gloo`], [`Reducer::new`], and then for each step
//! [`Reducer::prepare_forward`], forward, [`Reducer::prepare_backward`], [`zero_grad`], backward, [`Optimizer::step`].

mod allocator;
mod ddp;
mod engine;
mod error;
mod exit;
mod ffi;
mod group;
mod optimizer;
mod store;
mod temporary;

pub use allocator::tune_allocator;
pub use ddp::{Reducer, ReducerConfig, zero_grad};
pub use engine::Engine;
pub use error::{Error, Result};
pub use exit::exit_at_once;
pub use group::{Group, Op};
pub use optimizer::Optimizer;
pub use store::{Store, StoreConfig};
pub use temporary::set_temporary_folder;
