//! The comments of a report: those that carry its marker and are our own, or the workflow's.
//!
//! A workflow writes the plan of a pull request as `github-actions[bot]`, and after the merge the App of a cluster, or a person, writes the
//! results. It is one report, so both edit the workflow's comment. It stays, whatever is older: the workflow knows no App's name and
//! sees nobody else's comments, so it is the one that all writers agree on.

use std::collections::{BTreeMap, VecDeque};

use octocrab::map_github_error;
use serde::Deserialize;
use serde_json::json;

use super::author::is_runner;
use super::patience::{Repeat, is_fault, persist};
use super::pull::{Account, same};
use super::{GitHub, PAGE, refusal};
use crate::marker::{Marker, Wanted};
use crate::{Error, Result};

/// A comment of the report.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    id: u64,
    body: String,
    marker: Marker,
    /// Whether the workflow made it.
    is_workflows: bool,
    /// For a person.
    pub(crate) url: String,
}

/// A comment as GitHub describes it.
#[derive(Deserialize)]
struct Described {
    id: u64,
    html_url: String,
    body: Option<String>,
    user: Option<Account>,
}

/// What is to be written. The comments that are there are taken in their order, so all who write at once agree which of them stays.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps<'a> {
    /// Comments, by their ids, that get another text.
    edit: Vec<(u64, &'a str)>,
    make: Vec<&'a str>,
    remove: Vec<u64>,
}

/// What came of writing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it; the login as which comments were made, if any were.
    All(Option<String>),
    /// Nobody knows what is there now: an answer was lost, or somebody else removed a comment.
    Unknown,
}

impl Comment {
    /// The text below the marker.
    fn text(&self) -> &str {
        Marker::of(&self.body).map_or("", |(_, text)| text)
    }
}

/// The text of the first part; of several that of the comment that stays.
pub(crate) fn first_part(present: &[Comment]) -> Option<&str> {
    present.iter().find(|comment| comment.marker.part == 1).map(Comment::text)
}

/// Whether these comments were written for this, whatever somebody edited in them since.
pub(crate) fn are_written(present: &[Comment], wanted: &[Wanted]) -> bool {
    present.iter().map(|comment| &comment.marker).eq(wanted.iter().map(|wanted| &wanted.marker))
}

impl<'a> Steps<'a> {
    pub(crate) fn between(present: &[Comment], wanted: &'a [Wanted]) -> Self {
        let mut steps = Self::default();
        let mut present: VecDeque<&Comment> = present.iter().collect();
        for wanted in wanted {
            match present.pop_front() {
                Some(comment) if is_same(&comment.body, &wanted.body) => {}
                Some(comment) => steps.edit.push((comment.id, &wanted.body)),
                None => steps.make.push(&wanted.body),
            }
        }
        steps.remove.extend(present.iter().map(|comment| comment.id));
        steps
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether GitHub holds this text, whose line ends a browser may have changed.
fn is_same(there: &str, wanted: &str) -> bool {
    let lines = |text: &'_ str| text.trim_end().replace("\r\n", "\n");
    lines(there) == lines(wanted)
}

impl GitHub {
    /// The comments of a pull request that are ours or the workflow's and carry the marker: the workflow's first, of each the oldest first.
    /// `author` is who we are, if that is known; otherwise it is asked for, but only if somebody besides the workflow has written one.
    pub(crate) async fn comments(&self, number: u64, author: Option<&str>) -> Result<Vec<Comment>> {
        let route = self.route(&format!("issues/{number}/comments"));
        let described: Vec<Described> = self.all(&route, &json!({ "per_page": PAGE })).await?;
        let mut marked: Vec<(String, Comment)> = described
            .into_iter()
            .filter_map(|Described { id, html_url, body, user }| {
                let (login, body) = (user?.login, body?);
                let (is_workflows, marker) = (is_runner(&login), Marker::of(&body)?.0);
                Some((login, Comment { id, body, marker, is_workflows, url: html_url }))
            })
            .collect();
        if marked.iter().any(|(_, comment)| !comment.is_workflows) {
            let author = match author {
                Some(author) => author.to_owned(),
                None => self.author().await?,
            };
            marked.retain(|(login, comment)| comment.is_workflows || same(login, &author));
        }
        let mut comments: Vec<Comment> = marked.into_iter().map(|(_, comment)| comment).collect();
        // one that moved to another page meanwhile is listed twice
        comments.sort_by_key(|comment| (!comment.is_workflows, comment.id));
        comments.dedup_by_key(|comment| comment.id);
        Ok(comments)
    }

    /// The parts that are published on a pull request, without their markers; of several first parts that of the comment that stays.
    pub(crate) async fn published(&self, number: u64) -> Result<Vec<String>> {
        let present = self.comments(number, None).await?;
        let mut parts: BTreeMap<usize, &str> = BTreeMap::new();
        for comment in &present {
            parts.entry(comment.marker.part).or_insert_with(|| comment.text());
        }
        Ok(parts.into_values().map(str::to_owned).collect())
    }

    pub(crate) async fn write(&self, number: u64, steps: &Steps<'_>) -> Result<Written> {
        for (id, body) in &steps.edit {
            if !self.edit(*id, body).await? {
                return Ok(Written::Unknown);
            }
        }
        let mut author = None;
        for body in &steps.make {
            match self.make(number, body).await? {
                Some(login) => author = Some(login),
                None => return Ok(Written::Unknown),
            }
        }
        for id in &steps.remove {
            self.remove(*id).await?;
        }
        Ok(Written::All(author))
    }

    /// Returns whether the comment is still there.
    async fn edit(&self, id: u64, body: &str) -> Result<bool> {
        let client = self.client().await?;
        let (route, body) = (self.route(&format!("issues/comments/{id}")), json!({ "body": body }));
        let edit = || client.patch::<Described, _, _>(&route, Some(&body));
        match self.ask(Repeat::Harmless, edit).await {
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            edited => edited.map(|_| true),
        }
    }

    /// Returns the author's login, or `None` if the answer was lost.
    async fn make(&self, number: u64, body: &str) -> Result<Option<String>> {
        let client = self.client().await?;
        let (route, body) = (self.route(&format!("issues/{number}/comments")), json!({ "body": body }));
        match persist(Repeat::MakesAnother, || client.post::<_, Described>(&route, Some(&body))).await {
            Ok(made) => Ok(made.user.map(|user| user.login)),
            Err(error) if is_fault(&error) => Ok(None),
            Err(error) => Err(refusal::explain(&self.api, &error)),
        }
    }

    /// One that is gone already stays so.
    async fn remove(&self, id: u64) -> Result<()> {
        let client = self.client().await?;
        let route = self.route(&format!("issues/comments/{id}"));
        // the answer has no content that could be read
        let remove = || async { map_github_error(client._delete(route.as_str(), None::<&()>).await?).await };
        match self.ask(Repeat::Harmless, remove).await {
            Err(Error::Refused { status: 404, .. }) => Ok(()),
            removed => removed.map(|_| ()),
        }
    }
}
