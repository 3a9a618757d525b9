//! Which known name an unknown one was probably meant to be.

/// Names beyond this many are counted, not listed.
const MAX_LISTED: usize = 20;

/// The known name that a misspelt one probably means; `None` if no name is close.
///
/// Letter case, `-`, `_` and spaces do not count. A third of the name's letters may differ, at least one.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name with its typing errors: not worth comparing.
    if name.len() > 256 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let written = plain(name);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&written, &plain(known)), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1) && *distance < written.len())
        .min()
        .map(|(_, known)| known)
}

/// Help for an unknown name: ``did you mean `x`? <label>: x, y, z``, or the list alone if no name is close.
///
/// `label` says what the list is, such as `allowed` or `known`.
pub fn suggestion(name: &str, label: &str, known: &[&str]) -> String {
    suggest(closest(name, known.iter().copied()), label, known)
}

/// The same help when it is known what was meant.
pub fn suggest(meant: Option<&str>, label: &str, known: &[&str]) -> String {
    let mut list = format!("{label}: {}", known[..known.len().min(MAX_LISTED)].join(", "));
    if known.is_empty() {
        list.push_str("none");
    } else if known.len() > MAX_LISTED {
        list.push_str(&format!(" and {} more", known.len() - MAX_LISTED));
    }
    match meant {
        Some(meant) => format!("did you mean `{meant}`? {list}"),
        None => list,
    }
}
