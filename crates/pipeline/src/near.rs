//! Near-duplicates: of two hashes of one class that differ in few bits, the later one.
//!
//! If at most `d` bits of 64 differ, one of `d + 1` bands of the bits is the same in both. So the hashes are sorted by each band in turn, and those with the
//! same band are compared. Everything is sorted outside of memory; in memory are those of one band's value, and one bit for each item.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::files::Spool;
use crate::record::{Reader, Writer};
use crate::sort::{Lookup, Sorted, Sorter};

/// One bit for each of many numbers.
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// For numbers less than `count`; none of them is set.
    pub(crate) fn new(count: u64) -> Self {
        Self(vec![0; (count as usize).div_ceil(64)])
    }

    pub(crate) fn set(&mut self, number: u64) {
        self.0[(number / 64) as usize] |= 1 << (number % 64);
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.0[(number / 64) as usize] >> (number % 64) & 1 == 1
    }
}

/// Of the rank of a near-duplicate: the rank of the item that it is one of, and in how many bits they differ.
pub(crate) type Found = Lookup<(u64, u8)>;

/// Takes the hashes of items in the order of precedence within their classes.
pub(crate) struct NearDuplicates {
    distance: u8,
    folder: PathBuf,
    by_hash: Sorter,
    writer: Writer,
    count: u64,
}

impl NearDuplicates {
    pub(crate) fn new(distance: u8, folder: &Path) -> Self {
        let by_hash = Sorter::new(folder);
        Self { distance, folder: folder.to_owned(), by_hash, writer: Writer::default(), count: 0 }
    }

    /// The next item. Its rank is the number of those before it.
    pub(crate) fn add(&mut self, class: u16, hash: u64) -> Result<()> {
        self.by_hash.push(&self.writer.clear().u16(class).u64(hash).u64(self.count).bytes)?;
        self.count += 1;
        Ok(())
    }

    /// An item is a near-duplicate if an earlier one that is none itself is near.
    pub(crate) fn find(self) -> Result<Found> {
        let Self { distance, folder, by_hash, mut writer, count } = self;
        // pairs by the later one
        let mut pairs = Sorter::new(&folder);
        let mut distinct = Spool::new(&folder)?;
        let mut sorted = by_hash.sorted()?;
        let mut last: Option<(u16, u64, u64)> = None;
        while let Some(record) = sorted.next()? {
            let (class, hash, rank) = entry(record);
            if let Some((_, _, first)) = last.filter(|(other, same, _)| (*other, *same) == (class, hash)) {
                // whatever becomes of the first one, this is dropped: it is near the first, and near what the first is near
                pairs.push(&writer.clear().u64(rank).u64(first).u8(0).bytes)?;
                continue;
            }
            last = Some((class, hash, rank));
            distinct.record(record)?;
        }
        let distinct = distinct.finish()?;
        let bands = usize::from(distance) + 1;
        for number in 0..bands {
            let mut band = Sorter::new(&folder);
            let mut records = distinct.records()?;
            while let Some(record) = records.next()? {
                let (class, hash, rank) = entry(record);
                band.push(&writer.clear().u16(class).u64(bits(hash, number, bands)).u64(rank).u64(hash).bytes)?;
            }
            compare(band.sorted()?, distance, &mut pairs, &mut writer)?;
        }
        let mut dropped = Bits::new(count);
        let mut found = Sorter::new(&folder);
        let mut pairs = pairs.sorted()?;
        while let Some(record) = pairs.next()? {
            let mut reader = Reader { bytes: record };
            let (Some(later), Some(earlier), Some(bits)) = (reader.u64(), reader.u64(), reader.u8()) else { continue };
            // the earliest one counts, and everything about it is known by now; those of no distance have one hash
            if !dropped.has(later) && (bits == 0 || !dropped.has(earlier)) {
                dropped.set(later);
                found.push(&writer.clear().u64(later).u64(earlier).u8(bits).bytes)?;
            }
        }
        Lookup::new(found.sorted()?, |record| Some((record.u64()?, record.u8()?)))
    }
}

fn entry(record: &[u8]) -> (u16, u64, u64) {
    let mut reader = Reader { bytes: record };
    (reader.u16().unwrap_or_default(), reader.u64().unwrap_or_default(), reader.u64().unwrap_or_default())
}

