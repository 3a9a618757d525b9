//! Ids, names and times as Kubernetes writes them.

use slipway_digest::Digest;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An id in the form of a UUID that is always the same for the same words, so that a loop that starts again shows the same objects.
pub(super) fn uid(words: &[&str]) -> String {
    // no word holds this character
    let hex = Digest::of(words.join("\0")).hex();
    // version 8: what it is made of is our own affair
    format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}

/// Five characters that make a pod's name its own, made of the pod's id.
pub(super) fn suffix(uid: &str) -> String {
    // those of Kubernetes: no vowels, and nothing that looks like another
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let characters = uid.bytes().filter(u8::is_ascii_alphanumeric).collect::<Vec<u8>>();
    let one = |pair: &[u8]| {
        let sum = pair.iter().fold(0, |sum, byte| sum * 16 + char::from(*byte).to_digit(16).unwrap_or_default());
        char::from(ALPHABET[sum as usize % ALPHABET.len()])
    };
    characters.chunks(2).take(5).map(one).collect()
}

/// A time in whole seconds.
pub(super) fn time(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_and_depend_on_each_word() {
        let one = uid(&["a", "b"]);
        assert_eq!(one, uid(&["a", "b"]));
        assert_ne!(one, uid(&["ab", ""]));
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        let suffix = suffix(&one);
        assert!(suffix.len() == 5 && suffix.chars().all(|c| c.is_ascii_alphanumeric()), "{suffix}");
    }

    #[test]
    fn times_have_whole_seconds() {
        let exact = OffsetDateTime::from_unix_timestamp_nanos(1_800_000_000_123_456_789).unwrap();
        assert_eq!(time(exact), "2027-01-15T08:00:00Z");
    }
}
