//! The pull request that starts experiments.

use std::collections::{BTreeMap, BTreeSet};

use slipway_deployment::Kustomize;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::characters;
use slipway_project::plan::Change;
use slipway_project::plan_markdown::markdown_with;
use slipway_project::{Changes, Plan, Project, Tree, cluster, count, experiment_files, rendered, trainer_folder};
use slipway_source::Finding;

use crate::base::{Base, Proposal};
use crate::work_tree::{Origin, Taken, WorkTree};
use crate::{Error, Opening, Remote, Result};

/// The most characters of a description without its preface: GitHub accepts 65,536.
const BODY: usize = 62 * 1024;

/// The most of them for what changes in the experiment files.
const FILES: usize = 8 * 1024;

/// What a person has changed in experiment files, the declarations of their datasets and the code of their programs with its images, and the
/// rendered TrainJobs of all that, on top of the remote's default branch: what others have merged there since stays. The work tree, the index
/// and the current branch stay as they are.
#[derive(Debug)]
pub struct ExperimentProposal {
    /// What the proposal starts, stops and costs.
    pub plan: Plan,
    /// What is probably not meant in the named files, and which of them have changed on the remote meanwhile.
    pub warnings: Vec<Finding>,
    base: Base,
    /// Whether all of the files are removed.
    withdraws: bool,
    names: BTreeSet<String>,
    /// What differs from the base: the named files, what they need, and their rendered TrainJobs.
    changes: Changes,
    /// Files of the changes that can be executed.
    executables: BTreeSet<String>,
}

