//! A residual network (He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015), as small as it is useful: three blocks of
//! two convolutions, of which the second and the third halve the image.

use super::Network;
use crate::Layer;

pub(super) const NETWORK: Network = Network { default_dropout: 0.0, layers };

/// Channels that are normalised together.
const GROUP: i64 = 4;

fn layers(classes: i64) -> Vec<Layer> {
    vec![
        Layer::convolution("stem.conv", 16),
        norm("stem.norm", 16),
        Layer::Relu,
        block("block1", 16, 1, vec![]),
        Layer::Relu,
        block("block2", 32, 2, projection("block2", 32)),
        Layer::Relu,
        block("block3", 64, 2, projection("block3", 64)),
        Layer::Relu,
        // not the mean over the image: where something is says much in small images, and training needs a third of the epochs
        Layer::Flatten,
        Layer::Dropout,
        Layer::linear("fc", classes),
    ]
}

fn block(name: &str, channels: i64, stride: i64, shortcut: Vec<Layer>) -> Layer {
    let first = Layer::Convolution { name: format!("{name}.conv1"), outputs: channels, side: 3, stride };
    let body = vec![
        first,
        norm(&format!("{name}.norm1"), channels),
        Layer::Relu,
        Layer::convolution(&format!("{name}.conv2"), channels),
        norm(&format!("{name}.norm2"), channels),
    ];
    Layer::Residual { body, shortcut }
}

/// The shortcut of a block that halves the image and changes the number of channels.
fn projection(block: &str, channels: i64) -> Vec<Layer> {
    let convolution = Layer::Convolution { name: format!("{block}.shortcut"), outputs: channels, side: 1, stride: 2 };
    vec![convolution, norm(&format!("{block}.shortcut_norm"), channels)]
}

fn norm(name: &str, channels: i64) -> Layer {
    Layer::GroupNorm { name: name.to_owned(), groups: channels / GROUP }
}

#[cfg(test)]
mod tests {
    use crate::Architecture;

    #[test]
    fn it_is_small() {
        let parameters = Architecture::Resnet.parameters([1, 28, 28], 10);
        let numbers: i64 = parameters.iter().map(|parameter| parameter.shape.iter().product::<i64>()).sum();
        assert!((100_000..120_000).contains(&numbers), "{numbers}");
    }
}
