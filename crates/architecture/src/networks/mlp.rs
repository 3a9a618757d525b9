//! Fully connected layers.

use super::Network;
use crate::Layer;

pub(super) const NETWORK: Network = Network { default_dropout: 0.2, layers };

fn layers(classes: i64) -> Vec<Layer> {
    vec![
        Layer::Flatten,
        Layer::linear("fc1", 256),
        Layer::Relu,
        Layer::Dropout,
        Layer::linear("fc2", 128),
        Layer::Relu,
        Layer::Dropout,
        Layer::linear("fc3", classes),
    ]
}
