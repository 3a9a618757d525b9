//! The note beside an image: what was asked, what was answered, and what a person says instead.

use serde::{Deserialize, Serialize};
use slipway_digest::Digest;

/// A note, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The id of the request that was answered wrongly.
    pub request: String,
    /// The model that answered.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The digest of that version's files.
    pub digest: Digest,
    /// The right class, by its name, as a person says.
    pub label: String,
    /// The version's own answer.
    pub answer: String,
    /// The names of the version's classes, in their order.
    pub classes: Vec<String>,
    /// How probable the version finds each.
    pub probabilities: Vec<f32>,
    /// The digest of the image file.
    pub image: Digest,
    /// When it was said, as RFC 3339.
    pub time: String,
}

impl Note {
    /// Whether both say the same of the same image.
    pub fn agrees(&self, other: &Self) -> bool {
        self.label == other.label && self.image == other.image
    }
}
