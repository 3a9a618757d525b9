//! Keeps emulate's references where git's are.
//!
//! The commit that a branch is at becomes one of emulate without files and history, with git's id as its message: nobody asks emulate for
//! those, and it could not hold each commit as it is (its API ends every message with a line end). So ids differ, and are translated in
//! both directions where requests pass ([`Ids`]).

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;

use crate::accounts::{ANN, FORK, MALLORY};
use crate::emulator::Emulator;
use crate::repository::Bare;

/// Which commit of git is which one of emulate.
#[derive(Debug, Default)]
pub struct Ids {
    emulated: BTreeMap<String, String>,
    real: BTreeMap<String, String>,
}

impl Ids {
    /// A text that goes to emulate.
    #[must_use]
    pub fn to_emulate(&self, text: &str) -> String {
        replace(text, &self.emulated)
    }

    /// A text that comes from emulate.
    #[must_use]
    pub fn from_emulate(&self, text: &str) -> String {
        replace(text, &self.real)
    }

    fn insert(&mut self, real: &str, emulated: &str) {
        self.emulated.insert(real.to_owned(), emulated.to_owned());
        self.real.insert(emulated.to_owned(), real.to_owned());
    }
}

/// Replaces the 40 digits of an id where they stand alone.
fn replace(text: &str, ids: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let length = rest[begin..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - begin);
        let (before, word) = (&rest[..begin], &rest[begin..begin + length]);
        result.push_str(before);
        result.push_str(if word.len() == 40 { ids.get(word).map_or(word, String::as_str) } else { word });
        rest = &rest[begin + length..];
    }
    result + rest
}

/// Makes emulate's branches of a repository those of git. `known` holds what they were after the last time. Returns the names of those
/// that changed.
///
/// # Errors
/// When git fails or emulate refuses.
pub async fn follow(
    emulator: &Emulator,
    ids: &mut Ids,
    repository: &str,
    bare: &Bare,
    known: &mut BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let token = if repository == FORK { MALLORY.token } else { ANN.token };
    let api = format!("/repos/{repository}/git");
    let now: BTreeMap<String, String> = bare.branches().await?.into_iter().collect();
    let mut changed = Vec::new();
    for (branch, commit) in &now {
        if known.get(branch) == Some(commit) {
            continue;
        }
        let emulated = make(emulator, ids, &api, token, commit).await?;
        let name = format!("{api}/refs/heads/{}", encoded(branch));
        let moved = json!({ "sha": emulated, "force": true });
        let body = moved.to_string().into();
        let answer = emulator.ask(&Method::PATCH, &name, Some(token), body).await?;
        if !answer.status.is_success() {
            let made = json!({ "ref": format!("refs/heads/{branch}"), "sha": emulated });
            emulator.must(&Method::POST, &format!("{api}/refs"), token, Some(&made)).await?;
        }
        changed.push(branch.clone());
    }
    for branch in known.keys().filter(|branch| !now.contains_key(*branch)) {
        let name = format!("{api}/refs/heads/{}", encoded(branch));
        emulator.must(&Method::DELETE, &name, token, None).await?;
        changed.push(branch.clone());
    }
    *known = now;
    Ok(changed)
}

/// Makes emulate's commit for one of git; its id. A second time changes nothing.
///
/// # Errors
/// When emulate refuses.
pub async fn make(emulator: &Emulator, ids: &mut Ids, api: &str, token: &str, commit: &str) -> Result<String> {
    let tree = emulator.must(&Method::POST, &format!("{api}/trees"), token, Some(&json!({ "tree": [] }))).await?;
    let who = json!({ "name": "git", "email": "git@localhost", "date": "1970-01-01T00:00:00Z" });
    let body = json!({ "message": commit, "tree": tree["sha"], "parents": [], "author": who, "committer": who });
    let made = emulator.must(&Method::POST, &format!("{api}/commits"), token, Some(&body)).await?;
    let made = made["sha"].as_str().context("a commit has an id")?;
    ids.insert(commit, made);
    Ok(made.to_owned())
}

/// A branch's name in a path.
#[must_use]
pub fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_replaced_where_it_stands_alone() {
        let [real, other] = ["a".repeat(40), "b".repeat(40)];
        let ids = [(real.clone(), other.clone())].into();
        assert_eq!(
            replace(&format!("x {real}/{real}\u{e9}\"{real}\""), &ids),
            format!("x {other}/{other}\u{e9}\"{other}\"")
        );
        for text in [format!("{real}a"), format!("a{real}"), String::new()] {
            assert_eq!(replace(&text, &ids), text);
        }
    }
}
