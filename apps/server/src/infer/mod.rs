//! Requests and answers of `…/infer`, in the Open Inference Protocol with Triton's extensions for binary tensors and classification.

mod classes;
mod given;
mod json;
mod numbers;
mod plain;
mod request;
mod response;
mod wanted;

pub use classes::{Class, classes};
pub use given::{checked, place, shaped};
pub use numbers::{Numbers, OfType};
pub use request::{Asked, read};
pub use response::{encoded, response};
pub use wanted::{Requested, Wanted, wanted};

use axum::http::HeaderName;

/// The length of the JSON at the beginning of a body, in bytes. Binary tensors follow it.
pub const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The first 40 characters of a text that a client sent.
pub fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}
