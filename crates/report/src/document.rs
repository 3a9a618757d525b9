//! A report before it is cut into the parts of a comment.

use serde::{Deserialize, Serialize};

use slipway_forge::{Annotation, Conclusion};

/// A report as Markdown, in units that can be left out one by one.
///
/// All Markdown in it is safe: texts of others are in it only as `slipway_markdown` writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is about.
    pub subject: Subject,
    /// What a reader needs to know: at most [`FIRST_LINES`] lines of Markdown.
    pub first: String,
    /// The same in one line of text, not Markdown, for the list of earlier plans. [`SUMMARY`] characters of it are kept.
    pub summary: String,
    /// The details, each folded away below the first lines.
    pub sections: Vec<Section>,
    /// Where everything is that does not fit, as Markdown within a line.
    pub everything: String,
    /// What the check says; `None` if there is none.
    pub check: Option<Check>,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// What a change would do.
    #[default]
    Plan,
    /// What came of it.
    Results,
}

/// The most lines of [`Document::first`].
pub const FIRST_LINES: usize = 15;

/// The most characters of [`Document::first`].
pub const FIRST_CHARACTERS: usize = 12_000;

/// The most characters of [`Document::summary`] that are kept.
pub const SUMMARY: usize = 160;

/// A check without its summary, which is [`Document::first`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// One line of text.
    pub title: String,
    /// Remarks at lines of files, the worst first.
    pub annotations: Vec<Annotation>,
}

/// Details on one subject, folded away under a title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Safe HTML within a line.
    pub title: String,
    /// What it holds. Objects come after everything else, in whatever order they stand here.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// Markdown that is shown as a whole or left out.
    Text(String),
    /// A table or a list, of which rows can be left out at its end.
    Rows(Rows),
    /// An object with its difference, which can be shown by its name alone.
    Object(Object),
}

/// Rows of a table, or items of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The lines above the rows, each with its line end: title and alignment of a table, nothing for a list.
    pub head: String,
    /// One line of Markdown each, without its line end: `| … |`, or `- …`.
    pub rows: Vec<String>,
    /// What a row is, in the singular, such as `TrainJob`.
    pub noun: String,
}

/// An object in a cluster that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its kind as text, by which it is counted if it is left out.
    pub kind: String,
    /// What happens to it as text, such as `+ TrainJob training/mnist-cnn-1a2b3c4d (jobs)`.
    pub headline: String,
    /// A unified diff as text.
    pub diff: String,
}

impl Rows {
    /// A table. Each column is a title and whether it holds numbers.
    #[must_use]
    pub fn table(columns: &[(&str, bool)], rows: Vec<String>, noun: &str) -> Self {
        let titles: String = columns.iter().map(|(title, _)| format!(" {title} |")).collect();
        let lines: String = columns.iter().map(|(_, number)| if *number { "---:|" } else { "---|" }).collect();
        Self { head: format!("|{titles}\n|{lines}\n"), rows, noun: noun.to_owned() }
    }

    /// A list, of items in Markdown without their dash.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = String>, noun: &str) -> Self {
        let rows = items.into_iter().map(|item| format!("- {item}")).collect();
        Self { head: String::new(), rows, noun: noun.to_owned() }
    }

    /// The line that counts what is left out.
    pub(crate) fn more(&self, left: usize) -> String {
        let more = format!("… and {}", count(left, &format!("more {}", self.noun)));
        // a row with fewer cells than its table has is filled up
        if self.head.is_empty() { format!("- {more}") } else { format!("| {more} |") }
    }
}

/// `1 TrainJob`, `2 TrainJobs`, `10,000 TrainJobs`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// A number with commas between its thousands.
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
