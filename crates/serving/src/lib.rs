//! `models.yaml`: which version of each model is in service, pinned by content. `slipway promote` writes it, and the server follows it.

mod pin;
mod read;
mod write;

pub use pin::{Pin, Pins};
