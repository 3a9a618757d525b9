//! Blobs, trees, commits and references by the API, made by the real git.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{Asked, refused};
use crate::accounts::{Account, REPOSITORY};
use crate::emulator::Answer;
use crate::repository::{Bare, clean};
use crate::server::Inner;

/// What removes a path from an index.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Answers a request below `git/`; `parts` come after that.
pub(super) async fn answer(asked: &Asked<'_>, inner: &mut Inner, parts: &[&str]) -> Result<Answer> {
    let bare = asked.state.bare(REPOSITORY);
    if let ("GET", ["commits", commit]) = (asked.method.as_str(), parts) {
        return match bare.commit(commit).await {
            Some(commit) => Ok(Answer::of(StatusCode::OK, &described(&bare, &commit).await?)),
            None => Ok(refused(StatusCode::NOT_FOUND, "Not Found")),
        };
    }
    if !asked.account.may_push(REPOSITORY) {
        return Ok(refused(StatusCode::FORBIDDEN, "Resource not accessible by integration"));
    }
    let body = asked.json();
    match (asked.method.as_str(), parts) {
        ("POST", ["blobs"]) => {
            let content = STANDARD.decode(body["content"].as_str().unwrap_or_default())?;
            let id = run(&bare, &["hash-object", "-w", "--stdin"], None, &content).await?;
            Ok(Answer::of(StatusCode::CREATED, &json!({ "sha": id, "url": "https://x/blob" })))
        }
        ("POST", ["trees"]) => tree(&bare, &body).await,
        ("POST", ["commits"]) => commit(asked, &bare, &body).await,
        ("POST", ["refs"]) => {
            let name = body["ref"].as_str().unwrap_or_default();
            if bare.commit(name).await.is_some() {
                return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "Reference already exists"));
            }
            moved(asked, inner, &bare, name, &body).await
        }
        ("PATCH", ["refs", inside @ ..]) => {
            let name = format!("refs/{}", inside.join("/"));
            let Some(before) = bare.commit(&name).await else {
                return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "Reference does not exist"));
            };
            let after = body["sha"].as_str().unwrap_or_default();
            if body["force"] != true && bare.git(&["merge-base", "--is-ancestor", &before, after]).await.is_err() {
                return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "Update is not a fast forward"));
            }
            moved(asked, inner, &bare, &name, &body).await
        }
        _ => asked.forward(inner).await,
    }
}

/// A tag.
pub(super) async fn tag(asked: &Asked<'_>, tag: &str) -> Result<Answer> {
    let name = format!("refs/tags/{tag}");
    Ok(match asked.state.bare(REPOSITORY).commit(&name).await {
        Some(commit) => Answer::of(StatusCode::OK, &reference(&name, &commit)),
        None => refused(StatusCode::NOT_FOUND, "Not Found"),
    })
}

async fn tree(bare: &Bare, body: &Value) -> Result<Answer> {
    let folder = tempfile::tempdir()?;
    let index = folder.path().join("index");
    let base = body["base_tree"].as_str().context("a tree is made of another one")?;
    run(bare, &["read-tree", base], Some(&index), b"").await?;
    let mut lines = String::new();
    for entry in body["tree"].as_array().into_iter().flatten() {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let (path, mode) = (text("path").context("a path")?, text("mode").context("a mode")?);
        let line = match (text("content"), text("sha")) {
            (Some(content), _) => {
                let id = run(bare, &["hash-object", "-w", "--stdin"], None, content.as_bytes()).await?;
                format!("{mode} {id}\t{path}\n")
            }
            (None, Some(id)) => format!("{mode} {id}\t{path}\n"),
            (None, None) => {
                let there = run(bare, &["ls-files", "--", &path], Some(&index), b"").await?;
                if there.is_empty() {
                    return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "GitRPC::BadObjectState"));
                }
                format!("0 {NOTHING}\t{path}\n")
            }
        };
        lines.push_str(&line);
    }
    run(bare, &["update-index", "--index-info"], Some(&index), lines.as_bytes()).await?;
    let id = run(bare, &["write-tree"], Some(&index), b"").await?;
    let made = json!({ "sha": id, "url": "https://x/tree", "tree": [], "truncated": false });
    Ok(Answer::of(StatusCode::CREATED, &made))
}

async fn commit(asked: &Asked<'_>, bare: &Bare, body: &Value) -> Result<Answer> {
    let tree = body["tree"].as_str().context("a commit has a tree")?;
    let parents: Vec<&str> = body["parents"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let author = match &asked.account {
        Account::Person(login) => (*login).to_owned(),
        _ => "github-actions[bot]".to_owned(),
    };
    let (name, email) = (format!("user.name={author}"), format!("user.email={author}@users.noreply.github.com"));
    let mut arguments = vec!["-c", &name, "-c", &email, "commit-tree", tree];
    arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
    let message = body["message"].as_str().unwrap_or_default();
    let id = run(bare, &arguments, None, message.as_bytes()).await?;
    Ok(Answer::of(StatusCode::CREATED, &described(bare, &id).await?))
}

/// Puts a reference where the request says.
async fn moved(asked: &Asked<'_>, inner: &mut Inner, bare: &Bare, name: &str, body: &Value) -> Result<Answer> {
    let to = body["sha"].as_str().context("a reference leads to an object")?;
    bare.git(&["update-ref", name, to]).await?;
    asked.state.after_push(inner, REPOSITORY, matches!(asked.account, Account::Job(_))).await?;
    let status = if asked.method == "POST" { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::of(status, &reference(name, to)))
}

/// A reference to a commit as GitHub describes it.
fn reference(name: &str, commit: &str) -> Value {
    let object = json!({ "type": "commit", "sha": commit, "url": "https://x/commit" });
    json!({ "ref": name, "node_id": "none", "url": "https://x/ref", "object": object })
}

/// A commit as GitHub describes it.
async fn described(bare: &Bare, commit: &str) -> Result<Value> {
    let facts = bare.git(&["show", "--no-patch", "--format=%T%n%P%n%an%n%ae%n%aI%n%B", commit]).await?;
    let mut lines = facts.splitn(6, '\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (tree, parents, name, email, date, message) = (next(), next(), next(), next(), next(), next());
    let who = json!({ "name": name, "email": email, "date": date });
    let parents = parents.split(' ').filter(|id| !id.is_empty());
    let parents: Vec<Value> =
        parents.map(|id| json!({ "sha": id, "url": "https://x/commit", "html_url": "https://x/commit" })).collect();
    Ok(json!({
        "sha": commit, "node_id": "none", "url": "https://x/commit", "html_url": "https://x/commit",
        "author": who, "committer": who, "message": message, "tree": { "sha": tree, "url": "https://x/tree" }, "parents": parents,
        "verification": { "verified": false, "reason": "unsigned", "signature": null, "payload": null },
    }))
}

/// Runs git with something on its standard input; its standard output without the space at its end.
async fn run(bare: &Bare, arguments: &[&str], index: Option<&Path>, input: &[u8]) -> Result<String> {
    let mut command = clean();
    command.arg("-C").arg(&bare.0).args(arguments);
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut pipe = child.stdin.take().context("its standard input is a pipe")?;
    let input = input.to_vec();
    let write = async move {
        // git closes it early when it has read enough
        let _ = pipe.write_all(&input).await;
    };
    let (done, ()) = tokio::join!(child.wait_with_output(), write);
    let done = done?;
    ensure!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}
