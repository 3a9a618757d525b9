//! Opening a pull request, with its labels and reviewers.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::bounded::{bounded, bounded_title};
use super::patience::{Repeat, is_fault, persist};
use super::pull::{Account, Label, Pull, same};
use super::{GitHub, PAGE, refusal};
use crate::{Error, Opened, PullRequest, Result};

impl GitHub {
    /// Opens a pull request, or finds the one that is open for the branch. Then asks for the labels and reviews that it lacks.
    pub(crate) async fn open_pull_request(&self, request: &PullRequest) -> Result<Opened> {
        let (pull, is_new) = self.open_or_find(request).await?;
        self.complete(pull, is_new, request).await
    }

    /// The pull request that is open for the branch, with the labels and reviews that it lacks. Returns `None` if there is none.
    pub(crate) async fn resume(&self, request: &PullRequest) -> Result<Option<Opened>> {
        match self.open_pull(&request.branch).await? {
            Some(pull) => self.complete(pull, false, request).await.map(Some),
            None => Ok(None),
        }
    }

    /// The first open pull request that `is_it`, as [`first_open`](Self::first_open) finds it, with the labels and reviews that it lacks.
    /// Returns `None` if there is none.
    pub(crate) async fn resume_first(
        &self,
        request: &PullRequest,
        is_it: impl Fn(&Opened) -> bool,
    ) -> Result<Option<Opened>> {
        match self.first_open(is_it).await? {
            Some(pull) => self.complete(pull, false, request).await.map(Some),
            None => Ok(None),
        }
    }

    /// Adds the labels and, unless a draft is asked for, asks for the reviews that are missing.
    async fn complete(&self, pull: Pull, is_new: bool, request: &PullRequest) -> Result<Opened> {
        let added = self.label(&pull, &request.labels).await?;
        // a draft is not ready for anybody's review
        if !request.draft {
            self.ask_for_reviews(&pull, is_new, &request.reviewers).await?;
        }
        let mut opened = self.opened(pull)?;
        opened.labels.extend(added);
        Ok(opened)
    }

    /// Returns also whether it is new.
    async fn open_or_find(&self, request: &PullRequest) -> Result<(Pull, bool)> {
        let client = self.client().await?;
        let mut body = json!({
            "title": bounded_title(&request.title),
            "head": request.branch,
            "base": request.base,
            "body": bounded(&request.body),
        });
        if request.draft {
            body["draft"] = true.into();
        }
        let route = self.route("pulls");
        let error = match persist(Repeat::MakesAnother, || client.post(&route, Some(&body))).await {
            Ok(pull) => return Ok((pull, true)),
            Err(error) => error,
        };
        // One that is open already is refused; one whose answer was lost may be there.
        let refused = matches!(&error, octocrab::Error::GitHub { source, .. } if source.status_code.as_u16() == 422);
        let found = if refused || is_fault(&error) { self.open_pull(&request.branch).await? } else { None };
        found.map(|pull| (pull, false)).ok_or_else(|| refusal::explain(&self.api, &error))
    }

    /// Adds the labels that are missing. Returns them.
    async fn label(&self, pull: &Pull, labels: &[String]) -> Result<Vec<String>> {
        let missing: Vec<&String> = labels.iter().filter(|label| !pull.has_label(label)).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client().await?;
        let (route, body) = (self.route(&format!("issues/{}/labels", pull.number)), json!({ "labels": missing }));
        let add = || client.post::<_, Vec<Label>>(&route, Some(&body));
        match unless_refused(self.ask(Repeat::Harmless, add).await)? {
            Ok(_) => Ok(missing.into_iter().cloned().collect()),
            Err(reason) => {
                tracing::warn!("pull request #{} has not got its labels: {reason}", pull.number);
                Ok(Vec::new())
            }
        }
    }

