//! Finding pull requests.

use http::StatusCode;
use serde_json::json;

use super::patience::Repeat;
use super::pull::{Pull, same};
use super::{GitHub, PAGE};
use crate::{Error, Opened, Result};

/// The most pages of a hundred pull requests that are read.
const MOST_PAGES: u32 = 50;

impl GitHub {
    /// A pull request by its number.
    pub(crate) async fn get(&self, number: u64) -> Result<Opened> {
        self.opened(self.pull(number).await?)
    }

    pub(crate) async fn pull(&self, number: u64) -> Result<Pull> {
        let pull = self.read(&self.route(&format!("pulls/{number}"))).await;
        pull.map_err(|error| missing(error, number))
    }

    /// All that are open, the newest last.
    pub(crate) async fn list_open(&self) -> Result<Vec<Opened>> {
        let query = json!({ "state": "open", "sort": "created", "direction": "asc", "per_page": PAGE });
        let pulls: Vec<Pull> = self.all(&self.route("pulls"), &query).await?;
        let mut opened = pulls.into_iter().map(|pull| self.opened(pull)).collect::<Result<Vec<_>>>()?;
        // one that was opened while the pages were read may be on two of them
        opened.sort_by_key(|one| one.number);
        opened.dedup_by_key(|one| one.number);
        Ok(opened)
    }

    /// The newest ones in any state, one page of them, the newest first. Their commits are not counted.
    pub(crate) async fn newest(&self) -> Result<Vec<Opened>> {
        self.page_of_newest("all", 1).await?.into_iter().map(|pull| self.opened(pull)).collect()
    }

    /// An open one that `is_it`: the oldest of the first page that has one, the newest page first. So it is one request, and one more for each
    /// hundred open ones that are newer.
    pub(crate) async fn first_open(&self, is_it: impl Fn(&Opened) -> bool) -> Result<Option<Pull>> {
        for page in 1..=MOST_PAGES {
            let pulls = self.page_of_newest("open", page).await?;
            let is_last = pulls.len() < usize::from(PAGE);
            let mut first = None;
            for pull in pulls {
                if is_it(&self.opened(pull.clone())?) {
                    first = Some(pull);
                }
            }
            if first.is_some() || is_last {
                return Ok(first);
            }
        }
        Ok(None)
    }

    async fn page_of_newest(&self, state: &str, page: u32) -> Result<Vec<Pull>> {
        let query = json!({ "state": state, "sort": "created", "direction": "desc", "per_page": PAGE, "page": page });
        let client = self.client().await?;
        let route = self.route("pulls");
        let page: octocrab::Page<Pull> = self.ask(Repeat::Harmless, || client.get(&route, Some(&query))).await?;
        Ok(page.items)
    }

    /// The open one of a branch of this repository.
    pub(crate) async fn open_for(&self, branch: &str) -> Result<Option<Opened>> {
        self.open_pull(branch).await?.map(|pull| self.opened(pull)).transpose()
    }

    /// Those of a branch of this repository in any state, the oldest first.
    pub(crate) async fn of_branch(&self, branch: &str) -> Result<Vec<Opened>> {
        let query = json!({
            "head": format!("{}:{branch}", self.owner), "state": "all", "sort": "created", "direction": "asc", "per_page": PAGE,
        });
        let mut pulls: Vec<Pull> = self.all(&self.route("pulls"), &query).await?;
        // GitHub ignores what it does not understand, and then lists all
        pulls.retain(|pull| pull.head.branch == branch);
        let mut opened = pulls.into_iter().map(|pull| self.opened(pull)).collect::<Result<Vec<_>>>()?;
        opened.sort_by_key(|one| one.number);
        Ok(opened)
    }

    /// Those that were opened at a time, in seconds since 1970, or later, the newest first.
    pub(crate) async fn opened_since(&self, time: i64) -> Result<Vec<Opened>> {
        let client = self.client().await?;
        let route = self.route("pulls");
        let mut since: Vec<Opened> = Vec::new();
        for page in 1..=MOST_PAGES {
            let query =
                json!({ "state": "all", "sort": "created", "direction": "desc", "per_page": PAGE, "page": page });
            let pulls: octocrab::Page<Pull> = self.ask(Repeat::Harmless, || client.get(&route, Some(&query))).await?;
            let is_last = pulls.items.len() < usize::from(PAGE);
            for pull in pulls.items {
                let opened = self.opened(pull)?;
                if opened.opened_at.is_some_and(|at| at < time) {
                    return Ok(since);
                }
                // one that was opened while the pages were read moves others to the next page
                if since.iter().all(|other| other.number != opened.number) {
                    since.push(opened);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(since)
    }

    pub(crate) async fn open_pull(&self, branch: &str) -> Result<Option<Pull>> {
        Ok(self.open_pulls(&self.owner, branch).await?.into_iter().next())
    }

    /// The open one of a branch of somebody's repository whose newest commit is this.
    pub(crate) async fn find(&self, head_owner: &str, branch: &str, commit: &str) -> Result<Option<Opened>> {
        let pulls = self.open_pulls(head_owner, branch).await?;
        let found = pulls.into_iter().find(|pull| {
            let owner = pull.head.user.as_ref();
            pull.head.sha == commit && owner.is_none_or(|owner| same(&owner.login, head_owner))
        });
        found.map(|pull| self.opened(pull)).transpose()
    }

    async fn open_pulls(&self, owner: &str, branch: &str) -> Result<Vec<Pull>> {
        let query = json!({ "head": format!("{owner}:{branch}"), "state": "open", "per_page": PAGE });
        let mut pulls: Vec<Pull> = self.all(&self.route("pulls"), &query).await?;
        // GitHub ignores what it does not understand, and then lists all
        pulls.retain(|pull| pull.head.branch == branch);
        Ok(pulls)
    }

    /// The merged pull request that brought a commit; of several, the one that was merged as this commit.
    pub(crate) async fn pull_request_of(&self, commit: &str) -> Result<Option<Opened>> {
        let route = self.route(&format!("commits/{commit}/pulls"));
        let mut merged = self.all(&route, &json!({ "per_page": PAGE })).await?;
        merged.retain(Pull::is_merged);
        let exact = merged.iter().position(|pull| pull.merge_commit_sha.as_deref() == Some(commit));
        match exact {
            Some(at) => self.opened(merged.swap_remove(at)).map(Some),
            None => merged.into_iter().next().map(|pull| self.opened(pull)).transpose(),
        }
    }
}

/// What GitHub says of a number that is not there.
pub(crate) fn missing(error: Error, number: u64) -> Error {
    match error {
        Error::Refused { status, .. } if status == StatusCode::NOT_FOUND => Error::NoPullRequest(number),
        error => error,
    }
}
