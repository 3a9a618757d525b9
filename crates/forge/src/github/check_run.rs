//! The check of a commit. <https://docs.github.com/en/rest/checks/runs>

use serde::Deserialize;
use serde_json::{Value, json};
use slipway_digest::Digest;

use super::author::RUNNER;
use super::bounded::bounded_to;
use super::patience::{Repeat, is_fault, persist};
use super::pull::same;
use super::{GitHub, PAGE, refusal};
use crate::{Annotation, CheckRun, Error, Result};

/// The most characters of a summary, and of a title.
const MOST: usize = 65_535;
const MOST_OF_TITLE: usize = 255;
/// The most annotations of one request.
const ANNOTATIONS: usize = 50;
/// The most annotations of one check.
const ALL_ANNOTATIONS: usize = 200;
/// For a line about the annotations that are left out.
const ROOM: usize = 100;
/// What our checks' `external_id` begins with, and what it ends with while annotations are missing.
const OURS: &str = "slipway:";
const UNFINISHED: &str = ":unfinished";

/// A check as GitHub takes it.
pub(crate) struct Check {
    name: String,
    head: String,
    conclusion: Value,
    title: String,
    summary: String,
    annotations: Vec<Value>,
    /// `slipway:<digest of all the above>`, which tells that all of it was written.
    pub(crate) id: String,
}

/// What there is to do about a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CheckStep {
    /// It is there.
    Nothing,
    /// Nobody but an app may write checks; the reason.
    NotAllowed(String),
    Make,
    /// This run gets another content.
    Replace(u64),
    /// This run lacks the annotations from this one on.
    Continue(u64, usize),
}

/// What came of writing a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CheckWritten {
    All,
    /// Nobody knows what is there now: an answer was lost, or somebody else wrote it too.
    Unknown,
    NotAllowed(String),
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

/// A check run as GitHub describes it.
#[derive(Deserialize)]
pub(crate) struct Run {
    id: u64,
    external_id: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    app: Option<App>,
    #[serde(default)]
    output: Output,
}

#[derive(Deserialize)]
struct App {
    slug: Option<String>,
}

#[derive(Default, Deserialize)]
struct Output {
    #[serde(default)]
    annotations_count: usize,
}

impl Run {
    /// Whether a report of Slipway wrote it: by its mark, and as this app or as the workflow `report`. Every app may give its checks any name and
    /// any mark, and each job of a workflow makes a check of its own name.
    fn is_ours(&self, app: Option<&str>) -> bool {
        let slug = self.app.as_ref().and_then(|app| app.slug.as_deref());
        let is_by = |slug: &str| same(slug, RUNNER) || app.is_some_and(|app| same(slug, app));
        slug.is_some_and(is_by) && self.external_id.as_deref().is_some_and(|id| id.starts_with(OURS))
    }

    /// Whether it has ended well.
    pub(crate) fn is_green(&self) -> bool {
        self.status.as_deref() == Some("completed") && self.conclusion.as_deref() == Some("success")
    }
}

impl CheckStep {
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, Self::Nothing | Self::NotAllowed(_))
    }
}

impl Check {
    pub(crate) fn of(run: &CheckRun, head: &str) -> Self {
        let left = run.annotations.len().saturating_sub(ALL_ANNOTATIONS);
        let mut summary = bounded_to(&run.summary, if left == 0 { MOST } else { MOST - ROOM });
        if left > 0 {
            summary.push_str(&format!("\n\n… and {left} more annotations, which do not fit here.\n"));
        }
        let annotations: Vec<Value> = run.annotations.iter().take(ALL_ANNOTATIONS).map(annotation).collect();
        let title: String = run.title.chars().take(MOST_OF_TITLE).collect();
        let conclusion = json!(run.conclusion);
        let content = json!([run.name, head, conclusion, title, summary, annotations]);
        let id = format!("{OURS}{}", Digest::of(content.to_string()).hex());
        Self { name: run.name.clone(), head: head.to_owned(), conclusion, title, summary, annotations, id }
    }

    /// What is to be done if this is the newest run of ours. `app` may change its own runs alone.
    fn step(&self, newest: Option<&Run>, app: &str) -> CheckStep {
        let Some(run) = newest else { return CheckStep::Make };
        let (id, annotated) = (run.external_id.as_deref().unwrap_or_default(), run.output.annotations_count);
        // two who wrote at once may have added the same annotations, and another workflow may have written another end
        if id == self.id && annotated <= self.annotations.len() && self.conclusion == json!(run.conclusion) {
            return CheckStep::Nothing;
        }
        let slug = run.app.as_ref().and_then(|app| app.slug.as_deref());
        let is_own = slug.is_some_and(|slug| same(slug, app));
        let is_begun = id.strip_suffix(UNFINISHED) == Some(&self.id);
        match annotated {
            // GitHub adds annotations to those that are there, and removes none.
            0 if is_own => CheckStep::Replace(run.id),
            // without the last ones nothing would say that all are there
            n if is_own && is_begun && n < self.annotations.len() && n.is_multiple_of(ANNOTATIONS) => {
                CheckStep::Continue(run.id, n)
            }
            // GitHub shows the newest one of a name.
            _ => CheckStep::Make,
        }
    }

