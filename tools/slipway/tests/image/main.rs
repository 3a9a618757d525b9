//! `slipway image` as its users run it: on a small repository, with a mirror on this machine.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod archives;
mod build;
mod downloads;
mod index;
mod mirror;
mod output;
mod pin;
mod python;
#[path = "../ran/mod.rs"]
mod ran;
mod repository;
mod signing_in;
mod verify;
