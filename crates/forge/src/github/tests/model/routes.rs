//! What GitHub answers when nothing goes wrong.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use serde_json::{Value, json};

use super::Answer;
use super::state::{APP, BOT, Check, Comment, PERSON, Pull, State};

pub(super) const AHEAD: &str = "GitHub refuses the App, whose clock is ahead";
pub(super) const BEHIND: &str = "GitHub refuses the App, whose clock is behind";

impl State {
    pub(super) fn route(&mut self, parts: &Parts, body: &Value) -> Answer {
        let path: Vec<&str> = parts.uri.path().trim_start_matches('/').split('/').collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let method = parts.method.as_str();
        if !self.may(parts) {
            let mut answer = Answer::refusal(401, "Bad credentials");
            answer.headers.push(("date", httpdate::fmt_http_date(self.clock())));
            return answer;
        }
        match (method, path.as_slice()) {
            ("GET", ["user"]) => Answer::new(200, json!({ "login": who(parts) })),
            ("GET", ["repos", _, _, "installation"]) => Answer::new(200, json!({"id": 99, "app_slug": "slipway"})),
            ("POST", ["app", "installations", "99", "access_tokens"]) => self.token(),
            ("GET", ["repos", _, _, "pulls"]) => {
                let mut open: Vec<Value> =
                    self.pulls.iter().filter(|pull| pull.is_open()).map(Pull::described).collect();
                if parts.uri.query().is_some_and(|query| query.contains("direction=desc")) {
                    open.reverse();
                }
                Answer::new(200, open.into())
            }
            ("POST", ["repos", _, _, "pulls"]) => self.open(body),
            (_, ["repos", _, _, "git", path @ ..]) => self.git_route(method, path, body),
            ("GET", ["repos", _, _, "pulls", n]) => self.described(number(n)),
            ("PATCH", ["repos", _, _, "pulls", n]) => {
                if let Some(pull) = self.pull_mut(number(n)).filter(|pull| pull.is_open()) {
                    pull.state = "closed";
                }
                self.described(number(n))
            }
            ("PUT", ["repos", _, _, "pulls", n, "merge"]) => self.merge(number(n), body),
            ("POST", ["repos", _, _, "issues", n, "labels"]) => {
                let pull = self.pull_mut(number(n)).unwrap();
                pull.labels = names(&body["labels"]);
                Answer::new(
                    200,
                    body["labels"].as_array().unwrap().iter().map(|name| json!({ "name": name })).collect(),
                )
            }
            ("POST", ["repos", _, _, "pulls", n, "requested_reviewers"]) => {
                self.pull_mut(number(n)).unwrap().reviewers = names(&body["reviewers"]);
                self.described(number(n))
            }
            ("GET", ["repos", _, _, "pulls", _, "reviews"]) => Answer::new(200, json!([])),
            ("GET", ["repos", _, _, "issues", n, "comments"]) => self.comments(parts, number(n)),
            ("POST", ["repos", _, _, "issues", n, "comments"]) => {
                let (id, login) = (self.id(), who(parts).to_owned());
                let body = body["body"].as_str().unwrap().to_owned();
                let comment = Comment { id, number: number(n), login, body };
                self.comments.push(comment.clone());
                self.made += 1;
                Answer::new(201, comment.described())
            }
            ("PATCH", ["repos", _, _, "issues", "comments", id]) => {
                let Some(at) = self.comments.iter().position(|comment| comment.id == number(id)) else {
                    return Answer::refusal(404, "Not Found");
                };
                if !self.may_change(who(parts), &self.comments[at]) {
                    return Answer::refusal(403, "Must have admin rights to Repository.");
                }
                body["body"].as_str().unwrap().clone_into(&mut self.comments[at].body);
                Answer::new(200, self.comments[at].described())
            }
            ("DELETE", ["repos", _, _, "issues", "comments", id]) => {
                let Some(at) = self.comments.iter().position(|comment| comment.id == number(id)) else {
                    return Answer::refusal(404, "Not Found");
                };
                if !self.may_change(who(parts), &self.comments[at]) {
                    return Answer::refusal(403, "Must have admin rights to Repository.");
                }
                self.comments.remove(at);
                Answer::new(204, Value::Null)
            }
            ("GET", ["repos", _, _, "commits", head, "check-runs"]) => {
                let of = self.checks.iter().filter(|check| check.head == *head);
                let of: Vec<Value> = of.map(described).collect();
                Answer::new(200, json!({ "check_runs": of }))
            }
            ("POST", ["repos", _, _, "check-runs"]) => {
                let (id, login) = (self.id(), who(parts));
                let text = |name: &str| body[name].as_str().unwrap().to_owned();
                let [name, head, external_id, conclusion] = ["name", "head_sha", "external_id", "conclusion"].map(text);
                let annotations = body["output"]["annotations"].as_array().unwrap().clone();
                self.checks.push(Check { id, name, head, login, external_id, conclusion, annotations });
                Answer::new(201, described(self.checks.last().unwrap()))
            }
            ("PATCH", ["repos", _, _, "check-runs", id]) => {
                let id = number(id);
                let check = self.checks.iter_mut().find(|check| check.id == id).unwrap();
                // they are added to those that are there
                check.annotations.extend(body["output"]["annotations"].as_array().unwrap().iter().cloned());
                body["external_id"].as_str().unwrap().clone_into(&mut check.external_id);
                Answer::new(200, described(check))
            }
            _ => panic!("{method} {}", parts.uri),
        }
    }

