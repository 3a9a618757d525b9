//! `slipway diff`: what changes in each cluster, object by object, between two revisions; offline unless an upstream source changes.

use clap::Args;
use serde::Serialize;
use slipway_deployment::{Programs, differences};
use slipway_git::Repository;
use slipway_gitops::{Change, Difference};
use slipway_markdown::on_one_line;
use slipway_project::{Project, Tree, count, rendered};
use slipway_source::Finding;

use crate::context::Context;
use crate::failure::Failure;
use crate::renderers::{HelmArgs, KustomizeArgs};
use crate::revision::tree_at;
use crate::uncommitted::mark_uncommitted;

#[derive(Debug, Args)]
#[command(
    after_help = "Follows the root Application of each environment through every Application of this repository. If a source in another \
                  repository changes (its version, a chart's values, patches), it is fetched and rendered before and after. What \
                  cannot be followed is said. Of the work tree, TrainJobs are compared as its experiments render to now.\n\n\
                  Examples:\n  slipway diff                                  # changes that are not committed\n  \
                  slipway diff --base origin/main --markdown    # what a branch changes\n  \
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
    /// Print Markdown, as a pull request shows it
    #[arg(long)]
    markdown: bool,
    #[command(flatten)]
    kustomize: KustomizeArgs,
    #[command(flatten)]
    helm: HelmArgs,
}

/// What differs, and what is not among it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared<'a> {
    objects: &'a [Difference],
    not_shown: &'a [String],
    not_compared: &'a [Finding],
}

impl Diff {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let kustomize = self.kustomize.need()?;
        let before = tree_at(&git, "--base", &self.base)?;
        let after = match &self.head {
            Some(head) => tree_at(&git, "--head", head)?,
            None => Tree::of_work_tree(&context.root)?,
        };
        let (after, mistakes) = match &self.head {
            Some(_) => (after, Vec::new()),
            None => rendered_now(context, &before, after)?,
        };
        if let Some(name) = &self.environment {
            let has = |tree: &Tree| tree.folders_in("clusters").contains(name);
            if !has(&before) && !has(&after) {
                let known = after.folders_in("clusters").join(", ");
                return Err(Failure::Input(format!("--environment {name}: unknown environment; known: {known}")));
            }
        }
        let helm = self.helm.find()?;
        let programs = Programs { kustomize: &kustomize, helm: helm.as_ref() };
        let mut differences = differences(&before, &after, programs, self.environment.as_deref())?;
        differences.omitted.extend(mistakes);
        if !differences.deploys {
            return Err(Failure::Input(
                "nothing is deployed from this project: no clusters/<env>/root has a kustomization".to_owned(),
            ));
        }
        for one in &differences.not_shown {
            context.warn(format!("not shown: {one}"));
        }
        for omitted in &differences.omitted {
            context.warn(format!("not compared: {omitted}"));
        }
        if self.markdown {
            context.say(differences.markdown().trim_end());
        } else if !context.is_json() {
            show(context, &differences.objects);
        }
        context.json(&Compared {
            objects: &differences.objects,
            not_shown: &differences.not_shown,
            not_compared: &differences.omitted,
        })
    }
}

/// The work tree with the TrainJobs that its experiments render to now, and the mistakes of experiments that cannot be rendered.
fn rendered_now(context: &Context, before: &Tree, after: Tree) -> Result<(Tree, Vec<Finding>), Failure> {
    let mut project = Project::read(&after);
    mark_uncommitted(context, &mut project)?;
    let folders = ["clusters/", "datasets/", "experiments/", "trainers/"];
    let decides = |finding: &Finding| folders.iter().any(|folder| finding.file.starts_with(folder));
    let mistakes: Vec<Finding> = std::mem::take(&mut project.findings).into_iter().filter(decides).collect();
    // a mistake elsewhere may be why an experiment asks for something else
    if mistakes.iter().any(|finding| !finding.file.starts_with("experiments/")) {
        return Ok((after, mistakes));
    }
    let mut tree = after.clone();
    for (file, changes) in rendered::left_by(before, &after, &project) {
        let file = on_one_line(&file);
        let files = count(changes.len(), "file");
        context.warn(format!(
            "{file} is compared as it renders to now, which changes {files}: `slipway render` writes that"
        ));
        tree = tree.with(&changes);
    }
    Ok((tree, mistakes))
}

fn show(context: &Context, differences: &[Difference]) {
    let mut heading = (String::new(), String::new());
    for one in differences {
        let here = (one.environment.clone(), one.application.clone());
        if here != heading {
            context.say(context.paint("1", &on_one_line(&format!("{}: {}", one.environment, one.application))));
            heading = here;
        }
        let name = if one.namespace.is_empty() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
        let (color, mark) = match one.change {
            Change::Added => ("32", "+"),
            Change::Removed => ("31", "-"),
            Change::Changed => ("33", "~"),
        };
        context.say(context.paint(color, &on_one_line(&format!("  {mark} {} {name}", one.kind))));
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
