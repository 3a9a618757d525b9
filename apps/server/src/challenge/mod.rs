//! A version that is tried beside the one in service: the challenger beside the champion.
//!
//! ```text
//! request --ask--> Challenger --shadow--> champion answers; the same request waits for the challenger's own thread
//!                             --canary--> the challenger answers a share; if it fails or is slow, the champion does
//! ```
//!
//! Whatever a challenger does, the champion's answers are what they would be without it, and no request fails because of it.

mod agreement;
mod canary;
mod challenger;
mod challengers;
mod corrections;
mod figures;
mod follow;
mod latencies;
mod pick;
mod report;
mod route;
mod shadow;
mod truths;
mod watch;

pub use challenger::{Challenger, Why};
pub use challengers::Challengers;
pub use follow::follow;
pub use report::Report;
pub use route::routes;
pub use truths::Truth;

#[cfg(test)]
mod tests;
