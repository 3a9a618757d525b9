//! The declaration of a dataset: `datasets/<name>.yaml`.

mod monitor;
mod pin;
mod pipeline;
mod source;
mod split;

use serde::Serialize;

use slipway_digest::Digest;
use slipway_source::{Finding, Node, document, excerpt};

use crate::parse::{header, is_of_another_kind};
use crate::reader::{Fields, ROOT, Reader};

pub use monitor::{Monitor, Opens, Requests, Retrain};
pub use pin::{pin_digest, pin_digests};
pub use pipeline::{Amount, Interval, Landing, Pipeline, Publication, Transform, Validate};
pub use source::{
    CellType, Columns, CsvSource, Files, IdxPair, IdxSource, ImagesSource, Location, NpmSource, ParquetSource, Source,
    SourceFile,
};
pub use split::Split;

/// A declared dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// `metadata.name`, an RFC 1035 label.
    pub name: String,
    /// What is declared about it.
    pub spec: DatasetSpec,
}

/// Where a dataset comes from, what it holds, how it is split, and the digest of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetSpec {
    /// Where its files come from.
    pub source: Source,
    /// The number of classes, from `classes` or from `labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<u32>,
    /// The names of the classes, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Height and width of an image, and its channels if those are declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<u32>>,
    /// How many examples go where; `None` if the source says so for every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The steps in between; without them, whatever does not fit is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Pipeline>,
    /// How it is watched; without it, nothing is opened about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// `sha256:…` of its manifest; `None` until `slipway dataset add` pins it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Reads a dataset's declaration; `file` is named in messages.
///
/// # Errors
/// Every mistake in the file.
pub fn parse_dataset(file: &str, text: &str) -> Result<Dataset, Vec<Finding>> {
    let tree = document(text).map_err(|malformed| vec![malformed.in_file(file)])?;
    let reader = Reader::new(file);
    let dataset = dataset(&reader, &tree);
    reader.finish(dataset)
}

fn dataset(reader: &Reader<'_>, tree: &Node) -> Option<Dataset> {
    if is_of_another_kind(reader, tree, "Dataset") {
        return None;
    }
    let root = reader.map(tree, ROOT, &["apiVersion", "kind", "metadata", "spec"])?;
    let name = header(reader, &root, "Dataset").and_then(|node| reader.label(node, "metadata.name"));
    let node = reader.required(&root, "spec")?;
    let allowed = ["source", "labels", "classes", "shape", "split", "pipeline", "monitor", "digest"];
    let spec = reader.map(node, "spec", &allowed)?;
    let source = reader.required(&spec, "source").and_then(|node| source::source(reader, node));
    let labels = optional(&spec, "labels", |node| labels(reader, node));
    let classes = optional(&spec, "classes", |node| reader.integer32(node, "spec.classes", 1..=65_536));
    let shape = optional(&spec, "shape", |node| shape(reader, node));
    let split = split::split(reader, &spec, source.as_ref());
    let digest = optional(&spec, "digest", |node| digest(reader, node, "spec.digest"));
    let (source, labels, mut classes, shape) = (source?, labels?, classes?, shape?);
    if let Some(labels) = &labels {
        let named = u32::try_from(labels.len()).unwrap_or(u32::MAX);
        if classes.is_some_and(|classes| classes != named)
            && let Some(node) = spec.optional("classes")
        {
            let message = format!("spec.classes is {}, but spec.labels has {named} names", classes.unwrap_or_default());
            reader.add(node.at, "wrong-value", message, "name every class, or leave `classes` out");
        }
        classes = Some(named);
    }
    let pipeline = pipeline::pipeline(reader, &spec, Some(&source), shape.as_deref(), classes);
    let monitor = monitor::monitor(reader, &spec, pipeline.as_ref());
    fits(reader, node, &spec, &source, classes)?;
    let digest = digest?.map(|digest| digest.to_string());
    let (split, pipeline, monitor) = (split?, pipeline?, monitor?);
    let spec = DatasetSpec { source, classes, labels, shape, split, pipeline, monitor, digest };
    Some(Dataset { name: name?.to_owned(), spec })
}

