//! Two convolutions with pooling, then fully connected layers.

use super::Network;
use crate::Layer;

pub(super) const NETWORK: Network = Network { default_dropout: 0.25, layers };

fn layers(classes: i64) -> Vec<Layer> {
    vec![
        // relu after the pool: the same result from a quarter of the work
        Layer::convolution("conv1", 16),
        Layer::MaxPool,
        Layer::Relu,
        Layer::convolution("conv2", 32),
        Layer::MaxPool,
        Layer::Relu,
        Layer::Flatten,
        Layer::linear("fc1", 128),
        Layer::Relu,
        Layer::Dropout,
        Layer::linear("fc2", classes),
    ]
}
