//! How the objects of two trees differ, object by object.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use similar::TextDiff;
use slipway_causes::{hide_logins, without_password};

use crate::environment::Environment;
use crate::locate::stem;
use crate::object::{Id, Object};

/// How an object differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It exists only after the change.
    Added,
    /// It exists only before the change.
    Removed,
    /// Its content differs.
    Changed,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The environment.
    pub environment: String,
    /// The Application that deploys it; `a → b` if it moves from one to another.
    pub application: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace; empty for an object of the cluster.
    pub namespace: String,
    /// The name after the change.
    pub name: String,
    /// How it differs.
    pub change: Change,
    /// A unified diff of its YAML with sorted keys, without the logins of addresses in it.
    pub diff: String,
}

/// Compares an environment before and after; `None` if it does not exist then. Sorted by Application, then by object.
pub fn compare(before: Option<&Environment>, after: Option<&Environment>) -> Vec<Difference> {
    let environment = after.or(before).map(|environment| environment.name.clone()).unwrap_or_default();
    let (mut old, mut new) = (all(before), all(after));
    let mut differences = Vec::new();
    let both: Vec<Id> = old.keys().filter(|id| new.contains_key(*id)).cloned().collect();
    for id in both {
        if let (Some(one), Some(two)) = (old.remove(&id), new.remove(&id)) {
            differences.extend(changed(&environment, one, two));
        }
    }
    // an object that a generator makes again has another name
    let renamed: Vec<(Id, Id)> = old
        .keys()
        .filter(|id| matches!(id.kind.as_str(), "ConfigMap" | "Secret") && stem(&id.name) != id.name)
        .filter_map(|id| {
            let same = |other: &&Id| {
                other.kind == id.kind && other.namespace == id.namespace && stem(&other.name) == stem(&id.name)
            };
            Some((id.clone(), new.keys().find(same)?.clone()))
        })
        .collect();
    for (was, is) in renamed {
        if let (Some(one), Some(two)) = (old.remove(&was), new.remove(&is)) {
            differences.extend(changed(&environment, one, two));
        }
    }
    differences.extend(old.into_values().map(|one| difference(&environment, Some(one), None)));
    differences.extend(new.into_values().map(|two| difference(&environment, None, Some(two))));
    differences.sort_by(|a, b| key(a).cmp(&key(b)));
    differences
}

fn key(one: &Difference) -> (&str, &str, &str, &str) {
    (&one.application, &one.kind, &one.namespace, &one.name)
}

type Owned<'a> = (&'a str, &'a Object);

fn all(environment: Option<&Environment>) -> BTreeMap<Id, Owned<'_>> {
    let Some(environment) = environment else { return BTreeMap::new() };
    let root = environment.root.iter().map(|object| ("root", object));
    let deployed = environment.objects().map(|(deployed, object)| (deployed.application.name(), object));
    root.chain(deployed).map(|(application, object)| (object.id.clone(), (application, object))).collect()
}

fn changed(environment: &str, one: Owned<'_>, two: Owned<'_>) -> Option<Difference> {
    let same = one.0 == two.0 && sorted(one.1.node.to_json()) == sorted(two.1.node.to_json());
    (!same).then(|| difference(environment, Some(one), Some(two)))
}

fn difference(environment: &str, one: Option<Owned<'_>>, two: Option<Owned<'_>>) -> Difference {
    let id = two.or(one).map(|(_, object)| object.id.clone()).unwrap_or_default();
    let application = match (one, two) {
        (Some((from, _)), Some((to, _))) if from != to => format!("{from} → {to}"),
        (_, Some((name, _))) | (Some((name, _)), None) => name.to_owned(),
        (None, None) => String::new(),
    };
    let change = match (one, two) {
        (Some(_), Some(_)) => Change::Changed,
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
    };
    let text = |side: Option<Owned<'_>>| side.map(|(_, object)| yaml(object)).unwrap_or_default();
    let (before, after) = (text(one), text(two));
    let diff = match before == after {
        true => "# only the login in an address differs, which is not shown\n".to_owned(),
        false => TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).to_string(),
    };
    Difference {
        environment: environment.to_owned(),
        application,
        kind: id.kind,
        namespace: id.namespace,
        name: id.name,
        change,
        diff,
    }
}

/// An object as YAML with sorted keys, so that only its content counts. It shows no login.
fn yaml(object: &Object) -> String {
    serde_saphyr::to_string(&without_logins(sorted(object.node.to_json())))
        .unwrap_or_else(|error| format!("# {error}\n"))
}

fn sorted(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let sorted: BTreeMap<String, Json> =
                map.into_iter().map(|(key, value)| (key, self::sorted(value))).collect();
            Json::Object(sorted.into_iter().collect::<Map<_, _>>())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn without_logins(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(hide_logins(&text)),
        Json::Object(map) => {
            let shown = |(key, value): (String, Json)| match value {
                // a registry's address has no scheme; elsewhere such a text is something else, as an image's tag and digest are
                Json::String(text) if key == "repoURL" && !text.contains("://") => {
                    (key, Json::String(without_password(&text)))
                }
                value => (key, without_logins(value)),
            };
            map.into_iter().map(shown).collect()
        }
        Json::Array(items) => items.into_iter().map(without_logins).collect(),
        other => other,
    }
}
