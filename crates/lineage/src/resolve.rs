//! From a TrainJob to the content of its experiment, and to the commits of the branch that brought both.

use slipway_experiment::{
    Code, DatasetRef, Limits, Program, TrainJob, Trial, Work, parse_with, read_job, recorded_file,
};
use slipway_git::{Error, PathHistory, Result, blob_id};
use slipway_project::{history, jobs_folder, trainer_folder};

use crate::brought::{Brought, never};
use crate::lineage::{
    CommitLineage, DatasetLineage, ExperimentLineage, Lineage, Part, ProgramLineage, Searched, TrainJobLineage,
};
use crate::{History, Origin};

/// More trials than any environment allows: what is read here was checked when it was proposed.
const MOST_TRIALS: usize = 100_000;

/// A TrainJob's file at one content.
struct JobVersion {
    path: String,
    blob: String,
    job: TrainJob,
}

/// Resolves an origin in the history of a branch. Uses no network; pull requests come from
/// [`find_pull_requests`](Lineage::find_pull_requests). What cannot be resolved is in [`Lineage::unresolved`].
///
/// # Errors
/// When the history cannot be read.
pub fn resolve(history: &History, origin: &Origin) -> Result<Lineage> {
    let tip = history.repository.commit_of(&history.revision)?;
    let files = history.repository.path_history(&history.revision, &pattern(origin))?;
    let mut lineage = Lineage {
        history: Searched { branch: history.branch.clone(), commit: tip.id, complete: files.cut.is_none() },
        train_job: TrainJobLineage { name: origin.train_job.clone(), ..TrainJobLineage::default() },
        experiment: ExperimentLineage { file: origin.experiment_file.clone(), ..ExperimentLineage::default() },
        dataset: origin.dataset_digest.clone().map(|digest| DatasetLineage { name: origin.dataset.clone(), digest }),
        program: origin.program_tree.clone().map(|tree| ProgramLineage { folder: None, tree, commit: None }),
        unresolved: Vec::new(),
    };
    let job = train_job(history, origin, &files, &mut lineage)?;
    experiment(history, origin, job.as_ref(), &mut lineage)?;
    program(history, job.as_ref(), &mut lineage)?;
    Ok(lineage)
}

/// The files of a TrainJob: in its environment, or in any.
fn pattern(origin: &Origin) -> String {
    format!("{}/{}.yaml", jobs_folder(origin.environment.as_deref().unwrap_or("*")), origin.train_job)
}

/// Finds the TrainJob's file. The newest content that names the same experiment and code as the origin is meant: a job that was removed may have been
/// rendered again from another content that asks for the same.
fn train_job(
    history: &History,
    origin: &Origin,
    files: &PathHistory,
    lineage: &mut Lineage,
) -> Result<Option<JobVersion>> {
    let changed = files.changes.iter().filter_map(|change| Some((&change.path, change.blob.as_ref()?)));
    let held = files.cut.iter().flat_map(|(_, held)| held);
    let is_same = |job: &TrainJob| {
        let provenance = job.provenance();
        let has_code = origin.program_tree.is_none() || provenance.program_tree == origin.program_tree;
        has_code
            && match (&origin.blob, &origin.commit) {
                (Some(named), _) => provenance.blob.as_ref() == Some(named),
                (None, Some(named)) => provenance.commit.as_ref() == Some(named),
                (None, None) => true,
            }
    };
    let (mut found, mut other) = (None, None);
    for (path, blob) in changed.chain(held) {
        let Ok(job) = read(history, path, blob)? else { continue };
        let version = JobVersion { path: path.clone(), blob: blob.clone(), job };
        if is_same(&version.job) {
            found = Some(version);
            break;
        }
        other.get_or_insert(version);
    }
    // the record holds the file to the byte, also where its commit is not here
    let recorded = if found.is_none() && other.is_none() { recorded(history, origin)? } else { None };
    let Some(version) = found.or(recorded.filter(|version| is_same(&version.job))) else {
        lineage.unresolved(
            Part::TrainJob,
            match other {
                Some(other) => format!("{} was rendered from another content of its experiment", other.path),
                None => never(files.cut.is_some(), "its file", history),
            },
        );
        return Ok(None);
    };
    let job = &mut lineage.train_job;
    job.environment = version.path.split('/').nth(1).map(str::to_owned);
    job.file = Some(version.path.clone());
    job.blob = Some(version.blob.clone());
    job.image = Some(version.job.image.clone());
    if let Some(record) = history::of_rendered(&version.path)
        && history.repository.blob_at(&history.revision, &record)?.is_some()
    {
        job.record = Some(record);
    }
    match Brought::find(files, &version.path, &version.blob).commit("its file", history) {
        Ok(commit) => job.commit = Some(CommitLineage::of(&commit)),
        Err(reason) => lineage.unresolved(Part::TrainJobCommit, reason),
    }
    Ok(Some(version))
}

