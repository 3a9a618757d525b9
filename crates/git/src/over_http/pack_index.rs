//! The index of a pack: which objects it holds.
//!
//! Format: <https://git-scm.com/docs/gitformat-pack#_version_2_pack_idx_files_support_packs_larger_than_4_gib_and>

use git2::Oid;

/// The bytes of an id.
const ID: usize = 20;
/// A mark, the version, and how many ids begin with a byte up to each of the 256.
const HEAD: usize = 4 + 4 + 256 * 4;

/// The ids of a pack's objects, sorted.
#[derive(Debug)]
pub(crate) struct PackIndex {
    ids: Vec<u8>,
}

impl PackIndex {
    /// Out of the bytes of an index. Returns `None` if they are not one.
    pub(crate) fn parse(mut index: Vec<u8>) -> Option<Self> {
        if !index.starts_with(b"\xfftOc\0\0\0\x02") {
            return None;
        }
        let count: [u8; 4] = index.get(HEAD - 4..HEAD)?.try_into().ok()?;
        let end = (u32::from_be_bytes(count) as usize).checked_mul(ID)?.checked_add(HEAD)?;
        if index.len() < end {
            return None;
        }
        index.truncate(end);
        index.drain(..HEAD);
        Some(Self { ids: index })
    }

    /// The ids, sorted.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = Oid> {
        self.ids.chunks_exact(ID).map(|id| Oid::from_bytes(id).unwrap_or(Oid::ZERO_SHA1))
    }

    /// Whether the pack holds an object.
    pub(crate) fn holds(&self, id: Oid) -> bool {
        let (mut first, mut end) = (0, self.ids.len() / ID);
        while first < end {
            let middle = usize::midpoint(first, end);
            match self.ids[middle * ID..][..ID].cmp(id.as_bytes()) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => first = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(ids: &[[u8; ID]]) -> Vec<u8> {
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        for first in 0..=u8::MAX {
            let count = ids.iter().filter(|id| id[0] <= first).count();
            index.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
        }
        ids.iter().for_each(|id| index.extend_from_slice(id));
        // checksums and offsets follow
        index.extend_from_slice(&[7; 50]);
        index
    }

    #[test]
    fn an_object_is_found_among_others() {
        let ids: Vec<[u8; ID]> = (0..200).map(|n| [n; ID]).collect();
        let held: Vec<_> = ids.iter().step_by(2).copied().collect();
        let found = PackIndex::parse(index(&held)).unwrap();
        assert_eq!(found.ids().len(), held.len());
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(found.holds(Oid::from_bytes(id).unwrap()), n % 2 == 0);
        }
        assert!(!PackIndex::parse(index(&[])).unwrap().holds(Oid::ZERO_SHA1));
    }

    #[test]
    fn what_is_no_index_is_refused() {
        let whole = index(&[[1; ID]]);
        for wrong in [&whole[..0], &whole[..8], &whole[..HEAD], &whole[..HEAD + ID - 1], &[&whole[1..], &[0]].concat()]
        {
            assert!(PackIndex::parse(wrong.to_vec()).is_none());
        }
        let mut many = whole;
        many[HEAD - 4..HEAD].fill(0xff);
        assert!(PackIndex::parse(many).is_none());
    }
}
