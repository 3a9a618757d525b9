//! Typed reading of a YAML tree that collects every mistake: a function that adds a finding returns `None`.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use slipway_source::{Entry, Finding, Node, Position, Scalar, Value, closest, excerpt, suggest, suggestion};

use crate::name::{MAX_NAME, as_label, is_label};

/// The most findings that are listed; the others are counted.
const MAX_FINDINGS: usize = 500;

pub(crate) struct Reader<'a> {
    file: &'a str,
    /// The path of the field that a name means, wherever that is in the file.
    field: fn(&str) -> Option<&'static str>,
    findings: RefCell<Vec<Finding>>,
}

/// A map whose keys have been checked.
pub(crate) struct Fields<'n> {
    path: String,
    at: Position,
    entries: &'n [Entry],
    /// Fields that a misspelt key probably stands for: not reported again as missing.
    meant: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self { file, field: |_| None, findings: RefCell::default() }
    }

    /// The same for a file whose fields are known by their names.
    pub(crate) fn with_fields(self, field: fn(&str) -> Option<&'static str>) -> Self {
        Self { field, ..self }
    }

    /// What was read; every finding if there are any.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Finding>> {
        let mut findings = self.findings.into_inner();
        if value.is_none() && findings.is_empty() {
            findings.push(Finding::new(
                self.file,
                1,
                1,
                "wrong-type",
                "the file cannot be read, and no check says why",
            ));
        }
        findings.sort_by_key(|finding| (finding.line, finding.column));
        if findings.len() > MAX_FINDINGS {
            let more = findings.len() - MAX_FINDINGS;
            findings.truncate(MAX_FINDINGS);
            if let Some(last) = findings.last() {
                let more = Finding::new(self.file, last.line, last.column, "more", format!("and {more} more"));
                findings.push(more);
            }
        }
        match value {
            Some(value) if findings.is_empty() => Ok(value),
            _ => Err(findings),
        }
    }

    /// Adds a finding: what is wrong, and what is allowed or what to do.
    pub(crate) fn add(&self, at: Position, code: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.borrow_mut().push(Finding::at(self.file, at, code, message).with_help(help));
    }

    pub(crate) fn wrong_type<T>(&self, node: &Node, path: &str, expected: &str, help: impl Into<String>) -> Option<T> {
        self.add(node.at, "wrong-type", format!("{path} must be {expected}, found {}", describe(node)), help);
        None
    }

    /// A map that has allowed keys only.
    pub(crate) fn map<'n>(&self, node: &'n Node, path: &str, allowed: &[&'static str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            return self.wrong_type(node, path, "a map", format!("allowed fields: {}", allowed.join(", ")));
        };
        let mut meant = Vec::new();
        for entry in entries.iter().filter(|entry| !allowed.contains(&entry.key.as_str())) {
            let message = format!("unknown field `{}` in {path}", excerpt(&entry.key));
            let closest = closest(&entry.key, allowed.iter().copied());
            let whole = (self.field)(&entry.key);
            // the part of the path that is below this map
            let below = whole
                .and_then(|whole| if path == ROOT { Some(whole) } else { whole.strip_prefix(path)?.strip_prefix('.') });
            let shown = match below {
                Some(name) if !name.contains('.') => Some(name),
                _ => whole,
            };
            // `{architecture:cnn}` is a map whose key is all of it
            let joined = entry.key.split_once(':').filter(|(name, _)| allowed.contains(name));
            let help = match joined {
                Some((name, value)) => format!("write a space after the colon: `{name}: {}`", excerpt(value)),
                None => suggest(shown.or(closest), "allowed", allowed),
            };
            self.add(entry.key_at, "unknown-field", message, help);
            let first = below.and_then(|below| below.split('.').next());
            let first = joined.map(|(name, _)| name).or(first);
            meant.extend(allowed.iter().copied().find(|name| first.or(closest) == Some(name)));
        }
        Some(Fields { path: path.to_owned(), at: node.at, entries, meant })
    }

    /// The entries of a map that may have any keys.
    pub(crate) fn entries<'n>(&self, node: &'n Node, path: &str, help: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ => self.wrong_type(node, path, "a map", help),
        }
    }

    /// A field that must be present.
    pub(crate) fn required<'n>(&self, fields: &Fields<'n>, name: &'static str) -> Option<&'n Node> {
        let node = fields.optional(name);
        if node.is_none() && !fields.meant.contains(&name) {
            let message = format!("missing field `{name}` in {}", fields.path);
            self.add(fields.at, "missing-field", message, format!("add `{name}:`"));
        }
        node
    }

    pub(crate) fn list<'n>(&self, node: &'n Node, path: &str, help: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => self.wrong_type(node, path, "a list", help),
        }
    }

    pub(crate) fn text<'n>(&self, node: &'n Node, path: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, meaning: Scalar::Text, .. } => Some(text),
            Value::Scalar { text, .. } if !text.is_empty() => {
                self.wrong_type(node, path, "a text", format!("quote it: \"{}\"", excerpt(text)))
            }
            _ => self.wrong_type(node, path, "a text", "give a value"),
        }
    }

    /// The text of a scalar, quoted or not: `1`, `"1"`, `500m`.
    pub(crate) fn scalar<'n>(&self, node: &'n Node, path: &str, expected: &str, help: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, meaning, .. } if !matches!(meaning, Scalar::Null | Scalar::Bool(_)) => Some(text),
            _ => self.wrong_type(node, path, expected, help),
        }
    }

    /// An RFC 1035 label of at most 63 characters.
    pub(crate) fn label<'n>(&self, node: &'n Node, path: &str) -> Option<&'n str> {
        let text = self.label_of_any_length(node, path)?;
        if text.len() <= MAX_NAME {
            return Some(text);
        }
        let message = format!("{path} has {} characters", text.len());
        self.add(node.at, "name-too-long", message, format!("allowed: at most {MAX_NAME} characters"));
        None
    }

    /// An RFC 1035 label whose length the caller checks.
    pub(crate) fn label_of_any_length<'n>(&self, node: &'n Node, path: &str) -> Option<&'n str> {
        let text = self.text(node, path)?;
        if is_label(text) {
            return Some(text);
        }
        let allowed = "lower-case letters, digits and `-`, starting with a letter, not ending in `-`";
        let help = match as_label(text).filter(|label| label != text) {
            Some(label) => format!("did you mean `{label}`? allowed: {allowed}"),
            None => format!("allowed: {allowed}"),
        };
        self.add(node.at, "invalid-name", format!("{path} `{}` is not a valid name", excerpt(text)), help);
        None
    }

    pub(crate) fn integer(&self, node: &Node, path: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let help = format!("a whole number from {} to {}", range.start(), range.end());
        let Value::Scalar { text, meaning: Scalar::Integer(_), .. } = &node.value else {
            return self.wrong_type(node, path, "a whole number", help);
        };
        let number = text.strip_prefix('+').unwrap_or(text).parse::<u64>().ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.add(node.at, "out-of-range", format!("{path} is {}", excerpt(text)), format!("allowed: {help}"));
        }
        number
    }

    pub(crate) fn integer32(&self, node: &Node, path: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(node, path, wide).and_then(|number| u32::try_from(number).ok())
    }

    /// A finite number that `fits`; `allowed` says in words which numbers do.
    pub(crate) fn number(&self, node: &Node, path: &str, fits: impl Fn(f64) -> bool, allowed: &str) -> Option<f64> {
        let Value::Scalar { text, meaning: Scalar::Integer(_) | Scalar::Float(_) | Scalar::NotFinite, .. } =
            &node.value
        else {
            return self.wrong_type(node, path, "a number", allowed);
        };
        // `+ 0.0` makes -0 the same text as 0.
        let number =
            text.parse::<f64>().ok().map(|number| number + 0.0).filter(|number| number.is_finite() && fits(*number));
        if number.is_none() {
            self.add(node.at, "out-of-range", format!("{path} is {}", excerpt(text)), format!("allowed: {allowed}"));
        }
        number
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, node: &Node, path: &str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(node, path)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let help = suggestion(text, "allowed", &names);
            self.add(node.at, "wrong-value", format!("{path} cannot be `{}`", excerpt(text)), help);
        }
        found
    }

    /// Checks a field that must have one value, such as `kind`.
    pub(crate) fn constant(&self, fields: &Fields<'_>, name: &'static str, code: &'static str, expected: &str) {
        let Some(node) = self.required(fields, name) else {
            return;
        };
        let Some(text) = self.text(node, &fields.at(name)) else {
            return;
        };
        if text != expected {
            let message = format!("{} is `{}`", fields.at(name), excerpt(text));
            self.add(node.at, code, message, format!("this file must say `{name}: {expected}`"));
        }
    }
}

impl<'n> Fields<'n> {
    /// Whether it has a field, or a misspelt key that probably stands for it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.optional(name).is_some() || self.meant.contains(&name)
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// Where the map begins.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// The dotted path of one of its fields.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path == ROOT { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The name of the whole file in messages.
pub(crate) const ROOT: &str = "the file";

fn describe(node: &Node) -> String {
    match &node.value {
        Value::Map(_) => "a map".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Scalar { text, plain: false, .. } => format!("the text \"{}\"", excerpt(text)),
        Value::Scalar { text, meaning, .. } => match meaning {
            Scalar::Null => "nothing".to_owned(),
            Scalar::Bool(_) => format!("`{text}`"),
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::NotFinite => format!("the number {}", excerpt(text)),
            Scalar::Text => format!("the text `{}`", excerpt(text)),
        },
    }
}
