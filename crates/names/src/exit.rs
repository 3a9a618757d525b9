//! The exit codes of a worker. `base/trainer-runtime` says what a cluster makes of each.

/// Anything that no other code stands for: all workers start again.
pub const UNEXPECTED: u8 = 1;
/// The environment, the trial, the data or the program are invalid, so another attempt would fail in the same way.
pub const INPUT: u8 = 3;
/// MLflow or the object store is down or refuses, after bounded retries.
pub const SERVICE: u8 = 6;
/// The metric that the gate asks for is missing or not a number.
pub const GATE: u8 = 7;
/// Another worker did not start, has ended or cannot be reached. Its own exit code says why.
pub const PEER: u8 = 8;
/// Ended by SIGTERM, as shells and Kubernetes report it.
pub const TERMINATED: u8 = 128 + 15;
