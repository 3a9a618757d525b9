//! What a trial has shown, for the people who decide: the body of the pull request that ends it.

use std::fmt::Write as _;

use slipway_markdown::code;
use slipway_proposal::Verdict;

use crate::challengers::{Counted, Evidence, Trial};

/// The evidence as Markdown.
pub(crate) fn evidence(trial: &Trial, verdict: Verdict) -> String {
    let Trial { model, champion, challenger, mode, share, .. } = trial;
    // as it is written, without what a double adds
    let percent = (share * 1e6).round() / 1e4;
    let mut text = format!(
        "Version {} of {} was tried as a {} of version {}, on {percent} % of the requests.\n\n",
        code(challenger),
        code(model),
        code(mode),
        code(champion)
    );
    match (verdict, &trial.reason) {
        (Verdict::Remove, Some(reason)) if trial.is_switched_off() => {
            let _ = writeln!(text, "**The server has switched it off**: {}.\n", code(reason));
        }
        (Verdict::Remove, _) => {
            text.push_str("**It is worse**: the test on requests with a known truth has decided.\n\n")
        }
        (Verdict::Promote, _) => {
            text.push_str("**It is better**: the test on requests with a known truth has decided.\n\n");
        }
    }
    text.push_str("| | in service | tried |\n|---|---|---|\n");
    let requests = &trial.requests;
    let mut row = |what: &str, of: &dyn Fn(&Counted) -> String| {
        let _ = writeln!(text, "| {what} | {} | {} |", of(&requests.champion), of(&requests.challenger));
    };
    row("requests answered", &|side| side.answered.to_string());
    row("requests failed", &|side| side.failed.to_string());
    row("latency, half of the answers", &|side| ms(side, |quantiles| quantiles.p50));
    row("latency, nine tenths", &|side| ms(side, |quantiles| quantiles.p90));
    row("latency, 99 of 100", &|side| ms(side, |quantiles| quantiles.p99));
    text.push('\n');
    let (agreed, disagreed) = (trial.agreement.agreed, trial.agreement.disagreed);
    if agreed + disagreed > 0 {
        let share = agreed as f64 / (agreed + disagreed) as f64 * 100.0;
        let _ = writeln!(text, "- both said the same of {agreed} of {} rows ({share:.1} %)", agreed + disagreed);
    }
    if requests.dropped > 0 {
        let _ = writeln!(text, "- {} requests were not asked, because it was behind", requests.dropped);
    }
    let tests = &trial.tests;
    let accusations =
        [("worse errors", &tests.errors), ("worse latency", &tests.latency), ("more corrections", &tests.corrections)];
    for (what, test) in accusations {
        if test.decides_at > 0.0 && mode == "canary" {
            let _ = writeln!(text, "- evidence for {what}: {}", weighed(test));
        }
    }
    let truth = &trial.truth;
    if truth.known > 0 {
        let [low, high] = truth.difference.map(|end| end * 100.0);
        // a canary answers other requests than the version in service
        let what = if mode == "canary" { "pairs of requests, one that each has answered," } else { "requests" };
        let _ = writeln!(
            text,
            "- of {} {what} with a known truth, it alone was right on {}, the version in service alone on {}; it is right more often by \
             {low:.1} to {high:.1} points, with a confidence of {} %",
            truth.known,
            truth.better,
            truth.worse,
            ((1.0 - truth.level) * 1e4).round() / 1e2
        );
        let _ = writeln!(text, "- evidence that it is better: {}", weighed(&truth.evidence));
    }
    text
}

fn weighed(Evidence { e_value, decides_at }: &Evidence) -> String {
    let value = if *e_value >= 1e6 { format!("{e_value:.0e}") } else { format!("{e_value:.3}") };
    format!("an e-value of {value}, which decides at {decides_at:.0}")
}

fn ms(side: &Counted, of: impl Fn(&crate::challengers::Quantiles) -> f64) -> String {
    side.latency_ms.as_ref().map_or_else(|| "–".to_owned(), |quantiles| format!("{:.2} ms", of(quantiles)))
}
