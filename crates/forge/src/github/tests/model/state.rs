//! What the server knows.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::git::Git;
use crate::marker::Marker;

/// As whom workflows, the App and a person write.
pub(super) const BOT: &str = "github-actions[bot]";
pub(super) const APP: &str = "slipway[bot]";
pub(super) const PERSON: &str = "hubot";

/// A pull request.
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) branch: String,
    pub(super) head: String,
    pub(super) state: &'static str,
    pub(super) merge_commit: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) reviewers: Vec<String>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) login: String,
    pub(super) body: String,
}

/// A check run.
pub(super) struct Check {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) head: String,
    /// As whom it was written.
    pub(super) login: &'static str,
    pub(super) external_id: String,
    pub(super) conclusion: String,
    pub(super) annotations: Vec<Value>,
}

/// Everything.
pub(super) struct State {
    pub(super) random: fastrand::Rng,
    /// How probable it is that a request goes wrong, and that others do something.
    pub(super) faults: f32,
    pub(super) happenings: f32,
    /// As whom the clients write, each of them.
    pub(super) logins: Vec<&'static str>,
    /// The most items of a page.
    pub(super) page: usize,
    /// Whether the client's clock is ahead of GitHub's (< 0) or behind it (> 0).
    pub(super) skew: i8,
    /// How often each of the App's tokens is still taken.
    pub(super) tokens: Vec<usize>,
    pub(super) begun: Instant,
    pub(super) requests: usize,
    pub(super) log: Vec<String>,
    pub(super) git: Git,
    pub(super) pulls: Vec<Pull>,
    pub(super) comments: Vec<Comment>,
    /// What others wrote, and wrote into it.
    pub(super) others: Vec<Comment>,
    /// How many comments the clients made.
    pub(super) made: usize,
    pub(super) checks: Vec<Check>,
    pub(super) merges: u32,
    pub(super) closed_by_hand: usize,
    /// What has gone wrong, or what others have done, at least once.
    pub(super) happened: BTreeSet<&'static str>,
    pub(super) ids: u64,
}

impl Pull {
    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(super) fn described(&self) -> Value {
        let repository = json!({"full_name": "octo/cat"});
        json!({
            "number": self.number,
            "html_url": format!("https://github.com/octo/cat/pull/{}", self.number),
            "state": self.state,
            "title": "Train",
            "body": "plan",
            "user": {"login": "octo"},
            "labels": self.labels.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
            "requested_reviewers": self.reviewers.iter().map(|login| json!({ "login": login })).collect::<Vec<_>>(),
            "head": {"ref": self.branch, "sha": self.head, "user": {"login": "octo"}, "repo": repository},
            "base": {"ref": "main", "sha": "0", "repo": repository},
            "merged_at": self.merge_commit.as_ref().map(|_| "2026-11-25T00:00:00Z"),
            "merge_commit_sha": self.merge_commit,
        })
    }
}

impl Comment {
    pub(super) fn described(&self) -> Value {
        let Self { id, login, body, .. } = self;
        json!({ "id": id, "body": body, "user": {"login": login}, "html_url": format!("https://github.com/x#{id}") })
    }
}

impl State {
    pub(super) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000) + self.begun.elapsed()
    }

    /// GitHub's clock as the App's signature meets it, which is made by the clock of this machine. It is an hour before or after that one where
    /// clocks differ.
    pub(super) fn clock(&self) -> SystemTime {
        let hour = Duration::from_secs(3600);
        match self.skew {
            ..0 => SystemTime::now() - hour,
            0 => SystemTime::now(),
            1.. => SystemTime::now() + hour,
        }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn pull_mut(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    /// A comment that somebody else writes.
    pub(super) fn comment(&mut self, number: u64, login: &str, body: &str) {
        let comment = Comment { id: self.id(), number, login: login.to_owned(), body: body.to_owned() };
        self.comments.push(comment.clone());
        self.others.push(comment);
    }

    /// The ids of the comments that are those of a report.
    pub(super) fn ours(&self) -> Vec<u64> {
        let others = |id: u64| self.others.iter().any(|other| other.id == id);
        self.comments.iter().map(|comment| comment.id).filter(|id| !others(*id)).collect()
    }

    /// Whether somebody may change a comment: its author may, and whoever may write to the repository. All of the clients may, but they
    /// leave alone what is neither their own nor the workflow's: that is a mistake of theirs.
    pub(super) fn may_change(&self, login: &str, comment: &Comment) -> bool {
        let is_theirs = comment.login == login || comment.login == BOT;
        assert!(is_theirs, "{login} changes comment {} of {}", comment.id, comment.login);
        comment.login == login || self.logins.contains(&login)
    }

    /// The report that a person sees on a pull request: the comments of the clients' own logins that carry a marker.
    pub(super) fn report(&self, number: u64) -> Vec<(Marker, &str)> {
        let on = |comment: &&Comment| comment.number == number && self.logins.contains(&&*comment.login);
        self.comments.iter().filter(on).filter_map(|comment| Marker::of(&comment.body)).collect()
    }
}
