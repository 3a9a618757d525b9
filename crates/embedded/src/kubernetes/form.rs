//! The forms in which objects are sent: whole, their metadata alone, or as rows of a table.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::object::Object;
use super::refusal::{Answer, Refusal};
use super::resource::Resource;
use super::table;

/// The form in which objects are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// `PartialObjectMetadata`
    Metadata,
    Table,
}

impl Form {
    /// The first form in the client's list that is served.
    pub(super) fn accepted(headers: &HeaderMap) -> Answer<Self> {
        let accepted: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if accepted.is_empty() {
            return Ok(Self::Whole);
        }
        let mut types = accepted.iter().flat_map(|value| value.split(','));
        types.find_map(Self::of).ok_or_else(Refusal::not_acceptable)
    }

    fn of(media_type: &str) -> Option<Self> {
        let mut parts = media_type.split(';').map(str::trim);
        let is_json = matches!(parts.next(), Some("application/json" | "application/*" | "*/*"));
        let (mut form, mut version) = (None, None);
        for part in parts {
            form = part.strip_prefix("as=").or(form);
            version = part.strip_prefix("v=").or(version);
        }
        match form {
            _ if !is_json => None,
            None => Some(Self::Whole),
            Some(_) if version != Some("v1") => None,
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Self::Metadata),
            Some("Table") => Some(Self::Table),
            Some(_) => None,
        }
    }

    /// Writes an object on its own, with a version that may be that of its deletion.
    pub(super) fn write(self, resource: Resource, object: &Object, version: u64, to: &mut String) {
        if self != Self::Table {
            return self.write_item(resource, object, version, to);
        }
        let mut row = String::new();
        self.write_item(resource, object, version, &mut row);
        to.push_str(&self.list(resource, &json!({ "resourceVersion": version.to_string() }), &row));
    }

    /// Writes an object as one of several.
    pub(super) fn write_item(self, resource: Resource, object: &Object, version: u64, to: &mut String) {
        let shown = match self {
            Self::Whole => return object.write(version, to),
            Self::Metadata => {
                let metadata = &with_version(object, version)["metadata"];
                json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
            }
            Self::Table => table::row(resource, &with_version(object, version), OffsetDateTime::now_utc()),
        };
        let _ = write!(to, "{shown}");
    }

    /// A list of objects that were written, with commas between them.
    pub(super) fn list(self, resource: Resource, metadata: &Value, items: &str) -> String {
        let (api_version, kind, field) = match self {
            Self::Whole => (resource.api_version(), format!("{}List", resource.kind()), "items".to_owned()),
            Self::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned(), "items".to_owned()),
            Self::Table => {
                let definitions = table::definitions(resource);
                let field = format!("columnDefinitions\":{definitions},\"rows");
                ("meta.k8s.io/v1".to_owned(), "Table".to_owned(), field)
            }
        };
        format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"{field}":[{items}]}}"#)
    }

    /// The types of an object that only says a version.
    pub(super) fn types(self, resource: Resource) -> (String, String) {
        match self {
            Self::Whole | Self::Table => (resource.api_version(), resource.kind().to_owned()),
            Self::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata".to_owned()),
        }
    }
}

fn with_version(object: &Object, version: u64) -> Value {
    let mut value = object.value();
    value["metadata"]["resourceVersion"] = version.to_string().into();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        Form::accepted(&headers).ok()
    }

    #[test]
    fn the_first_form_that_is_served_is_taken() {
        assert_eq!(Form::accepted(&HeaderMap::new()).unwrap(), Form::Whole);
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepted(kubectl), Some(Form::Table));
        assert_eq!(accepted("*/*"), Some(Form::Whole));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf,application/json"), Some(Form::Whole));
        assert_eq!(accepted("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"), Some(Form::Metadata));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(accepted("application/json;as=Table;v=v1beta1;g=meta.k8s.io"), None);
        assert_eq!(accepted("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io"), None);
    }
}
