//! What becomes of a version that is better than the one in service.

use serde::Serialize;
use slipway_source::{Node, Value, suggestion};

use crate::parse::names;
use crate::reader::Reader;

/// What becomes of a version that passes its gate and beats the one in service on the same data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Promote {
    /// Nothing: a person promotes it.
    Never,
    /// Its promotion is opened as a pull request, and a person merges that.
    #[default]
    Propose,
    /// Its promotion is opened as a pull request, which is merged without a person in these environments once its check is green.
    Merge(Vec<String>),
}

impl Promote {
    /// The words that a file may use here in place of a map, with their values.
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("never", Self::Never), ("propose", Self::Propose)];

    /// Whether the promotion of a better version is opened without a person.
    #[must_use]
    pub fn proposes(&self) -> bool {
        *self != Self::Never
    }

    /// Whether it is also merged without a person in an environment.
    #[must_use]
    pub fn merges_in(&self, environment: &str) -> bool {
        matches!(self, Self::Merge(environments) if environments.iter().any(|name| name == environment))
    }

    /// Whether this is what a file without the field means.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads `spec.promote` of an experiment that registers something, or not, and runs in these environments; `None` if those are wrong.
pub(crate) fn read(
    reader: &Reader<'_>,
    node: &Node,
    registers: bool,
    environments: Option<&[String]>,
) -> Option<Promote> {
    const PATH: &str = "spec.promote";
    if !registers {
        let message = "spec.promote is about registered versions, and this experiment registers none";
        reader.add(node.at, "promote-without-register", message, "add spec.register, or remove spec.promote");
        return None;
    }
    match &node.value {
        Value::Map(_) => {
            let fields = reader.map(node, PATH, &["merge"])?;
            merge(reader, reader.required(&fields, "merge")?, environments?)
        }
        Value::List(_) => reader.wrong_type(
            node,
            PATH,
            "never, propose or a map",
            "to merge as well, write `merge: [local]` below it",
        ),
        Value::Scalar { .. } => {
            let words: Vec<(&'static str, usize)> =
                Promote::WORDS.iter().enumerate().map(|(index, (word, _))| (*word, index)).collect();
            let index = reader.word(node, PATH, &words)?;
            Promote::WORDS.into_iter().nth(index).map(|(_, value)| value)
        }
    }
}

/// Reads the environments of `spec.promote.merge`, which are some of the experiment's own.
fn merge(reader: &Reader<'_>, node: &Node, environments: &[String]) -> Option<Promote> {
    const PATH: &str = "spec.promote.merge";
    const HELP: &str = "name environments of this experiment, such as [local]";
    let named = names(reader, node, PATH, HELP)?;
    if named.is_empty() {
        reader.add(
            node.at,
            "out-of-range",
            "spec.promote.merge is empty",
            format!("{HELP}, or write `promote: propose`"),
        );
        return None;
    }
    let own: Vec<&str> = environments.iter().map(String::as_str).collect();
    let mut known = true;
    for (name, item) in named.iter().zip(node.items()).filter(|(name, _)| !environments.contains(name)) {
        let message = format!("spec.promote.merge names `{name}`, where this experiment does not run");
        reader.add(item.at, "unknown-environment", message, suggestion(name, "in spec.environments", &own));
        known = false;
    }
    known.then_some(Promote::Merge(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_environments_are_merged_by_themselves() {
        let merge = Promote::Merge(vec!["local".to_owned()]);
        assert!(merge.merges_in("local") && !merge.merges_in("staging") && merge.proposes());
        assert!(!Promote::Propose.merges_in("local") && Promote::Propose.proposes());
        assert!(!Promote::Never.merges_in("local") && !Promote::Never.proposes());
    }
}
