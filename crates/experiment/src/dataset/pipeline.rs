//! The steps between the files of a dataset and its splits: `spec.pipeline`.

use std::collections::BTreeMap;

use serde::Serialize;
use slipway_source::{Node, Scalar, Value, excerpt, suggestion};

use super::{CellType, Columns, Source, optional};
use crate::reader::{Fields, Reader};

/// The declared steps. What they do is in crates/pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pipeline {
    /// Where images, or files of rows, land that are read beside the source.
    pub landing: Vec<Landing>,
    /// What an item must be like.
    pub validate: Validate,
    /// What is done with each image, in this order; nothing with rows.
    pub transform: Vec<Transform>,
    /// The form of the result.
    pub publish: Publication,
}

/// A part of a bucket in which data arrives below a prefix: images as `<label>/<file>`, or files of rows with any name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Landing {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys: empty, or ending in `/`.
    pub prefix: String,
}

/// What an item must be like. What is not is set aside, with its name and the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validate {
    /// The smallest and the largest height and width, as read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[[u32; 2]; 2]>,
    /// The lowest and the highest level of a pixel, as read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[u8; 2]>,
    /// The least standard deviation of the levels of a transformed image, in levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contrast: Option<u8>,
    /// Images of one class are near-duplicates if at most so many of the 64 bits of their difference hashes differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_duplicates: Option<u8>,
    /// Of columns of a table, the least and the largest number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<String, Interval>,
    /// The smallest class has at least this share of the largest, in millionths; otherwise nothing is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<u32>,
    /// At most this share of what was read is set aside, in millionths; otherwise nothing is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<u32>,
}

/// Finite numbers, both ends among them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The first one.
    pub least: f64,
    /// The last one.
    pub most: f64,
}

// its ends are finite
impl Eq for Interval {}

impl Interval {
    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: f64) -> bool {
        (self.least..=self.most).contains(&number)
    }
}

/// One thing that is done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Transform {
    /// Colours become grey.
    Grey,
    /// The image becomes so many pixels high and wide.
    Resize([u32; 2]),
    /// The first level becomes 0, the second 255, and what is outside becomes the nearer of the two.
    Normalize([u8; 2]),
    /// Level `v` becomes `255 - v`.
    Invert,
}

/// The form in which the result is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Publication {
    /// IDX files of grey images of this height and width.
    Idx([u32; 2]),
    /// Folders of image files.
    Images,
    /// Tables as text.
    Csv,
    /// Tables with types.
    Parquet,
}

