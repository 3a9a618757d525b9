//! The order of Debian's versions. <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>

use std::cmp::Ordering;

/// Compares two versions: epoch, upstream, revision.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let (one_epoch, one_upstream, one_revision) = parts(one);
    let (other_epoch, other_upstream, other_revision) = parts(other);
    one_epoch
        .cmp(&other_epoch)
        .then_with(|| compare_part(one_upstream, other_upstream))
        .then_with(|| compare_part(one_revision, other_revision))
}

fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

fn compare_part(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (one_text, one_rest) = split(one, |c| !c.is_ascii_digit());
        let (other_text, other_rest) = split(other, |c| !c.is_ascii_digit());
        let longest = one_text.len().max(other_text.len());
        for at in 0..longest {
            let order = weight(one_text.as_bytes().get(at)).cmp(&weight(other_text.as_bytes().get(at)));
            if order != Ordering::Equal {
                return order;
            }
        }
        let (one_number, one_after) = split(one_rest, |c| c.is_ascii_digit());
        let (other_number, other_after) = split(other_rest, |c| c.is_ascii_digit());
        let (one_number, other_number) = (one_number.trim_start_matches('0'), other_number.trim_start_matches('0'));
        let order = one_number.len().cmp(&other_number.len()).then_with(|| one_number.cmp(other_number));
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (one_after, other_after);
    }
    Ordering::Equal
}

fn split(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

/// The order of what is not a digit: `~`, the end, letters, everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.0", "1.0", Ordering::Equal)]
    #[case("1.0-1", "1.0-2", Ordering::Less)]
    #[case("1.0~rc1", "1.0", Ordering::Less)]
    #[case("1:0.1", "9.9", Ordering::Greater)]
    #[case("2.36-9+deb12u9", "2.36-9+deb12u14", Ordering::Less)]
    #[case("1.0a", "1.0+", Ordering::Less)]
    #[case("1.01", "1.1", Ordering::Equal)]
    #[case("12.2.0-14", "12.2.0-14+deb12u1", Ordering::Less)]
    fn order(#[case] one: &str, #[case] other: &str, #[case] expected: Ordering) {
        assert_eq!(compare(one, other), expected);
        assert_eq!(compare(other, one), expected.reverse());
    }
}
