//! `slipway check`: everything in the repository, offline; with `--complete`, what it deploys from other repositories as well.

use clap::Args;
use serde::Serialize;
use slipway_deployment::{Programs, examine, examine_upstream, not_rendered};
use slipway_git::Repository;
use slipway_lineage::{Unknown, unknown_contents};
use slipway_markdown::on_one_line;
use slipway_project::{Project, Tree, count, history, rendered};
use slipway_report::{moved_and_changed, out_of_date};
use slipway_source::Finding;

use crate::context::Context;
use crate::draft_state::{Branches, DraftState, ExplainedDraft};
use crate::failure::Failure;
use crate::named::need_content;
use crate::renderers::{HelmArgs, KustomizeArgs};
use crate::revision::tree_at;
use crate::uncommitted::mark_uncommitted;
use crate::warnings::warn;

#[derive(Debug, Args)]
#[command(
    after_help = "Checks experiments, datasets, rendered TrainJobs, and everything that Argo CD would deploy: builds each overlay and follows each \
                  reference in it. The latter needs kustomize; without it, `check` says what it skipped.\n\n\
                  With --complete, it also fetches and renders the manifests and charts of other repositories, and checks that \
                  their projects permit them, that Pod Security accepts their pods, and that they can be applied.\n\n\
                  Examples:\n  slipway check\n  slipway check --complete\n  slipway check --base origin/main\n  slipway check -o json | jq '.findings[] | .file'"
)]
pub(crate) struct Check {
    /// Render sources in other repositories too, and fail if anything was skipped, such as when a program is missing
    #[arg(long)]
    complete: bool,
    /// With --complete: leave out sources in other repositories
    #[arg(long, requires = "complete")]
    offline: bool,
    /// What HEAD is to be merged into: TrainJobs that this does not have yet must be as they render to now, whatever their committed files say
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    #[command(flatten)]
    kustomize: KustomizeArgs,
    #[command(flatten)]
    helm: HelmArgs,
}

/// How many drafts are named.
const DRAFTS: usize = 5;

#[derive(Serialize)]
struct Checked {
    experiments: usize,
    datasets: usize,
    environments: usize,
    jobs: usize,
    /// TrainJobs that have ended and are in the history.
    records: usize,
    kustomizations: usize,
    objects: usize,
    /// Experiments without a TrainJob in an environment, which is not a mistake, with the reason.
    drafts: Vec<ExplainedDraft>,
    /// Sources in other repositories that were rendered.
    upstream: usize,
    skipped: Vec<String>,
    /// What is probably not meant.
    warnings: Vec<Finding>,
    findings: [(); 0],
}

