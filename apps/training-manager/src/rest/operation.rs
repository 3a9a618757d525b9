//! One operation of the interface: what it takes and answers by its types, and how a request becomes a call of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{RequestPartsExt, response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::body::Body;
use super::ended::Ended;
use super::problem::Problem;
use super::shared::Shared;

/// Whether something is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    Post,
}

/// An operation. The document of the interface and the handler of its route are made from the same type, so neither can be without the
/// other, nor take or answer anything else.
pub(crate) trait Operation: Send + Sync + Sized + 'static {
    const VERB: Verb = Verb::Get;
    /// Its path, with a parameter in braces for each field of `Path`.
    const PATH: &'static str;
    /// Its name, for programs that are made from the document.
    const ID: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;
    /// More about it, as Markdown.
    const DESCRIPTION: &'static str = "";
    /// The statuses of its problems, with their meanings.
    const PROBLEMS: &'static [(u16, &'static str)] = &[];
    /// How long a request may take until its answer begins.
    const LIMIT: Duration = Duration::from_secs(30);

    /// The parameters in its path.
    type Path: DeserializeOwned + JsonSchema + Send;
    /// The parameters in its query.
    type Query: DeserializeOwned + JsonSchema + Send;
    /// What is read of the request's body.
    type Body: Body;
    /// What it answers.
    type Answer: Answer;

    /// Answers a request.
    fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> impl Future<Output = Result<Self::Answer, Problem>> + Send;
}

/// A request, read.
pub(crate) struct Asked<O: Operation> {
    pub(crate) path: O::Path,
    pub(crate) query: O::Query,
    pub(crate) body: O::Body,
    /// When long answers have to come to an end.
    pub(crate) ended: Ended,
}

/// No parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The name of something in a path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Named {
    /// Its name.
    pub(crate) name: String,
}

/// The handler of an operation's route.
pub(crate) async fn handle<O: Operation>(State(shared): State<Arc<Shared>>, request: Request) -> response::Response {
    let (mut head, body) = request.into_parts();
    let answering = async {
        // probes, metrics and the document are answered at any time
        if O::PATH.starts_with("/api/") {
            shared.connected()?;
        }
        let asked = read::<O>(&mut head, body).await?;
        O::answer(Arc::clone(&shared), asked).await
    };
    let answered = tokio::time::timeout(O::LIMIT, answering).await;
    let response: Response = match answered.unwrap_or_else(|_| Err(late(O::LIMIT))) {
        Ok(answer) => answer.respond(&head.headers),
        Err(problem) => problem.into_response(),
    };
    shared.state.metrics.requests.with_label_values(&[O::ID, response.status().as_str()]).inc();
    response
}

async fn read<O: Operation>(head: &mut Parts, body: HttpBody) -> Result<Asked<O>, Problem> {
    let path = head.extract::<Path<O::Path>>().await.map_err(|rejected| path_problem(&rejected))?.0;
    let query = query::<O::Query>(&head.uri)?;
    let ended = Ended::of(&head.extensions);
    Ok(Asked { path, query, body: O::Body::read(head, body).await?, ended })
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let read = Query::<T>::try_from_uri(uri).map_err(|rejected| {
        let said = rejected.body_text();
        let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(&said);
        Problem::malformed("query", format!("{said}; /openapi.json lists the parameters of each path"))
    })?;
    Ok(read.0)
}

fn path_problem(rejected: &PathRejection) -> Problem {
    let said = rejected.body_text();
    let said = said.strip_prefix("Invalid URL: ").unwrap_or(&said);
    Problem::malformed("path", format!("{said}; /openapi.json lists the paths"))
}

fn late(limit: Duration) -> Problem {
    let detail = format!(
        "there was no answer within {} s: ask again. What was begun goes on, and the same request for a pull request gives the same one",
        limit.as_secs()
    );
    Problem::new(StatusCode::GATEWAY_TIMEOUT, ("late", "The answer took too long"), detail)
}
