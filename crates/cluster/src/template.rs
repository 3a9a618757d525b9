//! Values with credentials in them: `postgresql://mlflow:${postgres-mlflow}@postgres/mlflow`.

use std::collections::BTreeMap;

/// A declared value, in which credentials are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Credential(String),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Template {
    /// Reads a text: `${name}` is a credential, `$$` a dollar.
    ///
    /// # Errors
    /// On any other dollar, on a name that is not of lower-case letters, digits and dashes, and on two credentials without a text between
    /// them.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                plain.push('$');
                rest = after;
                continue;
            }
            let inner = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let Some((name, after)) = inner else {
                return Err(Malformed("`$` begins a credential, as in `${name}`; write `$$` for a dollar".to_owned()));
            };
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(fits) {
                return Err(Malformed(format!(
                    "`{name}` is not a valid credential name: use lower-case letters, digits and dashes"
                )));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            } else if matches!(parts.last(), Some(Part::Credential(_))) {
                return Err(Malformed(format!("`${{{name}}}` follows another credential: put a text between them")));
            }
            parts.push(Part::Credential(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// A value without credentials: dollars in it mean nothing.
    pub fn literal(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// The names of its credentials.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Credential(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The value, with a credential in place of each name.
    pub(crate) fn fill(&self, credentials: &BTreeMap<String, String>) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Credential(name) => credentials.get(name).map(String::as_str).unwrap_or_default(),
        });
        parts.collect()
    }

    /// The credentials in a value that was made from this template; `None` if it is of another form.
    pub(crate) fn read(&self, value: &str) -> Option<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let mut rest = value;
        let mut parts = self.0.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Credential(name) => {
                    let end = match parts.peek() {
                        Some(Part::Text(text)) => rest.find(text.as_str())?,
                        _ => rest.len(),
                    };
                    let value = &rest[..end];
                    if value.is_empty() || found.insert(name.clone(), value.to_owned()).is_some_and(|old| old != value)
                    {
                        return None;
                    }
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_read_back() {
        let template = Template::parse("postgresql://${user}:${pass-1}@db/$$x").unwrap();
        let credentials = BTreeMap::from([("user".to_owned(), "u".to_owned()), ("pass-1".to_owned(), "p".to_owned())]);
        let value = template.fill(&credentials);
        assert_eq!(value, "postgresql://u:p@db/$x");
        assert_eq!(template.read(&value), Some(credentials));
        assert_eq!(template.read("mysql://u:p@db/$x"), None);
        assert_eq!(template.names().collect::<Vec<_>>(), ["user", "pass-1"]);
        assert_eq!(Template::parse("fixed").unwrap().read("fixed"), Some(BTreeMap::new()));
    }

    #[test]
    fn a_malformed_template_is_refused() {
        for text in ["$x", "${", "${}", "${A}", "${a}${b}", "a$"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