impl ExperimentProposal {
    /// Prepares the proposal of `files`, experiment files by path in the project, as they are in the tree `here`: a change of the commit that HEAD
    /// and the remote's default branch have in common; in a bare repository, of that branch. A file that exists on the remote but not in `here`
    /// withdraws its experiment.
    ///
    /// # Errors
    /// [`Error::NotAnExperiment`], [`Error::Ignored`] and [`Error::NoSuchFile`]; [`Error::ChangedThere`] and [`Error::NoCommonHistory`] when what
    /// others have merged would be undone; [`Error::Invalid`] when the files, or what they refer to, have mistakes; when the remote cannot be
    /// fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, here: &Tree, files: &[String]) -> Result<Self> {
        // it is there for the person, though not in the tree: that is not a withdrawal
        if let Some(file) = ignored(git, files)? {
            return Err(Error::Ignored(file.clone()));
        }
        let base = Base::fetch(git, remote).await?;
        let origin = Origin::of(git, &base)?;
        Self::on(git, remote, base, &origin, here, files)
    }

    /// Prepares the proposal of experiment files that no work tree has, by path in the project: all else is as the remote's default branch
    /// has it.
    ///
    /// # Errors
    /// [`Error::NotAnExperiment`]; [`Error::Invalid`] when the files, or what they refer to, have mistakes; when the remote cannot be
    /// fetched from.
    pub async fn of_texts(git: &Repository, remote: &Remote, texts: &BTreeMap<String, String>) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let mut here = base.tree.clone();
        for (file, text) in texts {
            here.insert(file, text.clone().into_bytes());
        }
        let files: Vec<String> = texts.keys().cloned().collect();
        Self::on(git, remote, base, &Origin::Base, &here, &files)
    }

    /// Prepares it on a base.
    fn on(
        git: &Repository,
        remote: &Remote,
        base: Base,
        origin: &Origin,
        here: &Tree,
        files: &[String],
    ) -> Result<Self> {
        let before = Project::read(&base.tree);
        let Sources { tree: proposed, changes: sources, notes } =
            with_sources(&WorkTree::new(git, remote, &base, here, origin), &base.tree, files)?;
        let project = Project::read(&proposed);
        let names = experiments(&before, &project, files)?;
        let plan = Plan::new(&before, &project, Some(&names));
        let withdraws = files.iter().all(|file| matches!(sources.get(file), Some(None)));
        let mut changes = sources;
        changes.extend(rendered::changes(&project, Some(&names)));
        let mut warnings = notes;
        warnings.extend(project.warnings.into_iter().filter(|warning| files.contains(&warning.file)));
        Ok(Self { plan, warnings, base, withdraws, names, changes, executables: proposed.executables().clone() })
    }

    /// The commit of the remote's default branch that it is on top of.
    #[must_use]
    pub fn base_commit(&self) -> &str {
        &self.base.commit
    }

    /// Whether the remote already has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What it does, in one line without a full stop.
    #[must_use]
    pub fn summary(&self) -> String {
        let acts =
            |change: &Change| !(change.starts.is_empty() && change.stops.is_empty() && change.archived.is_empty());
        if self.is_empty() || self.plan.changes.iter().any(acts) {
            return self.plan.summary();
        }
        let verb = if self.withdraws { "withdraws" } else { "changes" };
        format!("{verb} {}, and starts and stops no TrainJob", self.listed())
    }

    /// Commits, pushes and opens the pull request. If one is already open for the same content, returns that one.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
    ) -> Result<Opened> {
        Ok(self.open_or_find(git, remote, kustomize, opening).await?.0)
    }

    /// The same; also returns whether it was opened just now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_or_find(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
    ) -> Result<(Opened, bool)> {
        let title = self.title();
        let head = git.commit_with_executables(Some(&self.base.commit), &self.changes, &self.executables, &title)?;
        let name = self.names.first().map_or("experiment", String::as_str).to_owned();
        let body = self.body(kustomize, &opening);
        let proposal = Proposal { name, by_name: false, label: "train", title, body };
        self.base.open_or_find(git, remote, &head, proposal, opening).await
    }

    /// The plan, what changes in the experiment files, and what changes in the clusters.
    fn body(&self, kustomize: Option<&Kustomize>, opening: &Opening) -> String {
        let after = self.base.tree.with(&self.changes);
        let deployed = self.base.deployed(&after, kustomize, opening);
        let mut plan = markdown_with(&self.plan, &deployed.summary);
        let summary = self.summary();
        if summary != self.plan.summary()
            && let Some((_, rest)) = plan.split_once('\n')
        {
            let (first, others) = summary.split_at(1);
            plan = format!("**{}{others}**\n{rest}", first.to_uppercase());
        }
        let left = BODY.saturating_sub(characters(&plan) + characters(&deployed.objects));
        let files = experiment_files::markdown(&self.base.tree, &after, left.min(FILES));
        format!("{plan}{files}{}", deployed.objects)
    }

    /// The pull request's title, such as `Train mnist-cnn (2 TrainJobs)`.
    fn title(&self) -> String {
        let starts: usize = self.plan.changes.iter().map(|change| change.starts.len()).sum();
        let names = self.listed();
        match starts {
            0 if self.withdraws => format!("Withdraw {names}"),
            0 => format!("Change {names}"),
            starts => format!("Train {names} ({})", count(starts, "TrainJob")),
        }
    }

    /// The names of the experiments, with commas between them.
    fn listed(&self) -> String {
        self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The first of the files that git ignores in the work tree.
fn ignored<'a>(git: &Repository, files: &'a [String]) -> Result<Option<&'a String>> {
    let Some(ignored) = git.ignored()? else { return Ok(None) };
    for file in files {
        if git.root().join(git.path_at_top(file)).exists() && ignored.holds(file)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The base with what is proposed of the files that a person wrote.
struct Sources {
    tree: Tree,
    /// The files that differ from the base.
    changes: Changes,
    /// What the person should know of the named files.
    notes: Vec<Finding>,
}

/// The base with what is changed here in the named files, and in what they need: the declarations of their datasets, the code of their
/// programs, and the images of that code.
fn with_sources(work: &WorkTree<'_>, base: &Tree, files: &[String]) -> Result<Sources> {
    let here = work.here;
    let mut sources = Sources { tree: base.clone(), changes: Changes::new(), notes: Vec::new() };
    for file in files {
        if !file.starts_with("experiments/") {
            return Err(Error::NotAnExperiment(file.clone()));
        }
        if here.bytes(file).or(base.bytes(file)).is_none() {
            return Err(Error::NoSuchFile(file.clone()));
        }
        let taken = work.take(file, true)?;
        sources.notes.extend(work.note(file, &taken));
        sources.add(file, taken, here);
    }
    // what is needed is what the merged experiments name; rendered jobs do not decide that, and there may be thousands
    let mut local = here.limited_to(&["clusters", "datasets", "experiments", "trainers"]);
    for file in files {
        match sources.tree.bytes(file) {
            Some(bytes) => local.insert(file, bytes.to_vec()),
            None => local.remove(file),
        }
    }
    let local = Project::read(&local);
    let named =
        || local.experiments.iter().filter(|source| files.contains(&source.file)).map(|source| &source.experiment);
    let datasets: BTreeSet<&String> =
        named().filter_map(|experiment| Some(&local.datasets.get(&experiment.spec.dataset)?.file)).collect();
    for file in datasets {
        sources.add(file, work.take(file, false)?, here);
    }
    let trainers = named().filter_map(|experiment| Some((experiment, experiment.spec.work.program()?.trainer()?)));
    for (experiment, name) in trainers {
        let folder = trainer_folder(name);
        let code: BTreeSet<String> = here.files_in(&folder).chain(base.files_in(&folder)).map(str::to_owned).collect();
        for file in &code {
            sources.add(file, work.take(file, false)?, here);
        }
        // a job must not run another image than the one of this code
        for environment in &experiment.spec.environments {
            let Some(image) = work.image(environment, name)? else { continue };
            let file = cluster::path(environment);
            let Some(text) = sources.tree.text(&file) else { continue };
            match cluster::with_trainer(&text, name, &image) {
                Some(changed) if changed != text => {
                    sources.tree.insert(&file, changed.clone().into_bytes());
                    sources.changes.insert(file, Some(changed.into_bytes()));
                }
                _ => {}
            }
        }
    }
    Ok(sources)
}

impl Sources {
    /// Adds what is proposed of a file.
    fn add(&mut self, file: &str, taken: Taken, here: &Tree) {
        let content = match taken {
            Taken::Base => return,
            Taken::Here => here.bytes(file).map(<[u8]>::to_vec),
            Taken::Merged(bytes) => Some(bytes),
        };
        match &content {
            Some(bytes) => {
                self.tree.insert(file, bytes.clone());
                self.tree.copy_mode(file, here);
            }
            None => self.tree.remove(file),
        }
        self.changes.insert(file.to_owned(), content);
    }
}

/// The names of the experiments in the files: what the files hold now, and what they held on the base.
fn experiments(before: &Project, project: &Project, files: &[String]) -> Result<BTreeSet<String>> {
    let wrong: Vec<_> = project
        .findings
        .iter()
        .filter(|finding| files.contains(&finding.file) || !finding.file.starts_with("experiments/"))
        .cloned()
        .collect();
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let of = |project: &Project| -> BTreeMap<String, String> {
        let named = project.experiments.iter().filter(|source| files.contains(&source.file));
        named.map(|source| (source.experiment.name.clone(), source.file.clone())).collect()
    };
    Ok(of(before).into_keys().chain(of(project).into_keys()).collect())
}
