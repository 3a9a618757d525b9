//! Evidence about requests as the body of a pull request or of an issue. It shows no request.

use std::fmt::Write as _;

use slipway_markdown::{code, shortened};
use slipway_report::bars_and_line;

use super::Evidence;
use crate::markdown::{capital, changed, mattering};
use crate::{Change, Decision};

/// What stands above the plan of a retrain pull request. `is_private` is whether not everybody can read it.
#[must_use]
pub fn pull_request(evidence: &Evidence, decision: &Decision, is_private: bool) -> String {
    let mut text = format!("**Why:** {}.\n\n", decision.why());
    said(&mut text, evidence, is_private);
    text.push_str("### What is to be trained\n");
    text
}

/// An issue: title and body.
#[must_use]
pub fn issue(evidence: &Evidence, decision: &Decision, is_private: bool) -> (String, String) {
    let title = format!("The requests to the version trained on {} have changed", evidence.dataset);
    let mut text = format!("{}.\n\n", capital(decision.why()));
    said(&mut text, evidence, is_private);
    let _ = writeln!(
        text,
        "`slipway drift {}` shows the same at home. Another issue about the requests of this version is opened only once they matter and this one does \
         not say so; once another version is in service, the watch starts anew.",
        evidence.dataset
    );
    (title, text)
}

fn said(text: &mut String, evidence: &Evidence, is_private: bool) {
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
        evidence.hours
    );
    if is_private {
        changed(text, change, (change.observations, "sampled rows"), "the newest hour");
    } else {
        let change = Change { streams: Vec::new(), comparisons: Vec::new(), ..change.clone() };
        changed(text, &change, (change.observations, "sampled rows"), "the newest hour");
        let _ = writeln!(
            text,
            "Everybody can read this repository, so what is frequent among the requests is not shown here: `slipway drift {}` does.\n",
            evidence.dataset
        );
    }
    if let Some(loss) = &evidence.loss {
        let which = if change.alarm.is_some() { "newest rows from the hour of the alarm on" } else { "newest rows" };
        mattering(text, loss, "the requests", which);
        text.push_str("Requests have no labels, so this is an estimate: docs/continuous-training.md has by how much it may be off.\n\n");
    }
    for unknown in &evidence.unknown {
        let _ = writeln!(text, "Not known: {}\n", code(&shortened(unknown, 400)));
    }
    if !is_private {
        return;
    }
    let shares: Vec<(String, f64, f64)> =
        evidence.answers.iter().map(|answer| (answer.label.clone(), answer.new, answer.usual)).collect();
    if let Some(chart) = bars_and_line("share of each answer", "answer", &shares) {
        let _ = writeln!(text, "{chart}\n\nBars: the newest hour. Line: the reference.\n");
    }
}
