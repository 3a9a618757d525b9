//! Event notifications of S3 and of MinIO. They are hints: what an event says is not believed, only that somebody should look.

use serde::Deserialize;
use slipway_experiment::Landing;

use crate::watched::Watched;

/// A notification: records of several events. Fields that nobody here reads may be anything.
#[derive(Debug, Deserialize)]
struct Notification {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    s3: Option<S3>,
}

#[derive(Debug, Deserialize)]
struct S3 {
    bucket: Bucket,
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Object {
    key: String,
}

/// The datasets that a notification is about; `None` if it is none: something has landed, or another head is in the bucket `heads`. S3's own test notification
/// is about no dataset.
#[must_use]
pub fn hinted(body: &[u8], watched: &Watched, heads: &str) -> Option<Vec<String>> {
    // serde takes `[]` for an object without fields
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let notification: Notification = is_object.then(|| serde_json::from_slice(body).ok())??;
    let objects: Vec<(String, String)> = notification
        .records
        .into_iter()
        .filter_map(|record| record.s3)
        .map(|s3| (s3.bucket.name, decoded(&s3.object.key)))
        .collect();
    let is_about = |landing: &Landing| {
        objects.iter().any(|(bucket, key)| *bucket == landing.bucket && key.starts_with(&landing.prefix))
    };
    let has_head = |name: &str| {
        let key_of = |key: &str| key.strip_prefix("heads/").and_then(|key| key.strip_suffix(".json")) == Some(name);
        objects.iter().any(|(bucket, key)| bucket == heads && key_of(key))
    };
    let about = watched.iter().filter(|(name, state)| has_head(name) || state.landing.iter().any(is_about));
    Some(about.map(|(name, _)| name.clone()).collect())
}

/// A key as the object has it: in an event it is encoded like a form, with `+` for a blank.
fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::watched::DatasetState;

    fn watched() -> Watched {
        let state = |prefix: &str| {
            let landing = vec![Landing { bucket: "landing".to_owned(), prefix: prefix.to_owned() }];
            Arc::new(DatasetState { landing, ..DatasetState::default() })
        };
        [("digits".to_owned(), state("digits/")), ("odd".to_owned(), state("odd names/"))].into()
    }

    fn event(bucket: &str, key: &str) -> String {
        format!(
            r#"{{"eventVersion":"2.0","s3":{{"bucket":{{"name":"{bucket}","arn":"x"}},"object":{{"key":"{key}","size":3}}}}}}"#
        )
    }

    fn found(records: &[String]) -> Option<Vec<String>> {
        let body = format!(r#"{{"EventName":"s3:ObjectCreated:Put","Key":"x","Records":[{}]}}"#, records.join(","));
        hinted(body.as_bytes(), &watched(), "datasets")
    }

    #[test]
    fn an_event_is_about_the_datasets_whose_prefix_it_is_in() {
        assert_eq!(found(&[event("landing", "digits%2F7%2Fa.png")]).unwrap(), ["digits"]);
        assert_eq!(
            found(&[event("landing", "odd+names/1/%C3%A9.png"), event("landing", "digits/1/a")]).unwrap(),
            ["digits", "odd"]
        );
        assert!(found(&[event("landing", "other/7/a.png"), event("elsewhere", "digits/7/a.png")]).unwrap().is_empty());
        assert!(found(&[]).unwrap().is_empty());
        // S3 asks whether anybody is there
        assert!(
            hinted(br#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#, &watched(), "datasets").unwrap().is_empty()
        );
    }

    #[test]
    fn an_event_is_about_the_dataset_whose_head_it_is() {
        assert_eq!(found(&[event("datasets", "heads%2Fdigits.json")]).unwrap(), ["digits"]);
        assert_eq!(
            found(&[event("datasets", "heads/odd.json"), event("landing", "digits/1/a")]).unwrap(),
            ["digits", "odd"]
        );
        let others = ["heads/other.json", "heads/digits", "heads/digits.json.json", "manifests/digits.json"];
        for key in others {
            assert!(found(&[event("datasets", key)]).unwrap().is_empty(), "{key}");
        }
        assert!(found(&[event("elsewhere", "heads/digits.json")]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_notification_is_none() {
        for body in [&b""[..], b"[]", b"{\"Records\":3}", b"\xff", b"{\"Records\":[{\"s3\":{}}]}"] {
            assert_eq!(hinted(body, &watched(), "datasets"), None);
        }
        assert_eq!(decoded("a%2"), "a%2");
        assert_eq!(decoded("%zz%41"), "%zzA");
    }
}
