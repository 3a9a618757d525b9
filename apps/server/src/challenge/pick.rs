//! Which requests a challenger gets: by a hash, so that the same request again gets the same version, from every server.

use slipway_digest::Digest;

use crate::tensor::{Array, each};

/// So many numbers of an input are enough to tell it from others.
const MOST: usize = 4096;

/// Mixes a number into a hash, as `MurmurHash3` finishes one.
fn mix(hash: u64, number: u64) -> u64 {
    let mut hash = (hash ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// What makes the choice of one challenger independent of the choices of others.
pub(super) fn salt(model: &str, challenger: &Digest) -> u64 {
    text(text(0, model), &challenger.hex())
}

/// The hash of a request: of its id, or of its numbers if it has none.
pub(super) fn hash(salt: u64, id: Option<&str>, inputs: &[Array]) -> u64 {
    match id {
        Some(id) => text(salt, id),
        None => inputs.iter().fold(salt, |hash, input| {
            each!(&input.elements, list => list.iter().take(MOST).fold(hash, |hash, number| mix(hash, bits(*number))))
        }),
    }
}

fn text(hash: u64, text: &str) -> u64 {
    let parts = text.as_bytes().chunks(8);
    let hash = parts.fold(hash, |hash, part| {
        let mut eight = [0; 8];
        eight[..part.len()].copy_from_slice(part);
        mix(hash, u64::from_le_bytes(eight))
    });
    mix(hash, text.len() as u64)
}

fn bits<E: crate::tensor::Element>(number: E) -> u64 {
    number.as_f64().to_bits()
}

#[cfg(test)]
mod tests {
    use slipway_serving::Share;

    use super::*;
    use crate::tensor::Elements;

    #[test]
    fn a_share_of_all_ids_is_chosen_and_each_for_ever() {
        let share = Share::new(0.05).unwrap();
        let salts = ["a", "b"].map(|content| salt("mnist", &Digest::of(content)));
        let chosen = |salt: u64, at: u32| share.has(hash(salt, Some(&format!("request-{at}")), &[]));
        let [first, second] = salts.map(|salt| (0..100_000).filter(|at| chosen(salt, *at)).collect::<Vec<_>>());
        for all in [&first, &second] {
            assert!((4700..5300).contains(&all.len()), "{}", all.len());
        }
        // another challenger gets other requests: a twentieth of them are the same
        let both = first.iter().filter(|at| second.contains(at)).count();
        assert!((150..350).contains(&both), "{both}");
        // the same in every release: a retry may reach another server
        assert_eq!(hash(7, Some("request-1"), &[]), hash(7, Some("request-1"), &[]));
        assert_ne!(hash(7, Some("a"), &[]), hash(7, Some("a\0"), &[]));
    }

    #[test]
    fn without_an_id_the_numbers_choose() {
        let of = |number: f32| {
            let elements = Elements::Fp32(vec![number, 0.0]);
            hash(7, None, &[Array { shape: vec![1, 2], elements }])
        };
        assert_eq!(of(0.5), of(0.5));
        let half = Share::new(0.5).unwrap();
        let chosen = (0..1000).filter(|at| half.has(of(*at as f32))).count();
        assert!((430..570).contains(&chosen), "{chosen}");
    }
}
