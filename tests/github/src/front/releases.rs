//! Releases: their drafts have no tag yet, and their files have names and digests.

use anyhow::Result;
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use slipway_digest::Digest;

use super::{Asked, invalid, refused};
use crate::accounts::REPOSITORY;
use crate::emulator::Answer;
use crate::mirror::encoded;
use crate::server::Inner;

/// Answers a request below `releases/`; `parts` come after that.
pub(super) async fn answer(asked: &Asked<'_>, inner: &mut Inner, parts: &[&str]) -> Result<Answer> {
    let answer = match (asked.method.as_str(), parts) {
        ("POST", [release, "assets"]) => upload(asked, inner, release).await?,
        _ => asked.forward(inner).await?,
    };
    let mut json = answer.json();
    if let ("GET", ["tags", _], true) = (asked.method.as_str(), parts, json["draft"] == true) {
        return Ok(refused(StatusCode::NOT_FOUND, "Not Found"));
    }
    if answer.body.is_empty() {
        return Ok(answer);
    }
    describe(inner, &mut json);
    Ok(Answer { body: json.to_string().into(), ..answer })
}

/// Keeps the digest of a file, which may be no text. No other file of the release has its name.
async fn upload(asked: &Asked<'_>, inner: &mut Inner, release: &str) -> Result<Answer> {
    let there = format!("/repos/{REPOSITORY}/releases/{release}");
    let there = asked.ask(inner, &Method::GET, &there, Bytes::new()).await?.json();
    let name = asked.parameter("name");
    let mut names = there["assets"].as_array().into_iter().flatten().filter_map(|asset| asset["name"].as_str());
    if names.any(|there| name == Some(encoded(there).as_str())) {
        return Ok(invalid(&json!({ "resource": "ReleaseAsset", "code": "already_exists", "field": "name" })));
    }
    let emulator = &asked.state.emulator;
    let answer = emulator.ask(asked.method, &asked.path, asked.token.as_deref(), asked.body.clone()).await?;
    if let Some(id) = answer.json()["id"].as_u64() {
        inner.uploaded.insert(id, Digest::of(&asked.body));
    }
    Ok(answer)
}

/// Adds their digests to the files in an answer.
fn describe(inner: &Inner, json: &mut Value) {
    match json {
        Value::Array(all) => all.iter_mut().for_each(|one| describe(inner, one)),
        Value::Object(fields) if fields.contains_key("browser_download_url") => {
            let digest = fields["id"].as_u64().and_then(|id| inner.uploaded.get(&id));
            fields.insert("digest".to_owned(), digest.map(ToString::to_string).into());
        }
        Value::Object(fields) => {
            if let Some(assets) = fields.get_mut("assets") {
                describe(inner, assets);
            }
        }
        _ => {}
    }
}
