//! Writing digests into a declaration.

use slipway_source::{Finding, Node, Value, document, position_of};

use super::parse_dataset;

/// The declaration's text with `spec.digest` set to `digest`. Everything else, comments included, stays as it is.
///
/// # Errors
/// Every mistake in the file if it is not a valid declaration, or if `digest` is not a digest.
pub fn pin_digest(file: &str, text: &str, digest: &str) -> Result<String, Vec<Finding>> {
    pin_digests(file, text, &[("spec".to_owned(), digest.to_owned())])
}

/// The declaration's text with the digest of each field: `spec` itself, or a file of its source
/// ([`SourceFile::field`](super::SourceFile::field)). Everything else, comments included, stays as it is.
///
/// # Errors
/// Every mistake in the file if it is not a valid declaration, if there is no such field, or if a digest is none.
pub fn pin_digests(file: &str, text: &str, digests: &[(String, String)]) -> Result<String, Vec<Finding>> {
    parse_dataset(file, text)?;
    let mut pinned = text.to_owned();
    for (field, digest) in digests {
        let tree = document(&pinned).map_err(|malformed| vec![malformed.in_file(file)])?;
        let Some(node) = find(&tree, field) else {
            let at = position_of(&pinned, field);
            return Err(vec![Finding::at(file, at, "missing-field", format!("there is no {field} to pin"))]);
        };
        pin(&mut pinned, node, digest);
    }
    parse_dataset(file, &pinned)?;
    Ok(pinned)
}

fn pin(text: &mut String, node: &Node, digest: &str) {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    match (node.get("digest"), &node.value) {
        (Some(old), _) => text.replace_range(old.bytes.clone(), digest),
        // an address alone
        (None, Value::Scalar { text: address, .. }) => {
            let written = &text[node.bytes.clone()];
            // what may stand in a plain text alone may not do so within braces
            let quoted = if written.contains([',', '[', ']', '{', '}']) && !written.starts_with(['"', '\'']) {
                format!("\"{}\"", address.replace('\\', "\\\\").replace('"', "\\\""))
            } else {
                written.to_owned()
            };
            text.replace_range(node.bytes.clone(), &format!("{{from: {quoted}, digest: {digest}}}"));
        }
        (None, _) if text[node.bytes.start..].starts_with('{') => {
            text.insert_str(node.bytes.start + 1, &format!("digest: {digest}, "));
        }
        (None, _) => {
            let indent = " ".repeat(node.at.column - 1);
            text.insert_str(node.bytes.start, &format!("digest: {digest}{line_end}{indent}"));
        }
    }
}

/// The value at a path of keys, and numbers of a list's items, separated by dots.
fn find<'n>(tree: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(tree, |node, step| match &node.value {
        Value::List(items) => items.get(step.parse::<usize>().ok()?),
        _ => node.get(step),
    })
}
