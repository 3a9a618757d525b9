//! The networks that an experiment can name and the trainer can train, as lists of layers. `slipway-model` runs them by libtorch.

use std::fmt;
use std::str::FromStr;

mod layer;
mod networks;

pub use layer::{Layer, Parameter, Start};
pub use networks::Architecture;

impl Architecture {
    /// The share of units dropped during training if an experiment does not say.
    #[must_use]
    pub fn default_dropout(self) -> f64 {
        self.network().default_dropout
    }

    /// The layers, from images to one score for each class.
    #[must_use]
    pub fn layers(self, classes: i64) -> Vec<Layer> {
        (self.network().layers)(classes)
    }

    /// Every parameter in the order of its use, each weight followed by its bias. `input` is the shape of one image: channels, height, width.
    #[must_use]
    pub fn parameters(self, input: [i64; 3], classes: i64) -> Vec<Parameter> {
        let mut all = Vec::new();
        layer::parameters(&self.layers(classes), input, &mut all);
        all
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no architecture has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArchitecture(String);

impl fmt::Display for UnknownArchitecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Architecture::WORDS.iter().map(|(word, _)| *word).collect();
        write!(f, "unknown architecture `{}`: use one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownArchitecture {}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(name: &str) -> Result<Self, UnknownArchitecture> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == name);
        found.map(|(_, architecture)| *architecture).ok_or_else(|| UnknownArchitecture(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_another_is_refused() {
        for (word, architecture) in Architecture::WORDS {
            assert_eq!(word.parse(), Ok(*architecture));
        }
        assert!("vgg".parse::<Architecture>().unwrap_err().to_string().contains("mlp, cnn, resnet"));
    }
}