    /// Asks for the reviews that are missing. Of whoever has reviewed one that was open already, none is missing.
    async fn ask_for_reviews(&self, pull: &Pull, is_new: bool, reviewers: &[String]) -> Result<()> {
        let mut missing: Vec<Reviewer<'_>> = reviewers.iter().map(|name| Reviewer::of(name)).collect();
        missing.retain(|reviewer| !pull.asks(reviewer.user(), reviewer.team()) && self.may_review(pull, reviewer));
        if !is_new && missing.iter().any(|reviewer| reviewer.user().is_some()) {
            let route = self.route(&format!("pulls/{}/reviews", pull.number));
            let reviews: Vec<Review> = self.all(&route, &json!({ "per_page": PAGE })).await?;
            let reviewed =
                |user: &str| reviews.iter().any(|one| one.user.as_ref().is_some_and(|by| same(&by.login, user)));
            missing.retain(|reviewer| reviewer.user().is_none_or(|user| !reviewed(user)));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let Err(reason) = self.ask_reviewers(pull.number, &missing).await? else { return Ok(()) };
        // One who may not be asked, such as the author, keeps GitHub from asking the others.
        let mut refused = Vec::new();
        match missing.as_slice() {
            [one] => refused.push((one, reason)),
            several => {
                for one in several {
                    if let Err(reason) = self.ask_reviewers(pull.number, std::slice::from_ref(one)).await? {
                        refused.push((one, reason));
                    }
                }
            }
        }
        for (reviewer, reason) in refused {
            tracing::warn!("{} is not asked to review pull request #{}: {reason}", reviewer.name(), pull.number);
        }
        Ok(())
    }

    /// Whether GitHub could ask this reviewer: nobody reviews an own pull request, and teams are those of the repository's owner.
    fn may_review(&self, pull: &Pull, reviewer: &Reviewer<'_>) -> bool {
        match reviewer {
            Reviewer::User(login) => !pull.is_by(login),
            Reviewer::Team(_, name) => name.split_once('/').is_some_and(|(owner, _)| same(owner, &self.owner)),
        }
    }

    async fn ask_reviewers(&self, number: u64, reviewers: &[Reviewer<'_>]) -> Result<std::result::Result<(), Error>> {
        let client = self.client().await?;
        let route = self.route(&format!("pulls/{number}/requested_reviewers"));
        let users: Vec<&str> = reviewers.iter().filter_map(Reviewer::user).collect();
        let teams: Vec<&str> = reviewers.iter().filter_map(Reviewer::team).collect();
        let body = json!({ "reviewers": users, "team_reviewers": teams });
        let asked = self.ask(Repeat::Harmless, || client.post::<_, Pull>(&route, Some(&body))).await;
        Ok(unless_refused(asked)?.map(|_| ()))
    }
}

/// Who is asked for a review.
#[derive(Clone, Copy, Debug)]
enum Reviewer<'a> {
    User(&'a str),
    /// Its slug, and its name with the organization, which GitHub knows without being told.
    Team(&'a str, &'a str),
}

impl<'a> Reviewer<'a> {
    fn of(name: &'a str) -> Self {
        match name.split_once('/') {
            Some((_, team)) => Self::Team(team, name),
            None => Self::User(name),
        }
    }

    fn user(&self) -> Option<&'a str> {
        match self {
            Self::User(login) => Some(login),
            Self::Team(..) => None,
        }
    }

    fn team(&self) -> Option<&'a str> {
        match self {
            Self::User(_) => None,
            Self::Team(slug, _) => Some(slug),
        }
    }

    fn name(&self) -> &'a str {
        match self {
            Self::User(name) | Self::Team(_, name) => name,
        }
    }
}

/// A review that was given.
#[derive(Deserialize)]
struct Review {
    user: Option<Account>,
}

/// What the pull request can do without: a refusal of it is not a failure.
fn unless_refused<T>(result: Result<T>) -> Result<std::result::Result<T, Error>> {
    const PASSED_OVER: [StatusCode; 3] =
        [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY];
    match result {
        Err(Error::Refused { status, message, advice }) if PASSED_OVER.iter().any(|code| *code == status) => {
            Ok(Err(Error::Refused { status, message, advice }))
        }
        result => result.map(Ok),
    }
}
