//! `slipway promote`: the pull request that puts a version into service once it is merged, or tries it beside the one in service.

use clap::{Args, ValueEnum};
use serde::Serialize;
use slipway_git::Repository;
use slipway_mlflow::ModelVersion;
use slipway_names::tag;
use slipway_proposal::{Error, Promotion, Remote, Trial, best_version, numbered_version};
use slipway_serving::{Mode, Share};

use crate::context::Context;
use crate::failure::Failure;
use crate::opening::OpeningArgs;
use crate::pull_request::PullRequestReport;
use crate::registries;
use crate::remote::RemoteArgs;
use crate::renderers::KustomizeArgs;
use crate::running::LoopArgs;
use crate::versions::unknown_model;

#[derive(Debug, Args)]
#[command(
    after_help = "The version is one of the environment's own registry: with --environment, set MLFLOW_TRACKING_URI to its MLflow. Without it, \
                  that is the one of the loop on this machine, whose environment is `local`.\n\n\
                  Examples:\n  slipway promote mnist\n  slipway promote mnist --version 3 --environment local\n  \
                        slipway promote mnist --version 4 --as canary --share 0.05"
)]
pub(crate) struct Promote {
    /// The registered model
    model: String,
    /// The version [default: the best, by accuracy or its gate's metric, of those tested on the same data as the newest]
    #[arg(long, value_parser = parse_version)]
    version: Option<u64>,
    /// The environment that serves it, and whose registry has it
    #[arg(long, default_value = "local")]
    environment: String,
    /// Try it beside the version in service instead
    #[arg(long = "as", value_name = "MODE")]
    as_: Option<Beside>,
    /// Of which share of the requests [default: all for a shadow, 0.05 for a canary]
    #[arg(long, requires = "as_", value_parser = parse_share)]
    share: Option<f64>,
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

/// How a version is tried.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Beside {
    /// It gets the same requests, and nobody sees its answers
    Shadow,
    /// It answers a share of the requests
    Canary,
}

fn parse_version(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a version has a number, such as 4".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "a share is a number between 0 and 1, such as 0.05".to_owned())
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
        let mlflow = registries::of_environment(context, &self.environment, running.as_ref())?;
        let remote = self.remote.find(&git, running.as_ref())?;
        let versions = mlflow.search_model_versions(&self.model).await?;
        if versions.is_empty() {
            return Err(unknown_model(&mlflow, &self.model).await?.into());
        }
        let version = self.choose(&versions)?;
        let pull_request = match self.trial()? {
            None => self.promote(context, &git, &remote, version).await?,
            Some((mode, share)) => self.attempt(context, &git, &remote, version, mode, share).await?,
        };
        let digest = version.tag(tag::DIGEST).to_owned();
        context.json(&Promoted { model: self.model.clone(), version: version.version.clone(), digest, pull_request })
    }

    async fn promote(
        &self,
        context: &Context,
        git: &Repository,
        remote: &Remote,
        version: &ModelVersion,
    ) -> Result<Option<PullRequestReport>, Failure> {
        let (model, number, environment) = (&self.model, &version.version, &self.environment);
        let promotion = Promotion::prepare(git, remote, environment, version).await?;
        if promotion.is_empty() {
            context.say(format!("{model} version {number} is in service already"));
            return Ok(None);
        }
        if self.dry_run {
            context.say(format!("version {number} of {model} would come into service in {environment}"));
            context.say("dry run: no pull request was opened");
            return Ok(None);
        }
        let opened = promotion.open(git, remote, self.kustomize.find()?.as_ref(), self.opening.opening()).await?;
        let (request, url) = (opened.number, &opened.url);
        context.say(format!("pull request #{request} is open, to serve {model} version {number}: {url}"));
        Ok(Some(opened.into()))
    }

    async fn attempt(
        &self,
        context: &Context,
        git: &Repository,
        remote: &Remote,
        version: &ModelVersion,
        mode: Mode,
        share: Share,
    ) -> Result<Option<PullRequestReport>, Failure> {
        let (model, number, environment) = (&self.model, &version.version, &self.environment);
        let trial = Trial::prepare(git, remote, environment, version, mode, share).await?;
        let mode = mode.as_str();
        if trial.is_empty() {
            context.say(format!("{model} version {number} is tried as a {mode} already"));
            return Ok(None);
        }
        if self.dry_run {
            context.say(format!("version {number} of {model} would be tried as a {mode} in {environment}"));
            context.say("dry run: no pull request was opened");
            return Ok(None);
        }
        let opened = trial.open(git, remote, self.kustomize.find()?.as_ref(), self.opening.opening()).await?;
        let (request, url) = (opened.number, &opened.url);
        context.say(format!("pull request #{request} is open, to try {model} version {number} as a {mode}: {url}"));
        Ok(Some(opened.into()))
    }

    /// How the version is to be tried, if it is not to be put into service.
    fn trial(&self) -> Result<Option<(Mode, Share)>, Failure> {
        let (mode, default) = match self.as_ {
            None => return Ok(None),
            Some(Beside::Shadow) => (Mode::Shadow, 1.0),
            Some(Beside::Canary) => (Mode::Canary, 0.05),
        };
        let share = self.share.unwrap_or(default);
        let fits = Share::new(share).filter(|share| share.get() <= mode.most());
        let (name, most) = (mode.as_str(), mode.most());
        let fits = fits.ok_or_else(|| {
            Failure::Input(format!("--share is {share}; the share of a {name} is from 0.001 to {most}"))
        })?;
        Ok(Some((mode, fits)))
    }

    /// The version that was named, or the best one.
    fn choose<'a>(&self, versions: &'a [ModelVersion]) -> Result<&'a ModelVersion, Error> {
        match self.version {
            Some(number) => numbered_version(&self.model, number, versions),
            None => best_version(&self.model, versions),
        }
    }
}
