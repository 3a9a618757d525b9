//! A network's configuration.

use serde::{Deserialize, Serialize};
use slipway_architecture::Architecture;

use crate::{Error, Result};

/// How the model normalises an image: `(x - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Subtracted from each pixel (0..1).
    pub mean: f64,
    /// Divides each pixel after that; greater than zero.
    pub std: f64,
}

impl Preprocessing {
    /// Mean and standard deviation of MNIST's training images.
    pub const MNIST: Self = Self { mean: 0.1307, std: 0.3081 };
}

/// A network's configuration: the content of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The network.
    pub architecture: Architecture,
    /// Probability that a hidden unit is dropped while training, 0 ≤ p < 1.
    pub dropout: f64,
    /// Shape of one image: channels, height, width.
    pub input: [i64; 3],
    /// Number of classes.
    pub classes: i64,
    /// Normalisation, done inside the model.
    pub preprocessing: Preprocessing,
}

/// Bounds that keep a hostile `config.json` from asking for terabytes.
const MAX_SIDE: i64 = 1024;
const MAX_CLASSES: i64 = 10_000;

impl Config {
    /// A network for MNIST's images: [1, 28, 28], ten classes.
    pub fn mnist(architecture: Architecture, dropout: f64) -> Self {
        Self { architecture, dropout, input: [1, 28, 28], classes: 10, preprocessing: Preprocessing::MNIST }
    }

    /// Numbers in one image.
    pub fn pixels(&self) -> usize {
        self.input.iter().product::<i64>() as usize
    }

    /// Features of one image: numbers that the last fully connected layer takes of it.
    pub fn features(&self) -> usize {
        let parameters = self.architecture.parameters(self.input, self.classes);
        // the weight of a fully connected layer is a matrix: outputs by inputs
        let last = parameters.iter().rfind(|parameter| parameter.shape.len() == 2);
        last.map_or(0, |weight| weight.shape[1] as usize)
    }

    /// Fails with [`Error::InputLength`] if these are not the numbers of `n` images, or if there is none.
    pub(crate) fn check(&self, images: &[f32], n: usize) -> Result<()> {
        let expected = n.saturating_mul(self.pixels());
        if images.len() == expected && n > 0 {
            return Ok(());
        }
        Err(Error::InputLength { n, shape: self.input, expected, found: images.len() })
    }

    /// Fails with [`Error::Config`] if no network can be built from this configuration.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!("dropout is {}: use a number of at least 0 and below 1", self.dropout));
        }
        let [channels, height, width] = self.input;
        if !(1..=4).contains(&channels) {
            return wrong(format!("input has {channels} channels: 1 to 4 are allowed"));
        }
        if !(4..=MAX_SIDE).contains(&height) || !(4..=MAX_SIDE).contains(&width) {
            return wrong(format!("images are {height}x{width}: each side must be 4 to {MAX_SIDE} pixels"));
        }
        if !(2..=MAX_CLASSES).contains(&self.classes) {
            return wrong(format!("{} classes: 2 to {MAX_CLASSES} are allowed", self.classes));
        }
        let Preprocessing { mean, std } = self.preprocessing;
        if !mean.is_finite() || !std.is_finite() || std <= 0.0 {
            return wrong(format!("preprocessing mean {mean} and std {std}: both finite, std above 0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_json_is_as_documented() {
        let json = serde_json::to_string(&Config::mnist(Architecture::Cnn, 0.25)).unwrap();
        assert_eq!(
            json,
            r#"{"architecture":"cnn","dropout":0.25,"input":[1,28,28],"classes":10,"preprocessing":{"mean":0.1307,"std":0.3081}}"#
        );
    }

    #[test]
    fn features_are_what_the_last_layer_takes() {
        let features = |architecture| Config::mnist(architecture, 0.0).features();
        assert_eq!([Architecture::Mlp, Architecture::Cnn, Architecture::Resnet].map(features), [128, 128, 64 * 7 * 7]);
    }

    #[test]
    fn impossible_configurations_are_refused() {
        let good = Config::mnist(Architecture::Cnn, 0.0);
        assert!(good.validate().is_ok());
        for bad in [
            Config { dropout: 1.0, ..good.clone() },
            Config { dropout: f64::NAN, ..good.clone() },
            Config { input: [1, 28, 1_000_000], ..good.clone() },
            Config { classes: 1, ..good.clone() },
            Config { preprocessing: Preprocessing { mean: 0.0, std: 0.0 }, ..good.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
