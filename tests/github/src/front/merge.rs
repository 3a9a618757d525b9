//! Merges by git, which emulate then records.

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::{Asked, refused};
use crate::accounts::REPOSITORY;
use crate::emulator::Answer;
use crate::repository::Merge;
use crate::server::{Inner, Merged};

/// Merges a pull request, if GitHub would.
pub(super) async fn merge(asked: &Asked<'_>, inner: &mut Inner, number: &str) -> Result<Answer> {
    let path = format!("/repos/{REPOSITORY}/pulls/{number}");
    let there = asked.ask(inner, &Method::GET, &path, Bytes::new()).await?;
    let pull = there.json();
    let Some(number) = pull["number"].as_u64() else { return Ok(there) };
    if pull["state"] != "open" {
        return Ok(refused(StatusCode::METHOD_NOT_ALLOWED, "Pull Request is not mergeable"));
    }
    if pull["draft"] == true {
        return Ok(refused(StatusCode::METHOD_NOT_ALLOWED, "Pull Request is still a draft"));
    }
    if let Some(rule) = &inner.rule {
        return Ok(refused(StatusCode::METHOD_NOT_ALLOWED, rule));
    }
    let bare = asked.state.bare(REPOSITORY);
    let branch = pull["base"]["ref"].as_str().context("a pull request has a base")?;
    let base = bare.commit(&format!("refs/heads/{branch}")).await.context("the base is there")?;
    let head = bare.commit(&format!("refs/pull/{number}/head")).await.context("the head is there")?;
    let body = asked.json();
    if body["sha"].as_str().is_some_and(|sha| sha != head) {
        return Ok(refused(StatusCode::CONFLICT, "Head branch was modified. Review and try the merge again."));
    }
    let method = body["merge_method"].as_str().unwrap_or("merge");
    let title = pull["title"].as_str().unwrap_or_default();
    let label = pull["head"]["label"].as_str().unwrap_or_default().replacen(':', "/", 1);
    let given = |key: &str, otherwise: String| body[key].as_str().map_or(otherwise, str::to_owned);
    let message = match method {
        "merge" => {
            let subject = given("commit_title", format!("Merge pull request #{number} from {label}"));
            format!("{subject}\n\n{}", given("commit_message", title.to_owned()))
        }
        _ => {
            let subject = given("commit_title", format!("{title} (#{number})"));
            format!("{subject}\n\n{}", given("commit_message", String::new()))
        }
    };
    let author = pull["user"]["login"].as_str().unwrap_or_default();
    let merge = Merge { method, base: &base, head: &head, message: message.trim_end(), author };
    let Some(commit) = bare.merge(&merge).await? else {
        return Ok(refused(StatusCode::METHOD_NOT_ALLOWED, "Pull Request is not mergeable"));
    };
    // emulate checks who may merge, and remembers that it is merged; its own commit goes with what follows
    let recorded = asked.forward_with(inner, json!({ "merge_method": method }).to_string().into()).await?;
    if !recorded.status.is_success() {
        return Ok(recorded);
    }
    let mut commits = bare.between(&base, &commit).await?;
    commits.extend(bare.between(&base, &head).await?);
    inner.merged.insert(number, Merged { commit: commit.clone(), commits });
    bare.git(&["update-ref", &format!("refs/heads/{branch}"), &commit, &base]).await?;
    let by_job = matches!(asked.account, crate::accounts::Account::Job(_));
    asked.state.after_push(inner, REPOSITORY, by_job).await?;
    let body = json!({ "sha": commit, "merged": true, "message": "Pull Request successfully merged" });
    Ok(Answer::of(StatusCode::OK, &body))
}