impl Check {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = Tree::of_work_tree(&context.root)?;
        let mut project = Project::read(&tree);
        let base = self.base(context)?;
        let out_of_date = match &base {
            Some(base) => out_of_date(base, &mut project),
            None => {
                mark_uncommitted(context, &mut project)?;
                rendered::findings(&project, None)
            }
        };
        let kustomize = self.kustomize.find()?;
        let mut deployment = examine(&tree, &project, kustomize.as_ref())?;
        let mut skipped = std::mem::take(&mut deployment.skipped);
        skipped.extend(tree.links_outside().map(|(link, target)| {
            let (link, target) = (on_one_line(link), on_one_line(target));
            format!("{link} is a link to {target}, outside of the folders that are read; commit a copy in its place")
        }));
        let contents = match Repository::project(&context.root) {
            Err(slipway_git::Error::NotARepository(_)) => Unknown::default(),
            found => unknown_contents(&found?, &tree, &project)?,
        };
        skipped.extend(contents.skipped);
        let mut records = history::findings(&tree, &project);
        records.extend(base.iter().flat_map(|base| moved_and_changed(base, &tree)));
        let mut invalid = [project.findings.as_slice(), &records, &deployment.findings, &contents.findings].concat();
        let (mut upstream, mut left_out) = (0, None);
        match &kustomize {
            Some(kustomize) if self.complete && !self.offline => {
                let helm = self.helm.find()?;
                let examined = examine_upstream(&tree, &deployment, Programs { kustomize, helm: helm.as_ref() });
                upstream = examined.rendered;
                skipped.extend(examined.skipped);
                invalid.extend(examined.findings);
            }
            _ => left_out = not_rendered(&deployment),
        }
        for skipped in &skipped {
            context.warn(format!("skipped: {skipped}"));
        }
        warn(context, &project.warnings);
        if !invalid.is_empty() {
            return Err(Failure::Invalid([invalid, out_of_date].concat()));
        }
        if !out_of_date.is_empty() {
            return Err(Failure::OutOfDate(out_of_date));
        }
        need_content(context, &project)?;
        if self.complete && !skipped.is_empty() {
            return Err(Failure::Environment(format!("not complete: {}", skipped.join("\n"))));
        }
        // not worth a warning each time: what is in this repository was checked
        let how = if self.offline { "because of --offline" } else { "`slipway check --complete` renders them" };
        let note = left_out.map(|sources| format!("{sources}: not rendered; {how}"));
        let branches = Branches::find(context)?;
        let drafts = branches.explain(&project, rendered::drafts(&project, None))?;
        let checked = Checked {
            experiments: project.experiments.len(),
            datasets: project.datasets.len(),
            environments: project.environments.len(),
            jobs: project.environments.values().map(|environment| environment.jobs.len()).sum(),
            records: project.environments.values().map(|environment| environment.archived.len()).sum(),
            kustomizations: deployment.built,
            objects: deployment.environments.iter().map(|environment| environment.objects().count()).sum(),
            drafts,
            upstream,
            skipped: skipped.into_iter().chain(note.clone()).collect(),
            warnings: project.warnings,
            findings: [],
        };
        if !context.is_json() {
            let deployed = if checked.kustomizations == 0 {
                String::new()
            } else {
                format!(", {}, {}", count(checked.kustomizations, "kustomization"), count(checked.objects, "object"))
            };
            let upstream = match checked.upstream {
                0 => String::new(),
                rendered => format!(", {} in other repositories", count(rendered, "source")),
            };
            let records = match checked.records {
                0 => String::new(),
                records => format!(", {}", count(records, "record")),
            };
            context.say(format!(
                "{} {}, {}, {}, {}{records}{deployed}{upstream}: no problems found",
                context.paint("32", "✓"),
                count(checked.experiments, "experiment"),
                count(checked.datasets, "dataset"),
                count(checked.environments, "environment"),
                count(checked.jobs, "TrainJob"),
            ));
            for ExplainedDraft { draft, state } in checked.drafts.iter().take(DRAFTS) {
                let jobs = count(draft.jobs, "TrainJob");
                let (file, environment) = (on_one_line(&draft.file), on_one_line(&draft.environment));
                let (what, next) = match state {
                    DraftState::NotStarted => ("has not started", "`slipway propose` starts it".to_owned()),
                    DraftState::Cancelled => ("was cancelled", "`slipway propose` starts it again".to_owned()),
                    DraftState::StartedOnMain => {
                        let forge = branches.ahead().unwrap_or_default();
                        let pull = format!(
                            "`git pull --ff-only {forge} main` brings it here; if git refuses, see Merging in README.md"
                        );
                        ("has started on the loop's main", pull)
                    }
                };
                context.say(format!("  {file} {what} in {environment} ({jobs}): {next}"));
            }
            if checked.drafts.len() > DRAFTS {
                context.say(format!("  … and {} more have no TrainJob here", checked.drafts.len() - DRAFTS));
            }
            if let Some(note) = note {
                context.say(format!("  {note}"));
            }
        }
        context.json(&checked)
    }

    /// What is compared with: where HEAD left the revision that `--base` names.
    fn base(&self, context: &Context) -> Result<Option<Tree>, Failure> {
        let Some(name) = &self.base else { return Ok(None) };
        let git = Repository::project(&context.root)?;
        let common = match (git.resolve(name)?, git.head()?) {
            (Some(base), Some(head)) => git.merge_base(&base, &head)?,
            _ => None,
        };
        tree_at(&git, "--base", common.as_deref().unwrap_or(name)).map(Some)
    }
}
