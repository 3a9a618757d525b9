//! The networks that an experiment can name and the trainer can train.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network that the trainer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Architecture {
    /// Fully connected layers.
    Mlp,
    /// Convolutions with pooling, then fully connected layers.
    Cnn,
}

impl Architecture {
    /// Every architecture with its name.
    pub const WORDS: &'static [(&'static str, Self)] = &[("mlp", Self::Mlp), ("cnn", Self::Cnn)];

    /// The name in experiment files, in a bundle's `config.json` and in tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
        }
    }

    /// The share of units dropped during training if an experiment does not say.
    #[must_use]
    pub fn default_dropout(self) -> f64 {
        match self {
            Self::Mlp => 0.2,
            Self::Cnn => 0.25,
        }
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
    fn every_architecture_has_one_name() {
        for (word, architecture) in Architecture::WORDS {
            assert_eq!(architecture.as_str(), *word);
            assert_eq!(word.parse(), Ok(*architecture));
        }
        // the match makes the compiler ask for new ones; this asks for their words
        assert_eq!(Architecture::WORDS.len(), Architecture::Cnn as usize + 1);
        assert!("vgg".parse::<Architecture>().unwrap_err().to_string().contains("mlp, cnn"));
    }
}