impl Publication {
    /// The format of the published dataset: `idx`, `images`, `csv` or `parquet`.
    #[must_use]
    pub fn format(self) -> &'static str {
        match self {
            Self::Idx(_) => "idx",
            Self::Images => "images",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// A part of all examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many millionths of each class.
    Share(u32),
}

/// The most bits that near-duplicates may differ by.
const FARTHEST: u32 = 10;

/// The pipeline of a declaration: `Some(None)` if it has none. `shape` is the declared one.
pub(super) fn pipeline(
    reader: &Reader<'_>,
    spec: &Fields<'_>,
    source: Option<&Source>,
    shape: Option<&[u32]>,
    classes: Option<u32>,
) -> Option<Option<Pipeline>> {
    let Some(node) = spec.optional("pipeline") else { return Some(None) };
    let fields = reader.map(node, "spec.pipeline", &["read", "validate", "transform", "publish"])?;
    if let Some(source) = source
        && let Some(columns) = source.columns()
    {
        return table(reader, spec, &fields, source, columns, classes).map(Some);
    }
    let landing = optional(&fields, "read", |node| landings(reader, node)).map(Option::unwrap_or_default);
    let validate = optional(&fields, "validate", |node| {
        let validate = reader.map(node, "spec.pipeline.validate", &VALIDATE)?;
        refuse(reader, &validate, &["ranges"], "is for the columns of tables", "`range: [low, high]` is for images")?;
        self::validate(reader, &validate)
    });
    let validate = validate.map(Option::unwrap_or_default);
    let transform = optional(&fields, "transform", |node| transforms(reader, node)).map(Option::unwrap_or_default);
    let form = optional(&fields, "publish", |node| {
        reader.word(node, "spec.pipeline.publish", &[("idx", true), ("images", false)])
    });
    let (landing, validate, transform, form, source) = (landing?, validate?, transform?, form?, source?);
    if matches!(source, Source::Images(_)) && spec.optional("labels").is_none() {
        let help = "add `labels:` with the name of each class: whatever else is found is then named and set aside";
        reader.add(node.at, "missing-field", "spec.labels is not declared", help);
        return None;
    }
    let resized = transform.iter().rev().find_map(|step| match step {
        Transform::Resize(size) => Some(*size),
        _ => None,
    });
    let declared = match shape {
        Some([height, width, ..]) => Some([*height, *width]),
        _ => None,
    };
    if let (Some(resized), Some(declared), Some(node)) = (resized, declared, spec.optional("shape"))
        && resized != declared
    {
        let message = format!("spec.shape is {declared:?}, but the last `resize` makes {resized:?} of every image");
        reader.add(node.at, "wrong-value", message, "declare the shape of the result, or leave it out");
        return None;
    }
    let publish = if form.unwrap_or(!matches!(source, Source::Images(_))) {
        if !matches!(classes, Some(1..=256)) && !matches!(source, Source::Npm(_)) {
            reader.add(node.at, "out-of-range", "an IDX file of labels has at most 256 classes", "allowed: 1 to 256");
            return None;
        }
        let known = matches!(source, Source::Npm(_)).then_some([28, 28]);
        let Some(shape) = resized.or(declared).or(known) else {
            let help = "declare `shape: [height, width]`, or `transform: [resize: [height, width]]`";
            reader.add(node.at, "missing-field", "the shape of the images is not declared", help);
            return None;
        };
        Publication::Idx(shape)
    } else {
        Publication::Images
    };
    Some(Some(Pipeline { landing, validate, transform, publish }))
}

/// The pipeline of a table.
fn table(
    reader: &Reader<'_>,
    spec: &Fields<'_>,
    fields: &Fields<'_>,
    source: &Source,
    columns: &Columns,
    classes: Option<u32>,
) -> Option<Pipeline> {
    const OF_IMAGES: [&str; 4] = ["size", "range", "contrast", "nearDuplicates"];
    let landing = optional(fields, "read", |node| landings(reader, node)).map(Option::unwrap_or_default);
    let validate = optional(fields, "validate", |node| {
        let validate = reader.map(node, "spec.pipeline.validate", &VALIDATE)?;
        let help = "the numbers of a column are in `ranges: {column: [least, most]}`";
        let fits = refuse(reader, &validate, &OF_IMAGES, "is for images", help);
        let ranges = optional(&validate, "ranges", |node| ranges(reader, node, columns, classes.is_some()));
        let common = self::validate(reader, &validate);
        fits?;
        Some(Validate { ranges: ranges?.unwrap_or_default(), ..common? })
    });
    let validate = validate.map(Option::unwrap_or_default);
    let help = format!("leave it out: rows of `{}` are published as they are, or set aside", source.kind());
    let no_transform = refuse(reader, fields, &["transform"], "is for images", &help);
    let form = optional(fields, "publish", |node| {
        let forms = [("csv", Publication::Csv), ("parquet", Publication::Parquet)];
        reader.word(node, "spec.pipeline.publish", &forms)
    });
    if columns.features.is_none()
        && let Some(node) = spec.optional("source")
    {
        let message = format!("spec.source.{}.features is not declared", source.kind());
        let help = "name the columns: with a pipeline files arrive later, and one more column in them must not change what a model sees";
        reader.add(node.at, "missing-field", message, help);
        return None;
    }
    let names: Vec<&str> = columns.features.iter().flatten().chain([&columns.label]).map(String::as_str).collect();
    if let Some(name) = columns.types.keys().find(|name| !names.contains(&name.as_str()))
        && let Some(node) = spec.optional("source")
    {
        let message =
            format!("spec.source.{}.types.{} is neither a feature nor the label", source.kind(), excerpt(name));
        reader.add(node.at, "wrong-value", message, suggestion(name, "there are", &names));
        return None;
    }
    no_transform?;
    let same = if matches!(source, Source::Csv(_)) { Publication::Csv } else { Publication::Parquet };
    Some(Pipeline { landing: landing?, validate: validate?, transform: Vec::new(), publish: form?.unwrap_or(same) })
}

/// A finding for each of these fields that is declared. `Some` if there is none.
fn refuse(reader: &Reader<'_>, fields: &Fields<'_>, names: &[&str], what: &str, help: &str) -> Option<()> {
    let mut fits = Some(());
    for name in names {
        if let Some(node) = fields.optional(name) {
            reader.add(node.at, "wrong-value", format!("{} {what}", fields.at(name)), help);
            fits = None;
        }
    }
    fits
}

/// The least and the largest number of columns.
fn ranges(
    reader: &Reader<'_>,
    node: &Node,
    columns: &Columns,
    has_classes: bool,
) -> Option<BTreeMap<String, Interval>> {
    const PATH: &str = "spec.pipeline.validate.ranges";
    const HELP: &str = "the least and the largest number of columns, such as {age: [0, 120]}";
    let mut known: Vec<&str> = columns.features.iter().flatten().map(String::as_str).collect();
    // a class is one of `labels` or `classes`
    known.extend((!has_classes).then_some(columns.label.as_str()));
    known.retain(|name| columns.types.get(*name) != Some(&CellType::Text));
    let mut ranges = BTreeMap::new();
    let mut right = true;
    for entry in reader.entries(node, PATH, HELP)? {
        let path = format!("{PATH}.{}", excerpt(&entry.key));
        if columns.features.is_some() && !known.contains(&entry.key.as_str()) {
            let message = format!("{path} is not a column of numbers");
            reader.add(entry.key_at, "wrong-value", message, suggestion(&entry.key, "there are", &known));
            right = false;
            continue;
        }
        match interval(reader, &entry.value, &path) {
            Some(interval) => {
                ranges.insert(entry.key.clone(), interval);
            }
            None => right = false,
        }
    }
    right.then_some(ranges)
}

fn interval(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Interval> {
    const HELP: &str = "[least, most], such as [0, 120]";
    let [least, most] = reader.list(node, path, HELP)? else {
        reader.add(node.at, "wrong-value", format!("{path} must have two numbers"), HELP);
        return None;
    };
    let number = |node, index| reader.number(node, &format!("{path}[{index}]"), |_| true, "a finite number");
    let (least, most) = (number(least, 0), number(most, 1));
    let interval = Interval { least: least?, most: most? };
    ordered(reader, node, path, interval, |interval| interval.least <= interval.most)
}

fn landings(reader: &Reader<'_>, node: &Node) -> Option<Vec<Landing>> {
    const HELP: &str = "such as [s3://landing/digits/]: images in <label>/<file> below it, or files of rows";
    let fields = reader.map(node, "spec.pipeline.read", &["landing"])?;
    let list = |node: &Node| {
        let items = reader.list(node, "spec.pipeline.read.landing", HELP)?;
        let each = |(index, node): (usize, &Node)| {
            let path = format!("spec.pipeline.read.landing[{index}]");
            let text = reader.text(node, &path)?;
            let (bucket, prefix) =
                text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).unwrap_or_default();
            if bucket.is_empty() || text.contains(char::is_whitespace) || prefix.starts_with('/') {
                reader.add(node.at, "wrong-value", format!("{path} `{}` is not a prefix", excerpt(text)), HELP);
                return None;
            }
            let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
            Some(Landing { bucket: bucket.to_owned(), prefix: format!("{prefix}{slash}") })
        };
        items.iter().enumerate().map(each).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    };
    optional(&fields, "landing", list).map(Option::unwrap_or_default)
}

const VALIDATE: [&str; 7] = ["size", "range", "contrast", "nearDuplicates", "ranges", "balance", "setAside"];

/// All rules but `ranges`.
fn validate(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Validate> {
    let size = optional(fields, "size", |node| {
        let path = fields.at("size");
        let ends = reader.map(node, &path, &["least", "most"])?;
        let end = |name: &'static str, without| {
            optional(&ends, name, |node| pixels(reader, node, &ends.at(name))).map(|size| size.unwrap_or(without))
        };
        let (least, most) = (end("least", [1, 1]), end("most", [65_536, 65_536]));
        ordered(reader, node, &path, [least?, most?], |[least, most]| least[0] <= most[0] && least[1] <= most[1])
    });
    let range = optional(fields, "range", |node| levels(reader, node, &fields.at("range")));
    let small = |name: &'static str, most: u32| {
        let read = |node: &Node| reader.integer32(node, &fields.at(name), 0..=most);
        optional(fields, name, |node| read(node).and_then(|number| u8::try_from(number).ok()))
    };
    let (contrast, near_duplicates) = (small("contrast", 127), small("nearDuplicates", FARTHEST));
    let share = |name: &'static str| {
        let fits = |value: f64| (0.0..=1.0).contains(&value);
        optional(fields, name, |node| {
            reader.number(node, &fields.at(name), fits, "a share from 0 to 1").map(millionths)
        })
    };
    let (balance, set_aside) = (share("balance"), share("setAside"));
    Some(Validate {
        size: size?,
        range: range?,
        contrast: contrast?,
        near_duplicates: near_duplicates?,
        ranges: BTreeMap::new(),
        balance: balance?,
        set_aside: set_aside?,
    })
}

