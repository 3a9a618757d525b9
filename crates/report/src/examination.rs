//! What a change would do, from git objects alone.

use std::collections::{BTreeMap, BTreeSet};

use slipway_deployment::{Differences, Error as Deploying, HOW_TO_GET_KUSTOMIZE, Kustomize, examine, own_differences};
use slipway_git::{Merge, Repository};
use slipway_project::rendered::{Draft, drafts};
use slipway_project::{ExperimentFile, Project, Tree, cluster, experiment_files, history, trainer_folder};
use slipway_source::{Finding, Position};

use crate::expectation::{PastRun, recorded_runs};
use crate::in_service::InService;
use crate::jobs::EnvironmentJobs;
use crate::reviewed::{TOO_MANY_TRIALS, is_rendered, moved_and_changed, out_of_date, unreviewed};
use crate::{Error, Result};

/// What merging a commit into a branch would do.
#[derive(Debug, Default)]
pub struct Examination {
    /// The newest commit of the branch, 40 hex digits.
    pub base: String,
    /// The reviewed commit, 40 hex digits.
    pub head: String,
    /// The folder of the project from the top of the repository; empty for the top.
    pub folder: String,
    /// Why they cannot be merged; everything else is then about the reviewed commit as it is.
    pub conflict: Option<Conflict>,
    /// What happens to the TrainJobs of each environment.
    pub environments: Vec<EnvironmentJobs>,
    /// The CPU-hours and GPU-hours that experiments may use, by name.
    pub budgets: BTreeMap<String, (f64, Option<f64>)>,
    /// Every mistake.
    pub findings: Vec<Finding>,
    /// Rendered files that would not run as they were reviewed, or not as their experiments say; they are not among [`findings`](Self::findings).
    pub not_as_reviewed: Vec<Finding>,
    /// Runs of the experiments that start something, as the history before the change has them, the newest first.
    pub recorded: Vec<PastRun>,
    /// What is probably not meant, in files that the change touches.
    pub warnings: Vec<Finding>,
    /// Experiments of the change of which nothing is rendered, so that merging starts nothing.
    pub drafts: Vec<Draft>,
    /// What changes in the experiment files, by path, as unified diffs.
    pub experiment_files: BTreeMap<String, String>,
    /// The objects that change in the clusters; why they are not known otherwise.
    pub differences: Option<Result<Differences, String>>,
    /// What could not be checked, and why.
    pub skipped: Vec<String>,
    /// The versions in service that change.
    pub in_service: Vec<InService>,
    /// How many TrainJobs that stay keep older code of a trainer that the change touches, by the trainer's name.
    pub keep_code: BTreeMap<String, usize>,
    /// The images of the environments' trainers before and after, where they change: what new jobs run from then on.
    pub trainer_images: Vec<TrainerImage>,
}

/// An image that an environment runs new jobs with, and that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainerImage {
    /// The environment.
    pub environment: String,
    /// The trainer; `None` for the built-in one.
    pub trainer: Option<String>,
    /// The image before; `None` if there was none.
    pub before: Option<String>,
    /// The image after; `None` if there is none any more.
    pub after: Option<String>,
}

/// Why a commit cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// These files, from the top of the repository, changed on both sides.
    Files {
        /// The files.
        files: Vec<String>,
        /// Whether all of them are rendered, so that rendering resolves it.
        only_rendered: bool,
    },
    /// They have no common history.
    Unrelated,
}

impl Examination {
    /// Merges `head` into `base`, both any revision, and examines the result. Nothing is fetched, no reference moves, and no file is written;
    /// without `kustomize` it says what is not known.
    ///
    /// # Errors
    /// [`Error::NoRevision`]; when the repository cannot be read, or kustomize not be run. What is wrong with the change is no error.
    pub fn of(git: &Repository, base: &str, head: &str, kustomize: Option<&Kustomize>) -> Result<Self> {
        let commit = |revision: &str| git.resolve(revision)?.ok_or_else(|| Error::NoRevision(revision.to_owned()));
        let (base, head) = (commit(base)?, commit(head)?);
        let (old, merged, conflict) = match git.merge(&base, &head)? {
            Merge::Tree(tree) => (base.clone(), tree, None),
            // what the branch does to what it is based on is all that can be shown
            Merge::Conflict(files) => {
                let own = |file: &str| match git.prefix() {
                    "" => is_rendered(file),
                    folder => {
                        file.strip_prefix(folder).and_then(|file| file.strip_prefix('/')).is_some_and(is_rendered)
                    }
                };
                let only_rendered = files.iter().all(|file| own(file));
                let common = git.merge_base(&base, &head)?.unwrap_or_else(|| base.clone());
                (common, head.clone(), Some(Conflict::Files { files, only_rendered }))
            }
            Merge::Unrelated => (base.clone(), head.clone(), Some(Conflict::Unrelated)),
        };
        let (before, after) = (Tree::at(git, &old)?, Tree::at(git, &merged)?);
        let mut examination = Self::of_trees(&before, &after, kustomize)?;
        // where nothing has happened on the base meanwhile, the merge leaves what was reviewed
        if conflict.is_none() && merged != git.tree_of(&head)? {
            examination.not_as_reviewed.extend(unreviewed(&before, &Tree::at(git, &head)?, &after));
            examination.not_as_reviewed.sort();
        }
        Ok(Self { base, head, folder: git.prefix().to_owned(), conflict, ..examination })
    }

