//! What is said about a dataset that has grown: whether it has changed, whether that matters, and what to do. Computed from data alone; who
//! computes it again, wherever, gets the same numbers.
//!
//! ```text
//! head, what was trained on, what landed --gather--> Material --examine, the model--> Evidence --decide, git--> Decision
//! ```
//!
//! - [`gather`] reads two datasets: the one that the version in service was trained on, and the head. What is in the head and not in the other
//!   is new; it stands in the order in which it arrived.
//! - [`examine`] compares what is new with what the version in service was *not* trained on: the validation and test split of its dataset. *Has
//!   it changed* is answered by the detector of `slipway-drift`, which keeps a promise about false alarms; *does it matter* by the accuracy
//!   of the model on what is new, or by an estimate where labels are missing. The model is asked through [`Classify`], and may be away.
//! - What the last layer of the model takes of a picture, its features, is watched too if the model gives it: how far they are from those that it was
//!   trained on.
//! - [`requests`] compares in the same way what the version in service was asked, hour by hour of the server's sample.
//! - [`incumbents`] and [`duel`] say whether a version that was trained on other data is to replace the one in service: both are asked about what neither was
//!   trained on.
//! - [`decide`] knows what was declared and which pull requests there were. It keeps no state.

mod change;
mod classify;
mod clock;
mod decision;
mod distance;
mod drawing;
mod error;
mod evidence;
mod feed;
mod look;
mod loss;
mod loudest;
mod markdown;
mod material;
mod pictures;
pub mod requests;
mod rivals;
mod served;
mod streams;
mod windows;

pub use change::{Alarm, Change, StreamChange};
pub use classify::{Answers, Classify};
pub use clock::unix_seconds;
pub use decision::{Decision, Hold, PATIENCE, PastRetraining, Reason, Situation, decide};
pub use drawing::drawn;
pub use error::{Error, Result};
pub use evidence::{ClassShare, Evidence, Model, Quality, ReferenceData, examine};
pub use feed::Feed;
pub use look::{Found, Look, Sources, look};
pub use loss::{Estimated, Loss, Measured, threshold};
pub use loudest::Loud;
pub use markdown::{issue, pull_request};
pub use material::{Basis, Material, evidence_cache, gather, trim};
pub use pictures::Pictures;
pub use rivals::{Bout, Duel, Incumbent, Rival, duel, incumbents};
pub use served::Served;
pub use windows::WINDOW;
