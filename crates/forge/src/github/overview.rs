//! A pull request with what speaks against its merge, in one request: reviews, checks and rules are four lists by the other API.
//! <https://docs.github.com/en/graphql>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::patience::Repeat;
use super::pull::{Account, Label, seconds};
use super::{Credentials, GitHub};
use crate::{Error, Objections, Opened, PullRequestState, Result};

/// What is asked.
const QUERY: &str = include_str!("overview.graphql");

/// The fields that an older Enterprise server may lack, each with all that is below it: without them the rest is still of use.
const PARTS: [&str; 7] = [
    "refUpdateRule",
    "rules",
    "statusCheckRollup",
    "mergeStateStatus",
    "reviewDecision",
    "latestOpinionatedReviews",
    "reviewThreads",
];

/// What a server says of a query with a field, a type or an argument that its schema does not have. It answers nothing else of it then.
const NOT_IN_SCHEMA: [&str; 3] = ["undefinedField", "undefinedType", "argumentNotAccepted"];

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Data {
    viewer: Option<Account>,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    pull_request: Option<Overview>,
}

/// Why a part of the answer is not there.
#[derive(Clone, Deserialize)]
pub(super) struct Fault {
    #[serde(rename = "type")]
    kind: Option<String>,
    pub(super) message: String,
    path: Option<Vec<Value>>,
    extensions: Option<Extensions>,
}

#[derive(Clone, Deserialize)]
struct Extensions {
    code: Option<String>,
}

impl Fault {
    /// Whether the server does not know what it was asked for.
    fn is_of_schema(&self) -> bool {
        let code = self.extensions.as_ref().and_then(|extensions| extensions.code.as_deref());
        code.is_some_and(|code| NOT_IN_SCHEMA.contains(&code))
    }

    /// The part of the query that the server does not know, if the rest can be asked for without it.
    fn lacks(&self) -> Option<&'static str> {
        PARTS.into_iter().find(|part| self.is_of_schema() && self.is_in(part))
    }

    /// Whether the part is below a field of this name.
    pub(super) fn is_in(&self, field: &str) -> bool {
        self.path.iter().flatten().any(|step| step == field)
    }
}

/// A list of which the first hundred are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    nodes: Option<Vec<Option<T>>>,
    pub(super) total_count: Option<usize>,
}

