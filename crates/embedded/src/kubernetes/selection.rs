//! Which objects a client asks for: `labelSelector` and `fieldSelector`.

use serde_json::Value;

use super::object::{Key, Object};
use super::refusal::{Answer, Refusal};
use super::resource::Resource;

/// Which objects of a kind a client asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// One namespace; all for `None`.
    pub(super) namespace: Option<String>,
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

/// What an object's label must be.
#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    label: String,
    /// The values; any for `None`.
    values: Option<Vec<String>>,
    /// Whether it must be none of them, or missing.
    is_not: bool,
}

/// What an object's field must be.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    pointer: &'static str,
    value: String,
    is_not: bool,
}

/// The fields that can be selected by, with the kind that has them; `None` for all kinds.
const FIELDS: [(Option<Resource>, &str, &str); 14] = [
    (None, "metadata.name", "/metadata/name"),
    (None, "metadata.namespace", "/metadata/namespace"),
    (Some(Resource::Pods), "status.phase", "/status/phase"),
    (Some(Resource::Pods), "spec.nodeName", "/spec/nodeName"),
    (Some(Resource::Events), "type", "/type"),
    (Some(Resource::Events), "reason", "/reason"),
    (Some(Resource::Events), "source", "/source/component"),
    (Some(Resource::Events), "reportingComponent", "/reportingComponent"),
    (Some(Resource::Events), "involvedObject.kind", "/involvedObject/kind"),
    (Some(Resource::Events), "involvedObject.namespace", "/involvedObject/namespace"),
    (Some(Resource::Events), "involvedObject.name", "/involvedObject/name"),
    (Some(Resource::Events), "involvedObject.uid", "/involvedObject/uid"),
    (Some(Resource::Events), "involvedObject.apiVersion", "/involvedObject/apiVersion"),
    (Some(Resource::Events), "involvedObject.fieldPath", "/involvedObject/fieldPath"),
];

impl Selection {
    /// Reads the selectors of a request; an empty one selects everything.
    pub(super) fn read(
        resource: Resource,
        namespace: Option<String>,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Answer<Self> {
        let labels = terms(labels).map(requirement).collect::<Answer<_>>()?;
        let fields = terms(fields).map(|term| field(resource, term)).collect::<Answer<_>>()?;
        Ok(Self { namespace, labels, fields })
    }

    /// Whether it asks for an object.
    pub(super) fn takes(&self, key: &Key, object: &Object) -> bool {
        if self.namespace.as_ref().is_some_and(|namespace| *namespace != key.namespace) {
            return false;
        }
        if self.labels.is_empty() && self.fields.is_empty() {
            return true;
        }
        let value = object.value();
        let label = |name: &str| value["metadata"]["labels"].get(name).and_then(Value::as_str);
        let field = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        self.labels.iter().all(|requirement| requirement.holds(label(&requirement.label)))
            && self.fields.iter().all(|one| (field(one.pointer) == one.value) != one.is_not)
    }

    /// Whether it asks for all objects of its namespaces.
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let is = match (&self.values, value) {
            (None, value) => value.is_some(),
            (Some(values), Some(value)) => values.iter().any(|one| one == value),
            (Some(_), None) => false,
        };
        is != self.is_not
    }
}

/// The terms between the commas, but for those in parentheses.
fn terms(selector: Option<&str>) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let is_comma = move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    selector.unwrap_or_default().split(is_comma).map(str::trim).filter(|term| !term.is_empty())
}

/// `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b,c)`
fn requirement(term: &str) -> Answer<Requirement> {
    let of = |label: &str, values: Option<Vec<String>>, is_not| {
        let label = label.trim().to_owned();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if label.is_empty() || !label.chars().all(is_name) {
            return Err(Refusal::bad_request(format!("unable to parse requirement: {term:?}")));
        }
        Ok(Requirement { label, values, is_not })
    };
    let one = |value: &str| Some(vec![value.trim().to_owned()]);
    if let Some((label, value)) = term.split_once("!=") {
        return of(label, one(value), true);
    }
    if let Some((label, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return of(label, one(value), false);
    }
    if let Some(list) = term.strip_suffix(')') {
        let (head, values) = list.split_once('(').unwrap_or_default();
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(label), Some("in"), None) => of(label, Some(values), false),
            (Some(label), Some("notin"), None) => of(label, Some(values), true),
            _ => Err(Refusal::bad_request(format!("unable to parse requirement: {term:?}"))),
        };
    }
    match term.strip_prefix('!') {
        Some(label) => of(label, None, true),
        None => of(term, None, false),
    }
}

/// `a=b`, `a==b`, `a!=b`
fn field(resource: Resource, term: &str) -> Answer<Field> {
    let split = term.split_once("!=").map(|(name, value)| (name, value, true));
    let split = split
        .or_else(|| term.split_once("==").or_else(|| term.split_once('=')).map(|(name, value)| (name, value, false)));
    let (name, value, is_not) =
        split.ok_or_else(|| Refusal::bad_request(format!("invalid field selector: {term:?}")))?;
    let found = FIELDS.iter().find(|(of, known, _)| of.is_none_or(|of| of == resource) && *known == name);
    let &(_, _, pointer) = found.ok_or_else(|| Refusal::bad_request(format!("field label not supported: {name}")))?;
    Ok(Field { pointer, value: value.to_owned(), is_not })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::Content;
    use super::*;

    fn takes(labels: &str, fields: &str) -> bool {
        let key = Key::new(Resource::Events, "training", "a");
        let map = |value: Value| value.as_object().unwrap().clone();
        let object = Object::new(Content {
            key: key.clone(),
            metadata: map(json!({"labels": {"app": "x", "a.b/c": "1"}})),
            rest: map(json!({"type": "Warning", "involvedObject": {"name": "j"}})),
        });
        Selection::read(Resource::Events, None, Some(labels), Some(fields)).unwrap().takes(&key, &object)
    }

    #[test]
    fn selectors_select() {
        for labels in [
            "",
            "app=x",
            "app==x",
            "app",
            "!none",
            "app!=y",
            "none!=y",
            "app in (y, x)",
            "none notin (x)",
            "app=x,a.b/c=1",
        ] {
            assert!(takes(labels, ""), "{labels}");
        }
        for labels in ["app=y", "none=x", "none", "!app", "app!=x", "app in (y)", "app notin (x,y)", "app=x,a.b/c=2"] {
            assert!(!takes(labels, ""), "{labels}");
        }
        for fields in [
            "type=Warning",
            "metadata.name=a,type==Warning",
            "involvedObject.name=j",
            "reason!=x",
            "metadata.namespace=training",
        ] {
            assert!(takes("", fields), "{fields}");
        }
        for fields in ["type=Normal", "metadata.name=b", "type!=Warning", "type=Warning,reason=x"] {
            assert!(!takes("", fields), "{fields}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for labels in ["=x", "a b", "a in x)", "a within (b)", "(a)", "!"] {
            assert!(Selection::read(Resource::Pods, None, Some(labels), None).is_err(), "{labels}");
        }
        for fields in ["type", "type=Warning", "status.podIP=1"] {
            assert!(Selection::read(Resource::Pods, None, None, Some(fields)).is_err(), "{fields}");
        }
    }
}
