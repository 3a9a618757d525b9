//! Reading YAML, strictly or as Kubernetes does.

use granit_parser::{Event, Parser, options};

use crate::builder::Builder;
use crate::scalar::Schema;
use crate::syntax::not_yaml;
use crate::{Malformed, Node, Position};

/// The largest text that [`document`] reads, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The deepest nesting of lists and maps in a [`document`].
const MAX_DEPTH: usize = 32;

/// The deepest nesting in [`documents`], aliases followed; Kubernetes' deepest schema needs less.
const MAX_MANIFEST_DEPTH: usize = 96;

/// Reads the one document of a text that may be hostile.
///
/// Aliases, tags, directives, duplicate keys, a second document, deep nesting and large files are refused: no file of Slipway's own
/// formats needs them, and each is a way to make a short text expensive or to show a reviewer something other than what runs.
///
/// # Errors
/// At the first position that is refused.
pub fn document(text: &str) -> Result<Node, Malformed> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, at most {MAX_BYTES} are allowed", text.len());
        return Err(Malformed::new(Position::START, "yaml-too-large", message));
    }
    let options = options! {
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        disallow_directives: true,
        // The scanner looks ahead of the events that the builder counts.
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(Schema::Core, MAX_DEPTH);
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| not_yaml(&error, text, MAX_DEPTH))?;
        let at = Position::from(&span.start);
        match &event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    let message = "a second document starts here; a file holds one";
                    return Err(Malformed::new(at, "yaml-multiple-documents", message)
                        .with_help("move it to a file of its own"));
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..) => {
                return Err(Malformed::new(at, "yaml-alias", "anchors and aliases (`&`, `*`) are not allowed here")
                    .with_help("write the value out, or quote a text that starts with & or *"));
            }
            event if event.tag().is_some() => {
                let at = span.tag_start().map_or(at, |mark| Position::from(&mark));
                return Err(Malformed::new(at, "yaml-tag", "tags (`!`) are not allowed here")
                    .with_help("write the plain value, or quote a text that starts with !"));
            }
            _ => {}
        }
        builder.event(event, &span)?;
    }
    builder.documents.pop().ok_or_else(|| Malformed::new(Position::START, "yaml-syntax", "the file is empty"))
}

/// Reads every document of a text as Kubernetes and Argo CD do, which is YAML 1.1: `yes` is a truth value, `0755` the number 493, `<<` merges
/// a map into another. Empty documents are left out.
///
/// Aliases are followed, and may add 100,000 nodes at most.
///
/// # Errors
/// At the first position that is not YAML, where a map has a key twice or a key that is not a text, or where a value cannot be JSON.
pub fn documents(text: &str) -> Result<Vec<Node>, Malformed> {
    let options = options! {
        emit_comments: false,
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: MAX_MANIFEST_DEPTH,
        block_nesting_limit: MAX_MANIFEST_DEPTH,
    };
    let mut builder = Builder::new(Schema::Kubernetes, MAX_MANIFEST_DEPTH);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| not_yaml(&error, text, MAX_MANIFEST_DEPTH))?;
        builder.event(event, &span)?;
    }
    builder.documents.retain(|node| !node.is_null());
    Ok(builder.documents)
}

/// Where a text is not YAML, whatever else may be wrong with it.
pub(crate) fn syntax(text: &str) -> Option<Malformed> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_MANIFEST_DEPTH,
        block_nesting_limit: MAX_MANIFEST_DEPTH,
    };
    let error = Parser::new_from_str_with_options(text, options).find_map(Result::err)?;
    Some(not_yaml(&error, text, MAX_MANIFEST_DEPTH))
}

/// The position of the value at a path of keys separated by dots (`spec.dataset`) in the first document of a YAML text.
///
/// Where the path does not exist, the position of the deepest part of it that does; the start if the text is not YAML.
pub fn position_of(text: &str, path: &str) -> Position {
    let documents = documents(text).unwrap_or_default();
    let Some(mut node) = documents.first() else { return Position::START };
    for key in path.split('.') {
        let Some(below) = node.get(key) else { break };
        node = below;
    }
    node.at
}
