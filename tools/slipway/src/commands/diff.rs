//! `slipway diff`: what changes in each cluster, object by object, between two revisions; offline.

use std::path::Path;

use clap::Args;
use slipway_git::Repository;
use slipway_gitops::{Change, Difference, Environment, compare, markdown, root_folder};

use crate::context::Context;
use crate::deployment::environments;
use crate::failure::{Failure, count};
use crate::kustomize::{Kustomize, KustomizeArgs};
use crate::tree::Tree;

#[derive(Debug, Args)]
#[command(
    after_help = "Follows the root Application of each environment through every Application of this repository. An Application on another\n\
                  repository is shown as its own definition: its version and our patches.\n\n\
                  Examples:\n  slipway diff                                  # what is not committed\n  \
                  slipway diff --base origin/main --markdown    # what a pull request changes\n  \
                  slipway diff --base v1 --head v2 --environment production -o json"
)]
pub(crate) struct Diff {
    /// The revision before
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    base: String,
    /// The revision after [default: the work tree]
    #[arg(long, value_name = "REV")]
    head: Option<String>,
    /// Only this environment
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Print it as a pull request shows it
    #[arg(long)]
    markdown: bool,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

impl Diff {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let kustomize = self.kustomize.need()?;
        let before = revision(&git, "--base", &self.base)?;
        let (after, root) = match &self.head {
            Some(head) => (revision(&git, "--head", head)?, None),
            None => (Tree::of_work_tree(&context.root)?, Some(context.root.as_path())),
        };
        if let Some(name) = &self.environment {
            let known = |tree: &Tree| tree.folders_in("clusters").contains(name);
            if !known(&before) && !known(&after) {
                let known = after.folders_in("clusters").join(", ");
                return Err(Failure::Input(format!("--environment {name}: there is none such; there are: {known}")));
            }
        }
        let differences = differences(&before, (&after, root), &kustomize, self.environment.as_deref())?;
        if self.markdown {
            context.say(markdown(&differences).trim_end());
        } else if !context.is_json() {
            show(context, &differences);
        }
        context.json(&differences)
    }
}

/// What differs between two trees, by environment.
pub(crate) fn differences(
    before: &Tree,
    (after, root): (&Tree, Option<&Path>),
    kustomize: &Kustomize,
    only: Option<&str>,
) -> Result<Vec<Difference>, Failure> {
    let old = environments(before, None, kustomize, only).map_err(|failure| failure.during("before"))?.0;
    let new = environments(after, root, kustomize, only)?.0;
    let mut names: Vec<&str> = old.iter().chain(&new).map(|environment| environment.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let find = |all: &'_ [Environment], name: &str| all.iter().position(|environment| environment.name == name);
    let all = names
        .into_iter()
        .flat_map(|name| compare(find(&old, name).map(|at| &old[at]), find(&new, name).map(|at| &new[at])));
    Ok(all.collect())
}

/// What a commit changes in the clusters, for the body of its pull request; empty where nothing is deployed from here.
pub(crate) fn for_pull_request(
    git: &Repository,
    before: &Tree,
    head: &str,
    kustomize: &KustomizeArgs,
) -> Result<String, Failure> {
    let after = Tree::at(git, head)?;
    if !after
        .folders_in("clusters")
        .iter()
        .any(|name| after.text(&format!("{}/kustomization.yaml", root_folder(name))).is_some())
    {
        return Ok(String::new());
    }
    let said = match kustomize.find()? {
        None => "Not shown: kustomize was not at hand. `slipway diff --base main` shows it.\n".to_owned(),
        // a tree that cannot be built is what `check` is for, and no reason to keep a proposal back
        Some(kustomize) => match differences(before, (&after, None), &kustomize, None) {
            Ok(differences) => markdown(&differences),
            Err(failure) => format!("Not shown, because what is deployed cannot be built: {failure}\n"),
        },
    };
    Ok(format!("\n## What changes in the clusters\n\n{said}"))
}

fn revision(git: &Repository, option: &str, name: &str) -> Result<Tree, Failure> {
    match git.resolve(name)? {
        Some(commit) => Tree::at(git, &commit),
        None => {
            Err(Failure::Input(format!("{option} {name}: there is no such revision; name a branch, a tag or a commit")))
        }
    }
}

fn show(context: &Context, differences: &[Difference]) {
    let mut place = (String::new(), String::new());
    for one in differences {
        let here = (one.environment.clone(), one.application.clone());
        if here != place {
            context.say(context.paint("1", &format!("{}: {}", one.environment, one.application)));
            place = here;
        }
        let name = if one.namespace.is_empty() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
        let (color, mark) = match one.change {
            Change::Added => ("32", "+"),
            Change::Removed => ("31", "-"),
            Change::Changed => ("33", "~"),
        };
        context.say(context.paint(color, &format!("  {mark} {} {name}", one.kind)));
        for line in one.diff.lines() {
            let color = match line.as_bytes().first() {
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                _ => "0",
            };
            context.say(format!("    {}", context.paint(color, line)));
        }
    }
    let of = |change| differences.iter().filter(|one| one.change == change).count();
    context.say(if differences.is_empty() {
        "no object changes in any environment".to_owned()
    } else {
        format!(
            "{}: {} added, {} changed, {} removed",
            count(differences.len(), "object"),
            of(Change::Added),
            of(Change::Changed),
            of(Change::Removed)
        )
    });
}