impl<T> List<T> {
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flatten().flatten()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    number: u64,
    url: String,
    title: String,
    body: String,
    state: String,
    is_draft: bool,
    created_at: Option<String>,
    author: Option<Actor>,
    labels: Option<List<Label>>,
    review_requests: Option<List<ReviewRequest>>,
    head_ref_name: String,
    head_ref_oid: String,
    head_repository: Option<RepositoryName>,
    is_cross_repository: bool,
    base_ref_name: String,
    pub(super) base_ref: Option<BaseRef>,
    merge_commit: Option<Oid>,
    pub(super) commits: Option<List<PullRequestCommit>>,
    pub(super) review_decision: Option<String>,
    pub(super) latest_opinionated_reviews: Option<List<Review>>,
    pub(super) review_threads: Option<List<ReviewThread>>,
    pub(super) merge_state_status: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewRequest {
    requested_reviewer: Option<Reviewer>,
}

/// Of a team nothing is asked.
#[derive(Deserialize)]
struct Reviewer {
    login: Option<String>,
}

impl ReviewRequest {
    /// The login of a user. Returns `None` for anything else, and for whom the token may not see.
    fn login(&self) -> Option<&str> {
        self.requested_reviewer.as_ref()?.login.as_deref()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryName {
    name_with_owner: String,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

/// The base branch with its rules: those of its protection, and those of rulesets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BaseRef {
    pub(super) ref_update_rule: Option<UpdateRule>,
    pub(super) rules: Option<List<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateRule {
    pub(super) required_approving_review_count: Option<usize>,
    pub(super) required_status_check_contexts: Option<Vec<Option<String>>>,
    pub(super) requires_conversation_resolution: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Rule {
    pub(super) parameters: Option<Parameters>,
}

/// The parameters of the rules that are asked for; others have none of these fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    pub(super) required_approving_review_count: Option<usize>,
    pub(super) required_review_thread_resolution: Option<bool>,
    pub(super) required_status_checks: Option<Vec<RequiredCheck>>,
}

#[derive(Deserialize)]
pub(super) struct RequiredCheck {
    pub(super) context: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequestCommit {
    pub(super) commit: Option<Commit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    pub(super) status_check_rollup: Option<Rollup>,
}

#[derive(Deserialize)]
pub(super) struct Rollup {
    pub(super) contexts: Option<List<Check>>,
}

/// A check has a name and, once it has ended, a conclusion; a status of a commit has a context and a state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    pub(super) started_at: Option<String>,
    pub(super) name: Option<String>,
    pub(super) conclusion: Option<String>,
    pub(super) context: Option<String>,
    pub(super) state: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Review {
    pub(super) state: Option<String>,
    pub(super) author: Option<Account>,
}

/// A conversation about lines of the change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewThread {
    pub(super) is_resolved: bool,
}

impl GitHub {
    /// A pull request by its number, with what speaks against its merge, apart from the check of this name. If a team is asked for its review, its
    /// name takes a second request. A server that lacks a part of this is asked again for the rest.
    pub(crate) async fn overview(&self, number: u64, except: &str) -> Result<(Opened, Objections)> {
        let mut query = QUERY.to_owned();
        // why parts of it are left out
        let mut lacking: BTreeMap<&str, Fault> = BTreeMap::new();
        let Answer { data, mut errors } = loop {
            let answer = self.answer(&query, number).await?;
            let before = lacking.len();
            if answer.data.is_none() {
                for fault in &answer.errors {
                    if let Some(part) = fault.lacks() {
                        lacking.entry(part).or_insert_with(|| fault.clone());
                    }
                }
            }
            if lacking.len() == before {
                break answer;
            }
            query = lacking.keys().fold(QUERY.to_owned(), |query, part| without(&query, part));
        };
        errors.extend(lacking.into_values());
        let (viewer, repository) = data.map(|data| (data.viewer, data.repository)).unwrap_or_default();
        if let (Credentials::Token(_), Some(viewer)) = (&self.credentials, viewer) {
            // it saves the question who asks; whoever knows it already knows the same
            let _ = self.login.set(viewer.login);
        }
        let is_there = repository.is_some();
        match repository.and_then(|repository| repository.pull_request) {
            Some(overview) => {
                let objections = overview.objections(except, &errors);
                let names_all = overview.review_requests.iter().flat_map(List::all).all(|one| one.login().is_some());
                let mut opened = overview.opened();
                if !names_all {
                    opened.reviewers = self.get(number).await?.reviewers;
                }
                Ok((opened, objections))
            }
            None => Err(self.not_there(number, is_there, errors.into_iter().next())),
        }
    }

    async fn answer(&self, query: &str, number: u64) -> Result<Answer> {
        let client = self.client().await?;
        // an Enterprise server has it beside the API of `/api/v3`
        let route = if self.api.ends_with("/v3") { "/../graphql" } else { "/graphql" };
        let variables = json!({ "owner": self.owner, "name": self.repository, "number": number });
        let body = json!({ "query": query, "variables": variables });
        self.ask(Repeat::Harmless, || client.post(route, Some(&body))).await
    }

    /// Why there is no pull request in an answer.
    fn not_there(&self, number: u64, has_repository: bool, fault: Option<Fault>) -> Error {
        let Some(fault) = fault else {
            return self.unreadable("it has neither a pull request nor a reason");
        };
        let is_of_schema = fault.is_of_schema();
        let Fault { kind, message, .. } = fault;
        match kind.as_deref() {
            Some("NOT_FOUND") if has_repository => Error::NoPullRequest(number),
            Some("NOT_FOUND") => {
                let advice = "the repository does not exist, or the token may not see it";
                Error::Refused { status: 404, message, advice }
            }
            Some("RATE_LIMITED" | "RATE_LIMIT") => Error::RateLimited { reset: "within an hour".to_owned() },
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => {
                let advice = "the token needs to read pull requests, checks and contents of this repository";
                Error::Refused { status: 403, message, advice }
            }
            _ if is_of_schema => {
                let advice = "this GitHub server lacks what its message names: a newer version of it has that";
                Error::Refused { status: 200, message, advice }
            }
            // this API says so with the status of a success
            _ => Error::Refused { status: 200, message, advice: "try again later" },
        }
    }
}

impl Overview {
    fn opened(self) -> Opened {
        let state = match self.state.as_str() {
            "OPEN" => PullRequestState::Open,
            "MERGED" => PullRequestState::Merged,
            _ => PullRequestState::Closed,
        };
        let requests = self.review_requests.iter().flat_map(List::all);
        let reviewers = requests.filter_map(|one| one.login().map(str::to_owned)).collect();
        Opened {
            number: self.number,
            url: self.url,
            branch: self.head_ref_name,
            title: self.title,
            head: self.head_ref_oid,
            state,
            base: self.base_ref_name,
            body: self.body,
            // the other API says so of an app
            author: self.author.map_or_else(String::new, |author| match author.kind.as_str() {
                "Bot" => format!("{}[bot]", author.login),
                _ => author.login,
            }),
            labels: self.labels.iter().flat_map(List::all).map(|label| label.name.clone()).collect(),
            reviewers,
            is_draft: self.is_draft,
            head_repository: self.head_repository.map(|repository| repository.name_with_owner),
            is_fork: self.is_cross_repository,
            merge_commit: self.merge_commit.map(|commit| commit.oid).filter(|_| state == PullRequestState::Merged),
            commits: self.commits.and_then(|commits| commits.total_count),
            opened_at: self.created_at.as_deref().and_then(seconds),
        }
    }
}

/// A query without a field and all that is below it. In the query each field has lines of its own, and its end is as far to the right as it.
fn without(query: &str, field: &str) -> String {
    let mut rest = String::new();
    let mut end: Option<String> = None;
    for line in query.lines() {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        let name = text.split([' ', '(', '{']).next().unwrap_or_default();
        match &end {
            Some(last) if line == last => end = None,
            Some(_) => {}
            None if name == field => end = text.ends_with('{').then(|| format!("{indent}}}")),
            None => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    rest
}
