//! `slipway promote`: the pull request that puts a version into service when it is merged.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use slipway_git::Repository;
use slipway_mlflow::ModelVersion;
use slipway_serving::Pin;

use crate::commands::diff;
use crate::commands::propose::{PullRequestReport, open};
use crate::context::Context;
use crate::failure::Failure;
use crate::kustomize::KustomizeArgs;
use crate::models;
use crate::remote::Remote;
use crate::services;
use crate::tree::Tree;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  slipway promote mnist\n  slipway promote mnist --version 3 --environment local")]
pub(crate) struct Promote {
    /// The registered model
    model: String,
    /// The version [default: the one with the best accuracy]
    #[arg(long)]
    version: Option<u64>,
    /// Where it is served
    #[arg(long, default_value = "local")]
    environment: String,
    /// Where the pull request goes: a git remote, or a bare repository on this machine [default: the loop that runs here, else origin]
    #[arg(long, env = "SLIPWAY_REMOTE")]
    remote: Option<String>,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

/// What became of a promotion.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promoted {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) digest: String,
    /// None when it is in service already.
    pub(crate) pull_request: Option<PullRequestReport>,
}

impl Promote {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let remote = Remote::choose(context, &git, self.remote.as_deref())?;
        let mlflow = services::mlflow(context)?;
        let versions = mlflow.search_model_versions(&self.model).await?;
        let chosen = choose(&self.model, &versions, self.version)?;
        let promoted = promote(&git, &remote, &self.environment, chosen, &self.kustomize).await?;
        match &promoted.pull_request {
            Some(opened) => context.say(format!(
                "opened pull request #{} to serve {} version {}: {}",
                opened.number, promoted.model, promoted.version, opened.url
            )),
            None => context.say(format!("{} version {} is in service already", promoted.model, promoted.version)),
        }
        context.json(&promoted)
    }
}

/// The version asked for, or the best one.
pub(crate) fn choose<'a>(
    model: &str,
    versions: &'a [ModelVersion],
    asked: Option<u64>,
) -> Result<&'a ModelVersion, Failure> {
    if let Some(asked) = asked {
        let known = || versions.iter().map(|version| version.version.as_str()).collect::<Vec<_>>().join(", ");
        return versions.iter().find(|version| version.number() == asked).ok_or_else(|| {
            Failure::Input(format!(
                "{model} has no version {asked}; it has: {}",
                if versions.is_empty() { "none".to_owned() } else { known() }
            ))
        });
    }
    let accuracy = |version: &ModelVersion| {
        tag(version, "slipway.accuracy").parse::<f64>().ok().filter(|number| number.is_finite())
    };
    let ready =
        versions.iter().filter(|version| version.status == "READY" && !tag(version, "slipway.digest").is_empty());
    // Of equals the older one: promoting again changes nothing.
    ready
        .filter_map(|version| Some((accuracy(version)?, version)))
        .max_by(|(a, older), (b, newer)| a.total_cmp(b).then(newer.number().cmp(&older.number())))
        .map(|(_, version)| version)
        .ok_or_else(|| {
            Failure::Job(format!(
                "{model} has no version with an accuracy to choose by: did its trials pass their gate (`slipway status`)? Name one with --version"
            ))
        })
}

/// Opens the pull request that pins this version.
pub(crate) async fn promote(
    git: &Repository,
    remote: &Remote,
    environment: &str,
    version: &ModelVersion,
    kustomize: &KustomizeArgs,
) -> Result<Promoted, Failure> {
    let digest = tag(version, "slipway.digest").to_owned();
    if digest.is_empty() {
        return Err(Failure::Input(format!(
            "version {} of {} has no slipway.digest tag, so its content cannot be pinned: register it by a TrainJob of Slipway",
            version.version, version.name
        )));
    }
    let main = remote.forge.default_branch().await?;
    let base = git.fetch(&remote.name, &main)?;
    let tree = Tree::at(git, &base)?;
    let environments = tree.folders_in("overlays");
    if !environments.iter().any(|name| name == environment) {
        return Err(Failure::Input(format!(
            "there is no environment {environment}; there are: {}",
            environments.join(", ")
        )));
    }
    let before = models::read(&tree, environment).map_err(|finding| Failure::Invalid(vec![finding]))?;
    let content = digest.parse().map_err(|error| {
        Failure::Input(format!("version {} of {}: slipway.digest: {error}", version.version, version.name))
    })?;
    let pin = Pin { name: version.name.clone(), version: version.number(), digest: content };
    let after = before.with(pin);
    let mut promoted =
        Promoted { model: version.name.clone(), version: version.version.clone(), digest, pull_request: None };
    if after == before {
        return Ok(promoted);
    }
    let title = format!("Serve {} version {} in {environment}", version.name, version.version);
    let changes = [(models::path(environment), Some(after.to_string().into_bytes()))].into();
    let head = git.commit(Some(&base), &changes, &title)?;
    let branch =
        format!("slipway/serve-{}-{}-{environment}-{}", version.name, version.version, &base[..8.min(base.len())]);
    let body = body(version, before.get(&version.name)) + &diff::for_pull_request(git, &tree, &head, kustomize)?;
    promoted.pull_request = Some(open(git, remote, &branch, &head, title, body).await?);
    Ok(promoted)
}

/// What a reviewer wants to know of a version.
fn body(version: &ModelVersion, before: Option<&Pin>) -> String {
    let mut text = "| | |\n|---|---|\n".to_owned();
    let replaces = before.map_or_else(|| "nothing was served".to_owned(), |pin| format!("version {}", pin.version));
    let _ = writeln!(text, "| replaces | {replaces} |");
    for (name, key) in [
        ("accuracy on the test split", "slipway.accuracy"),
        ("architecture", "slipway.architecture"),
        ("TrainJob", "slipway.trainjob"),
        ("experiment", "slipway.experiment-file"),
        ("commit", "slipway.commit"),
        ("dataset", "slipway.dataset"),
        ("dataset's content", "slipway.dataset-digest"),
        ("model's content", "slipway.digest"),
    ] {
        if !tag(version, key).is_empty() {
            let _ = writeln!(text, "| {name} | `{}` |", tag(version, key));
        }
    }
    text + "\nMerged, the server loads it without a restart and without failing a request. Reverting the merge goes back.\n"
}

/// A tag's value; empty when it is not there.
pub(crate) fn tag<'a>(version: &'a ModelVersion, key: &str) -> &'a str {
    version.tags.get(key).map_or("", String::as_str)
}
