//! Which item goes where: what has a place keeps it, and new items fill up what each class lacks.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use slipway_dataset::Blob;
use slipway_digest::Digest;
use slipway_experiment::{Amount, Split};

use crate::files::{Hashed, Made, Records, Spool};
use crate::record::{Part, Reader, Writer};
use crate::sort::Sorter;
use crate::validate::{Candidate, Classes, Kept};
use crate::{Error, Result};

/// A split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Place {
    Train,
    Validation,
    Test,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    pub(crate) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(crate) fn name(self) -> &'static str {
        ["train", "validation", "test"][self as usize]
    }
}

/// Where every item is that was ever published: its digest, its place and its class, in the order of the digests.
#[derive(Debug)]
pub(crate) struct Assignments {
    path: PathBuf,
}

impl Assignments {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn read(&self) -> Result<Assigned> {
        Ok(Assigned { records: Records::open(&self.path)?, next: None })
    }
}

/// Assignments, asked for in the order of the digests.
pub(crate) struct Assigned {
    records: Records,
    next: Option<(Digest, Place, u16)>,
}

impl Assigned {
    pub(crate) fn find(&mut self, digest: &Digest) -> Result<Option<(Place, u16)>> {
        loop {
            match self.next {
                Some((next, place, class)) if next == *digest => return Ok(Some((place, class))),
                Some((next, ..)) if next > *digest => return Ok(None),
                _ => {}
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    fn advance(&mut self) -> Result<bool> {
        let Some(record) = self.records.next()? else {
            self.next = None;
            return Ok(false);
        };
        let mut reader = Reader { bytes: record };
        let mut read = || Some((reader.digest()?, Place::of(reader.u8()?)?, reader.u16()?));
        match read() {
            Some(next) => self.next = Some(next),
            None => return Err(self.records.damaged()),
        }
        Ok(true)
    }
}

/// What the split came to.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) assignments: Made,
    /// How many of each class are in each place.
    pub(crate) counts: Vec<[u64; 3]>,
    /// How many of them were not there before.
    pub(crate) new: [u64; 3],
    /// Where fewer are than declared, because there are too few new items: declared and actual.
    pub(crate) short: Vec<Shortfall>,
}

/// A split with fewer items than declared: the declared number and the actual one.
pub(crate) type Shortfall = (Place, u64, u64);

/// What is known of a class before new items have places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Class {
    /// Those that have a place, or must have one because of their part.
    placed: [u64; 3],
    /// New items that may go to any place.
    free: u64,
    /// New items that may train or validate.
    to_train: u64,
}

impl Class {
    fn all(&self) -> u64 {
        self.placed.iter().sum::<u64>() + self.free + self.to_train
    }
}

/// The place of an item that has no choice.
fn forced(candidate: &Candidate, has_parts: bool, cut: bool) -> Option<Place> {
    match (candidate.before, candidate.part) {
        (Some((place, _)), _) => Some(place),
        (None, Part::Test) => Some(Place::Test),
        (None, Part::Validation) => Some(Place::Validation),
        (None, Part::Train | Part::Whole) if has_parts && !cut => Some(Place::Train),
        _ => None,
    }
}

/// Gives each candidate a place; `take` gets them in the order of their results.
pub(crate) fn split(
    kept: &Kept,
    declared: Option<Split>,
    classes: &Classes,
    before: Option<&Assignments>,
    folder: &Path,
    mut take: impl FnMut(Place, &Candidate) -> Result<()>,
) -> Result<Chosen> {
    let (validation, test, seed) = match declared {
        Some(Split::Kept { validation, test, seed }) => (Some(validation), test, seed),
        _ => (None, None, 0),
    };
    let has_parts = kept.has_parts;
    if !has_parts && (validation.is_none() || test.is_none()) {
        let help = "declare {validation: 0.1, test: 0.1, seed: 0}";
        return Err(Error::problem("spec.split", "missing-field", "the source has no splits of its own", help));
    }
    if has_parts && test.is_some() {
        let message = "spec.split.test does not fit the source, which has a test part";
        return Err(Error::problem("spec.split", "wrong-value", message, "leave `test` out"));
    }
    let mut states = vec![Class::default(); classes.count as usize];
    // new items by class and by hash
    let mut new = Sorter::new(folder);
    // and in the order of the candidates, so that each is made once
    let mut hashes = Spool::new(folder)?;
    let mut writer = Writer::default();
    let mut candidates = kept.candidates()?;
    while let Some(candidate) = candidates.next()? {
        let state = &mut states[usize::from(candidate.class)];
        match forced(&candidate, has_parts, validation.is_some()) {
            Some(place) => state.placed[place as usize] += 1,
            None => {
                let to_train = has_parts && test.is_none();
                let count = if to_train { &mut state.to_train } else { &mut state.free };
                *count += 1;
                let hash = hash(seed, &candidate.content);
                new.push(&writer.clear().u16(candidate.class).raw(&hash).bytes)?;
                hashes.record(&hash)?;
            }
        }
    }
    let (needed, short) = needed(&states, validation, test);
    let limits = limits(new, &needed)?;
    let hashes = hashes.finish()?;
    let mut hashes = hashes.records()?;
    let mut counts = vec![[0; 3]; states.len()];
    let mut moved = [0; 3];
    let mut assigned = Sorter::new(folder);
    let mut candidates = kept.candidates()?;
    while let Some(candidate) = candidates.next()? {
        let class = usize::from(candidate.class);
        let place = match forced(&candidate, has_parts, validation.is_some()) {
            Some(place) => place,
            None => {
                let hash = hashes.next()?.and_then(|hash| Hash::try_from(hash).ok());
                limits[class].place(&hash.unwrap_or_else(|| unreachable!("each new item has a hash")))
            }
        };
        counts[class][place as usize] += 1;
        if candidate.before.is_none() {
            moved[place as usize] += 1;
            writer.clear().digest(&candidate.content).u8(place as u8).u16(candidate.class);
            assigned.push(&writer.bytes)?;
        }
        take(place, &candidate)?;
    }
    let assignments = add(before, assigned, folder)?;
    Ok(Chosen { assignments, counts, new: moved, short })
}

/// The first bytes of a hash that decides where a new item of a class goes: enough of them that no two are the same.
type Hash = [u8; 16];

/// The highest hashes of the new items of a class that test, and that test or validate.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    test: Option<Hash>,
    validation: Option<Hash>,
}

