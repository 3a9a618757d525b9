//! Texts of others in a line of Markdown: short, and as code.

use slipway_markdown::{code, shortened};

use crate::document::thousands;

/// The most characters of a text of others in a cell or a line.
pub(crate) const CHARACTERS: usize = 200;

/// The most datasets and images in the first lines; more are counted.
pub(crate) const NAMED: usize = 4;

/// The hex digits of a digest that are shown of it.
const DIGITS: usize = 16;

/// A message of others as Markdown within a line.
pub(crate) fn text(message: &str) -> String {
    code(&shortened(message.trim(), CHARACTERS))
}

/// A dataset with the beginning of its digest, as Markdown.
pub(crate) fn named_digest((name, digest): &(String, String)) -> String {
    format!("{} at {}", code(&shortened(name, 60)), code(&short_digest(digest)))
}

/// The beginning of a digest: 64 bits, of which nobody makes a second one with the same by chance. The whole is in the folds below.
pub(crate) fn short_digest(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hex)) => {
            format!("{}:{}", shortened(algorithm, 10), hex.chars().take(DIGITS).collect::<String>())
        }
        None => shortened(digest, 27),
    }
}

/// An image with the beginning of its digest, as Markdown.
pub(crate) fn image(image: &str) -> String {
    match image.split_once('@') {
        Some((name, digest)) => code(&format!("{}@{}", shortened(name, 80), short_digest(digest))),
        None => format!("{} (⚠ no digest)", code(&shortened(image, 80))),
    }
}

/// The first of some things, and how many there are besides.
pub(crate) fn few(all: &[String], between: &str) -> String {
    let shown: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    let more = match all.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {} more", thousands(more)),
    };
    format!("{}{more}", shown.join(between))
}

/// The first digits of a commit's hash.
pub(crate) fn short_commit(commit: &str) -> String {
    code(&commit.chars().take(8).collect::<String>())
}
