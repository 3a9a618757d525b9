//! What a caller hears while a cluster comes up.

/// Hears what has been reached, in order.
pub type OnMilestone<'a> = &'a (dyn Fn(&str) + Sync);
