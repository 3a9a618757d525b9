//! The store against an S3 endpoint, and against stubs of the services that give credentials.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod child;
mod credentials;
mod endpoint;
mod faults;
mod heads;
mod network;
mod store;
mod stub;
mod tls;
mod transfers;
mod unpack;