/// Whether what is declared about the classes and the shape fits the kind of source.
fn fits(reader: &Reader<'_>, node: &Node, spec: &Fields<'_>, source: &Source, classes: Option<u32>) -> Option<()> {
    let unfit = |name: &str, why: &str| {
        let node = spec.optional(name)?;
        let message = format!("spec.{name} cannot be declared for the source `{}`", source.kind());
        reader.add(node.at, "wrong-value", message, why.to_owned());
        Some(())
    };
    match source {
        Source::Npm(_) => {
            let known = "the package's digits are known: leave it out";
            ["labels", "classes", "shape"].iter().all(|name| unfit(name, known).is_none()).then_some(())
        }
        Source::Idx(_) => match classes {
            Some(1..=256) => Some(()),
            Some(_) => {
                let at = spec.optional("classes").or(spec.optional("labels")).map_or(node.at, |node| node.at);
                reader.add(at, "out-of-range", "an IDX file of labels has at most 256 classes", "allowed: 1 to 256");
                None
            }
            None => {
                let help = "add `labels:` with the name of each class, or `classes:` with their number";
                reader.add(node.at, "missing-field", "the number of classes is not declared in spec", help);
                None
            }
        },
        Source::Images(_) => {
            let help = "folders have names: give `labels:`, or leave both out";
            if spec.optional("labels").is_none() && unfit("classes", help).is_some() { None } else { Some(()) }
        }
        Source::Csv(_) | Source::Parquet(_) => {
            unfit("shape", "a row has as many values as `features` has columns: leave it out").is_none().then_some(())
        }
    }
}

/// An optional field: `Some(None)` if it is absent, `None` if it is wrong.
fn optional<T>(fields: &Fields<'_>, name: &str, read: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
    match fields.optional(name) {
        Some(node) => read(node).map(Some),
        None => Some(None),
    }
}

fn labels(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    const HELP: &str = "the name of each class in the order of their numbers, such as [T-shirt, Trouser]";
    let items = reader.list(node, "spec.labels", HELP)?;
    if items.is_empty() {
        reader.add(node.at, "wrong-value", "spec.labels is empty", HELP);
        return None;
    }
    let mut labels: Vec<String> = Vec::new();
    let mut right = true;
    for (index, item) in items.iter().enumerate() {
        let path = format!("spec.labels[{index}]");
        let Some(label) = reader.scalar(item, &path, "a name", HELP) else {
            right = false;
            continue;
        };
        let message = if labels.iter().any(|other| other == label) {
            "is named twice"
        } else if label.is_empty() || label.chars().any(char::is_control) {
            "is not a name"
        } else {
            labels.push(label.to_owned());
            continue;
        };
        reader.add(
            item.at,
            "wrong-value",
            format!("{path} `{}` {message}", excerpt(label)),
            "each class has a name of its own",
        );
        right = false;
    }
    right.then_some(labels)
}

fn shape(reader: &Reader<'_>, node: &Node) -> Option<Vec<u32>> {
    const HELP: &str = "[height, width] in pixels, such as [28, 28]; for images also [height, width, channels], 1 for grey, 3 for colour";
    let items = reader.list(node, "spec.shape", HELP)?;
    if !(2..=3).contains(&items.len()) {
        reader.add(node.at, "wrong-value", format!("spec.shape has {} numbers", items.len()), HELP);
        return None;
    }
    items
        .iter()
        .enumerate()
        .map(|(index, item)| reader.integer32(item, &format!("spec.shape[{index}]"), 1..=65_536))
        .collect()
}

fn digest(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Digest> {
    let text = reader.text(node, path)?;
    if let Ok(digest) = text.parse::<Digest>() {
        return Some(digest);
    }
    let help = "sha256: and 64 hexadecimal digits in lower case; `slipway dataset add` writes it";
    reader.add(node.at, "invalid-digest", format!("{path} `{}` is not a digest", excerpt(text)), help);
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