/// A TrainJob's file as its record has it.
fn recorded(history: &History, origin: &Origin) -> Result<Option<JobVersion>> {
    let pattern = history::path(origin.environment.as_deref().unwrap_or("*"), &origin.train_job);
    let records = history.repository.path_history(&history.revision, &pattern)?;
    let changed = records.changes.iter().filter_map(|change| Some((&change.path, change.blob.as_ref()?)));
    for (path, blob) in changed.chain(records.cut.iter().flat_map(|(_, held)| held)) {
        let bytes = history.repository.blobs(&[blob])?.concat();
        let Some(file) = recorded_file(&bytes) else { continue };
        let Some(environment) = path.split('/').nth(1) else { continue };
        let path = format!("{}/{}.yaml", jobs_folder(environment), origin.train_job);
        if let Ok(job) = read_job(&path, &String::from_utf8_lossy(file)) {
            return Ok(Some(JobVersion { blob: blob_id(file), path, job }));
        }
    }
    Ok(None)
}

/// A TrainJob's file; the inner error is a mistake in it.
fn read(history: &History, path: &str, blob: &str) -> Result<std::result::Result<TrainJob, slipway_source::Finding>> {
    let bytes = history.repository.blobs(&[blob])?.concat();
    Ok(read_job(path, &String::from_utf8_lossy(&bytes)))
}

fn experiment(history: &History, origin: &Origin, version: Option<&JobVersion>, lineage: &mut Lineage) -> Result<()> {
    let job = version.map(|version| &version.job);
    let trial = job.and_then(|job| job.trial().ok().flatten());
    lineage.experiment.name = job.and_then(TrainJob::experiment).map(str::to_owned);
    if let Some(trial) = &trial {
        let DatasetRef { name, digest } = trial.dataset.clone();
        match lineage.dataset.as_mut() {
            None => lineage.dataset = Some(DatasetLineage { name: Some(name), digest }),
            // the tags of a run have the digest alone
            Some(dataset) if dataset.name.is_none() && dataset.digest == digest => dataset.name = Some(name),
            Some(_) => {}
        }
    }
    let file = origin.experiment_file.clone().or_else(|| job.and_then(TrainJob::experiment_file).map(str::to_owned));
    let Some(file) = file else {
        // without its file, the job's own reason is reported already
        if version.is_some() {
            lineage.unresolved(Part::Experiment, "the TrainJob does not name its experiment's file");
        }
        return Ok(());
    };
    lineage.experiment.file = Some(file.clone());
    let provenance = job.map(TrainJob::provenance);
    let named = origin.blob.clone().or_else(|| provenance.as_ref()?.blob.clone());
    let commit = origin.commit.clone().or_else(|| provenance.as_ref()?.commit.clone());
    let blob = match (named, commit) {
        (Some(blob), _) => Ok(blob),
        (None, commit) => blob_of_commit(history, commit.as_deref(), &file, lineage)?,
    };
    let blob = match blob {
        Ok(blob) => blob,
        Err(reason) => {
            lineage.unresolved(Part::Experiment, reason);
            return Ok(());
        }
    };
    if let Some(trial) = &trial
        && let Some(reason) = content_is_wrong(history, &blob, &file, trial)?
    {
        lineage.unresolved(Part::Experiment, reason);
    }
    lineage.experiment.blob = Some(blob.clone());
    let contents = history.repository.path_history(&history.revision, &file)?;
    match Brought::find(&contents, &file, &blob).commit("this content", history) {
        Ok(commit) => lineage.experiment.commit = Some(CommitLineage::of(&commit)),
        Err(reason) => lineage.unresolved(Part::ExperimentCommit, reason),
    }
    Ok(())
}

