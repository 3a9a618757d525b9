//! Ids of inference requests.

/// The id of a request that nobody has asked: a program sends it to measure a version. A server does not take it into its sample, which would be
/// one of the monitor's own questions otherwise.
pub const MEASURING: &str = "slipway-measuring";
