//! The free parameters of a program: numbers, texts and truth values.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// The value of a parameter. As JSON it is what it is: a number, a text or a truth value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 64 bits, or a finite number.
    Number(Number),
    /// A text.
    Text(String),
}

impl Parameter {
    /// The most bytes of a text: MLflow's limit of a parameter's value.
    pub(crate) const MAX_TEXT: usize = 6000;

    /// The most characters of a name.
    pub(crate) const MAX_NAME: usize = 63;

    /// What a name may hold, in words.
    pub(crate) const NAME_RULE: &'static str =
        "letters, digits, `_` and `-`, starting with a letter, at most 63 characters";

    /// Whether a text can be the name of a parameter.
    pub(crate) fn is_name(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
            && text.len() <= Self::MAX_NAME
    }

    /// What kind of value it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Boolean(value) => (*value).into(),
            Self::Number(value) => value.clone().into(),
            Self::Text(value) => value.as_str().into(),
        }
    }
}

/// As an argument shows it: a text as it is, anything else as JSON.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl JsonSchema for Parameter {
    fn schema_name() -> Cow<'static, str> {
        "Parameter".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["number", "string", "boolean"], "maxLength": Self::MAX_TEXT})
    }
}