/// The code that a TrainJob runs, and the commit that brought it: the job's own, or an earlier one, or a later one of the same proposal.
fn program(history: &History, version: Option<&JobVersion>, lineage: &mut Lineage) -> Result<()> {
    let Some(version) = version else { return Ok(()) };
    let trial = version.job.trial().ok().flatten();
    let Some(Work::Program(Program { code: Code::Trainer(trainer), .. })) = trial.map(|trial| trial.work) else {
        return Ok(());
    };
    let folder = trainer_folder(&trainer);
    let named = lineage.program.take().map(|program| program.tree).or_else(|| version.job.provenance().program_tree);
    let Some(tree) = named else {
        lineage.unresolved(Part::Program, format!("the TrainJob does not name the content of {folder}"));
        return Ok(());
    };
    let path = format!("{folder}/");
    let contents = history.repository.path_history(&history.revision, &path)?;
    let commit = match Brought::find(&contents, &path, &tree).commit("this code", history) {
        Ok(commit) => Some(CommitLineage::of(&commit)),
        Err(reason) => {
            lineage.unresolved(Part::Program, format!("tree {tree} of {folder}: {reason}"));
            None
        }
    };
    lineage.program = Some(ProgramLineage { folder: Some(folder), tree, commit });
    Ok(())
}

/// The content of an experiment that is named by a commit. A commit of a branch that was merged by squash or rebase may be gone; then it is
/// the content beside the TrainJob in the commit that brought that, which `content_is_wrong` verifies.
fn blob_of_commit(
    history: &History,
    commit: Option<&str>,
    file: &str,
    lineage: &Lineage,
) -> Result<std::result::Result<String, String>> {
    if let Some(commit) = commit
        && let Some(commit) = history.repository.resolve(commit)?
        && let Some(blob) = history.repository.blob_at(&commit, file)?
    {
        return Ok(Ok(blob));
    }
    if let Some(commit) = &lineage.train_job.commit
        && let Some(blob) = history.repository.blob_at(&commit.id, file)?
    {
        return Ok(Ok(blob));
    }
    Ok(Err(match commit {
        Some(commit) => {
            format!(
                "commit {commit}, which the TrainJob names, is not in this repository, nor is the commit of the TrainJob"
            )
        }
        None => "the TrainJob does not name it: it was rendered from a file that was not committed".to_owned(),
    }))
}

/// Why a content cannot be that of the experiment: it is not in the repository, or it does not ask for this trial.
fn content_is_wrong(history: &History, blob: &str, file: &str, trial: &Trial) -> Result<Option<String>> {
    let bytes = match history.repository.blobs(&[blob]) {
        Ok(bytes) => bytes.concat(),
        Err(Error::MissingObject(_) | Error::NoRevision(_)) => {
            return Ok(Some(format!("blob {blob} of {file} is not in this repository")));
        }
        Err(error) => return Err(error),
    };
    let parsed = parse_with(file, &String::from_utf8_lossy(&bytes), &Limits { max_trials: MOST_TRIALS });
    Ok(match parsed {
        Err(_) => Some(format!("blob {blob} of {file} is not an experiment that this version of slipway reads")),
        Ok(experiment) => {
            let asks = experiment.trials(&trial.dataset).iter().any(|one| one.name == trial.name);
            (!asks).then(|| format!("blob {blob} of {file} does not ask for TrainJob {}", trial.name))
        }
    })
}
