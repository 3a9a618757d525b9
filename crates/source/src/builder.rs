//! The tree from a parser's events.

use std::collections::{BTreeMap, HashSet};

use granit_parser::{Event, ScalarStyle, Span};

use crate::{Entry, Malformed, Node, Position, Value, excerpt};

/// The most nodes that aliases may add to a text.
const MAX_ALIASED: usize = 100_000;

/// Maps with fewer keys than this are searched from end to end.
const FEW: usize = 16;

/// Builds the tree of each document.
#[derive(Default)]
pub(crate) struct Builder {
    /// The roots of the documents that have ended.
    pub(crate) documents: Vec<Node>,
    max_depth: usize,
    open: Vec<Open>,
    anchored: BTreeMap<usize, Anchored>,
    /// The nodes that aliases added so far.
    aliased: usize,
}

/// A list or a map that has not ended.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
    /// The keys of a map that has many.
    keys: HashSet<String>,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

impl Builder {
    pub(crate) fn new(max_depth: usize) -> Self {
        Self { max_depth, ..Self::default() }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Malformed> {
        let at = Position::from(&span.start);
        let bytes = span.byte_range().unwrap_or_default();
        match event {
            Event::DocumentStart(..) => self.anchored.clear(),
            Event::Scalar(text, style, anchor, _) => {
                // A value that the text leaves out comes as `~` with no bytes.
                let text = if bytes.is_empty() { String::new() } else { text.into_owned() };
                self.add(
                    Node { at, bytes, value: Value::Scalar { text, plain: style == ScalarStyle::Plain } },
                    anchor,
                )?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(Node { at, bytes, value: Value::List(Vec::new()) }, anchor)?
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(Node { at, bytes, value: Value::Map(Vec::new()) }, anchor)?
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.add(open.node, open.anchor)?;
                }
            }
            Event::Alias(anchor) => self.alias(anchor, at)?,
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Malformed> {
        let Some(anchored) = self.anchored.get(&anchor) else {
            return Err(Malformed::new(at, "yaml-alias", "this alias is inside its own anchor"));
        };
        self.aliased += anchored.nodes;
        if self.aliased > MAX_ALIASED {
            return Err(Malformed::new(at, "yaml-alias", "aliases make this text too large"));
        }
        if self.open.len() + anchored.depth > self.max_depth {
            return Err(Malformed::too_deep(at, self.max_depth));
        }
        let node = anchored.node.clone();
        self.add(node, 0)
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        if matches!(self.open.last(), Some(Open { node: Node { value: Value::Map(_), .. }, key: None, .. })) {
            return Err(not_a_key(node.at));
        }
        if self.open.len() == self.max_depth {
            return Err(Malformed::too_deep(node.at, self.max_depth));
        }
        self.open.push(Open { node, anchor, key: None, keys: HashSet::new() });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        if anchor != 0 {
            let (nodes, depth) = extent(&node);
            self.anchored.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        match self.open.last_mut() {
            Some(open) => open.add(node),
            None => {
                self.documents.push(node);
                Ok(())
            }
        }
    }
}

impl Open {
    fn add(&mut self, mut node: Node) -> Result<(), Malformed> {
        match &mut self.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match self.key.take() {
                Some((key, key_at)) => {
                    if matches!(node.value, Value::Scalar { .. }) && node.bytes.is_empty() {
                        node.at = key_at;
                    }
                    entries.push(Entry { key, key_at, value: node });
                }
                None => {
                    let Value::Scalar { text, .. } = node.value else { return Err(not_a_key(node.at)) };
                    if !is_new(entries, &mut self.keys, &text) {
                        let message = format!("`{}` is given twice in the same map", excerpt(&text));
                        return Err(
                            Malformed::new(node.at, "yaml-duplicate-key", message).with_help("keep one of the two")
                        );
                    }
                    self.key = Some((text, node.at));
                }
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// Whether a map does not have a key yet. Many keys are looked up in a set, so that a long map takes linear time.
fn is_new(entries: &[Entry], keys: &mut HashSet<String>, key: &str) -> bool {
    if entries.len() < FEW {
        return entries.iter().all(|entry| entry.key != key);
    }
    if keys.is_empty() {
        keys.extend(entries.iter().map(|entry| entry.key.clone()));
    }
    keys.insert(key.to_owned())
}

fn not_a_key(at: Position) -> Malformed {
    Malformed::new(at, "yaml-syntax", "a key must be a text, found a list or a map")
}

/// How many nodes a tree has, and how deep it is.
fn extent(node: &Node) -> (usize, usize) {
    let below = |nodes: &mut dyn Iterator<Item = &Node>| {
        let (size, depth) =
            nodes.map(extent).fold((0, 0), |(size, deepest), (nodes, depth)| (size + nodes, deepest.max(depth)));
        (size + 1, depth + 1)
    };
    match &node.value {
        Value::Scalar { .. } => (1, 0),
        Value::List(items) => below(&mut items.iter()),
        Value::Map(entries) => below(&mut entries.iter().map(|entry| &entry.value)),
    }
}
