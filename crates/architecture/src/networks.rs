//! Each network is a file of this folder, with its tests, and an entry of the list below.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Layer;

mod cnn;
mod mlp;
mod resnet;

/// What a network's file says.
pub(crate) struct Network {
    /// The share of numbers that [`Layer::Dropout`] drops if an experiment does not say.
    pub(crate) default_dropout: f64,
    /// The layers for a number of classes, from images to scores.
    pub(crate) layers: fn(classes: i64) -> Vec<Layer>,
}

macro_rules! architectures {
    ($($(#[$about:meta])+ $variant:ident = $file:ident),+ $(,)?) => {
        /// A network that the trainer has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        #[schemars(inline)]
        pub enum Architecture {
            $($(#[$about])+ $variant),+
        }

        impl Architecture {
            /// Every architecture with its name.
            pub const WORDS: &'static [(&'static str, Self)] = &[$((stringify!($file), Self::$variant)),+];

            /// The name in experiment files, in a bundle's `config.json` and in tags.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($file)),+ }
            }

            pub(crate) fn network(self) -> Network {
                match self { $(Self::$variant => $file::NETWORK),+ }
            }
        }
    };
}

// The name of an architecture is the name of its file, and of its variant in lower case.
architectures! {
    /// Fully connected layers.
    Mlp = mlp,
    /// Convolutions with pooling, then fully connected layers.
    Cnn = cnn,
    /// Residual blocks of convolutions with group normalisation.
    Resnet = resnet,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::layer::parameters;

    #[test]
    fn every_file_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/networks");
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let name = file.strip_suffix(".rs").unwrap();
            assert!(
                Architecture::WORDS.iter().any(|(word, _)| *word == name),
                "src/networks/{file} is not an architecture yet: add `mod {name};` and an entry `… = {name}` to `architectures!` in \
                 src/networks.rs, then renew experiments/schema.json (docs/images.md says how)"
            );
        }
    }

    #[test]
    fn every_name_is_its_variant_in_lower_case() {
        for (word, architecture) in Architecture::WORDS {
            assert_eq!(architecture.as_str(), *word);
            assert_eq!(
                format!("{architecture:?}").to_lowercase(),
                *word,
                "serde names an architecture after its variant"
            );
        }
    }

    #[test]
    fn every_network_ends_in_one_score_for_each_class() {
        for (word, architecture) in Architecture::WORDS {
            // what it takes are the features
            let layers = architecture.layers(7);
            assert!(matches!(layers.last(), Some(Layer::Linear { outputs: 7, .. })), "{word}");
            for input in [[1, 28, 28], [1, 8, 8], [3, 9, 13], [4, 4, 4]] {
                let mut all = Vec::new();
                assert_eq!(parameters(&architecture.layers(7), input, &mut all), [7, 1, 1], "{word} of {input:?}");
                let names: BTreeSet<_> = all.iter().map(|parameter| &parameter.name).collect();
                assert_eq!(names.len(), all.len(), "{word}: two parameters have the same name");
                assert!(
                    all.iter().all(|parameter| parameter.shape.iter().all(|size| *size > 0)),
                    "{word} of {input:?}"
                );
            }
            assert!((0.0..1.0).contains(&architecture.default_dropout()), "{word}");
        }
    }

    #[test]
    fn every_branch_begins_with_parameters_and_both_give_the_same_shape() {
        // other layers may change their input in place, and the two branches have the same one
        fn check(layers: &[Layer], mut shape: [i64; 3], word: &str) {
            for layer in layers {
                if let Layer::Residual { body, shortcut } = layer {
                    for branch in [body, shortcut] {
                        let first = branch.first();
                        assert!(
                            matches!(
                                first,
                                None | Some(Layer::Linear { .. } | Layer::Convolution { .. } | Layer::GroupNorm { .. })
                            ),
                            "{word}: a branch begins with {first:?}"
                        );
                        check(branch, shape, word);
                    }
                    let [body, shortcut] = [body, shortcut].map(|branch| parameters(branch, shape, &mut Vec::new()));
                    assert_eq!(body, shortcut, "{word}: the branches of a residual layer differ in shape");
                }
                shape = parameters(std::slice::from_ref(layer), shape, &mut Vec::new());
            }
        }
        for (word, architecture) in Architecture::WORDS {
            check(&architecture.layers(10), [1, 28, 28], word);
        }
    }
}
