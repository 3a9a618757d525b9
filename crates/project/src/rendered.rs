//! Checks that rendered files are up to date, and says what to write so that they are.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;
use slipway_source::Finding;

use crate::project::{Project, Rendering, jobs_folder};

/// File contents by path; `None` removes the file.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// What to write so that the named experiments are rendered. `None` means all experiments, and then removes the jobs of experiments that
/// no longer exist.
#[must_use]
pub fn changes(project: &Project, only: Option<&BTreeSet<String>>) -> Changes {
    let selected = |name: &str| only.is_none_or(|names| names.contains(name));
    let mut changes = Changes::new();
    for (name, environment) in &project.environments {
        let renderings: BTreeMap<String, Rendering> = project
            .experiments
            .iter()
            .filter(|source| selected(&source.experiment.name))
            .flat_map(|source| project.render(source, name))
            .collect();
        for (path, file) in &environment.jobs {
            if !renderings.contains_key(path) && selected(file.job.experiment().unwrap_or_default()) {
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

/// Rendered files that are out of date. An experiment without any rendered file in an environment is a draft there, which is fine.
#[must_use]
pub fn findings(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (target, environment) in &project.environments {
        let mut explained: BTreeSet<&str> = BTreeSet::new();
        for source in &project.experiments {
            let name = &source.experiment.name;
            let rendered: BTreeMap<&str, _> = project.rendered(name, target).collect();
            if rendered.is_empty() {
                continue;
            }
            explained.extend(rendered.keys());
            let renderings = project.render(source, target);
            let again = format!("`slipway render {}`", source.file);
            for path in renderings.keys().filter(|path| !rendered.contains_key(path.as_str())) {
                findings.push(
                    Finding::new(
                        path,
                        1,
                        1,
                        "not-rendered",
                        format!("{} asks for this TrainJob, but the file does not exist", source.file),
                    )
                    .with_help(format!("{again} writes it; to cancel one trial, also take its value out of the sweep")),
                );
            }
            for (path, file) in rendered {
                match renderings.get(path) {
                    Some(job) if job.text == file.text => {}
                    Some(job) => findings.push(edited(path, &file.text, &job.text, &again)),
                    None => findings.push(
                        Finding::new(path, 1, 1, "stale", format!("{} no longer asks for this TrainJob", source.file))
                            .with_help(format!("{again} removes it")),
                    ),
                }
            }
        }
        let invalid: BTreeSet<&str> = project.findings.iter().map(|finding| finding.file.as_str()).collect();
        for (path, file) in &environment.jobs {
            // an invalid experiment file already has a finding
            let from = file.job.experiment_file().unwrap_or_default();
            if !explained.contains(path.as_str()) && !invalid.contains(from) {
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
