//! A stratified, seeded split that is the same on every machine.
//!
//! It uses no generator of random numbers, whose next version might give other numbers: the SHA-256 of the seed and an image's
//! index decides where the image goes.
//!
//! Each class is sorted by those hashes; its member of rank r of n is placed at (r + ½) / n on a line from 0 to 1. Along the line
//! the classes are mixed evenly, so that any stretch of it has each class in its proportion (to about one image). Test, validation
//! and training take one stretch each, of exactly the requested size.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// How many images go into each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Images to train on.
    pub train: usize,
    /// Images to validate with.
    pub validation: usize,
    /// Images to test with.
    pub test: usize,
}

/// Which images go into each split: indices, each list in shuffled order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indices {
    /// Images to train on.
    pub train: Vec<usize>,
    /// Images to validate with.
    pub validation: Vec<usize>,
    /// Images to test with.
    pub test: Vec<usize>,
}

struct Placed {
    index: usize,
    hash: [u8; 32],
    rank: u128,
    of: u128,
}

/// Splits images by their labels. If the sizes add up to fewer images than there are, the rest is left out.
///
/// # Errors
/// [`Error::Split`] if the sizes add up to more images than there are, or one of them is 0.
pub fn stratified<L: Ord + Copy>(labels: &[L], sizes: Sizes, seed: u64) -> Result<Indices> {
    let Sizes { train, validation, test } = sizes;
    let requested = train.checked_add(validation).and_then(|sum| sum.checked_add(test));
    if requested.is_none_or(|requested| requested > labels.len()) {
        return Err(Error::Split(format!(
            "{train} + {validation} + {test} examples are requested, but there are {}",
            labels.len()
        )));
    }
    if [train, validation, test].contains(&0) {
        return Err(Error::Split(format!(
            "train {train}, validation {validation}, test {test}: each must be 1 or more"
        )));
    }

    let mut rest = line(labels, seed).into_iter();
    let mut take = |count: usize| shuffled(rest.by_ref().take(count));
    let (test, validation) = (take(test), take(validation));
    Ok(Indices { train: take(train), validation, test })
}

/// Takes `validation` examples out of those to train on; gives what is left, and what was taken.
///
/// # Errors
/// [`Error::Split`] if nothing would be taken or left.
pub fn cut<L: Ord + Copy>(labels: &[L], validation: usize, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    if validation == 0 || validation >= labels.len() {
        let all = labels.len();
        return Err(Error::Split(format!(
            "{validation} of {all} examples are to validate with: take 1 or more, and leave some"
        )));
    }
    let mut rest = line(labels, seed).into_iter();
    let taken = shuffled(rest.by_ref().take(validation));
    Ok((shuffled(rest), taken))
}

/// All examples, the classes mixed evenly.
fn line<L: Ord + Copy>(labels: &[L], seed: u64) -> Vec<Placed> {
    let mut classes: BTreeMap<L, Vec<Placed>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(Placed { index, hash: hash(seed, index), rank: 0, of: 0 });
    }
    let mut line = Vec::with_capacity(labels.len());
    for mut members in classes.into_values() {
        members.sort_unstable_by_key(|placed| placed.hash);
        let of = members.len() as u128;
        line.extend(members.into_iter().zip(0..).map(|(placed, rank)| Placed { rank, of, ..placed }));
    }
    // (2r + 1) / 2n compared as integers: no rounding that could differ
    line.sort_unstable_by(|a, b| ((2 * a.rank + 1) * b.of).cmp(&((2 * b.rank + 1) * a.of)).then(a.hash.cmp(&b.hash)));
    line
}

fn shuffled(examples: impl Iterator<Item = Placed>) -> Vec<usize> {
    let mut examples: Vec<Placed> = examples.collect();
    examples.sort_unstable_by_key(|placed| placed.hash);
    examples.into_iter().map(|placed| placed.index).collect()
}

fn hash(seed: u64, index: usize) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"slipway split\0");
    hasher.update(seed.to_le_bytes());
    hasher.update((index as u64).to_le_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 labels in classes of quite different size.
    fn labels() -> Vec<u8> {
        (0..1000_u32).map(|n| u8::try_from((n * n / 7) % 13 % 10).unwrap()).collect()
    }

    const SIZES: Sizes = Sizes { train: 800, validation: 100, test: 100 };

    #[test]
    fn every_image_goes_to_one_place() {
        let split = stratified(&labels(), SIZES, 0).unwrap();
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (800, 100, 100));
        let mut all = [split.train, split.validation, split.test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }

    #[test]
    fn each_class_keeps_its_proportion() {
        let labels = labels();
        for seed in 0..20 {
            let split = stratified(&labels, SIZES, seed).unwrap();
            for part in [&split.train, &split.validation, &split.test] {
                for class in 0..10 {
                    let of = labels.iter().filter(|&&label| label == class).count() as f64;
                    let has = part.iter().filter(|&&index| labels[index] == class).count() as f64;
                    let expected = of * part.len() as f64 / 1000.0;
                    assert!((has - expected).abs() < 2.0, "seed {seed}: class {class} has {has} of {expected}");
                }
            }
        }
    }

    #[test]
    fn a_seed_is_a_split() {
        let split = stratified(&labels(), SIZES, 7).unwrap();
        assert_eq!(split, stratified(&labels(), SIZES, 7).unwrap());
        assert_ne!(split, stratified(&labels(), SIZES, 8).unwrap());
        // pinned: another order anywhere would change the digests of datasets that are declared already
        assert_eq!(split.test[..5], PINNED);
    }

    #[test]
    fn what_validates_is_taken_from_what_trains() {
        let labels = labels();
        let (train, validation) = cut(&labels, 100, 3).unwrap();
        assert_eq!((train.len(), validation.len()), (900, 100));
        let mut all = [train, validation.clone()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
        let classes: std::collections::BTreeSet<u8> = validation.iter().map(|&index| labels[index]).collect();
        assert_eq!(classes.len(), 10);
        assert!(cut(&labels, 0, 0).is_err() && cut(&labels, 1000, 0).is_err());
    }

    const PINNED: [usize; 5] = [14, 771, 903, 507, 286];

    #[test]
    fn what_cannot_be_split_is_refused() {
        for (train, validation, test) in [(900, 100, 1), (usize::MAX, 1, 1), (10, 0, 10)] {
            assert!(stratified(&labels(), Sizes { train, validation, test }, 0).is_err());
        }
        assert_eq!(stratified(&labels(), Sizes { train: 1, validation: 1, test: 1 }, 0).unwrap().train.len(), 1);
    }
}
