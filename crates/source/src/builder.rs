//! The tree from a parser's events.

use std::collections::{BTreeMap, HashSet};

use granit_parser::{Event, ScalarStyle, Span};

use crate::scalar::Schema;
use crate::{Entry, Malformed, Node, Position, Scalar, Value, excerpt};

/// The most nodes that aliases may add to a text.
const MAX_ALIASED: usize = 100_000;

/// Maps with fewer keys than this are searched from end to end.
const FEW: usize = 16;

/// Builds the tree of each document.
pub(crate) struct Builder {
    /// The roots of the documents that have ended.
    pub(crate) documents: Vec<Node>,
    schema: Schema,
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
    key: Option<Key>,
    /// The keys of a map that has many.
    keys: HashSet<String>,
    /// The entries that `<<` brings; `None` if this is not a map with that key.
    merged: Option<Vec<Entry>>,
}

/// A key that waits for its value.
struct Key {
    text: String,
    at: Position,
    /// Whether it is `<<`.
    merges: bool,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

impl Builder {
    pub(crate) fn new(schema: Schema, max_depth: usize) -> Self {
        Self { documents: Vec::new(), schema, max_depth, open: Vec::new(), anchored: BTreeMap::new(), aliased: 0 }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Malformed> {
        let at = Position::from(&span.start);
        let bytes = span.byte_range().unwrap_or_default();
        match event {
            Event::DocumentStart(..) => self.anchored.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                // A value that the text leaves out comes as `~` with no bytes.
                let text = if bytes.is_empty() { String::new() } else { text.into_owned() };
                let plain = style == ScalarStyle::Plain;
                let meaning = self.schema.meaning(&text, plain, tag.as_deref());
                let meaning = meaning.map_err(|reason| Malformed::new(at, "yaml-tag", reason))?;
                if self.schema == Schema::Kubernetes && meaning == Scalar::NotFinite {
                    let message =
                        format!("`{text}` is a number that JSON does not have, so that Kubernetes refuses it");
                    return Err(Malformed::new(at, "yaml-number", message).with_help("quote it if it is a text"));
                }
                self.add(Node { at, bytes, value: Value::Scalar { text, plain, meaning } }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(Node { at, bytes, value: Value::List(Vec::new()) }, anchor)?
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(Node { at, bytes, value: Value::Map(Vec::new()) }, anchor)?
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let anchor = open.anchor;
                    self.add(open.close(), anchor)?;
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
        self.open.push(Open { node, anchor, key: None, keys: HashSet::new(), merged: None });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        if anchor != 0 {
            let (nodes, depth) = extent(&node);
            self.anchored.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        match self.open.last_mut() {
            Some(open) => open.add(node, self.schema),
            None => {
                self.documents.push(node);
                Ok(())
            }
        }
    }
}

impl Open {
    fn add(&mut self, mut node: Node, schema: Schema) -> Result<(), Malformed> {
        match &mut self.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match self.key.take() {
                Some(Key { merges: true, at, .. }) => return self.merge(node, at),
                Some(Key { text, at, .. }) => {
                    if matches!(node.value, Value::Scalar { .. }) && node.bytes.is_empty() {
                        node.at = at;
                    }
                    entries.push(Entry { key: text, key_at: at, value: node });
                }
                None => {
                    let key = Key::of(node, schema)?;
                    if !is_new(entries, &mut self.keys, &key.text) {
                        let message = format!("`{}` is given twice in the same map", excerpt(&key.text));
                        return Err(
                            Malformed::new(key.at, "yaml-duplicate-key", message).with_help("keep one of the two")
                        );
                    }
                    self.key = Some(key);
                }
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }

    /// Takes over the entries of one map, or of a list of maps, for the keys that this map does not give itself.
    ///
    /// A key before `<<` that both give is refused: it counts for YAML and for kustomize, and not for go-yaml 2.
    fn merge(&mut self, node: Node, at: Position) -> Result<(), Malformed> {
        let wrong = |message: String| Malformed::new(at, "yaml-merge", message);
        if self.merged.is_some() {
            return Err(wrong("`<<` is given twice in the same map".to_owned()).with_help("merge a list of maps"));
        }
        let maps = match node.value {
            Value::List(maps) => maps,
            _ => vec![node],
        };
        let own: HashSet<&str> = self.node.entries().iter().map(|entry| entry.key.as_str()).collect();
        let (mut merged, mut keys) = (Vec::new(), HashSet::new());
        for map in maps {
            let Value::Map(entries) = map.value else {
                return Err(wrong("`<<` merges a map or a list of maps".to_owned()));
            };
            for entry in entries {
                if own.contains(entry.key.as_str()) {
                    let key = excerpt(&entry.key);
                    let message = format!(
                        "`<<` brings `{key}`, which this map gives before it: not every program reads that alike"
                    );
                    return Err(wrong(message).with_help("put `<<` first in its map"));
                }
                if keys.insert(entry.key.clone()) {
                    merged.push(entry);
                }
            }
        }
        self.merged = Some(merged);
        Ok(())
    }

    /// The list or the map, complete.
    fn close(mut self) -> Node {
        if let (Value::Map(entries), Some(merged)) = (&mut self.node.value, self.merged) {
            let own: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
            entries.extend(merged.into_iter().filter(|entry| !own.contains(&entry.key)));
        }
        self.node
    }
}

impl Key {
    fn of(node: Node, schema: Schema) -> Result<Self, Malformed> {
        let Value::Scalar { text, plain, meaning } = node.value else { return Err(not_a_key(node.at)) };
        let at = node.at;
        if schema == Schema::Core {
            return Ok(Self { text, at, merges: false });
        }
        let merges = plain && text == "<<";
        // as sigs.k8s.io/yaml makes them the names of JSON
        match meaning {
            Scalar::Null => Err(not_a_key(at)),
            Scalar::Bool(value) => Ok(Self { text: value.to_string(), at, merges }),
            Scalar::Integer(number) => Ok(Self { text: number.to_string(), at, merges }),
            Scalar::Float(_) | Scalar::NotFinite | Scalar::Text => Ok(Self { text, at, merges }),
        }
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
    Malformed::new(at, "yaml-syntax", "a key must be a text, found a list, a map or nothing")
        .with_help("quote a value that begins with { or [ and is a text")
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