impl Limits {
    fn place(&self, hash: &Hash) -> Place {
        let within = |limit: Option<Hash>| limit.is_some_and(|limit| *hash <= limit);
        if within(self.test) {
            Place::Test
        } else if within(self.validation) {
            Place::Validation
        } else {
            Place::Train
        }
    }
}

/// Of the new items of each class those with the smallest hashes test, as many as needed, and the next ones validate.
fn limits(new: Sorter, needed: &[[u64; 3]]) -> Result<Vec<Limits>> {
    let mut limits = vec![Limits::default(); needed.len()];
    let mut seen = vec![0_u64; needed.len()];
    let mut sorted = new.sorted()?;
    while let Some(record) = sorted.next()? {
        let mut reader = Reader { bytes: record };
        let (Some(class), Some(hash)) = (reader.u16().map(usize::from), reader.raw::<16>()) else { continue };
        let [_, validation, test] = needed[class];
        seen[class] += 1;
        if seen[class] <= test {
            limits[class].test = Some(hash);
        } else if seen[class] <= test + validation {
            limits[class].validation = Some(hash);
        }
    }
    Ok(limits)
}

/// How many new items of each class go where; those to train with are the rest. And where there are too few.
fn needed(states: &[Class], validation: Option<Amount>, test: Option<Amount>) -> (Vec<[u64; 3]>, Vec<Shortfall>) {
    let mut needed = vec![[0; 3]; states.len()];
    let mut short = Vec::new();
    for (place, amount) in [(Place::Test, test), (Place::Validation, validation)] {
        let Some(amount) = amount else { continue };
        let free: Vec<u64> = states
            .iter()
            .zip(&needed)
            .map(|(state, needed): (_, &[u64; 3])| {
                let for_any = state.free - needed[Place::Test as usize];
                if place == Place::Test { for_any } else { for_any + state.to_train }
            })
            .collect();
        let placed: Vec<u64> = states.iter().map(|state| state.placed[place as usize]).collect();
        // of a source with a test part, what validates is a share of the rest
        let outside = |state: &Class| if test.is_none() { state.placed[Place::Test as usize] } else { 0 };
        let all: Vec<u64> = states.iter().map(|state| state.all() - outside(state)).collect();
        let (given, wanted) = match amount {
            Amount::Share(millionths) => by_share(&all, &placed, &free, millionths),
            Amount::Count(count) => by_count(&all, &placed, &free, count.into()),
        };
        let actual = placed.iter().sum::<u64>() + given.iter().sum::<u64>();
        if actual < wanted {
            short.push((place, wanted, actual));
        }
        needed.iter_mut().zip(given).for_each(|(needed, given)| needed[place as usize] = given);
    }
    (needed, short)
}

/// Of each class its share, rounded; what has a place counts.
fn by_share(all: &[u64], placed: &[u64], free: &[u64], millionths: u32) -> (Vec<u64>, u64) {
    let share = |all: u64| ((u128::from(all) * u128::from(millionths) + 500_000) / 1_000_000) as u64;
    let given = (0..all.len()).map(|class| share(all[class]).saturating_sub(placed[class]).min(free[class])).collect();
    (given, all.iter().map(|all| share(*all)).sum())
}