fn transforms(reader: &Reader<'_>, node: &Node) -> Option<Vec<Transform>> {
    const ALLOWED: [&str; 4] = ["grey", "resize", "normalize", "invert"];
    const HELP: &str = "a list of `grey`, `resize: [28, 28]`, `normalize: [0, 16]` and `invert`";
    let items = reader.list(node, "spec.pipeline.transform", HELP)?;
    let each = |(index, node): (usize, &Node)| {
        let path = format!("spec.pipeline.transform[{index}]");
        if matches!(node.value, Value::Scalar { meaning: Scalar::Text, .. }) {
            return reader.word(node, &path, &[("grey", Transform::Grey), ("invert", Transform::Invert)]);
        }
        let fields = reader.map(node, &path, &ALLOWED[1..3])?;
        match (fields.optional("resize"), fields.optional("normalize")) {
            (Some(node), None) => pixels(reader, node, &fields.at("resize")).map(Transform::Resize),
            (None, Some(node)) => {
                let [low, high] = levels(reader, node, &fields.at("normalize"))?;
                ordered(reader, node, &fields.at("normalize"), [low, high], |[low, high]| low < high)
                    .map(Transform::Normalize)
            }
            _ => {
                reader.add(node.at, "wrong-value", format!("{path} is not one step"), HELP);
                None
            }
        }
    };
    items.iter().enumerate().map(each).collect::<Vec<_>>().into_iter().collect()
}

