//! Evidence as the body of a pull request or of an issue. Names of objects and labels are anybody's: they are code, and have no effect.

use std::fmt::Write as _;

use slipway_drift::classical::Test;
use slipway_markdown::{cell, code, fenced, shortened};
use slipway_report::bars_and_line;

use crate::drawing::{beside, drawn};
use crate::{Change, Decision, Evidence, Loss, StreamChange};

/// The most characters of a name.
const NAME: usize = 120;
/// The most streams and classes that are listed.
const ROWS: usize = 10;
/// Drawings in a row.
const IN_A_ROW: usize = 4;

/// What stands above the plan of a retrain pull request. `shows_pictures` is whether pictures may be seen by everybody who can read it.
#[must_use]
pub fn pull_request(evidence: &Evidence, decision: &Decision, shows_pictures: bool) -> String {
    let mut text = format!("**Why:** {}.\n\n", decision.why());
    said(&mut text, evidence, shows_pictures);
    text.push_str("### What is to be trained\n");
    text
}

/// An issue: title and body.
#[must_use]
pub fn issue(evidence: &Evidence, decision: &Decision, shows_pictures: bool) -> (String, String) {
    let title = format!("The data of {} have changed", evidence.dataset);
    let mut text = format!("{}.\n\n", capital(decision.why()));
    said(&mut text, evidence, shows_pictures);
    let _ = writeln!(
        text,
        "`slipway drift {}` shows the same at home. Nothing else is opened about this reference; once a version that was trained on other \
         data is in service, the watch starts anew.",
        evidence.dataset
    );
    (title, text)
}

fn said(text: &mut String, evidence: &Evidence, shows_pictures: bool) {
    summary(text, evidence);
    changed(text, &evidence.change, (evidence.new, "new items"), "all that is new");
    if let Some(loss) = &evidence.loss {
        let is_alarm = evidence.change.alarm.is_some();
        let which = if is_alarm { "new items from the window of the alarm on" } else { "newest items" };
        mattering(text, loss, "what is new", which);
    }
    for unknown in &evidence.unknown {
        let _ = writeln!(text, "Not known: {}\n", code(&shortened(unknown, 400)));
    }
    classes(text, evidence);
    loudest(text, evidence, shows_pictures);
    quality(text, evidence);
}

fn summary(text: &mut String, evidence: &Evidence) {
    let model = evidence.model.as_ref();
    let model =
        model.map_or_else(|| "none".to_owned(), |model| format!("{} version {}", code(&model.name), model.version));
    let alarm = match &evidence.change.alarm {
        Some(alarm) => format!("yes, after {} new items", alarm.after),
        None => "no".to_owned(),
    };
    let matters = match &evidence.loss {
        Some(loss) if loss.matters => format!("yes, {:.1} points are lost", 100.0 * loss.loss),
        Some(loss) => format!("no, {:.1} points are lost", 100.0 * loss.loss),
        None => "not known".to_owned(),
    };
    let _ = writeln!(
        text,
        "| | |\n|---|---|\n| dataset | {} at `{}` |\n| compared with | `{}`, {} items, of which {} are the reference |\n\
         | version in service | {model} |\n| new items | {} |\n| has it changed? | {alarm} |\n| does it matter? | {matters} |\n",
        code(&evidence.dataset),
        evidence.head,
        evidence.reference.digest,
        evidence.reference.items,
        evidence.reference.held_out,
        evidence.new,
    );
}

/// Whether it has changed. `(of, items)` is what the windows are of, `described` what the statistics are about that people know.
pub(crate) fn changed(text: &mut String, change: &Change, (of, items): (usize, &str), described: &str) {
    let untimed = match change.untimed {
        0 => String::new(),
        count => format!(" Of {count} nobody knows when they arrived, so no window has them."),
    };
    let _ = writeln!(
        text,
        "### Has it changed?\n\nThe capital of all bets is at most {}, and 1 is an alarm; a false one comes at most {}. {} of {of} {items} are in \
         {} windows.{untimed}\n",
        number(change.capital),
        code(&change.promise),
        change.observations,
        change.windows
    );
    if !change.streams.is_empty() {
        text.push_str("| stream | share of the capital | what is more frequent | here | usual | at most |\n|---|---:|---|---:|---:|---:|\n");
        for StreamChange { stream, share, event, seen, usual, bound } in change.streams.iter().take(ROWS) {
            let seen = seen.map_or_else(|| "-".to_owned(), percent);
            let (share, usual, bound) = (percent(*share), percent(*usual), percent(*bound));
            let _ = writeln!(text, "| {} | {share} | {} | {seen} | {usual} | {bound} |", cell(stream), cell(event));
        }
        text.push('\n');
    }
    if change.comparisons.is_empty() {
        return;
    }
    text.push_str("<details><summary>The statistics that people know</summary>\n\n");
    let _ = writeln!(text, "They describe {described}; each tests once, so they raise no alarm.\n");
    text.push_str(
        "| stream | PSI | chi-square (p) | Kolmogorov-Smirnov (p) | Wasserstein |\n|---|---:|---:|---:|---:|\n",
    );
    for comparison in &change.comparisons {
        let test = |test: &Option<Test>| {
            test.map_or_else(String::new, |test| format!("{} ({})", number(test.statistic), number(test.p_value)))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            cell(&comparison.stream),
            number(comparison.stability_index.statistic),
            test(&comparison.chi_square),
            test(&comparison.kolmogorov_smirnov),
            comparison.wasserstein.map(number).unwrap_or_default(),
        );
    }
    text.push_str("\n</details>\n\n");
}

