//! Reviewed is what runs: whether the rendered files that a merge leaves are those that were reviewed, and those that experiments ask for.

use std::collections::BTreeSet;

use slipway_experiment::recorded_file;
use slipway_project::{Project, Tree, count, history, jobs_folder, rendered};
use slipway_source::{Finding, Position};

/// The most trials that are rendered. A change that nobody has reviewed must not decide how much memory this takes.
const MAX_TRIALS: usize = 100_000;

/// The code of the finding that there are more.
pub(crate) const TOO_MANY_TRIALS: &str = "too-many-trials";

/// Whether a path is that of a rendered TrainJob, or of the record of one, which nobody edits either.
pub(crate) fn is_rendered(path: &str) -> bool {
    matches!(path.split('/').collect::<Vec<_>>()[..], ["overlays", _, "training-jobs", _]) || history::is_record(path)
}

/// A finding for each TrainJob whose file moves to the history and is another one there.
#[must_use]
pub fn moved_and_changed(before: &Tree, after: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for environment in before.folders_in("overlays") {
        let folder = jobs_folder(&environment);
        for path in before.yaml_in(&folder).filter(|path| after.bytes(path).is_none()) {
            let Some(record) = history::of_rendered(path) else { continue };
            let Some(bytes) = after.bytes(&record) else { continue };
            if recorded_file(bytes) != before.bytes(path) {
                let message = format!("below this record stands another file than {path} was");
                let help = "`slipway archive` moves a file as it is";
                findings.push(Finding::at(&record, Position::START, "moved-and-changed", message).with_help(help));
            }
        }
    }
    findings
}

/// Rendered files whose content after the merge is neither that of the reviewed commit nor that of the base, which runs already: lines of
/// both, which nobody has seen together.
pub(crate) fn unreviewed(base: &Tree, head: &Tree, merged: &Tree) -> Vec<Finding> {
    let paths: BTreeSet<&String> = [base, head, merged].into_iter().flat_map(|tree| tree.files().keys()).collect();
    let differs = |path: &&String| {
        let after = merged.bytes(path);
        is_rendered(path) && after != head.bytes(path) && after != base.bytes(path)
    };
    let finding = |path: &String| {
        Finding::at(
            path,
            Position::START,
            "not-reviewed",
            "merging gives this file another content than the reviewed one",
        )
        .with_help("render it on top of the base branch")
    };
    paths.into_iter().filter(differs).map(finding).collect()
}

/// Rendered files that differ from what the experiments of the same tree render to. A job that `base` has keeps the image, the code and the
/// content that it names there; any other must have those of now, whatever its file says.
pub fn out_of_date(base: &Tree, project: &mut Project) -> Vec<Finding> {
    let trials: usize = project
        .experiments
        .iter()
        .map(|source| source.experiment.trial_count().saturating_mul(source.experiment.spec.environments.len()))
        .fold(0, usize::saturating_add);
    if trials > MAX_TRIALS {
        let message =
            format!("the experiments ask for {}, and no more than {MAX_TRIALS} are compared", count(trials, "trial"));
        return vec![Finding::at("experiments", Position::START, TOO_MANY_TRIALS, message)];
    }
    project.compare_with(base);
    rendered::findings(project, None)
}
