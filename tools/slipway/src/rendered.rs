//! Whether the rendered files are what the experiments render to, and what to write so that they are.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;
use slipway_source::Finding;

use crate::project::{Project, Wanted, jobs_folder};

/// File contents by path; none removes the file.
pub(crate) type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// What has to be written so that the experiments named are rendered; `None` means all, and then jobs of experiments that are gone
/// go too.
pub(crate) fn changes(project: &Project, only: Option<&BTreeSet<String>>, commit: Option<&str>) -> Changes {
    let asked = |name: &str| only.is_none_or(|names| names.contains(name));
    let mut changes = Changes::new();
    for (environment, place) in &project.environments {
        let wanted: BTreeMap<String, Wanted> = project
            .experiments
            .iter()
            .filter(|source| asked(&source.experiment.name))
            .flat_map(|source| project.wanted(source, environment, commit))
            .collect();
        for (path, file) in &place.jobs {
            if !wanted.contains_key(path) && asked(file.job.experiment().unwrap_or_default()) {
                changes.insert(path.clone(), None);
            }
        }
        for (path, job) in wanted {
            if place.jobs.get(&path).is_none_or(|file| file.text != job.text) {
                changes.insert(path, Some(job.text.into_bytes()));
            }
        }
    }
    changes
}

/// Where the rendered files are not what the experiments render to. An experiment with no rendered file in an environment is a draft
/// there, and right.
pub(crate) fn findings(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (environment, place) in &project.environments {
        let mut explained: BTreeSet<&str> = BTreeSet::new();
        for source in &project.experiments {
            let name = &source.experiment.name;
            let rendered: BTreeMap<&str, _> = project.rendered(name, environment).collect();
            if rendered.is_empty() {
                continue;
            }
            explained.extend(rendered.keys());
            let wanted = project.wanted(source, environment, None);
            let again = format!("`slipway render {}`", source.file);
            for path in wanted.keys().filter(|path| !rendered.contains_key(path.as_str())) {
                findings.push(
                    Finding::new(
                        path,
                        1,
                        1,
                        "not-rendered",
                        format!("{} wants this TrainJob, and it is not there", source.file),
                    )
                    .with_help(format!("{again} writes it; to cancel one trial, take its value out of the sweep too")),
                );
            }
            for (path, file) in rendered {
                match wanted.get(path) {
                    Some(job) if job.text == file.text => {}
                    Some(job) => findings.push(edited(path, &file.text, &job.text, &again)),
                    None => findings.push(
                        Finding::new(
                            path,
                            1,
                            1,
                            "stale",
                            format!("{} does not want this TrainJob any more", source.file),
                        )
                        .with_help(format!("{again} removes it")),
                    ),
                }
            }
        }
        let invalid: BTreeSet<&str> = project.findings.iter().map(|finding| finding.file.as_str()).collect();
        for (path, file) in &place.jobs {
            // a broken experiment file has a finding of its own
            let from = file.job.experiment_file().unwrap_or_default();
            if !explained.contains(path.as_str()) && !invalid.contains(from) {
                let experiment = file.job.experiment().unwrap_or("none");
                findings.push(
                    Finding::new(path, 1, 1, "orphan", format!("its experiment ({experiment}) is not in experiments/"))
                        .with_help(format!(
                            "`slipway render` removes it; {} holds what experiments want",
                            jobs_folder(environment)
                        )),
                );
            }
        }
    }
    findings.sort_by(|a, b| a.file.cmp(&b.file));
    findings
}

/// A file that differs from its rendering, with the difference.
fn edited(path: &str, found: &str, wanted: &str, again: &str) -> Finding {
    let same = found.lines().zip(wanted.lines()).take_while(|(a, b)| a == b).count();
    let difference = TextDiff::from_lines(wanted, found);
    let difference = difference.unified_diff().context_radius(1).header("rendered", "found").to_string();
    Finding::new(path, same + 1, 1, "edited", "this is not what its experiment renders to; was it edited by hand?")
        .with_help(format!("change the experiment instead; {again} restores this file\n{}", difference.trim_end()))
}
