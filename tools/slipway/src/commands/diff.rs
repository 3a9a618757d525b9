//! `slipway diff`: what changes in each cluster, object by object, between two revisions; offline unless an upstream source changes.

use clap::Args;
use serde::Serialize;
use slipway_deployment::{Programs, differences};
use slipway_git::Repository;
use slipway_gitops::{Change, Difference};
use slipway_markdown::on_one_line;
use slipway_project::{Tree, count};
use slipway_source::Finding;

use crate::context::Context;
use crate::failure::Failure;
use crate::renderers::{HelmArgs, KustomizeArgs};
use crate::revision::tree_at;

#[derive(Debug, Args)]
#[command(
    after_help = "Follows the root Application of each environment through every Application of this repository. If a source in another \
                  repository changes (its version, a chart's values, patches), it is fetched and rendered before and after. What \
                  cannot be followed is said.\n\n\
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
        if let Some(name) = &self.environment {
            let has = |tree: &Tree| tree.folders_in("clusters").contains(name);
            if !has(&before) && !has(&after) {
                let known = after.folders_in("clusters").join(", ");
                return Err(Failure::Input(format!("--environment {name}: unknown environment; known: {known}")));
            }
        }
        let helm = self.helm.find()?;
        let programs = Programs { kustomize: &kustomize, helm: helm.as_ref() };
        let differences = differences(&before, &after, programs, self.environment.as_deref())?;
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
