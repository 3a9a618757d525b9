//! Evidence about requests as the body of a pull request or of an issue. It shows no request.

use std::fmt::Write as _;

use slipway_markdown::{code, shortened};
use slipway_report::bars_and_line;

use super::Evidence;
use crate::Decision;
use crate::markdown::{capital, changed, mattering};

/// What stands above the plan of a retrain pull request.
#[must_use]
pub fn pull_request(evidence: &Evidence, decision: &Decision) -> String {
    let mut text = format!("**Why:** {}.\n\n", decision.why());
    said(&mut text, evidence);
    text.push_str("### What is to be trained\n");
    text
}

/// An issue: title and body.
#[must_use]
pub fn issue(evidence: &Evidence, decision: &Decision) -> (String, String) {
    let title = format!("The requests to the version trained on {} have changed", evidence.dataset);
    let mut text = format!("{}.\n\n", capital(decision.why()));
    said(&mut text, evidence);
    let _ = writeln!(
        text,
        "`slipway drift {}` shows the same at home. Nothing else is opened about the requests of this version; once another one is in service, the \
         watch starts anew.",
        evidence.dataset
    );
    (title, text)
}

fn said(text: &mut String, evidence: &Evidence) {
    let (model, change) = (&evidence.model, &evidence.change);
    let _ = writeln!(
        text,
        "| | |\n|---|---|\n| version in service | {} version {} |\n| compared with | {} at `{}`, {} items, of which {} are the reference |\n\
         | requests | a sample: {} rows in {} hours |\n",
        code(&model.name),
        model.version,
        code(&evidence.dataset),
        evidence.reference.digest,
        evidence.reference.items,
        evidence.reference.held_out,
        change.observations,
        change.windows
    );
    changed(text, change, (change.observations, "sampled rows"), "the newest hour");
    if let Some(loss) = &evidence.loss {
        let which = if change.alarm.is_some() { "newest rows from the hour of the alarm on" } else { "newest rows" };
        mattering(text, loss, "the requests", which);
        text.push_str("Requests have no labels, so this is an estimate: docs/continuous-training.md has by how much it may be off.\n\n");
    }
    for unknown in &evidence.unknown {
        let _ = writeln!(text, "Not known: {}\n", code(&shortened(unknown, 400)));
    }
    let shares: Vec<(String, f64, f64)> =
        evidence.answers.iter().map(|answer| (answer.label.clone(), answer.new, answer.usual)).collect();
    if let Some(chart) = bars_and_line("share of each answer", "answer", &shares) {
        let _ = writeln!(text, "{chart}\n\nBars: the newest hour. Line: the reference.\n");
    }
}
