//! How many examples of a dataset go where.

use serde::Serialize;

use super::pipeline::{Amount, amount};
use super::{Source, optional};
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
    /// Of a pipeline: what is in a split stays there. The rest is to train on.
    Kept {
        /// Examples to validate with after each epoch.
        validation: Amount,
        /// Examples that only the finished model is tested on; `None` if the source says which.
        #[serde(skip_serializing_if = "Option::is_none")]
        test: Option<Amount>,
        /// Decides which of the new examples go where.
        seed: u64,
    },
}

/// The split of a declaration, as far as it fits the source: `Some(None)` if the source gives all three.
pub(super) fn split(reader: &Reader<'_>, spec: &Fields<'_>, source: Option<&Source>) -> Option<Option<Split>> {
    let splits = source.and_then(Source::splits);
    if spec.has("pipeline") {
        return kept(reader, spec, splits);
    }
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

/// The split of a pipeline. `splits` says whether the source has parts, and whether one of them is to validate with.
fn kept(reader: &Reader<'_>, spec: &Fields<'_>, splits: Option<(bool, bool)>) -> Option<Option<Split>> {
    if splits == Some((true, true)) {
        let Some(node) = spec.optional("split") else { return Some(None) };
        let message = "spec.split does not fit the source, which has splits of its own";
        reader.add(node.at, "wrong-value", message, "leave `split` out");
        return None;
    }
    let node = match (spec.optional("split"), splits) {
        (Some(node), _) => node,
        // whether files of images have splits is seen when they are read
        (None, None) => return Some(None),
        (None, Some(_)) => {
            let help = "add `split: {validation: 0.1, test: 0.1, seed: 0}`: shares or numbers of examples; the rest is to train on";
            reader.add(spec.position(), "missing-field", "missing field `split` in spec", help);
            return None;
        }
    };
    let fields = reader.map(node, "spec.split", &["train", "validation", "test", "seed"])?;
    if let Some(node) = fields.optional("train") {
        let help = "leave it out: with a pipeline, what is neither to validate nor to test with is to train on";
        reader.add(node.at, "wrong-value", "spec.split.train cannot be declared with a pipeline", help);
        return None;
    }
    if let (Some((true, _)), Some(node)) = (splits, fields.optional("test")) {
        reader.add(
            node.at,
            "wrong-value",
            "spec.split.test does not fit the source, which has a test part",
            "leave it out",
        );
        return None;
    }
    let validation =
        reader.required(&fields, "validation").and_then(|node| amount(reader, node, "spec.split.validation"));
    let test = if splits == Some((false, false)) {
        reader.required(&fields, "test").and_then(|node| amount(reader, node, "spec.split.test")).map(Some)
    } else {
        optional(&fields, "test", |node| amount(reader, node, "spec.split.test"))
    };
    let seed =
        reader.required(&fields, "seed").and_then(|node| reader.integer(node, "spec.split.seed", 0..=u64::MAX >> 1));
    Some(Some(Split::Kept { validation: validation?, test: test?, seed: seed? }))
}
