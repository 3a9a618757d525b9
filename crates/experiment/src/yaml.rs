//! YAML as a tree with positions, from text that may be hostile.
//!
//! Aliases, tags, duplicate keys, a second document, deep nesting and large files are refused: no experiment needs them, and each is a
//! way to make a short text expensive or to show a reviewer something other than what runs.

use std::collections::HashSet;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, options};

use crate::Finding;

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// The deepest nesting of lists and maps.
pub(crate) const MAX_DEPTH: usize = 32;

/// A place in a text, counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Position,
    /// Where its text (of a collection: its first character) stands, in bytes.
    pub(crate) bytes: Range<usize>,
    pub(crate) value: Value,
}

/// A value. Scalars keep their text: what it means depends on the field.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Position,
    pub(crate) value: Node,
}

impl Node {
    /// The value of a key, when this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }
}

/// Line and column of the value at a dotted path (`spec.dataset`), for findings that only a caller can make.
///
/// Where the path ends early, its deepest part that exists; `(1, 1)` when the text is not YAML.
pub fn position_of(text: &str, path: &str) -> (usize, usize) {
    let Ok(tree) = read("", text) else {
        return (1, 1);
    };
    let mut node = &tree;
    for key in path.split('.') {
        let Some(next) = node.get(key) else { break };
        node = next;
    }
    (node.at.line, node.at.column)
}

/// A collection that is still being read.
enum Open {
    List {
        at: Position,
        bytes: Range<usize>,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        bytes: Range<usize>,
        entries: Vec<Entry>,
        keys: HashSet<String>,
        key: Option<(String, Position)>,
    },
}

/// Reads one document.
pub(crate) fn read(file: &str, text: &str) -> Result<Node, Finding> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, at most {MAX_BYTES} are read", text.len());
        return Err(Finding::new(file, 1, 1, "yaml-too-large", message));
    }
    let mut builder = Builder { file, open: Vec::new(), root: None };
    let mut documents = 0;
    let options = options! {
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        disallow_directives: true,
        // The scanner looks ahead of the events that the builder counts.
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| syntax(file, text, &error))?;
        let at = position(&span);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(Finding::at(
                        file,
                        at,
                        "yaml-multiple-documents",
                        "a second document starts here, a file holds one",
                    )
                    .with_help("put it into a file of its own"));
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..) => {
                return Err(Finding::at(file, at, "yaml-alias", "anchors and aliases (`&`, `*`) are not allowed here")
                    .with_help("write the value out, or quote a text that starts with & or *"));
            }
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => builder.start(event, &span)?,
            Event::SequenceEnd | Event::MappingEnd => builder.end()?,
            _ => {}
        }
    }
    builder.root.ok_or_else(|| Finding::new(file, 1, 1, "yaml-syntax", "the file is empty"))
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn syntax(file: &str, text: &str, error: &granit_parser::ScanError) -> Finding {
    let marker = error.marker();
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(file, Position { line: marker.line(), column: marker.col() + 1 });
    }
    let finding =
        Finding::new(file, marker.line(), marker.col() + 1, "yaml-syntax", format!("not valid YAML: {}", error.info()));
    // The likeliest slip: a gate's bound without quotes, which YAML reads as the start of a folded text.
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    if line.contains(": >") || line.contains(": <") {
        return finding.with_help("quote a value that starts with > or <, such as \">= 0.97\"");
    }
    finding
}

fn too_deep(file: &str, at: Position) -> Finding {
    Finding::at(file, at, "yaml-too-deep", format!("nested deeper than {MAX_DEPTH} levels"))
}

struct Builder<'a> {
    file: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder<'_> {
    fn start(&mut self, event: Event<'_>, span: &Span) -> Result<(), Finding> {
        let at = position(span);
        let bytes = span.byte_range().unwrap_or_default();
        if event.tag().is_some() {
            let at = span.tag_start().map_or(at, |mark| Position { line: mark.line(), column: mark.col() + 1 });
            return Err(Finding::at(self.file, at, "yaml-tag", "tags (`!`) are not allowed here")
                .with_help("write the plain value, or quote a text that starts with !"));
        }
        if let Event::Scalar(text, style, ..) = event {
            // What YAML leaves out (`dataset:`) has no text of its own: shown where its key stands.
            let absent = bytes.is_empty();
            let text = if absent { String::new() } else { text.into_owned() };
            let value = Value::Scalar { text, plain: style == ScalarStyle::Plain };
            return self.add(Node { at, bytes, value }, absent);
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(Finding::at(self.file, at, "yaml-syntax", "a key must be a text, found a list or a map"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(self.file, at));
        }
        self.open.push(match event {
            Event::SequenceStart(..) => Open::List { at, bytes, items: Vec::new() },
            _ => Open::Map { at, bytes, entries: Vec::new(), keys: HashSet::new(), key: None },
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Finding> {
        match self.open.pop() {
            Some(Open::List { at, bytes, items }) => self.add(Node { at, bytes, value: Value::List(items) }, false),
            Some(Open::Map { at, bytes, entries, .. }) => {
                self.add(Node { at, bytes, value: Value::Map(entries) }, false)
            }
            None => Ok(()),
        }
    }

    fn add(&mut self, mut node: Node, absent: bool) -> Result<(), Finding> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, keys, key, .. }) => match key.take() {
                Some((key, key_at)) => {
                    if absent {
                        node.at = key_at;
                    }
                    entries.push(Entry { key, key_at, value: node });
                }
                None => {
                    if let Value::Scalar { text, .. } = node.value {
                        if !keys.insert(text.clone()) {
                            let message = format!("`{}` is given twice in the same map", shown(&text));
                            return Err(Finding::at(self.file, node.at, "yaml-duplicate-key", message)
                                .with_help("keep one of the two"));
                        }
                        *key = Some((text, node.at));
                    }
                }
            },
        }
        Ok(())
    }
}

/// A text as it stands in a message: on one line, and not longer than one.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
