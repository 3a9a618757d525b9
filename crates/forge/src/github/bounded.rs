//! Texts within GitHub's limits.

/// The most characters of a description or a comment.
pub(crate) const MOST: usize = 65_536;
/// The most characters of a title.
const MOST_OF_TITLE: usize = 256;
/// For what is written below the part that is kept.
const ROOM: usize = 200;

/// A title, cut if it is too long.
pub(crate) fn bounded_title(title: &str) -> String {
    if title.chars().count() <= MOST_OF_TITLE {
        return title.to_owned();
    }
    title.chars().take(MOST_OF_TITLE - 1).chain(['…']).collect()
}

/// Markdown that GitHub takes: if it is too long it is cut at the end of a line, and its last line says how much is left out.
pub(crate) fn bounded(body: &str) -> String {
    bounded_to(body, MOST)
}

/// The same for another limit, which is more than a few hundred characters.
pub(crate) fn bounded_to(body: &str, most: usize) -> String {
    let all = body.chars().count();
    if all <= most {
        return body.to_owned();
    }
    let end = body.char_indices().nth(most - ROOM).map_or(body.len(), |(end, _)| end);
    // a single line without an end is cut anywhere
    let kept =
        body.get(..end).and_then(|text| text.rfind('\n').map(|end| &text[..end]).or(Some(text))).unwrap_or_default();
    let mut text = kept.to_owned();
    // what was open must not swallow the note
    if kept.lines().filter(|line| line.starts_with("```")).count() % 2 == 1 {
        text.push_str("\n```");
    }
    for _ in kept.matches("</details>").count()..kept.matches("<details>").count().min(8) {
        text.push_str("\n</details>");
    }
    let left = all - kept.chars().count();
    format!("{text}\n\n… and {left} more characters, which do not fit here: GitHub takes {most}.\n")
}
