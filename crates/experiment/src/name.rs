//! Names that Kubernetes accepts, and their lengths.

/// The longest name of a pod, and of its host.
pub(crate) const MAX_NAME: usize = 63;

/// The length of `-<hash8>`, the end of a trial's name.
pub(crate) const HASH_SUFFIX: usize = 9;

/// Whether `text` is an RFC 1035 label: a lower-case letter, then lower-case letters, digits and `-`, not ending in `-`.
pub(crate) fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.first(), Some(b'a'..=b'z'))
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && bytes.last() != Some(&b'-')
}

/// The longest experiment name whose pods, `<experiment>-<hash8>-node-0-<rank>-<5 random>`, still have valid names.
///
/// JobSet refuses longer ones: `podNameTooLongErrorMsg` in its pkg/webhooks/jobset_webhook.go, v0.12.0.
pub(crate) fn longest_experiment_name(workers: u32) -> usize {
    let suffix = format!("-node-0-{}-abcde", workers.saturating_sub(1));
    MAX_NAME - HASH_SUFFIX - suffix.len()
}

/// A valid label close to a text that is not one, for a suggestion; `None` if no letter is left of it.
pub(crate) fn as_label(text: &str) -> Option<String> {
    let label: String = text
        .to_lowercase()
        .chars()
        .map(|c| if matches!(c, '_' | ' ' | '.' | '/') { '-' } else { c })
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .collect();
    let label = label.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-').to_owned();
    is_label(&label).then_some(label)
}
