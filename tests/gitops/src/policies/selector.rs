//! Label selectors.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// An object's labels.
pub type Labels = BTreeMap<String, String>;

/// A label selector. One that requires nothing matches everything.
#[derive(Debug, Clone, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(value: &Value) -> Result<Self> {
        known(value, &["matchExpressions", "matchLabels"])?;
        let mut all = Vec::new();
        for (key, value) in labels(&value["matchLabels"])? {
            all.push(Requirement { key, operator: Operator::In(vec![value]) });
        }
        for expression in list(&value["matchExpressions"])? {
            known(expression, &["key", "operator", "values"])?;
            let key = expression["key"].as_str().context("an expression without a key")?.to_owned();
            let values = list(&expression["values"])?.iter().map(text).collect::<Result<Vec<_>>>()?;
            let operator = match (expression["operator"].as_str().unwrap_or_default(), values.is_empty()) {
                ("In", false) => Operator::In(values),
                ("NotIn", false) => Operator::NotIn(values),
                ("Exists", true) => Operator::Exists,
                ("DoesNotExist", true) => Operator::DoesNotExist,
                _ => bail!("no expression of a label selector: {expression}"),
            };
            all.push(Requirement { key, operator });
        }
        Ok(Self(all))
    }

    /// Whether labels meet every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|Requirement { key, operator }| match (operator, labels.get(key)) {
            (Operator::In(values), Some(value)) => values.contains(value),
            (Operator::NotIn(values), Some(value)) => !values.contains(value),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::In(_), None) => false,
            (Operator::NotIn(_), None) => true,
        })
    }
}

/// A map of labels; absent, it is empty.
pub(super) fn labels(value: &Value) -> Result<Labels> {
    match value {
        Value::Null => Ok(Labels::new()),
        Value::Object(map) => map.iter().map(|(key, value)| Ok((key.clone(), text(value)?))).collect(),
        other => bail!("no labels: {other}"),
    }
}

/// A list; absent, it is empty.
pub(super) fn list(value: &Value) -> Result<&[Value]> {
    match value {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        other => bail!("no list: {other}"),
    }
}

/// Refuses a field that would be ignored: a misspelt one could open what it was to close.
pub(super) fn known(value: &Value, keys: &[&str]) -> Result<()> {
    let map = value.as_object().with_context(|| format!("no map: {value}"))?;
    let other = map.keys().find(|key| !keys.contains(&key.as_str()));
    ensure!(other.is_none(), "`{}` is not known: {value}", other.map_or("", String::as_str));
    Ok(())
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("no text: {value}"))?.to_owned())
}
