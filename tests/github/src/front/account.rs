//! The fields that GitHub gives each account, be it a person, an organization or an app.

use axum::body::Bytes;
use serde_json::{Value, json};

/// The addresses below an account's own.
const ADDRESSES: [&str; 9] = [
    "followers",
    "following",
    "gists",
    "starred",
    "subscriptions",
    "organizations",
    "repos",
    "events",
    "received_events",
];

/// JSON whose accounts have all their fields.
pub(super) fn completed(body: &Bytes) -> Bytes {
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else { return body.clone() };
    complete(&mut json);
    json.to_string().into()
}

fn complete(json: &mut Value) {
    match json {
        Value::Array(all) => all.iter_mut().for_each(complete),
        Value::Object(fields) => {
            fields.values_mut().for_each(complete);
            if let (Some(url), true) = (fields.get("url").cloned(), fields.contains_key("avatar_url")) {
                let url = url.as_str().unwrap_or_default();
                for address in ADDRESSES {
                    fields.entry(format!("{address}_url")).or_insert_with(|| json!(format!("{url}/{address}")));
                }
                fields.entry("html_url").or_insert_with(|| json!(url));
                fields.entry("node_id").or_insert_with(|| json!("none"));
                fields.entry("gravatar_id").or_insert_with(|| json!(""));
                fields.entry("site_admin").or_insert_with(|| json!(false));
                fields.entry("type").or_insert_with(|| json!("Organization"));
            }
        }
        _ => {}
    }
}
