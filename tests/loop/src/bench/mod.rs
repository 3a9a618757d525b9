//! What `make bench` measures. Rounds are interleaved (every case once, then all again), so that drift in the
//! machine's speed affects every case alike; minimum, median and maximum show how large it was.

pub mod accuracy;
pub mod alone;
pub mod command_line;
pub mod cores;
pub mod growth;
pub mod grpc;
pub mod large;
pub mod load;
pub mod measurement;
pub mod pipeline;
pub mod plot;
pub mod serving;
pub mod training;
