//! `models.yaml`: which version of each model is in service, pinned by content, and which one is tried beside it. `slipway promote` writes
//! it, and the server follows it.

mod challenger;
mod pin;
mod read;
mod share;
mod write;

pub use challenger::{Challenger, Mode};
pub use pin::{Pin, Pins};
pub use share::Share;
