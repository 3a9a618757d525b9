//! The first line of a comment that tells which part of which report it is.
//!
//! It is an HTML comment, which GitHub does not show. Anybody could write one, so it counts only together with the comment's author: whoever writes, or the workflow.

use std::fmt;

use slipway_digest::Digest;

use crate::Publication;

const BEGIN: &str = "<!-- slipway:report ";
const END: &str = " -->";
/// The most comments of one publication, whoever computed it.
const MOST_PARTS: usize = 10;
/// The hex digits of a digest that tell two contents apart: 64 bits.
const DIGITS: usize = 16;

/// Which part of which report a comment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// From 1.
    pub(crate) part: usize,
    pub(crate) parts: usize,
    /// The commit that the report is about.
    pub(crate) head: String,
    /// Of the text below the marker.
    pub(crate) digest: String,
}

impl Marker {
    /// The marker of a comment, and the text below it. Returns `None` if the comment does not begin with one.
    pub(crate) fn of(comment: &str) -> Option<(Self, &str)> {
        let (line, text) = comment.split_once('\n').unwrap_or((comment, ""));
        let mut words = line.trim_end().strip_prefix(BEGIN)?.strip_suffix(END)?.split(' ');
        let (part, parts) = words.next()?.split_once('/')?;
        let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
        let [head, digest] = [words.next()?, words.next()?].map(str::to_owned);
        words.next().is_none().then_some((Self { part, parts, head, digest }, text))
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, parts, head, digest } = self;
        write!(f, "{BEGIN}{part}/{parts} {head} {digest}{END}")
    }
}

/// A comment that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) marker: Marker,
    /// All of it, with the marker.
    pub(crate) body: String,
}

/// The comments of a publication. `bounded` shortens a text to that many characters.
pub(crate) fn wanted(publication: &Publication, most: usize, bounded: impl Fn(&str, usize) -> String) -> Vec<Wanted> {
    let parts = publication.parts.len().min(MOST_PARTS);
    if parts < publication.parts.len() {
        tracing::warn!("the report has {} parts, of which the first {parts} are published", publication.parts.len());
    }
    let marked = publication.parts.iter().take(parts).enumerate().map(|(n, text)| {
        let mut marker = Marker { part: n + 1, parts, head: publication.head.clone(), digest: "0".repeat(DIGITS) };
        let text = bounded(text, most - marker.to_string().chars().count() - 1);
        marker.digest = Digest::of(&text).hex()[..DIGITS].to_owned();
        Wanted { body: format!("{marker}\n{text}"), marker }
    });
    marked.collect()
}

#[cfg(test)]
mod tests {
    use super::{Marker, wanted};
    use crate::Publication;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let parts = vec!["one\n\ntwo".to_owned(), String::new()];
        let publication = Publication { head: "abc".to_owned(), parts, check: None };
        let comments = wanted(&publication, 65_536, |text, _| text.to_owned());
        for (comment, text) in comments.iter().zip(&publication.parts) {
            assert_eq!(Marker::of(&comment.body), Some((comment.marker.clone(), text.as_str())));
            // as a browser sends it
            let edited = comment.body.replace('\n', "\r\n");
            assert_eq!(Marker::of(&edited).map(|(marker, _)| marker), Some(comment.marker.clone()));
        }
        assert_eq!((comments[1].marker.part, comments[1].marker.parts), (2, 2));
        assert_ne!(comments[0].marker.digest, comments[1].marker.digest);
    }

    #[test]
    fn what_is_not_a_marker_is_none() {
        for text in [
            "",
            "plan",
            "> <!-- slipway:report 1/1 abc 0 -->",
            "<!-- slipway:report 1/1 abc 0",
            "<!-- slipway:report 1/1 abc -->",
            "<!-- slipway:report 1/1 abc 0 x -->",
            "<!-- slipway:report -1/1 abc 0 -->",
            "<!-- slipway:report 1 abc 0 -->",
            " <!-- slipway:report 1/1 abc 0 -->",
            "text\n<!-- slipway:report 1/1 abc 0 -->",
        ] {
            assert_eq!(Marker::of(text), None, "{text}");
        }
    }
}
