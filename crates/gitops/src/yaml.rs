//! YAML documents as trees in which every key and value has its place.

use std::collections::BTreeMap;
use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle, Span, options};
use serde_json::{Map, Number, Value as Json};

use crate::path::{Path, Step};

/// The deepest nesting of lists and maps; Kubernetes' deepest schema needs less.
const MAX_DEPTH: usize = 96;

/// The most nodes that aliases may add to a text.
const MAX_ALIASED: usize = 100_000;

/// A place in a text, counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Place {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    pub(crate) value: Value,
}

/// A value. Scalars keep their text.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) value: Node,
}

/// A text that is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where.
    pub at: Place,
    /// What the parser says.
    pub message: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.at.line, self.at.column, self.message)
    }
}

impl std::error::Error for Malformed {}

impl Node {
    /// The value of a key, when this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value at a path of keys, written with dots.
    pub(crate) fn find(&self, keys: &str) -> Option<&Self> {
        keys.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text at a path of keys; none when it is empty.
    pub(crate) fn text_at(&self, keys: &str) -> Option<&str> {
        self.find(keys).and_then(Self::text).filter(|text| !text.is_empty())
    }

    /// A truth value at a path of keys.
    pub(crate) fn is_true(&self, keys: &str) -> bool {
        self.text_at(keys) == Some("true")
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The items of the list at a path of keys.
    pub(crate) fn items_at(&self, keys: &str) -> &[Self] {
        self.find(keys).map(Self::items).unwrap_or_default()
    }

    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Keys and texts of the map at a path of keys, such as labels.
    pub(crate) fn texts_at(&self, keys: &str) -> BTreeMap<&str, &str> {
        let entries = self.find(keys).map(Self::entries).unwrap_or_default();
        entries.iter().filter_map(|entry| Some((entry.key.as_str(), entry.value.text()?))).collect()
    }

    /// How many steps of a path exist here, and where the last of them is.
    pub(crate) fn reach(&self, path: &Path) -> (usize, Place) {
        let (mut node, mut at) = (self, self.at);
        for (depth, step) in path.0.iter().enumerate() {
            let next = match step {
                Step::Key(key) => {
                    node.entries().iter().find(|entry| entry.key == *key).map(|entry| (&entry.value, entry.key_at))
                }
                Step::Item(index) => node.items().get(*index).map(|item| (item, item.at)),
                Step::Named(name) => node
                    .items()
                    .iter()
                    .find(|item| item.text_at("name") == Some(name.as_str()))
                    .map(|item| (item, item.at)),
            };
            let Some((below, place)) = next else { return (depth, at) };
            (node, at) = (below, place);
        }
        // a text is itself at fault, a list or a map is named by its key
        (path.0.len(), if matches!(node.value, Value::Scalar { .. }) { node.at } else { at })
    }

    /// As JSON, plain scalars as what YAML's core schema makes of them.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar { text, plain: true } => resolve(text),
            Value::Scalar { text, plain: false } => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }
}

/// A plain scalar's value by YAML's core schema.
fn resolve(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Json::Number(number.into());
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    let number = if numeric { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None };
    number.map_or_else(|| Json::String(text.to_owned()), Json::Number)
}

/// A collection that is still being read.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Place)>,
}

/// Reads every document of a text; empty ones are left out.
///
/// # Errors
/// At the first place that is not YAML, or not YAML of the kind that objects are written in: keys are texts, given once.
pub fn documents(text: &str) -> Result<Vec<Node>, Malformed> {
    let options = options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let mut reader = Reader::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| Malformed {
            at: Place { line: error.marker().line(), column: error.marker().col() + 1 },
            message: error.info().to_owned(),
        })?;
        reader.read(event, &span)?;
    }
    Ok(reader.documents)
}

#[derive(Default)]
struct Reader {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchored: BTreeMap<usize, Node>,
    aliased: usize,
}

impl Reader {
    fn read(&mut self, event: Event<'_>, span: &Span) -> Result<(), Malformed> {
        let at = Place { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::DocumentStart(..) => self.anchored.clear(),
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(Node { at, value }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Node { at, value: Value::List(Vec::new()) }, anchor)?,
            Event::MappingStart(_, anchor, _) => self.begin(Node { at, value: Value::Map(Vec::new()) }, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.add(open.node, open.anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchored.get(&anchor).cloned() else {
                    return Err(Malformed { at, message: "this alias has no anchor".to_owned() });
                };
                self.aliased += node.size();
                if self.aliased > MAX_ALIASED {
                    return Err(Malformed { at, message: "aliases make this text too large".to_owned() });
                }
                self.add(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        if let Some(Open { node: Node { value: Value::Map(_), .. }, key: None, .. }) = self.open.last() {
            return Err(Malformed { at: node.at, message: "a key must be a text, found a list or a map".to_owned() });
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        if anchor != 0 {
            self.anchored.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            let empty = matches!(&node.value, Value::Scalar { text, plain: true } if resolve(text).is_null());
            if !empty {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                Some((key, key_at)) => entries.push(Entry { key, key_at, value: node }),
                None => {
                    let at = node.at;
                    let Value::Scalar { text, .. } = node.value else {
                        return Err(Malformed { at, message: "a key must be a text".to_owned() });
                    };
                    if entries.iter().any(|entry| entry.key == text) {
                        return Err(Malformed { at, message: format!("`{text}` is given twice in the same map") });
                    }
                    open.key = Some((text, at));
                }
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        let all = documents("---\n# nothing\n---\na:\n  b: [1, {name: x, c: 'two'}]\n---\nd: &k 5\ne: *k\n").unwrap();
        assert_eq!(all.len(), 2);
        let path = Path::of("a.b").named("x").key("c");
        assert_eq!(all[0].reach(&path), (4, Place { line: 5, column: 23 }));
        assert_eq!(all[0].reach(&path.key("d.e")), (4, Place { line: 5, column: 20 }));
        assert_eq!(all[1].to_json(), serde_json::json!({"d": 5, "e": 5}));
        assert_eq!(path.to_string(), "a.b[name=x].c");
    }

    #[test]
    fn scalars_are_what_the_core_schema_says() {
        let text = "[1, -2, 1.5, 1e3, '1', true, yes, ~, 1Gi, 100m, 0x1f, 1.2.3, .inf, -, '']";
        let expected = serde_json::json!([
            1, -2, 1.5, 1000.0, "1", true, "yes", null, "1Gi", "100m", "0x1f", "1.2.3", ".inf", "-", ""
        ]);
        assert_eq!(documents(&text.replace(" -,", " \"-\",")).unwrap()[0].to_json(), expected);
    }

    #[test]
    fn what_is_not_yaml_is_named_with_its_place() {
        for (text, line) in [("a: [", 1), ("a: 1\na: 2\n", 2), ("? [x]\n: 1\n", 1), ("a: *b\n", 1)] {
            assert_eq!(documents(text).unwrap_err().at.line, line, "{text}");
        }
        let bomb = format!("a: &a [{}]\n", "x, ".repeat(1000)) + "b: *a\n";
        assert!(documents(&bomb).is_ok());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..9 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        }
        assert!(documents(&bomb).unwrap_err().message.contains("too large"));
        assert!(documents(&"[".repeat(10_000)).is_err());
    }
}
