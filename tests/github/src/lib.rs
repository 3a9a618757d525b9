//! GitHub without GitHub: its API by the npm package `emulate`, git's smart HTTP over bare repositories, and between them what emulate does
//! not do. Everything is on loopback, on one port: `http://127.0.0.1:<port>` is the server, `/api/v3` below it the API, as on GitHub
//! Enterprise.
//!
//! emulate 0.11.2 keeps users, pull requests, comments, labels, reviewers and check runs. It knows nothing of pushes: a pull request keeps
//! the head that it was opened with, and a merge makes a commit with that head's tree. So here git is right. Each push is mirrored into
//! emulate ([`mirror`]), and answers about pull requests are corrected by git ([`front`]).
//!
//! A workflow that signs without a key meets a Sigstore of the tests ([`sigstore`]).

pub mod accounts;
pub mod emulator;
pub mod front;
pub mod git_http;
pub mod mirror;
pub mod repository;
mod script;
pub mod server;
pub mod sigstore;
pub mod workflow;

pub use server::GitHub;
