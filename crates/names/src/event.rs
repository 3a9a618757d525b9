//! What a line of a worker's log is about, where another program reads it.

/// The object store is out of reach, and is tried again. `message` says why.
pub const STORE_AWAY: &str = "store_away";
