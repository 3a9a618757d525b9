//! Outputs of models.

/// The output with the features: the numbers that the last fully connected layer of a network takes of each image.
pub const FEATURES: &str = "features";
/// The most features of an image that are offered, sampled and watched. It bounds an answer and a row of the sample, and a distance of features needs more
/// pictures than there are features.
pub const MOST_FEATURES: i64 = 512;