/// So many of all classes together, each in its proportion as far as places are not taken: by largest remainders.
fn by_count(all: &[u64], placed: &[u64], free: &[u64], count: u64) -> (Vec<u64>, u64) {
    let total: u64 = all.iter().sum();
    let mut left = count.saturating_sub(placed.iter().sum());
    let mut given = vec![0; all.len()];
    // how much each class lacks, times `total`
    let lacks: Vec<u128> = (0..all.len())
        .map(|class| {
            let ideal = u128::from(count) * u128::from(all[class]);
            ideal.saturating_sub(u128::from(placed[class]) * u128::from(total))
        })
        .collect();
    let sum: u128 = lacks.iter().sum();
    let target = left;
    let mut rests: Vec<(u128, usize)> = Vec::new();
    for class in 0..all.len() {
        let exact = u128::from(target) * lacks[class];
        // nothing is lacking at all
        let Some(whole) = exact.checked_div(sum) else { break };
        given[class] = (whole as u64).min(free[class]);
        left -= given[class];
        rests.push((exact % sum, class));
    }
    rests.sort_by_key(|(rest, class)| (std::cmp::Reverse(*rest), *class));
    for (_, class) in rests {
        if left > 0 && given[class] < free[class] {
            given[class] += 1;
            left -= 1;
        }
    }
    // classes that have none left: the others give more
    for class in 0..all.len() {
        let more = left.min(free[class] - given[class]);
        given[class] += more;
        left -= more;
    }
    (given, count)
}

fn hash(seed: u64, content: &Digest) -> Hash {
    let mut hash = Sha256::new();
    hash.update(b"slipway pipeline: split\0");
    hash.update(seed.to_le_bytes());
    hash.update(content.as_bytes());
    let whole: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|byte| whole[byte])
}

/// The old assignments and the new ones.
fn add(before: Option<&Assignments>, new: Sorter, folder: &Path) -> Result<Made> {
    let mut file = Hashed::new(folder)?;
    let mut old = before.map(|before| Records::open(&before.path)).transpose()?;
    let mut next_old: Option<Vec<u8>> = match &mut old {
        Some(old) => old.next()?.map(<[u8]>::to_vec),
        None => None,
    };
    let mut new = new.sorted()?;
    while let Some(record) = new.next()? {
        while let (Some(before), Some(records)) = (&next_old, &mut old)
            && before.as_slice() < record
        {
            file.record(before)?;
            next_old = records.next()?.map(<[u8]>::to_vec);
        }
        file.record(record)?;
    }
    while let (Some(before), Some(records)) = (&next_old, &mut old) {
        file.record(before)?;
        next_old = records.next()?.map(<[u8]>::to_vec);
    }
    file.finish()
}

/// Where a blob of assignments is on this machine.
pub(crate) async fn fetch(blob: Blob, store: &slipway_dataset::Store, cache: &Path) -> Result<Assignments> {
    Ok(Assignments::new(store.fetch_file(blob, cache).await?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(placed: [u64; 3], free: u64) -> Class {
        Class { placed, free, to_train: 0 }
    }

    #[test]
    fn shares_and_counts_are_exact() {
        let states = [class([0; 3], 60), class([0; 3], 30), class([0; 3], 10)];
        let (given, short) = needed(&states, Some(Amount::Share(200_000)), Some(Amount::Share(100_000)));
        assert_eq!((given, short.len()), (vec![[0, 12, 6], [0, 6, 3], [0, 2, 1]], 0));
        let (given, short) = needed(&states, Some(Amount::Count(7)), Some(Amount::Count(10)));
        assert_eq!((given, short.len()), (vec![[0, 4, 6], [0, 2, 3], [0, 1, 1]], 0));
    }

    #[test]
    fn what_has_a_place_counts() {
        // 16 more of the first class: its share of 100 is 10, of which it has 8
        let states = [class([70, 6, 8], 16), class([9, 1, 3], 0)];
        let (given, short) = needed(&states, Some(Amount::Share(100_000)), Some(Amount::Share(100_000)));
        // the second class has more than its share: nothing is taken away
        assert_eq!((given, short.len()), (vec![[0, 4, 2], [0, 0, 0]], 0));
        // a count that is reached stays as it is
        assert_eq!(needed(&states, Some(Amount::Count(7)), Some(Amount::Count(11))).0, vec![[0; 3]; 2]);
        let (given, short) = needed(&states, Some(Amount::Count(7)), Some(Amount::Count(50)));
        assert_eq!((given[0], short), ([0, 0, 16], vec![(Place::Test, 50, 27)]));
    }

    #[test]
    fn what_tests_is_left_out_where_the_source_says_it() {
        let states = [Class { placed: [0, 0, 50], free: 0, to_train: 100 }];
        assert_eq!(needed(&states, Some(Amount::Share(100_000)), None).0, [[0, 10, 0]]);
    }

    proptest! {
        #[test]
        fn a_count_is_reached_if_it_can_be(
            classes in prop::collection::vec((0..50_u64, 0..20_u64, 0..50_u64), 1..8), count in 1..200_u64,
        ) {
            let [mut all, mut placed, mut free] = [vec![], vec![], vec![]];
            for (others, there, new) in classes {
                all.push(others + there + new);
                placed.push(there);
                free.push(new);
            }
            let (given, _) = by_count(&all, &placed, &free, count);
            prop_assert!(given.iter().zip(&free).all(|(given, free)| given <= free));
            let (had, could): (u64, u64) = (placed.iter().sum(), free.iter().sum());
            prop_assert_eq!(given.iter().sum::<u64>(), count.saturating_sub(had).min(could));
        }
    }
}
