//! Cancelling an experiment or a trial, as a pull request.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use slipway_forge::Opened;
use slipway_proposal::{Cancellation, Opening};

use super::body::Written;
use super::operation::{Asked, Named, Nothing, Operation, Verb};
use super::problem::Problem;
use super::shared::Shared;
use super::writer::Writer;
use super::writing::{Change, LIMIT, PROBLEMS, Proposed, Refused, write};

/// How something is cancelled.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    /// Only in this environment; in all of them if nothing is given.
    #[serde(default)]
    environment: Option<String>,
    /// Whether the pull request is opened as a draft.
    #[serde(default)]
    draft: bool,
}

/// `POST /api/v1/experiments/{name}/cancel`
pub(crate) struct Experiment;

impl Operation for Experiment {
    const VERB: Verb = Verb::Post;
    const PATH: &'static str = "/api/v1/experiments/{name}/cancel";
    const ID: &'static str = "cancelExperiment";
    const SUMMARY: &'static str = "Opens the pull request that cancels all trials of an experiment";
    const PROBLEMS: &'static [(u16, &'static str)] = &PROBLEMS;
    const LIMIT: Duration = LIMIT;

    type Path = Named;
    type Query = Nothing;
    type Body = Written<Cancel>;
    type Answer = Proposed;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        cancel(shared, asked.body, asked.path.name, Kind::Experiment).await
    }
}

/// `POST /api/v1/trials/{name}/cancel`
pub(crate) struct Trial;

impl Operation for Trial {
    const VERB: Verb = Verb::Post;
    const PATH: &'static str = "/api/v1/trials/{name}/cancel";
    const ID: &'static str = "cancelTrial";
    const SUMMARY: &'static str = "Opens the pull request that cancels a trial";
    const PROBLEMS: &'static [(u16, &'static str)] = &PROBLEMS;
    const LIMIT: Duration = LIMIT;

    type Path = Named;
    type Query = Nothing;
    type Body = Written<Cancel>;
    type Answer = Proposed;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        cancel(shared, asked.body, asked.path.name, Kind::Trial).await
    }
}

async fn cancel(shared: Arc<Shared>, body: Written<Cancel>, name: String, kind: Kind) -> Result<Proposed, Problem> {
    let Written { token, content: Cancel { environment, draft } } = body;
    write(shared, &token, draft, Cancelled { name, environment, kind }).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Experiment,
    Trial,
}

/// What is to be cancelled.
struct Cancelled {
    name: String,
    environment: Option<String>,
    kind: Kind,
}

impl Change for Cancelled {
    fn describe(&self) -> String {
        let kind = if self.kind == Kind::Experiment { "experiment" } else { "trial" };
        let environment = self.environment.as_ref().map(|environment| format!(" in {environment}")).unwrap_or_default();
        format!("cancel {kind} {}{environment}", self.name)
    }

    async fn open(&self, writer: &Writer, opening: Opening) -> Result<Opened, Refused> {
        let names = [self.name.clone()];
        let only = self.environment.as_deref();
        let cancellation = Cancellation::prepare(&writer.git, &writer.remote, &names, only).await?;
        // a name may be that of an experiment and of a trial, and only one of the two was asked for
        let is_meant = cancellation.plan.changes.iter().all(|change| match self.kind {
            Kind::Experiment => change.experiment == self.name,
            Kind::Trial => change.stops.iter().all(|stopped| *stopped == self.name),
        });
        if !is_meant {
            let (this, other) = match self.kind {
                Kind::Experiment => ("experiment", "trials"),
                Kind::Trial => ("trial", "experiments"),
            };
            let detail = format!(
                "{} is no {this} on the default branch: ask at /api/v1/{other}/{}/cancel",
                self.name, self.name
            );
            return Err(Problem::unknown(this, detail).into());
        }
        Ok(cancellation.open(&writer.git, &writer.remote, None, opening).await?)
    }
}
