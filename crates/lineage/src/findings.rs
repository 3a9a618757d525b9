//! Rendered TrainJobs that name a content which their experiment never had.

use std::collections::BTreeSet;

use slipway_git::{Missing, Repository, Result, blob_id};
use slipway_names::annotation;
use slipway_project::{JobFile, Project, Tree, count};
use slipway_source::Finding;

/// What an examination of the named contents found.
#[derive(Clone, Debug, Default)]
pub struct Unknown {
    /// TrainJobs that name a content which their experiment never had.
    pub findings: Vec<Finding>,
    /// What could not be examined, and why.
    pub skipped: Option<String>,
}

/// Compares the content that each rendered TrainJob names with every content that its experiment had up to HEAD, and has in the work tree.
/// The history is read only for contents other than today's.
///
/// # Errors
/// When the history cannot be read.
pub fn unknown_contents(repository: &Repository, tree: &Tree, project: &Project) -> Result<Unknown> {
    let named: Vec<(&str, &JobFile, (String, String))> = project
        .environments
        .values()
        .flat_map(|environment| &environment.jobs)
        // one that is not committed is compared with what its experiment renders to
        .filter(|(_, file)| file.is_committed)
        .filter_map(|(path, file)| {
            let content = (file.job.experiment_file()?.to_owned(), file.job.provenance().blob?);
            Some((path.as_str(), file, content))
        })
        .collect();
    let today = |(file, blob): &(String, String)| tree.bytes(file).is_some_and(|bytes| blob_id(bytes) == *blob);
    let others: BTreeSet<(String, String)> =
        named.iter().map(|(.., content)| content).filter(|content| !today(content)).cloned().collect();
    if others.is_empty() {
        return Ok(Unknown::default());
    }
    let missing = match repository.head()? {
        Some(head) => repository.missing_from_history(&head, others)?,
        None => Missing { contents: others, is_cut: false },
    };
    let jobs = named.iter().filter(|(.., content)| missing.contents.contains(content));
    if missing.is_cut && !missing.contents.is_empty() {
        let jobs = count(jobs.count(), "TrainJob");
        let skipped = format!(
            "the experiments of {jobs} were not compared with history: this clone is shallow (`git fetch --unshallow`)"
        );
        return Ok(Unknown { findings: Vec::new(), skipped: Some(skipped) });
    }
    Ok(Unknown { findings: jobs.map(|(path, file, content)| finding(path, file, content)).collect(), skipped: None })
}

fn finding(path: &str, file: &JobFile, (experiment, blob): &(String, String)) -> Finding {
    let line = file.text.lines().position(|line| line.contains(annotation::EXPERIMENT_BLOB)).unwrap_or_default();
    let column =
        file.text.lines().nth(line).and_then(|line| line.find(annotation::EXPERIMENT_BLOB)).unwrap_or_default();
    Finding::new(
        path,
        line + 1,
        column + 1,
        "unknown-content",
        format!("no commit up to HEAD has {experiment} with the content {blob}: the job cannot be traced back"),
    )
    .with_help(format!(
        "if this job is not merged yet, delete the file and run `slipway render {experiment}`; otherwise restore what was merged with \
         `git restore --source=<branch> {path}`"
    ))
}
