//! `slipway propose`: the pull request that starts an experiment when it is merged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_forge::{Opened, PullRequest};
use slipway_git::Repository;

use crate::commands::diff;
use crate::commands::named::in_repository;
use crate::context::Context;
use crate::failure::Failure;
use crate::kustomize::KustomizeArgs;
use crate::plan::Plan;
use crate::plan_text;
use crate::project::Project;
use crate::remote::Remote;
use crate::rendered::{self, Changes};
use crate::tree::Tree;

#[derive(Debug, Args)]
#[command(
    after_help = "The pull request holds the files named, their datasets' declarations and the rendered TrainJobs, on top of the remote's main. The\n\
                  work tree, the index and the current branch stay as they are. A file that is gone here withdraws its experiment.\n\n\
                  Examples:\n  slipway propose experiments/mnist-cnn.yaml\n  slipway propose experiments/mnist-cnn.yaml --dry-run"
)]
pub(crate) struct Propose {
    /// Experiment files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the pull request goes: a git remote, or a bare repository on this machine [default: the loop that runs here, else origin]
    #[arg(long, env = "SLIPWAY_REMOTE")]
    remote: Option<String>,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

/// What became of a proposal.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proposed {
    pub(crate) plan: Plan,
    /// None when there was nothing to do, or on a dry run.
    pub(crate) pull_request: Option<PullRequestReport>,
}

/// A pull request that is open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PullRequestReport {
    pub(crate) number: u64,
    pub(crate) url: String,
    pub(crate) branch: String,
    pub(crate) commit: String,
}

impl From<Opened> for PullRequestReport {
    fn from(opened: Opened) -> Self {
        Self { number: opened.number, url: opened.url, branch: opened.branch, commit: opened.head }
    }
}

impl Propose {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let remote = Remote::choose(context, &git, self.remote.as_deref())?;
        let files = self.files.iter().map(|file| in_repository(context, file)).collect::<Result<Vec<_>, _>>()?;
        let proposed = propose(context, &git, &remote, &files, self.dry_run, &self.kustomize).await?;
        match &proposed.pull_request {
            Some(opened) => {
                context.say(format!("opened pull request #{} ({}): {}", opened.number, opened.branch, opened.url))
            }
            None if self.dry_run => context.say("dry run: no pull request was opened"),
            None => {}
        }
        context.json(&proposed)
    }
}

/// Shows the plan of these files, paths in the repository, and opens the pull request.
pub(crate) async fn propose(
    context: &Context,
    git: &Repository,
    remote: &Remote,
    files: &[String],
    dry_run: bool,
    kustomize: &KustomizeArgs,
) -> Result<Proposed, Failure> {
    let main = remote.forge.default_branch().await?;
    let base = git.fetch(&remote.name, &main)?;
    let base_tree = Tree::at(git, &base)?;
    let before = Project::read(&base_tree);
    let (tree, sources) = with_sources(context, &base_tree, files)?;
    let project = Project::read(&tree);
    let names = asked(&before, &project, files)?;

    let plan = Plan::new(&before, &project, Some(&names));
    context.say(plan_text::terminal(&plan, context));
    let nothing = sources.is_empty() && rendered::changes(&project, Some(&names), None).is_empty();
    if nothing || dry_run {
        return Ok(Proposed { plan, pull_request: None });
    }

    let name = names.iter().next().map_or("experiment", String::as_str);
    let title = title(&plan, &names);
    // Two commits, since a TrainJob names the commit that holds its experiment.
    let experiments = git.commit(Some(&base), &sources, &format!("{title}: the experiment"))?;
    let commit = if sources.is_empty() {
        files.first().map(|file| git.last_commit_of(&base, file)).transpose()?.flatten().unwrap_or_else(|| base.clone())
    } else {
        experiments.clone()
    };
    let jobs = rendered::changes(&project, Some(&names), Some(&commit));
    let head = git.commit(Some(&experiments), &jobs, &format!("{title}: its TrainJobs, rendered"))?;
    // The same proposal again finds its branch again: what was asked for decides, not when.
    let identity = git.tree_of(&experiments)?;
    let branch = format!("slipway/{name}-{}-{}", &base[..8.min(base.len())], &identity[..8.min(identity.len())]);
    let body = plan_text::markdown(&plan) + &diff::for_pull_request(git, &base_tree, &head, kustomize)?;
    let opened = open(git, remote, &main, &branch, &head, title, body).await?;
    Ok(Proposed { plan, pull_request: Some(opened) })
}

/// Pushes a branch and opens its pull request; one that is open already is given back.
pub(crate) async fn open(
    git: &Repository,
    remote: &Remote,
    base: &str,
    branch: &str,
    head: &str,
    title: String,
    body: String,
) -> Result<PullRequestReport, Failure> {
    if let Some(opened) = remote.forge.open_for(branch).await? {
        return Ok(opened.into());
    }
    git.push(&remote.name, head, branch)?;
    let request = PullRequest { branch: branch.to_owned(), base: base.to_owned(), title, body };
    Ok(remote.forge.open(&request).await?.into())
}

/// The remote's files with those named, and with the datasets that these need, as they are here; and which of them differ.
fn with_sources(context: &Context, base: &Tree, files: &[String]) -> Result<(Tree, Changes), Failure> {
    let here = Tree::of_work_tree(&context.root)?;
    let mut tree = base.clone();
    let mut sources = Changes::new();
    let mut take = |tree: &mut Tree, file: &str| {
        if here.bytes(file) != base.bytes(file) {
            let content = here.bytes(file).map(<[u8]>::to_vec);
            match &content {
                Some(bytes) => tree.insert(file, bytes.clone()),
                None => tree.remove(file),
            }
            sources.insert(file.to_owned(), content);
        }
    };
    for file in files {
        if !file.starts_with("experiments/") || here.bytes(file).or(base.bytes(file)).is_none() {
            return Err(Failure::Input(format!(
                "{file} is no experiment file: name files of experiments/, such as experiments/mnist-cnn.yaml"
            )));
        }
        take(&mut tree, file);
    }
    let local = Project::read(&here);
    let datasets: BTreeSet<&String> = local
        .experiments
        .iter()
        .filter(|source| files.contains(&source.file))
        .filter_map(|source| Some(&local.datasets.get(&source.experiment.spec.dataset)?.file))
        .collect();
    for file in datasets {
        take(&mut tree, file);
    }
    Ok((tree, sources))
}

/// The experiments that are proposed, by name: what the files hold now, and what they held on main.
fn asked(before: &Project, project: &Project, files: &[String]) -> Result<BTreeSet<String>, Failure> {
    let wrong: Vec<_> = project
        .findings
        .iter()
        .filter(|finding| files.contains(&finding.file) || !finding.file.starts_with("experiments/"))
        .cloned()
        .collect();
    if !wrong.is_empty() {
        return Err(Failure::Invalid(wrong));
    }
    let of = |project: &Project| -> BTreeMap<String, String> {
        let named = project.experiments.iter().filter(|source| files.contains(&source.file));
        named.map(|source| (source.experiment.name.clone(), source.file.clone())).collect()
    };
    Ok(of(before).into_keys().chain(of(project).into_keys()).collect())
}

/// `Train mnist-cnn: 2 TrainJobs`
fn title(plan: &Plan, names: &BTreeSet<String>) -> String {
    let starts: usize = plan.changes.iter().map(|change| change.starts.len()).sum();
    let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut title = if starts > 0 { format!("Train {names}") } else { format!("Change {names}") };
    if starts > 0 {
        let _ = write!(title, " ({})", crate::failure::count(starts, "TrainJob"));
    }
    title
}