/// Whether it matters. `what` is what is compared with the reference, `which` of it the loss is about.
pub(crate) fn mattering(text: &mut String, loss: &Loss, what: &str, which: &str) {
    text.push_str(
        "### Does it matter?\n\n| accuracy of the version in service | | 95 % | of |\n|---|---:|---:|---:|\n",
    );
    let interval = |(low, high): (f64, f64)| format!("{} to {}", percent(low), percent(high));
    let mut row = |what: &str, accuracy: f64, bounds: (f64, f64), of: usize| {
        let _ = writeln!(text, "| {what} | {} | {} | {of} |", percent(accuracy), interval(bounds));
    };
    row("on the reference", loss.reference.accuracy, loss.reference.interval, loss.reference.of);
    if let Some(measured) = loss.measured {
        row(&format!("on {what}, by its labels"), measured.accuracy, measured.interval, measured.of);
    }
    if let Some(estimated) = loss.estimated {
        row(
            &format!("on {what}, estimated without labels (± 2 standard errors)"),
            estimated.accuracy,
            estimated.interval,
            estimated.of,
        );
    }
    let by = if loss.measured.is_none() { " by the estimate" } else { "" };
    let _ = writeln!(
        text,
        "\nLost on the {} {which}{by}: {:.1} points, of which {:.1} are certain. It matters from {:.1} certain points on.\n",
        loss.items,
        100.0 * loss.loss,
        100.0 * loss.certain.max(0.0),
        100.0 * loss.threshold
    );
}

fn classes(text: &mut String, evidence: &Evidence) {
    if evidence.new == 0 {
        return;
    }
    let values: Vec<(String, f64, f64)> =
        evidence.classes.iter().map(|class| (class.label.clone(), class.new, class.usual)).collect();
    if let Some(chart) = bars_and_line("share of each class", "class", &values) {
        let _ = writeln!(text, "{chart}\n\nBars: what is new. Line: the reference.\n");
    }
}

fn loudest(text: &mut String, evidence: &Evidence, shows_pictures: bool) {
    if evidence.loudest.is_empty() {
        return;
    }
    text.push_str(
        "### The images that speak loudest\n\n| image | label | answer | farthest out in |\n|---|---|---|---|\n",
    );
    for loud in &evidence.loudest {
        let answer = loud.answer.as_ref();
        let answer = answer.map_or_else(String::new, |(label, sure)| format!("{} ({})", cell(label), percent(*sure)));
        let label = loud.label.as_deref().map(cell).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {label} | {answer} | {} {} |",
            cell(&shortened(&loud.item, NAME)),
            cell(&loud.stream),
            number(loud.value)
        );
    }
    text.push('\n');
    if shows_pictures {
        let drawings: Vec<Vec<String>> =
            evidence.pictures.each().map(|levels| drawn(evidence.pictures.shape, levels)).collect();
        for row in drawings.chunks(IN_A_ROW) {
            text.push_str(&fenced("", &beside(row)));
            text.push('\n');
        }
    } else {
        let _ = writeln!(
            text,
            "Everybody can read this repository, so the pictures are not shown here: `slipway drift {}` draws them.\n",
            evidence.dataset
        );
    }
}

fn quality(text: &mut String, evidence: &Evidence) {
    let quality = &evidence.quality;
    let counts = quality.counts;
    let _ = writeln!(
        text,
        "### Quality\n\n{} items were read, {} are set aside. Published: {} to train, {} to validate, {} to test.\n",
        quality.items, quality.set_aside, counts.train, counts.validation, counts.test
    );
    if quality.set_aside > 0 {
        let reasons: Vec<String> =
            quality.reasons.iter().map(|reason| format!("{} {}", reason.count, code(reason.reason.name()))).collect();
        let _ = writeln!(text, "Set aside: {}.\n", reasons.join(", "));
        for item in quality.first.iter().take(ROWS) {
            let _ = writeln!(text, "- {}", code(&shortened(item, NAME)));
        }
        text.push('\n');
    }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Three digits that matter.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e5).contains(&size) => {
            let digits = (2 - size.log10().floor() as i32).clamp(0, 6);
            format!("{value:.*}", digits.unsigned_abs() as usize)
        }
        _ => format!("{value:.1e}"),
    }
}

pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