/// One of `of` bands of the bits of a hash: every `of`-th bit. Bits side by side are about pixels side by side, which are all paper in much of a picture, so a
/// band of those would be the same in nearly all of a class, and everything would be compared with everything.
fn bits(hash: u64, number: usize, of: usize) -> u64 {
    (number..64).step_by(of).fold(0, |band, bit| band << 1 | hash >> bit & 1)
}

/// Compares those with the same class and value of a band.
fn compare(mut sorted: Sorted, distance: u8, pairs: &mut Sorter, writer: &mut Writer) -> Result<()> {
    let mut together: Vec<(u64, u64)> = Vec::new();
    let mut of = (0, 0);
    while let Some(record) = sorted.next()? {
        let mut reader = Reader { bytes: record };
        let read = (reader.u16(), reader.u64(), reader.u64(), reader.u64());
        let (Some(class), Some(value), Some(rank), Some(hash)) = read else { continue };
        if of != (class, value) {
            together.clear();
            of = (class, value);
        }
        for &(earlier, other) in &together {
            let bits = (hash ^ other).count_ones();
            if bits <= u32::from(distance) {
                pairs.push(&writer.clear().u64(rank).u64(earlier).u8(bits as u8).bytes)?;
            }
        }
        together.push((rank, hash));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(hashes: &[(u16, u64)], distance: u8) -> Vec<Option<(u64, u8)>> {
        let folder = tempfile::tempdir().unwrap();
        let mut near = NearDuplicates::new(distance, folder.path());
        hashes.iter().for_each(|(class, hash)| near.add(*class, *hash).unwrap());
        let mut found = near.find().unwrap();
        (0..hashes.len() as u64).map(|rank| found.of(rank).unwrap()).collect()
    }

    /// By comparing everything with everything.
    fn expected(hashes: &[(u16, u64)], distance: u8) -> Vec<bool> {
        let mut dropped: Vec<bool> = Vec::new();
        for (later, (class, hash)) in hashes.iter().enumerate() {
            let near = |(other, one): &(u16, u64)| other == class && (one ^ hash).count_ones() <= distance.into();
            dropped.push((0..later).any(|earlier| !dropped[earlier] && near(&hashes[earlier])));
        }
        dropped
    }

    #[test]
    fn the_first_of_a_kind_stays() {
        let hashes = [(0, 0), (1, 0), (0, 0b1), (0, 0b11), (0, 0), (0, u64::MAX), (1, 0b1)];
        let all = found(&hashes, 1);
        // 0b11 is near 0b1, which is dropped itself, and so stays
        assert_eq!(all, [None, None, Some((0, 1)), None, Some((0, 0)), None, Some((1, 1))]);
    }

    #[test]
    fn bands_are_a_partition_of_the_bits_and_paper_fills_none() {
        for of in 1..=11 {
            let all: u32 = (0..of).map(|number| bits(u64::MAX, number, of).count_ones()).sum();
            assert_eq!(all, 64);
            // each bit is in one of them alone
            for bit in 0..64 {
                assert_eq!((0..of).filter(|number| bits(1 << bit, *number, of) > 0).count(), 1, "{bit} of {of}");
            }
        }
        // ink in the two middle rows of eight, and paper around them
        for number in 0..5 {
            assert!(bits(0x0000_00ff_ff00_0000, number, 5) > 0, "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn as_if_everything_were_compared(
            seed in any::<u64>(), distance in 0..=10_u8, kinds in 1..6_u64, count in 0..150_usize,
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let roots: Vec<u64> = (0..kinds).map(|_| random.u64(..)).collect();
            let hashes: Vec<(u16, u64)> = (0..count)
                .map(|_| {
                    let flips = (0..random.u32(0..10)).fold(0, |bits, _| bits | 1 << random.u32(0..64));
                    (random.u16(0..2), roots[random.usize(0..roots.len())] ^ flips)
                })
                .collect();
            let all = found(&hashes, distance);
            prop_assert_eq!(all.iter().map(Option::is_some).collect::<Vec<_>>(), expected(&hashes, distance));
            for (later, of) in all.iter().enumerate() {
                let Some((earlier, bits)) = of else { continue };
                prop_assert_eq!((hashes[later].1 ^ hashes[*earlier as usize].1).count_ones(), u32::from(*bits));
                prop_assert!(all[*earlier as usize].is_none() || *bits == 0);
            }
        }
    }
}
