//! How long a text may be, and how many annotations a request may have.

use serde_json::json;

use super::{Asked, invalid};
use crate::emulator::Answer;

const TITLE: usize = 256;
const TEXT: usize = 65_536;
const SUMMARY: usize = 65_535;
const ANNOTATIONS: usize = 50;

/// The answer to a request that has too much of something.
pub(super) fn refusal(asked: &Asked<'_>, parts: &[&str]) -> Option<Answer> {
    let body = asked.json();
    let length = |text: &serde_json::Value| text.as_str().unwrap_or_default().chars().count();
    let too_long = |resource: &str, field: &str, most: usize| {
        let message = format!("{field} is too long (maximum is {most} characters)");
        Some(invalid(&json!({ "resource": resource, "code": "custom", "field": field, "message": message })))
    };
    match parts {
        ["pulls" | "issues", ..] if length(&body["body"]) > TEXT => too_long("Issue", "body", TEXT),
        ["pulls", ..] if length(&body["title"]) > TITLE => too_long("PullRequest", "title", TITLE),
        ["check-runs", ..] if length(&body["output"]["summary"]) > SUMMARY => too_long("CheckRun", "summary", SUMMARY),
        ["check-runs", ..] if body["output"]["annotations"].as_array().is_some_and(|all| all.len() > ANNOTATIONS) => {
            let message = format!("annotations exceeds the maximum of {ANNOTATIONS}");
            Some(invalid(
                &json!({ "resource": "CheckRun", "code": "custom", "field": "annotations", "message": message }),
            ))
        }
        _ => None,
    }
}
