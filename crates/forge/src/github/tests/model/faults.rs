//! What goes wrong: answers that are none, and what others do meanwhile.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tower::BoxError;

use super::Answer;
use super::state::{Pull, State};

pub(super) const CLOSED: &str = "somebody closes a pull request";

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The token is not taken.
    Unauthorized,
    /// The primary rate limit, for these seconds.
    Exhausted(u64),
    /// A secondary rate limit, which may say for how many seconds.
    Secondary(Option<u64>),
    /// A refusal for no reason that anybody knows.
    Refused(u16),
    /// A proxy answers in GitHub's place: before, or after GitHub acted.
    Down { status: u16, after: bool },
    /// The connection is cut: before, or after GitHub acted.
    Cut { after: bool },
}

impl Fault {
    /// What it is called where schedules are counted.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Unauthorized => "401",
            Self::Exhausted(_) => "403, the rate limit",
            Self::Secondary(_) => "403, a secondary rate limit",
            Self::Refused(404) => "404",
            Self::Refused(409) => "409",
            Self::Refused(422) => "422",
            Self::Refused(_) => "403",
            Self::Down { after: false, .. } => "5xx, and GitHub has not acted",
            Self::Down { after: true, .. } => "5xx, although GitHub has acted",
            Self::Cut { after: false } => "a connection is cut before GitHub acts",
            Self::Cut { after: true } => "a connection is cut after GitHub has acted",
        }
    }

    /// Whether GitHub acts on the request in spite of it.
    pub(super) fn is_after(self) -> bool {
        matches!(self, Self::Down { after: true, .. } | Self::Cut { after: true })
    }

    pub(super) fn answer(self, state: &mut State) -> Result<Answer, BoxError> {
        Ok(match self {
            Self::Unauthorized => Answer::refusal(401, "Bad credentials"),
            Self::Exhausted(seconds) => {
                let now = state.now();
                let reset = now + Duration::from_secs(seconds);
                let reset = reset.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
                let mut answer = Answer::refusal(403, "API rate limit exceeded for installation ID 1.");
                answer.headers = vec![
                    ("x-ratelimit-remaining", "0".to_owned()),
                    ("x-ratelimit-reset", reset.to_string()),
                    ("date", httpdate::fmt_http_date(now)),
                ];
                answer
            }
            Self::Secondary(seconds) => {
                let mut answer = Answer::refusal(403, "You have exceeded a secondary rate limit.");
                answer.headers = seconds.iter().map(|seconds| ("retry-after", seconds.to_string())).collect();
                answer
            }
            Self::Refused(status) => Answer::refusal(status, "no"),
            Self::Down { status, .. } => Answer::new(status, Value::String("<html>".to_owned())),
            Self::Cut { .. } => return Err("connection reset by peer".into()),
        })
    }
}

impl State {
    /// What goes wrong with the next request.
    pub(super) fn fault(&mut self) -> Option<Fault> {
        if self.random.f32() >= self.faults {
            return None;
        }
        let random = &mut self.random;
        let after = random.bool();
        Some(match random.u32(0..12) {
            0 => Fault::Unauthorized,
            1 => Fault::Exhausted(random.u64(0..1_200)),
            2 => Fault::Secondary(random.bool().then(|| random.u64(1..200))),
            3 => Fault::Refused(404),
            4 => Fault::Refused(409),
            5 => Fault::Refused(422),
            6 => Fault::Refused(403),
            7 | 8 => Fault::Down { status: [500, 502, 503, 504][random.usize(0..4)], after },
            _ => Fault::Cut { after },
        })
    }

    /// What others do around this time.
    pub(super) fn happening(&mut self) {
        if self.random.f32() >= self.happenings {
            return;
        }
        // Of two who propose at once, one may go on with a new branch because somebody has worked on the first one and nobody has a pull request of
        // it any more, while the other opens one of the first. Nothing on GitHub tells one of the other, so that does not happen here to two.
        let is_alone = self.logins.len() == 1;
        match self.random.u32(0..17) {
            0..6 => self.push(),
            6 => {
                let branches = self.pulls.iter().map(|pull| pull.branch.clone());
                let worked_on: Vec<String> =
                    branches.filter(|branch| !is_alone && self.git.is_ours(branch) == Some(false)).collect();
                if self.close_by_hand(|pull| !worked_on.contains(&pull.branch)) {
                    self.happened.insert(CLOSED);
                }
            }
            7..10 => {
                // somebody answers, and quotes the report with its marker
                let quoted = self.comments.last().map_or_else(String::new, |comment| comment.body.clone());
                let number = self.pulls.last().map_or(1, |pull| pull.number);
                self.comment(number, "mona", &quoted);
            }
            10 => {
                // another program under the same login
                let number = self.pulls.last().map_or(1, |pull| pull.number);
                let login = self.logins[0];
                self.comment(number, login, "coverage: 98 %");
            }
            11..13 => {
                let ours = self.ours();
                if !ours.is_empty() {
                    let id = ours[self.random.usize(0..ours.len())];
                    self.log.push(format!("a maintainer removes comment {id}"));
                    self.comments.retain(|comment| comment.id != id);
                }
            }
            13..16 => {
                let ours = self.ours();
                if !ours.is_empty() {
                    let id = ours[self.random.usize(0..ours.len())];
                    self.log.push(format!("a maintainer edits comment {id}"));
                    let comment = self.comments.iter_mut().find(|comment| comment.id == id).unwrap();
                    comment.body.push_str("\nedited");
                }
            }
            _ if is_alone => self.delete_branch(),
            _ => {}
        }
    }

    /// Somebody closes the open pull requests that are such. Returns whether there was one.
    pub(super) fn close_by_hand(&mut self, is_it: impl Fn(&Pull) -> bool) -> bool {
        let before = self.closed_by_hand;
        for pull in self.pulls.iter_mut().filter(|pull| pull.is_open() && is_it(pull)) {
            self.log.push(format!("somebody closes #{}", pull.number));
            self.closed_by_hand += 1;
            pull.state = "closed";
        }
        self.closed_by_hand > before
    }

    /// A token for the App. If the client's clock is wrong, it expires later or sooner than the client thinks.
    pub(super) fn token(&mut self) -> Answer {
        // a clock that is behind takes a token for valid that has expired
        let uses = if self.skew > 0 { self.random.usize(1..6) } else { usize::MAX };
        self.tokens.push(uses);
        let expires = if self.skew < 0 { "2001-01-01T00:00:00Z" } else { "2999-01-01T00:00:00Z" };
        Answer::new(
            201,
            json!({"token": format!("ghs_{}", self.tokens.len()), "expires_at": expires, "permissions": {}}),
        )
    }
}
