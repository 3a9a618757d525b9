//! Experiment files that a person named on the command line.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use slipway_git::Repository;
use slipway_project::{Project, Tree};
use slipway_proposal::Error;
use slipway_source::{Finding, closest};

use crate::context::Context;
use crate::failure::Failure;

/// A path in the project: relative to its folder, with `/` between folders. `path` is relative to the current folder, or to the project's
/// folder if only that has such a file.
pub(crate) fn in_project(context: &Context, path: &Path) -> Result<String, Failure> {
    let given = std::path::absolute(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
    let full = if given.exists() || !context.root.join(path).exists() { given } else { context.root.join(path) };
    // the file itself may no longer exist
    let full = match (full.parent().and_then(|folder| folder.canonicalize().ok()), full.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => context.root.join(path),
    };
    let outside = || Failure::Input(format!("{} is not in the project {}", path.display(), context.root.display()));
    let inside = full.strip_prefix(&context.root).map_err(|_| outside())?;
    let parts: Option<Vec<&str>> = inside
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/")).ok_or_else(outside)
}

/// Fails if the project's files declare nothing: whatever is asked of such a folder, nothing can be wrong with it.
pub(crate) fn need_content(context: &Context, project: &Project) -> Result<(), Failure> {
    if project.is_empty() {
        return Err(Failure::Input(format!(
            "{} declares nothing: no experiment, no dataset, no environment; is this the project?",
            context.root.display()
        )));
    }
    Ok(())
}

/// Why a named file declares no experiment.
fn no_experiment(context: &Context, project: &Project, file: String) -> Failure {
    if context.root.join(&file).exists() {
        let ignored = Repository::project(&context.root).and_then(|git| git.ignored()).ok().flatten();
        let is_ignored = ignored.is_some_and(|ignored| ignored.holds(&file).unwrap_or_default());
        return if is_ignored { Error::Ignored(file).into() } else { Error::NotAnExperiment(file).into() };
    }
    let known: Vec<&str> = project.experiments.iter().map(|source| source.file.as_str()).collect();
    let help = match close_file(project, &file) {
        Some(meant) => format!("did you mean {meant}?"),
        None if known.is_empty() => "there are no experiments yet; `slipway new NAME` writes one".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    Failure::Input(format!("{file} does not exist; {help}"))
}

/// The file of the experiment that was probably meant.
fn close_file<'a>(project: &'a Project, file: &str) -> Option<&'a str> {
    // files are named after their experiments, and some people give the experiment's name
    let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let meant = closest(&name, project.experiments.iter().map(|source| source.experiment.name.as_str()))?;
    project.experiments.iter().find(|source| source.experiment.name == meant).map(|source| source.file.as_str())
}

/// Why experiment files cannot be proposed, with the one that was probably meant by a file that does not exist.
pub(crate) fn with_close_file(context: &Context, here: &Tree, error: Error) -> Failure {
    match error {
        Error::NotAnExperiment(file) => no_experiment(context, &Project::read(here), file),
        Error::NoSuchFile(file) => match close_file(&Project::read(here), &file) {
            Some(meant) => Failure::Input(format!("{file} does not exist; did you mean {meant}?")),
            None => Error::NoSuchFile(file).into(),
        },
        error => error.into(),
    }
}

/// The names of the experiments in the named files; `None`, which means all, if no file is named.
///
/// Fails with the mistakes in these files, or in any file if none is named.
pub(crate) fn named(
    context: &Context,
    project: &Project,
    files: &[PathBuf],
) -> Result<Option<BTreeSet<String>>, Failure> {
    if files.is_empty() {
        need_content(context, project)?;
        return if project.findings.is_empty() { Ok(None) } else { Err(Failure::Invalid(project.findings.clone())) };
    }
    let mut names = BTreeSet::new();
    let mut wrong: Vec<Finding> = Vec::new();
    for path in files {
        let file = in_project(context, path)?;
        let found = project.experiments.iter().find(|source| source.file == file);
        let findings: Vec<_> = project.findings.iter().filter(|finding| finding.file == file).cloned().collect();
        match found {
            Some(source) => {
                names.insert(source.experiment.name.clone());
            }
            None if findings.is_empty() => return Err(no_experiment(context, project, file)),
            None => {}
        }
        wrong.extend(findings);
    }
    // mistakes elsewhere affect every experiment
    wrong.extend(project.findings.iter().filter(|finding| !finding.file.starts_with("experiments/")).cloned());
    if wrong.is_empty() { Ok(Some(names)) } else { Err(Failure::Invalid(wrong)) }
}