    fn of_trees(before: &Tree, after: &Tree, kustomize: Option<&Kustomize>) -> Result<Self> {
        let mut project = Project::read(after);
        let environments = EnvironmentJobs::all(before, after, &project);
        let not_as_reviewed = out_of_date(before, &mut project);
        let recorded = [history::findings(after, &project), moved_and_changed(before, after)].concat();
        let deployment = examine(after, &project, kustomize)?;
        let mut skipped = deployment.skipped;
        skipped.extend(after.links_outside().map(|(link, target)| {
            format!("{link} is a link to {target}, outside of the folders that are read; commit a copy in its place")
        }));
        let differences = differences(before, after, kustomize)?;
        let is_changed = |file: &str| before.bytes(file) != after.bytes(file);
        let budgets = project.experiments.iter().map(|source| {
            let budget = &source.experiment.spec.budget;
            (source.experiment.name.clone(), (budget.cpu_hours, budget.gpu_hours))
        });
        let too_many = not_as_reviewed.iter().any(|finding| finding.code == TOO_MANY_TRIALS);
        let of_change = project.experiments.iter().filter(|source| !too_many && is_changed(&source.file));
        let drafts = drafts(&project, Some(&of_change.map(|source| source.experiment.name.clone()).collect()));
        Ok(Self {
            recorded: recorded_runs(before, &environments),
            environments,
            budgets: budgets.collect(),
            not_as_reviewed,
            drafts,
            experiment_files: experiment_files::differences(before, after),
            differences,
            skipped,
            in_service: InService::all(before, after),
            keep_code: keep_code(before, after, &project),
            trainer_images: trainer_images(before, after),
            warnings: project.warnings.into_iter().filter(|warning| is_changed(&warning.file)).collect(),
            findings: [project.findings, recorded, deployment.findings].concat(),
            ..Self::default()
        })
    }

    /// Whether the check must be red.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.conflict.is_some()
            || !self.findings.is_empty()
            || !self.not_as_reviewed.is_empty()
            || self.environments.iter().any(|environment| !environment.unreadable.is_empty())
    }
}

/// The objects that change, or why that is not known; `None` if nothing is deployed from either tree.
fn differences(
    before: &Tree,
    after: &Tree,
    kustomize: Option<&Kustomize>,
) -> Result<Option<Result<Differences, String>>> {
    let Some(kustomize) = kustomize else {
        let deploys =
            [before, after].iter().any(|tree| tree.files().keys().any(|path| path.ends_with("/kustomization.yaml")));
        return Ok(deploys.then(|| Err(format!("kustomize was not found; to get it: {HOW_TO_GET_KUSTOMIZE}"))));
    };
    match own_differences(before, after, kustomize) {
        Ok(differences) => Ok(differences.deploys.then_some(Ok(differences))),
        Err(error @ Deploying::Program { .. }) => Err(error.into()),
        Err(error) => Ok(Some(Err(reason(&error)))),
    }
}

/// An error with the first of its findings.
fn reason(error: &Deploying) -> String {
    match error {
        Deploying::Before(error) => format!("before the change, {}", reason(error)),
        Deploying::Invalid(findings) => {
            let first = findings.first().map(|finding| format!(": {finding}")).unwrap_or_default();
            format!("what is deployed cannot be built: {error}{first}")
        }
        other => other.to_string(),
    }
}

/// TrainJobs that stay, and so keep the code that they were rendered with, by the trainers whose code changes.
fn keep_code(before: &Tree, after: &Tree, project: &Project) -> BTreeMap<String, usize> {
    let is_changed = |name: &&str| {
        let folder = trainer_folder(name);
        before.folder_id(&folder).is_some_and(|id| after.folder_id(&folder).is_some_and(|now| now != id))
    };
    let changed: BTreeSet<&str> = project.trainers.keys().map(String::as_str).filter(is_changed).collect();
    let trainer = |source: &ExperimentFile| {
        let name = source.experiment.spec.work.program()?.trainer()?;
        Some((source.experiment.name.clone(), *changed.get(name)?))
    };
    let by_experiment: BTreeMap<String, &str> = project.experiments.iter().filter_map(trainer).collect();
    let mut jobs = BTreeMap::new();
    for (path, file) in project.environments.values().flat_map(|environment| &environment.jobs) {
        let trainer = file.job.experiment().and_then(|name| by_experiment.get(name));
        if let Some(trainer) = trainer.filter(|_| before.bytes(path).is_some()) {
            *jobs.entry((*trainer).to_owned()).or_default() += 1;
        }
    }
    jobs
}

fn trainer_images(before: &Tree, after: &Tree) -> Vec<TrainerImage> {
    let of = |tree: &Tree, environment: &str| {
        let spec = cluster::read(tree, environment).ok().map(|cluster| cluster.spec);
        let mut images: BTreeMap<Option<String>, String> = BTreeMap::new();
        if let Some(spec) = spec {
            images.extend(spec.trainers.into_iter().map(|(name, image)| (Some(name), image)));
            images.insert(None, spec.trainer_image);
        }
        images
    };
    let names: BTreeSet<String> = [before, after].into_iter().flat_map(|tree| tree.folders_in("clusters")).collect();
    let mut changed = Vec::new();
    for environment in names {
        let (mut old, new) = (of(before, &environment), of(after, &environment));
        for (trainer, image) in new {
            let before = old.remove(&trainer);
            if before.as_ref() != Some(&image) {
                changed.push(TrainerImage { environment: environment.clone(), trainer, before, after: Some(image) });
            }
        }
        for (trainer, image) in old {
            changed.push(TrainerImage { environment: environment.clone(), trainer, before: Some(image), after: None });
        }
    }
    changed
}

/// A finding about a file that cannot be merged.
pub(crate) fn conflict_finding(file: &str) -> Finding {
    Finding::at(file, Position::START, "conflict", "this file changed here and on the base branch")
}
