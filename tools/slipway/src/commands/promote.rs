//! `slipway promote`: the pull request that puts a version into service once it is merged.

use clap::Args;
use serde::Serialize;
use slipway_git::Repository;
use slipway_mlflow::ModelVersion;
use slipway_proposal::{Error, Promotion, best_version, numbered_version};

use crate::context::Context;
use crate::failure::Failure;
use crate::opening::OpeningArgs;
use crate::pull_request::PullRequestReport;
use crate::remote::RemoteArgs;
use crate::renderers::KustomizeArgs;
use crate::running::LoopArgs;
use crate::services;
use crate::versions::unknown_model;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  slipway promote mnist\n  slipway promote mnist --version 3 --environment local")]
pub(crate) struct Promote {
    /// The registered model
    model: String,
    /// The version [default: the best, by accuracy or its gate's metric, of those tested on the same data as the newest]
    #[arg(long)]
    version: Option<u64>,
    /// The environment that serves it
    #[arg(long, default_value = "local")]
    environment: String,
    /// Show which version would come into service, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
    #[command(flatten)]
    kustomize: KustomizeArgs,
    #[command(flatten)]
    opening: OpeningArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Promoted {
    model: String,
    version: String,
    digest: String,
    /// `None` if it is in service already, or on a dry run.
    pull_request: Option<PullRequestReport>,
}

impl Promote {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let mlflow = services::mlflow(running.as_ref())?;
        let remote = self.remote.find(&git, running.as_ref())?;
        let versions = mlflow.search_model_versions(&self.model).await?;
        if versions.is_empty() {
            return Err(unknown_model(&mlflow, &self.model).await?.into());
        }
        let version = self.choose(&versions)?;
        let promotion = Promotion::prepare(&git, &remote, &self.environment, version).await?;
        let digest = promotion.digest.to_string();
        let pull_request = if promotion.is_empty() {
            context.say(format!("{} version {} is in service already", self.model, version.version));
            None
        } else if self.dry_run {
            let (model, number, environment) = (&self.model, &version.version, &self.environment);
            context.say(format!("version {number} of {model} would come into service in {environment}"));
            context.say("dry run: no pull request was opened");
            None
        } else {
            let opened = promotion.open(&git, &remote, self.kustomize.find()?.as_ref(), self.opening.opening()).await?;
            context.say(format!(
                "pull request #{} is open, to serve {} version {}: {}",
                opened.number, self.model, version.version, opened.url
            ));
            Some(opened.into())
        };
        context.json(&Promoted { model: self.model.clone(), version: version.version.clone(), digest, pull_request })
    }

    /// The version that was named, or the best one.
    fn choose<'a>(&self, versions: &'a [ModelVersion]) -> Result<&'a ModelVersion, Error> {
        match self.version {
            Some(number) => numbered_version(&self.model, number, versions),
            None => best_version(&self.model, versions),
        }
    }
}
