//! Pull requests, with heads, bases and merges as git has them.

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Asked, files, invalid};
use crate::accounts::{ANN, OWNER, REPOSITORY};
use crate::emulator::Answer;
use crate::mirror::encoded;
use crate::server::{Inner, State};

/// The numbers of the open pull requests of a branch of a repository.
///
/// # Errors
/// When emulate refuses.
pub async fn open_with_head(state: &State, repository: &str, branch: &str) -> Result<Vec<u64>> {
    let owner = repository.split('/').next().unwrap_or_default();
    let path = format!("/repos/{REPOSITORY}/pulls?state=open&per_page=100&head={owner}:{}", encoded(branch));
    let pulls = state.emulator.must(&Method::GET, &path, ANN.token, None).await?;
    Ok(pulls.as_array().into_iter().flatten().filter_map(|pull| pull["number"].as_u64()).collect())
}

/// Opens one, if GitHub would.
pub(super) async fn open(asked: &Asked<'_>, inner: &mut Inner) -> Result<Answer> {
    let body = asked.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (head, base) = (text("head"), text("base"));
    let (owner, branch) = head.split_once(':').unwrap_or((OWNER, &head));
    let repository = format!("{owner}/{}", crate::accounts::NAME);
    let wrong = |field: &str| Ok(invalid(&json!({ "resource": "PullRequest", "field": field, "code": "invalid" })));
    let Some(head_commit) = asked.state.bare(&repository).commit(&format!("refs/heads/{branch}")).await else {
        return wrong("head");
    };
    let bare = asked.state.bare(REPOSITORY);
    let Some(base_commit) = bare.commit(&format!("refs/heads/{base}")).await else { return wrong("base") };
    let said =
        |message: String| Ok(invalid(&json!({ "resource": "PullRequest", "code": "custom", "message": message })));
    let there = open_with_head(asked.state, &repository, branch).await?;
    for number in there {
        let path = format!("/repos/{REPOSITORY}/pulls/{number}");
        let pull = asked.state.emulator.must(&Method::GET, &path, ANN.token, None).await?;
        if pull["base"]["ref"] == base.as_str() {
            return said(format!("A pull request already exists for {owner}:{branch}."));
        }
    }
    let path = asked.state.bare(&repository).0.display().to_string();
    bare.git(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", &path, &head_commit]).await?;
    if bare.between(&base_commit, &head_commit).await?.is_empty() {
        return said(format!("No commits between {base} and {head}"));
    }
    let answer = asked.forward(inner).await?;
    let Some(number) = answer.json()["number"].as_u64() else { return Ok(answer) };
    asked.state.follow_head(inner, &repository, branch, number).await?;
    corrected(asked, inner, answer).await
}

/// A list. Like GitHub's, it does not say whether they are or can be merged.
pub(super) async fn list(asked: &Asked<'_>, inner: &Inner) -> Result<Answer> {
    let answer = asked.forward(inner).await?;
    let mut pulls = answer.json();
    for pull in pulls.as_array_mut().into_iter().flatten() {
        correct(asked.state, inner, pull).await?;
        let pull = pull.as_object_mut().context("a pull request is an object")?;
        for key in ["merged", "mergeable", "mergeable_state", "rebaseable", "merged_by", "comments", "commits"] {
            pull.remove(key);
        }
    }
    Ok(if pulls.is_array() { Answer { body: pulls.to_string().into(), ..answer } } else { answer })
}

/// One, asked for or changed.
pub(super) async fn one(asked: &Asked<'_>, inner: &Inner) -> Result<Answer> {
    let answer = asked.forward(inner).await?;
    corrected(asked, inner, answer).await
}

/// The pull requests that brought a commit, merged ones and open ones.
pub(super) async fn of_commit(asked: &Asked<'_>, inner: &Inner, commit: &str) -> Result<Answer> {
    let bare = asked.state.bare(REPOSITORY);
    if bare.commit(commit).await.is_none() {
        return Ok(super::refused(StatusCode::UNPROCESSABLE_ENTITY, &format!("No commit found for SHA: {commit}")));
    }
    let path = format!("/repos/{REPOSITORY}/pulls?state=all&per_page=100");
    let answer = asked.ask(inner, &Method::GET, &path, Bytes::new()).await?;
    let mut found = Vec::new();
    for mut pull in answer.json().as_array().cloned().unwrap_or_default() {
        correct(asked.state, inner, &mut pull).await?;
        let brought = match inner.merged.get(&pull["number"].as_u64().unwrap_or_default()) {
            Some(merged) => merged.commits.iter().any(|one| one == commit),
            None if pull["state"] == "open" => {
                let end = |side: &str| pull[side]["sha"].as_str().unwrap_or_default().to_owned();
                bare.between(&end("base"), &end("head")).await?.iter().any(|one| one == commit)
            }
            None => false,
        };
        if brought {
            found.push(pull);
        }
    }
    Ok(Answer { link: None, body: json!(found).to_string().into(), ..answer })
}

/// Asks for reviews, but not of the author.
pub(super) async fn request_reviewers(asked: &Asked<'_>, inner: &Inner, number: &str) -> Result<Answer> {
    let path = format!("/repos/{REPOSITORY}/pulls/{number}");
    let pull = asked.ask(inner, &Method::GET, &path, Bytes::new()).await?.json();
    let body = asked.json();
    if body["reviewers"].as_array().is_some_and(|all| all.contains(&pull["user"]["login"])) {
        let message = "Review cannot be requested from pull request author.";
        return Ok(super::refused(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let answer = asked.forward(inner).await?;
    let status = if answer.status.is_success() { StatusCode::CREATED } else { answer.status };
    corrected(asked, inner, Answer { status, ..answer }).await
}

async fn corrected(asked: &Asked<'_>, inner: &Inner, answer: Answer) -> Result<Answer> {
    if !answer.status.is_success() {
        return Ok(answer);
    }
    let mut pull = answer.json();
    correct(asked.state, inner, &mut pull).await?;
    if pull["state"] == "open" {
        let end = |side: &str| pull[side]["sha"].as_str().unwrap_or_default().to_owned();
        let merges = asked.state.bare(REPOSITORY).merges(&end("base"), &end("head")).await;
        pull["mergeable"] = merges.into();
        pull["mergeable_state"] = if merges { "clean" } else { "dirty" }.into();
        pull["changed_files"] = files::changed(&asked.state.bare(REPOSITORY), &pull).await?.len().into();
    }
    Ok(Answer { body: pull.to_string().into(), ..answer })
}

/// Puts what git says in place of what emulate remembers.
pub(super) async fn correct(state: &State, inner: &Inner, pull: &mut Value) -> Result<()> {
    let number = pull["number"].as_u64().context("a pull request has a number")?;
    let bare = state.bare(REPOSITORY);
    if let Some(head) = bare.commit(&format!("refs/pull/{number}/head")).await {
        pull["head"]["sha"] = head.into();
    }
    match inner.merged.get(&number) {
        Some(merged) => pull["merge_commit_sha"] = merged.commit.clone().into(),
        None => {
            let base = pull["base"]["ref"].as_str().unwrap_or_default();
            if let Some(base) = bare.commit(&format!("refs/heads/{base}")).await {
                pull["base"]["sha"] = base.into();
            }
        }
    }
    Ok(())
}
