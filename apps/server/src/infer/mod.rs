//! Requests and responses of `…/infer`, in the Open Inference Protocol with its extension for binary tensors.

mod numbers;
mod output;
mod request;
mod response;

pub use output::{Output, Wanted};
pub use request::{Images, read};
pub use response::response;

use axum::http::HeaderName;

/// The length of the JSON at the beginning of a body, in bytes. Binary tensors follow it.
pub const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