fn pixels(reader: &Reader<'_>, node: &Node, path: &str) -> Option<[u32; 2]> {
    pair(reader, node, path, "[height, width] in pixels, such as [28, 28]", 1, 65_536)
}

fn levels(reader: &Reader<'_>, node: &Node, path: &str) -> Option<[u8; 2]> {
    let pair = pair(reader, node, path, "[lowest, highest] level, such as [0, 255]", 0, 255)?;
    let [low, high] = ordered(reader, node, path, pair, |[low, high]| low <= high)?;
    Some([u8::try_from(low).ok()?, u8::try_from(high).ok()?])
}

fn pair(reader: &Reader<'_>, node: &Node, path: &str, help: &str, least: u32, most: u32) -> Option<[u32; 2]> {
    let [first, second] = reader.list(node, path, help)? else {
        reader.add(node.at, "wrong-value", format!("{path} must have two numbers"), help);
        return None;
    };
    let number = |node, index| reader.integer32(node, &format!("{path}[{index}]"), least..=most);
    let (first, second) = (number(first, 0), number(second, 1));
    Some([first?, second?])
}

fn ordered<T: Copy>(reader: &Reader<'_>, node: &Node, path: &str, ends: T, fits: impl Fn(T) -> bool) -> Option<T> {
    if fits(ends) {
        return Some(ends);
    }
    reader.add(node.at, "wrong-value", format!("{path} ends before it begins"), "give the smaller one first");
    None
}

/// How many examples, or which share of them.
pub(super) fn amount(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Amount> {
    let fits = |value: f64| (value > 0.0 && value < 1.0) || (value.fract() == 0.0 && (1.0..=1e9).contains(&value));
    let number = reader.number(node, path, fits, "a share less than 1, such as 0.1, or a number of examples")?;
    // exact: a whole number of at most ten digits
    Some(if number >= 1.0 { Amount::Count(number as u32) } else { Amount::Share(millionths(number)) })
}

/// A share from 0 to 1; decimals beyond the sixth are rounded.
pub(super) fn millionths(share: f64) -> u32 {
    (share * 1e6).round() as u32
}
