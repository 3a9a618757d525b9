//! Answers to `get` and `list`.

use std::ops::Bound;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::form::Form;
use super::object::{Key, Object};
use super::query::{List, Query, continuation};
use super::refusal::{Answer, Refusal};
use super::resource::Resource;
use super::store::{Forgotten, Store};
use super::watching;

/// One object.
pub(super) fn get(store: &Store, key: &Key, headers: &HeaderMap) -> Answer {
    let form = Form::accepted(headers)?;
    let object = store.get(key).ok_or_else(|| Refusal::no_object(key.resource, &key.name))?;
    let mut text = String::new();
    form.write(key.resource, &object, object.version(), &mut text);
    Ok(json_text(text))
}

/// The objects of a kind in one namespace, or in all; or their changes.
pub(super) fn list(
    store: Arc<Store>,
    resource: Resource,
    namespace: Option<String>,
    query: &Query,
    headers: &HeaderMap,
) -> Answer {
    let form = Form::accepted(headers)?;
    if query.is_watch()? {
        return Ok(watching::answer(store, resource, query.watch(resource, namespace)?, form));
    }
    page(&store, resource, &query.list(resource, namespace)?, form).map(json_text)
}

/// A page of a list; all of it if there is no limit.
fn page(store: &Store, resource: Resource, list: &List, form: Form) -> Answer<String> {
    let expired = |forgotten: Forgotten| Refusal::expired(list.at.unwrap_or_default(), forgotten.0);
    let found = store.list(resource, list.selection.namespace.as_deref(), list.at);
    let (version, objects) = found.map_err(expired)?;
    let from = list.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = objects.range((from, Bound::Unbounded)).filter(|(key, object)| list.selection.takes(key, object));

    let mut items = String::new();
    let mut last = None;
    for (key, object) in rest.by_ref().take(list.limit.unwrap_or(usize::MAX)) {
        if last.is_some() {
            items.push(',');
        }
        form.write_item(resource, object, object.version(), &mut items);
        last = Some(key);
    }
    let remaining = rest.count();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if let Some(last) = last.filter(|_| remaining > 0) {
        metadata["continue"] = continuation(version, last).into();
        if list.selection.is_everything() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    Ok(form.list(resource, &metadata, &items))
}

/// An object as it is after it was written.
pub(super) fn written(object: &Object) -> Response {
    json_text(object.shown())
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
