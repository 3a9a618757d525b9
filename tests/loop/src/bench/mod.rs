//! What `make bench` measures. Rounds are interleaved (every case once, then all again), so that a machine whose speed drifts
//! does so for every case alike; minimum, median and maximum tell how much it did.

pub mod command_line;
pub mod measurement;
pub mod serving;
pub mod training;
