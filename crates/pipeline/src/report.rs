//! The quality report of a build: what was found, kept and set aside, as data. The same sources, declaration and head give the same bytes.

use serde::{Deserialize, Serialize};
use slipway_dataset::Blob;
use slipway_digest::Digest;

/// Why an item is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Reason {
    /// It is not in a folder that is named by its label.
    WrongPlace,
    /// It is neither a PNG nor a JPEG file.
    NotAnImage,
    /// It cannot be decoded; of a file of rows that landed, what comes after the rows that were read.
    Unreadable,
    /// It has more than 128 MiB, as a file or decoded; a row has more than 8 MiB.
    TooLarge,
    /// Its label is not declared.
    UnknownLabel,
    /// It is smaller or larger than `validate.size` allows.
    WrongSize,
    /// It has levels outside of `validate.range`, or a number outside of `validate.ranges`.
    OutOfRange,
    /// After the transforms it has not the declared shape.
    WrongShape,
    /// Its levels differ less than `validate.contrast` asks for.
    LowContrast,
    /// Another item has the same pixels, or values, and the same label.
    Duplicate,
    /// Another item has the same pixels, or values, and another label.
    ConflictingLabel,
    /// Another item of its class looks alike.
    NearDuplicate,
    /// A row has more or fewer cells than there are columns, or is not UTF-8.
    WrongLayout,
    /// A cell of a row is not what its column holds.
    WrongCell,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 14] = [
        Self::WrongPlace,
        Self::NotAnImage,
        Self::Unreadable,
        Self::TooLarge,
        Self::UnknownLabel,
        Self::WrongSize,
        Self::OutOfRange,
        Self::WrongShape,
        Self::LowContrast,
        Self::Duplicate,
        Self::ConflictingLabel,
        Self::NearDuplicate,
        Self::WrongLayout,
        Self::WrongCell,
    ];

    /// As the report has it, such as `near-duplicate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongPlace => "wrong-place",
            Self::NotAnImage => "not-an-image",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::UnknownLabel => "unknown-label",
            Self::WrongSize => "wrong-size",
            Self::OutOfRange => "out-of-range",
            Self::WrongShape => "wrong-shape",
            Self::LowContrast => "low-contrast",
            Self::Duplicate => "duplicate",
            Self::ConflictingLabel => "conflicting-label",
            Self::NearDuplicate => "near-duplicate",
            Self::WrongLayout => "wrong-layout",
            Self::WrongCell => "wrong-cell",
        }
    }
}

/// An item that is set aside: a line of the list that a report names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its name: a path, an object, or a file and the number of an image, a line or a row in it.
    pub item: String,
    /// Why.
    pub reason: Reason,
    /// What exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The item that is a duplicate of it, or has another label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// In how many bits of 64 their difference hashes differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<u8>,
}

/// Numbers of items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// To train on.
    pub train: u64,
    /// To validate with.
    pub validation: u64,
    /// To test with.
    pub test: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.train + self.validation + self.test
    }
}

impl From<[u64; 3]> for Counts {
    fn from([train, validation, test]: [u64; 3]) -> Self {
        Self { train, validation, test }
    }
}

/// What is published of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Its name, or its number; `all rows` of a table whose label is a quantity.
    pub label: String,
    /// Its items.
    #[serde(flatten)]
    pub counts: Counts,
    /// The mean level of its pixels, 0 to 255; `None` of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The variance of the levels of its pixels, in squared levels; `None` of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance: Option<f64>,
}

/// What a build says about the quality of its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The dataset's name.
    pub dataset: String,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Items of all sources.
    pub items: u64,
    /// Items in each split.
    #[serde(flatten)]
    pub counts: Counts,
    /// Items that are set aside.
    pub set_aside: SetAsideReport,
    /// What is published of each class, in the order of the classes.
    pub classes: Vec<ClassReport>,
    /// The mean level of all pixels, 0 to 255; `None` of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The variance of the levels of all pixels, in squared levels; `None` of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance: Option<f64>,
    /// Splits that have fewer items than declared, because items keep their places and too few are new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short: Vec<Short>,
}

/// A split that has fewer items than declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// Which one.
    pub split: String,
    /// As declared.
    pub declared: u64,
    /// As it is.
    pub actual: u64,
}

/// Items that are set aside, and where they are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAsideReport {
    /// How many.
    pub count: u64,
    /// How many for each reason that there is.
    pub reasons: Vec<ReasonCount>,
    /// The first ones.
    pub first: Vec<SetAside>,
    /// All of them: a blob of the store with one [`SetAside`] as JSON on each line.
    pub list: Blob,
}

/// How many items are set aside for a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: Reason,
    /// The number of items.
    pub count: u64,
}
