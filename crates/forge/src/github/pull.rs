//! A pull request as GitHub describes it. octocrab's own type refuses the whole answer if a field that nobody here reads has a new value.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::GitHub;
use crate::{Opened, PullRequestState, Result};

/// A pull request; lists leave out nothing of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    html_url: Option<String>,
    state: Option<String>,
    title: Option<String>,
    body: Option<String>,
    user: Option<Account>,
    #[serde(default)]
    draft: Option<bool>,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    requested_reviewers: Vec<Account>,
    #[serde(default)]
    requested_teams: Vec<Team>,
    pub(crate) head: Side,
    base: Side,
    pub(crate) merged_at: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    /// Of one that is open the commit of a merge that GitHub tried.
    pub(crate) merge_commit_sha: Option<String>,
    /// How many commits it has; `None` in lists.
    #[serde(default)]
    commits: Option<usize>,
    /// Whether a merge would have no conflict; `None` while GitHub computes it, and in lists.
    #[serde(default)]
    pub(crate) mergeable: Option<bool>,
}

/// A branch with its newest commit.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Side {
    #[serde(rename = "ref")]
    pub(crate) branch: String,
    pub(crate) sha: String,
    /// The owner of the repository, also if that is gone.
    pub(crate) user: Option<Account>,
    repo: Option<RepositoryName>,
}

#[derive(Clone, Debug, Deserialize)]
struct RepositoryName {
    full_name: String,
}

/// A user, an organization or an app.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) login: String,
}

/// A label.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Label {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Team {
    slug: String,
}

impl Pull {
    /// Whether a review of this user, or of this team's slug, is asked for.
    pub(crate) fn asks(&self, user: Option<&str>, team: Option<&str>) -> bool {
        let users = self.requested_reviewers.iter().any(|one| user.is_some_and(|user| same(&one.login, user)));
        users || self.requested_teams.iter().any(|one| team.is_some_and(|team| same(&one.slug, team)))
    }

    /// Whether this user opened it.
    pub(crate) fn is_by(&self, login: &str) -> bool {
        self.user.as_ref().is_some_and(|user| same(&user.login, login))
    }

    pub(crate) fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| same(&label.name, name))
    }

    pub(crate) fn is_merged(&self) -> bool {
        self.merged_at.is_some()
    }
}

impl GitHub {
    pub(crate) fn opened(&self, pull: Pull) -> Result<Opened> {
        let merged = pull.is_merged();
        let state = match (pull.state.as_deref(), merged) {
            (_, true) => PullRequestState::Merged,
            (Some("open"), false) => PullRequestState::Open,
            _ => PullRequestState::Closed,
        };
        let url = pull.html_url.ok_or_else(|| self.unreadable("a pull request has no html_url"))?;
        let head_repository = pull.head.repo.map(|repository| repository.full_name);
        // a repository that was renamed still answers to its old name
        let own = pull.base.repo.map_or_else(|| self.name(), |repository| repository.full_name);
        Ok(Opened {
            number: pull.number,
            url,
            branch: pull.head.branch,
            title: pull.title.unwrap_or_default(),
            head: pull.head.sha,
            state,
            base: pull.base.branch,
            body: pull.body.unwrap_or_default(),
            author: pull.user.map(|user| user.login).unwrap_or_default(),
            labels: pull.labels.into_iter().map(|label| label.name).collect(),
            reviewers: {
                let users = pull.requested_reviewers.into_iter().map(|user| user.login);
                let teams = pull.requested_teams.into_iter().map(|team| format!("{}/{}", self.owner, team.slug));
                users.chain(teams).collect()
            },
            is_draft: pull.draft.unwrap_or_default(),
            is_fork: head_repository.as_ref().is_none_or(|head| !same(head, &own)),
            head_repository,
            merge_commit: pull.merge_commit_sha.filter(|_| merged),
            commits: pull.commits,
            opened_at: pull.created_at.as_deref().and_then(seconds),
        })
    }
}

/// A time as GitHub writes it, such as `2026-11-25T00:00:00Z`, in seconds since 1970.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// Whether two names are one to GitHub, which does not tell upper from lower case in them.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