    /// The request that writes the annotations from this one on.
    fn request(&self, from: usize) -> Value {
        let end = (from + ANNOTATIONS).min(self.annotations.len());
        let id = if end < self.annotations.len() { format!("{}{UNFINISHED}", self.id) } else { self.id.clone() };
        let annotations = &self.annotations[from.min(end)..end];
        json!({
            "name": self.name,
            "head_sha": self.head,
            "status": "completed",
            "conclusion": self.conclusion,
            "external_id": id,
            "output": { "title": self.title, "summary": self.summary, "annotations": annotations },
        })
    }
}

fn annotation(one: &Annotation) -> Value {
    let Annotation { file, line, column, level, title, message } = one;
    let line = (*line).max(1);
    let mut annotation = json!({
        "path": file, "start_line": line, "end_line": line, "annotation_level": level,
        "title": title.chars().take(MOST_OF_TITLE).collect::<String>(), "message": bounded_to(message, MOST),
    });
    if *column > 0 {
        annotation["start_column"] = (*column).into();
        annotation["end_column"] = (*column).into();
    }
    annotation
}

impl GitHub {
    /// Looks what there is to do about a check.
    pub(crate) async fn check_step(&self, check: &Check) -> Result<CheckStep> {
        let Some(app) = self.app().await? else {
            return Ok(CheckStep::NotAllowed("GitHub lets only apps and workflows write checks".to_owned()));
        };
        Ok(match allowed(self.newest_check(&check.head, &check.name, Some(&app)).await)? {
            Ok(newest) => check.step(newest.as_ref(), &app),
            Err(reason) => CheckStep::NotAllowed(reason),
        })
    }

    /// The newest run of ours of a check of a commit. `app` is as which checks are written, if that is one.
    pub(crate) async fn newest_check(&self, commit: &str, name: &str, app: Option<&str>) -> Result<Option<Run>> {
        let route = format!("{}?per_page={PAGE}", self.route(&format!("commits/{commit}/check-runs")));
        let client = self.client().await?;
        // others may have newer ones of the same name
        let query = json!({ "check_name": name, "filter": "all" });
        let runs: Runs = self.ask(Repeat::Harmless, || client.get(&route, Some(&query))).await?;
        Ok(runs.check_runs.into_iter().filter(|run| run.is_ours(app)).max_by_key(|run| run.id))
    }

    pub(crate) async fn write_check(&self, check: &Check, step: CheckStep) -> Result<CheckWritten> {
        let client = self.client().await?;
        let (mut id, mut from) = match step {
            CheckStep::Nothing => return Ok(CheckWritten::All),
            CheckStep::NotAllowed(reason) => return Ok(CheckWritten::NotAllowed(reason)),
            CheckStep::Make => (None, 0),
            CheckStep::Replace(id) => (Some(id), 0),
            CheckStep::Continue(id, from) => (Some(id), from),
        };
        loop {
            let (route, body) = (self.route("check-runs"), check.request(from));
            let sent = match id {
                None => persist(Repeat::MakesAnother, || client.post::<_, Run>(&route, Some(&body))).await,
                // once more would add the annotations once more
                Some(id) => {
                    let route = format!("{route}/{id}");
                    persist(Repeat::MakesAnother, || client.patch::<Run, _, _>(&route, Some(&body))).await
                }
            };
            let run = match sent {
                Ok(run) => run,
                Err(error) if is_fault(&error) => return Ok(CheckWritten::Unknown),
                Err(error) => match allowed::<Run>(Err(refusal::explain(&self.api, &error)))? {
                    Ok(run) => run,
                    Err(reason) => return Ok(CheckWritten::NotAllowed(reason)),
                },
            };
            (id, from) = (Some(run.id), from + ANNOTATIONS);
            if run.output.annotations_count > from.min(check.annotations.len()) {
                // somebody else writes the same run at this moment
                return Ok(CheckWritten::Unknown);
            }
            if from >= check.annotations.len() {
                return Ok(CheckWritten::All);
            }
        }
    }
}

/// A refusal, such as that of a fork's token, is a reason and no failure: the comments can do without a check.
fn allowed<T>(result: Result<T>) -> Result<std::result::Result<T, String>> {
    match result {
        Err(Error::Refused { status: 403, message, .. }) => Ok(Err(message)),
        result => result.map(Ok),
    }
}
