//! Whether rendered files are up to date, and what to write so that they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use similar::TextDiff;
use slipway_source::{Finding, Position};

use crate::project::{ExperimentFile, Project, Rendering, jobs_folder};
use crate::tree::Tree;

/// File contents by path; `None` removes the file.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// What to write so that the named experiments are rendered. `None` means all experiments, and then removes the jobs of experiments that
/// no longer exist.
#[must_use]
pub fn changes(project: &Project, only: Option<&BTreeSet<String>>) -> Changes {
    let meant = |name: &str| only.is_none_or(|names| names.contains(name));
    let mut changes = Changes::new();
    for (name, environment) in &project.environments {
        let renderings: BTreeMap<String, Rendering> =
            selected(project, only).flat_map(|source| project.render(source, name)).collect();
        for (path, file) in &environment.jobs {
            if !renderings.contains_key(path) && meant(file.job.experiment().unwrap_or_default()) {
                changes.insert(path.clone(), None);
            }
        }
        for (path, job) in renderings {
            if environment.jobs.get(&path).is_none_or(|file| file.text != job.text) {
                changes.insert(path, Some(job.text.into_bytes()));
            }
        }
    }
    changes
}

/// What a change of the files from `before` to `after`, which `project` was read from, has left to be rendered: what to write, by the
/// experiment's file. Experiments that have not started count if the change is about their own file.
///
/// A TrainJob that is committed as the change has it stays as it is there.
#[must_use]
pub fn left_by(before: &Tree, after: &Tree, project: &Project) -> BTreeMap<String, Changes> {
    let earlier = Project::read(before);
    let now = project.experiments.iter();
    let existing: BTreeSet<&str> = now.clone().map(|source| source.experiment.name.as_str()).collect();
    // one with a mistake is there, and what it asks for is not known
    let is_gone = |source: &&ExperimentFile| {
        !existing.contains(source.experiment.name.as_str()) && after.bytes(&source.file).is_none()
    };
    let mut left = BTreeMap::new();
    for source in now.chain(earlier.experiments.iter().filter(is_gone)) {
        let name = &source.experiment.name;
        let only = BTreeSet::from([name.clone()]);
        let known = changes(&earlier, Some(&only));
        let is_edited = before.bytes(&source.file) != after.bytes(&source.file);
        let mut own = changes(project, Some(&only));
        own.retain(|path, content| {
            let here =
                project.environments.iter().find(|(target, _)| path.starts_with(&format!("{}/", jobs_folder(target))));
            let has_started = here.is_some_and(|(target, _)| project.rendered(name, target).next().is_some());
            let is_committed = here.and_then(|(_, target)| target.jobs.get(path)).is_some_and(|file| file.is_committed);
            let is_written = is_committed && before.bytes(path) != after.bytes(path);
            known.get(path) != Some(&*content) && (is_edited || has_started) && !is_written
        });
        if !own.is_empty() {
            left.insert(source.file.clone(), own);
        }
    }
    left
}

/// An experiment that has no rendered TrainJob in an environment that it names, and asks for some there. It has not started, or all of it
/// was cancelled; what is archived has run and is not asked for again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// The experiment's file.
    pub file: String,
    /// The environment.
    pub environment: String,
    /// The number of TrainJobs that it would start there.
    pub jobs: usize,
}

/// The drafts among the named experiments; `None` means all experiments.
#[must_use]
pub fn drafts(project: &Project, only: Option<&BTreeSet<String>>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for source in selected(project, only) {
        for environment in project.environments.keys() {
            if project.rendered(&source.experiment.name, environment).next().is_some() {
                continue;
            }
            let jobs = project.render(source, environment).len();
            if jobs > 0 {
                drafts.push(Draft { file: source.file.clone(), environment: environment.clone(), jobs });
            }
        }
    }
    drafts
}

fn selected<'a>(project: &'a Project, only: Option<&'a BTreeSet<String>>) -> impl Iterator<Item = &'a ExperimentFile> {
    project.experiments.iter().filter(move |source| only.is_none_or(|names| names.contains(&source.experiment.name)))
}

/// Rendered files of the named experiments that are out of date; `None` means all experiments, and also finds the files that no experiment
/// asks for. [`drafts`] are not among them.
#[must_use]
pub fn findings(project: &Project, only: Option<&BTreeSet<String>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (target, environment) in &project.environments {
        let mut explained: BTreeSet<&str> = BTreeSet::new();
        for source in selected(project, only) {
            let name = &source.experiment.name;
            let rendered: BTreeMap<&str, _> = project.rendered(name, target).collect();
            if rendered.is_empty() {
                continue;
            }
            explained.extend(rendered.keys());
            let renderings = project.render(source, target);
            let again = format!("`slipway render {}`", source.file);
            let missing: Vec<&String> =
                renderings.keys().filter(|path| !rendered.contains_key(path.as_str())).collect();
            if let [first, ..] = missing.as_slice() {
                let of = &source.file;
                let message = match missing.len() {
                    1 => format!("{of} asks for this TrainJob, but the file does not exist"),
                    many => format!("{of} asks for this TrainJob and {} more, but their files do not exist", many - 1),
                };
                let help = format!("{again} writes what is missing; to cancel a trial, use `slipway cancel`");
                findings.push(Finding::at(first, Position::START, "not-rendered", message).with_help(help));
            }
            for (path, file) in rendered {
                match renderings.get(path) {
                    Some(job) if job.text == file.text => {}
                    Some(job) => findings.push(edited(path, &file.text, &job.text, &again)),
                    // it has a finding of its own
                    None if environment.archived.contains(&file.job.name) => {}
                    None => findings.push(
                        Finding::new(path, 1, 1, "stale", format!("{} no longer asks for this TrainJob", source.file))
                            .with_help(format!("{again} removes it")),
                    ),
                }
            }
        }
        if only.is_some() {
            continue;
        }
        let invalid: BTreeSet<&str> = project.findings.iter().map(|finding| finding.file.as_str()).collect();
        for (path, file) in &environment.jobs {
            // an invalid experiment file already has a finding
            let from = file.job.experiment_file().unwrap_or_default();
            let is_archived = environment.archived.contains(&file.job.name);
            if !explained.contains(path.as_str()) && !invalid.contains(from) && !is_archived {
                let experiment = file.job.experiment().unwrap_or("none");
                findings.push(
                    Finding::new(path, 1, 1, "orphan", format!("its experiment ({experiment}) is not in experiments/"))
                        .with_help(format!(
                            "`slipway render` removes it; {} holds only what experiments ask for",
                            jobs_folder(target)
                        )),
                );
            }
        }
    }
    findings.sort_by(|a, b| a.file.cmp(&b.file));
    findings
}

/// A file that differs from its rendering, with the difference.
fn edited(path: &str, found: &str, rendered: &str, again: &str) -> Finding {
    let same = found.lines().zip(rendered.lines()).take_while(|(a, b)| a == b).count();
    let difference = TextDiff::from_lines(rendered, found);
    let difference = difference.unified_diff().context_radius(1).header("rendered", "found").to_string();
    Finding::new(
        path,
        same + 1,
        1,
        "edited",
        "this differs from what its experiment renders to; was it edited by hand?",
    )
    .with_help(format!("change the experiment instead; {again} restores this file\n{}", difference.trim_end()))
}