    /// Whether the token is taken, or the signature, which requests of the App itself have.
    fn may(&mut self, parts: &Parts) -> bool {
        let bearer = parts.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        if bearer.starts_with("eyJ") {
            let is_of_now = self.is_of_now(bearer);
            if !is_of_now {
                self.happened.insert(if self.skew < 0 { AHEAD } else { BEHIND });
            }
            return is_of_now;
        }
        let Some(token) = bearer.strip_prefix("ghs_") else { return true };
        let uses = &mut self.tokens[token.parse::<usize>().unwrap() - 1];
        let is_taken = *uses > 0;
        *uses = uses.saturating_sub(1);
        is_taken
    }

    /// Whether a signature was not made in the future, is valid, and not for longer than ten minutes.
    fn is_of_now(&self, signed: &str) -> bool {
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let now = self.clock().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let [made, ends] = ["iat", "exp"].map(|name| claims[name].as_u64().unwrap());
        made <= now + 60 && ends > now && ends <= now + 600
    }

    fn described(&self, number: u64) -> Answer {
        let pull = self.pulls.iter().find(|pull| pull.number == number);
        pull.map_or_else(|| Answer::refusal(404, "Not Found"), |pull| Answer::new(200, pull.described()))
    }

    fn open(&mut self, body: &Value) -> Answer {
        let branch = body["head"].as_str().unwrap().to_owned();
        let has_one = self.pulls.iter().any(|pull| pull.is_open() && pull.branch == branch);
        let Some(head) = self.git.branches.get(&branch).filter(|_| !has_one).cloned() else {
            return Answer::refusal(422, "Validation Failed");
        };
        let number = self.id();
        let (labels, reviewers) = (Vec::new(), Vec::new());
        self.pulls.push(Pull { number, branch, head, state: "open", merge_commit: None, labels, reviewers });
        Answer::new(201, self.pulls.last().unwrap().described())
    }

    fn merge(&mut self, number: u64, body: &Value) -> Answer {
        let (id, merges) = (self.id(), self.merges + 1);
        let Some(pull) = self.pull_mut(number) else { return Answer::refusal(404, "Not Found") };
        if !pull.is_open() {
            return Answer::refusal(405, "Pull Request is not mergeable");
        }
        if body["sha"] != pull.head.as_str() {
            return Answer::refusal(409, "Head branch was modified. Review and try the merge again.");
        }
        pull.state = "closed";
        pull.merge_commit = Some(format!("{id:040x}"));
        let answer = json!({ "sha": pull.merge_commit, "merged": true });
        self.merges = merges;
        Answer::new(200, answer)
    }

    fn comments(&self, parts: &Parts, number: u64) -> Answer {
        if self.pulls.iter().all(|pull| pull.number != number) {
            return Answer::refusal(404, "Not Found");
        }
        let query = parts.uri.query().unwrap_or_default();
        let page = query.split('&').find_map(|one| one.strip_prefix("page=")).map_or(1, |page| page.parse().unwrap());
        let of: Vec<Value> = self.comments.iter().filter(|one| one.number == number).map(Comment::described).collect();
        let mut pages = of.chunks(self.page).skip(page - 1);
        let mut answer = Answer::new(200, pages.next().unwrap_or_default().to_vec().into());
        if pages.next().is_some() {
            let next = format!("https://api.github.com{}?page={}", parts.uri.path(), page + 1);
            answer.headers.push(("link", format!("<{next}>; rel=\"next\"")));
        }
        answer
    }
}

/// Who asks, by the token.
fn who(parts: &Parts) -> &'static str {
    match parts.headers["authorization"].to_str().unwrap().split_once(' ') {
        Some((_, "runner")) => BOT,
        Some((_, "ghp_hubot")) => PERSON,
        _ => APP,
    }
}

fn described(check: &Check) -> Value {
    json!({
        "id": check.id, "name": check.name, "external_id": check.external_id, "conclusion": check.conclusion,
        "app": {"slug": check.login.trim_end_matches("[bot]")},
        "output": {"annotations_count": check.annotations.len()},
    })
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}
