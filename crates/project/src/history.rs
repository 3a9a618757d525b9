//! `overlays/<env>/history/`: what came of TrainJobs that have ended, one file each, beside the folder of those that run.
//!
//! A file's name alone says that its job has run, so nothing but [`records`] and [`findings`] reads the files.

use slipway_experiment::{Record, check_record, read_record};
use slipway_source::{Finding, position_of};

use crate::parallel::in_parallel;
use crate::project::{Project, jobs_folder};
use crate::tree::Tree;

/// The folder of an environment's records.
#[must_use]
pub fn folder(environment: &str) -> String {
    format!("overlays/{environment}/history")
}

/// The path of a TrainJob's record.
#[must_use]
pub fn path(environment: &str, job: &str) -> String {
    format!("{}/{job}.yaml", folder(environment))
}

/// Whether a path is that of a record.
#[must_use]
pub fn is_record(path: &str) -> bool {
    matches!(path.split('/').collect::<Vec<_>>()[..], ["overlays", _, "history", name] if name.ends_with(".yaml"))
}

/// Where the record of a rendered TrainJob belongs, by the path of its file. Returns `None` for the path of anything else.
#[must_use]
pub fn of_rendered(rendered: &str) -> Option<String> {
    match rendered.split('/').collect::<Vec<_>>()[..] {
        ["overlays", environment, "training-jobs", name] => Some(path(environment, name.strip_suffix(".yaml")?)),
        _ => None,
    }
}

/// The names of the TrainJobs that have a record in an environment.
pub fn jobs<'a>(tree: &'a Tree, environment: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let folder = format!("{}/", folder(environment));
    tree.files_from(&folder).filter_map(move |path| name_in(path, &folder))
}

/// The records of an environment that can be read, by the names of their TrainJobs; those of one experiment if it is named. A mistake in a
/// file is a finding of [`findings`], and the file is left out here.
#[must_use]
pub fn records(tree: &Tree, environment: &str, experiment: Option<&str>) -> Vec<Record> {
    let is_of = |job: &&str| experiment.is_none_or(|experiment| is_of(job, experiment));
    let paths: Vec<String> = jobs(tree, environment).filter(is_of).map(|job| path(environment, job)).collect();
    let read = |path: &String| read_record(path, &tree.text(path)?).ok();
    in_parallel(&paths, read).into_iter().flatten().collect()
}

/// Every mistake in the records of a project's environments: in a file itself, in its name, and that its job is rendered as well.
#[must_use]
pub fn findings(tree: &Tree, project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (environment, target) in &project.environments {
        let folder = folder(environment);
        let paths: Vec<&str> = tree.yaml_in(&folder).collect();
        let check = |path: &&str| {
            let text = tree.text(path).unwrap_or_default();
            match check_record(path, &text) {
                Ok(record) => misnamed(path, &text, environment, &record).into_iter().collect(),
                Err(findings) => findings,
            }
        };
        findings.extend(in_parallel(&paths, check).into_iter().flatten());
        for (rendered, file) in target.jobs.iter().filter(|(_, file)| target.archived.contains(&file.job.name)) {
            let path = path(environment, &file.job.name);
            let at = position_of(&tree.text(&path).unwrap_or_default(), "metadata.name");
            let message = format!("{} has ended by this record, and {rendered} starts it", file.job.name);
            let help = format!(
                "delete {rendered} if the job has ended; otherwise delete the record: {} holds what has not ended",
                jobs_folder(environment)
            );
            findings.push(Finding::at(&path, at, "recorded-and-rendered", message).with_help(help));
        }
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    findings
}

/// A finding if a file is not named after its TrainJob: by its name alone the job would not have run, and another one would have.
fn misnamed(file: &str, text: &str, environment: &str, record: &Record) -> Option<Finding> {
    let expected = path(environment, &record.name);
    if file == expected {
        return None;
    }
    let message = format!("{file} is the record of `{}`", record.name);
    let finding = Finding::at(file, position_of(text, "metadata.name"), "misnamed", message);
    Some(finding.with_help(format!("rename the file to {expected}")))
}

/// The name of the TrainJob whose record is at a path in a folder.
fn name_in<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder)?.strip_suffix(".yaml").filter(|name| !name.contains('/'))
}

/// Whether a TrainJob is one of an experiment, by its name: `<experiment>-<hash8>`.
#[must_use]
pub fn is_of(job: &str, experiment: &str) -> bool {
    job.rsplit_once('-').is_some_and(|(name, _)| name == experiment)
}
