//! How many examples of a dataset go where.

use serde::Serialize;

use super::Source;
use crate::reader::{Fields, Reader};

/// How many examples go where, shuffled by a seed; each class in its proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Split {
    /// All three are made of all examples.
    Made {
        /// Examples to train on.
        train: u32,
        /// Examples to validate with after each epoch.
        validation: u32,
        /// Examples that only the finished model is tested on.
        test: u32,
        /// Seed of the shuffle before the split.
        seed: u64,
    },
    /// The source has a train and a test part; the examples to validate with are taken from the first.
    Cut {
        /// Examples to validate with after each epoch.
        validation: u32,
        /// Seed of the shuffle before the split.
        seed: u64,
    },
}

/// The split of a declaration, as far as it fits the source: `Some(None)` if the source gives all three.
pub(super) fn split(reader: &Reader<'_>, spec: &Fields<'_>, source: Option<&Source>) -> Option<Option<Split>> {
    let splits = source.and_then(Source::splits);
    let Some(node) = spec.optional("split") else {
        match splits {
            Some((false, _)) => {
                let help = "add `split: {train: N, validation: N, test: N, seed: 0}`: how many examples go where";
                reader.add(spec.position(), "missing-field", "missing field `split` in spec", help);
            }
            Some((true, false)) => {
                let help = "add `split: {validation: N, seed: 0}`: how many examples of train are to validate with";
                reader.add(spec.position(), "missing-field", "missing field `split` in spec", help);
            }
            // whether files of images have splits is seen when they are read
            Some((true, true)) | None => return Some(None),
        }
        return None;
    };
    let fields = reader.map(node, "spec.split", &["train", "validation", "test", "seed"])?;
    let refuse = |help: &str| {
        reader.add(node.at, "wrong-value", "spec.split does not fit the source, which has splits of its own", help);
        None
    };
    let cuts = fields.optional("train").is_none() && fields.optional("test").is_none();
    match splits {
        Some((true, true)) => return refuse("leave `split` out"),
        Some((true, false)) if !cuts => return refuse("give `validation` and `seed` alone: train and test are given"),
        _ => {}
    }
    let count = |name| {
        reader.required(&fields, name).and_then(|node| reader.integer32(node, &fields.at(name), 1..=1_000_000_000))
    };
    // one finding is enough for someone who thinks that the source has splits
    let cuts = cuts && splits != Some((false, false));
    let whole = |name| if cuts { Some(0) } else { count(name) };
    let (train, validation, test) = (whole("train"), count("validation"), whole("test"));
    let seed =
        reader.required(&fields, "seed").and_then(|node| reader.integer(node, "spec.split.seed", 0..=u64::MAX >> 1));
    let (train, validation, test, seed) = (train?, validation?, test?, seed?);
    Some(Some(if cuts { Split::Cut { validation, seed } } else { Split::Made { train, validation, test, seed } }))
}
