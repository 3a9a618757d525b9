//! Findings at the lines of files.

use slipway_markdown::{shortened, visible};
use slipway_source::Finding;

use crate::examination::{Conflict, Examination, conflict_finding};
use slipway_forge::{Annotation, Level};

/// Findings at their lines, the worst first. What publishes them knows how many it may, and counts the rest.
pub(crate) fn annotations(examination: &Examination) -> Vec<Annotation> {
    let at_top = |file: &str| match examination.folder.as_str() {
        "" => file.to_owned(),
        folder => format!("{folder}/{file}"),
    };
    let annotation = |finding: &Finding, file: String, level: Level| {
        let help = finding.help.as_deref().map(|help| format!("\n{help}")).unwrap_or_default();
        Annotation {
            file,
            line: finding.line.max(1),
            column: finding.column.max(1),
            level,
            title: finding.code.to_owned(),
            message: visible(&shortened(&format!("{}{help}", finding.message), 2_000)),
        }
    };
    let conflicts: Vec<Annotation> = match &examination.conflict {
        Some(Conflict::Files { files, .. }) => {
            files.iter().map(|file| annotation(&conflict_finding(file), file.clone(), Level::Failure)).collect()
        }
        Some(Conflict::Unrelated) | None => Vec::new(),
    };
    let mistakes =
        examination.not_as_reviewed.iter().chain(&examination.findings).map(|finding| (finding, Level::Failure));
    let all = mistakes.chain(examination.warnings.iter().map(|finding| (finding, Level::Warning)));
    let of_files = all.map(|(finding, level)| annotation(finding, at_top(&finding.file), level));
    conflicts.into_iter().chain(of_files).collect()
}
