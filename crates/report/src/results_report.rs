//! The report on what came of a merged pull request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use slipway_markdown::{cell, code, html_code, shortened, shortened_inside};
use slipway_project::plan::parameters;

use crate::amount::{decimals, hours};
use crate::comparison::{compared, judged, may_be_better};
use crate::document::{Block, Document, Rows, Section, Subject, count, thousands};
use crate::link::{address, linked, pull_request};

use crate::results::{ExperimentResults, Hindrance, ModelResult, Ranking, Results, TrialResult, TrialState};
use crate::results_charts::{by_parameter, curves, left_out, shown};
use crate::short::{CHARACTERS, few, short_commit, text};

/// The most models and warnings in the first lines; more are counted.
const NAMED: usize = 2;

/// What came of a merged pull request: states, costs, metrics and their charts, and the best version beside the one in service.
#[must_use]
pub fn results_report(results: &Results) -> Document {
    let trials = || results.experiments.iter().flat_map(|experiment| &experiment.trials);
    let headline = match results.in_service.len() {
        versions if results.experiments.is_empty() && versions > 0 => {
            format!("changed {} in service", count(versions, "version"))
        }
        _ if results.experiments.is_empty() && results.archived > 0 && results.stopped == 0 => {
            format!("moved {} to the history", count(results.archived, "ended TrainJob"))
        }
        _ if results.experiments.is_empty() && results.stopped > 0 => {
            format!("removed {}", count(results.stopped, "TrainJob"))
        }
        _ => states(trials()),
    };
    let everything = match results.everything.as_deref().and_then(address) {
        Some(url) => format!("[Everything is in the whole report]({url})"),
        None => "MLflow has everything".to_owned(),
    };
    let mut sections: Vec<Section> = results.experiments.iter().map(section).collect();
    if !results.unknown.is_empty() {
        let rows = results.unknown.iter().map(|why| format!("⚠ {}", text(why)));
        let title = format!("⚠ {} not known", thousands(results.unknown.len()));
        sections.insert(0, Section { title, blocks: vec![Block::Rows(Rows::list(rows, "reason"))] });
    }
    let best = results.experiments.iter().filter_map(|one| one.model.as_ref()?.best.as_ref()?.score.as_ref());
    let best = best.filter(|score| score.is_accuracy() && score.value.is_finite()).map(|score| score.value);
    let best = best.max_by(f64::total_cmp);
    let best = best.map(|accuracy| format!("; best accuracy {}", decimals(accuracy, 4))).unwrap_or_default();
    Document {
        subject: Subject::Results,
        first: first(results, &headline),
        summary: format!("{headline}{best}"),
        sections,
        everything,
        check: None,
    }
}

/// One line: how many trials are in which state.
fn states<'a>(trials: impl Iterator<Item = &'a TrialResult>) -> String {
    let mut all = 0;
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for trial in trials {
        all += 1;
        let state = match trial.state {
            TrialState::Finished => (0, "finished"),
            TrialState::Refused(_) => (1, "refused by the gate"),
            TrialState::Failed(_) => (2, "failed"),
            TrialState::Cancelled => (3, "cancelled"),
            TrialState::Running => (4, "running"),
            TrialState::Waiting(_) => (5, "waiting"),
        };
        *counts.entry(state).or_default() += 1;
    }
    let said: Vec<String> =
        counts.into_iter().map(|((_, state), number)| format!("{} {state}", thousands(number))).collect();
    match said.len() {
        0 => "no trial started".to_owned(),
        1 => format!("{} {}", count(all, "trial"), said[0].split_once(' ').map_or("", |(_, state)| state)),
        _ => format!("{}: {}", count(all, "trial"), said.join(", ")),
    }
}

/// The first lines: at most [`FIRST_LINES`](crate::FIRST_LINES).
fn first(results: &Results, headline: &str) -> String {
    let place = results.environment.as_deref().map(|name| format!(" in {}", code(&shortened(name, 60))));
    let mut text = format!("### Slipway{}: {headline}\n\n", place.unwrap_or_default());
    let trials: Vec<&TrialResult> = results.experiments.iter().flat_map(|experiment| &experiment.trials).collect();
    if !trials.is_empty() {
        text.push_str("| | used | planned at most |\n|---|---:|---:|\n");
        let used = |of: fn(&TrialResult) -> Option<f64>| {
            let known: Vec<f64> = trials.iter().filter_map(|trial| of(trial)).collect();
            let sum = hours(known.iter().sum());
            match known.len() {
                0 => "⚠ not known".to_owned(),
                known if known < trials.len() => {
                    format!("⚠ {sum} by {} of {}", thousands(known), thousands(trials.len()))
                }
                _ => sum,
            }
        };
        let planned: f64 = trials.iter().map(|trial| trial.planned_cpu_hours).sum();
        let _ = writeln!(text, "| CPU-hours | {} | {} |", used(|trial| trial.cpu_hours), hours(planned));
        let planned: f64 = trials.iter().map(|trial| trial.planned_gpu_hours).sum();
        if planned > 0.0 {
            let _ = writeln!(text, "| GPU-hours | {} | {} |", used(|trial| trial.gpu_hours), hours(planned));
        }
        text.push('\n');
    }
    if !results.commit.is_empty() {
        let _ = writeln!(text, "- Merged as {}", short_commit(&results.commit));
    }
    if !results.in_service.is_empty() {
        let changes: Vec<String> = results.in_service.iter().map(|one| one.replaced(&results.versions)).collect();
        let back =
            results.number.map_or_else(String::new, |number| format!(". To go back, run `slipway revert {number}`"));
        let _ = writeln!(text, "- **In service:** {}{back}", few(&changes, ", "));
    }
    let models: Vec<(&ExperimentResults, &ModelResult)> =
        results.experiments.iter().filter_map(|one| Some((one, one.model.as_ref()?))).collect();
    for (experiment, model) in models.iter().take(NAMED) {
        let _ = writeln!(text, "- {}", best(experiment, model));
    }
    if models.len() > NAMED {
        let _ = writeln!(text, "- {}, below", count(models.len() - NAMED, "more model"));
    }
    // the versions in service have taken one of the lines
    text.push_str(&troubles(&trials, if results.in_service.is_empty() { NAMED } else { NAMED - 1 }));
    if let Some(why) = results.unknown.first() {
        let more = match results.unknown.len() {
            1 => String::new(),
            all => format!(", and {}, below", count(all - 1, "more reason")),
        };
        let _ = writeln!(text, "- ⚠ Not everything is known: {}{more}", self::text(why));
    }
    text
}

/// The trials that cannot begin, those with the same reason together, and those that failed: at most `named` lines, and one that counts the rest.
fn troubles(trials: &[&TrialResult], named: usize) -> String {
    let name = |trial: &TrialResult| code(&shortened(&trial.name, 100));
    let mut hindered: BTreeMap<&Hindrance, Vec<&TrialResult>> = BTreeMap::new();
    let mut failed = Vec::new();
    for trial in trials {
        match &trial.state {
            TrialState::Waiting(Some(hindrance)) => hindered.entry(hindrance).or_default().push(trial),
            TrialState::Failed(why) => failed.push((trial, why)),
            _ => {}
        }
    }
    // what holds up most trials comes first
    let mut hindered: Vec<_> = hindered.into_iter().collect();
    hindered.sort_by_key(|(_, trials)| std::cmp::Reverse(trials.len()));
    let hindered = hindered.into_iter().map(|(hindrance, trials)| {
        let line = match trials.as_slice() {
            [trial] => format!("{} has not started: {}", name(trial), why(hindrance, "")),
            trials => format!("{} have not started: {}", count(trials.len(), "trial"), why(hindrance, "For each: ")),
        };
        (trials.len(), line)
    });
    let failed = failed.into_iter().map(|(trial, why)| (1, format!("{} failed: {}", name(trial), text(why))));
    let lines: Vec<(usize, String)> = hindered.chain(failed).collect();
    let mut text: String = lines.iter().take(named).map(|(_, line)| format!("- ⚠ {line}\n")).collect();
    let rest: usize = lines.iter().skip(named).map(|(trials, _)| trials).sum();
    if rest > 0 {
        let any_waits = trials.iter().any(|trial| matches!(trial.state, TrialState::Waiting(Some(_))));
        let verb = if any_waits { "waiting or failed" } else { "failed" };
        let _ = writeln!(text, "- ⚠ {} {verb}, below", count(rest, "more trial"));
    }
    text
}

/// Why a trial has not begun and what to do, within a line of Markdown. The advice is about one trial; `of` says so if there are several.
fn why(hindrance: &Hindrance, of: &str) -> String {
    let advice = Some(hindrance.advice.as_str()).filter(|advice| !advice.is_empty());
    text(&hindrance.reason) + &advice.map(|advice| format!(". {of}{}", text(advice))).unwrap_or_default()
}

/// A model's best version beside the one in service, in one line.
fn best(experiment: &ExperimentResults, model: &ModelResult) -> String {
    let name = code(&shortened(&model.model, 60));
    let Some(best) = &model.best else {
        if let Some(why) = &model.no_best {
            return format!("**{name}:** ⚠ none of its versions can be chosen, so none is proposed: {}", text(why));
        }
        let over = experiment.trials.iter().all(|trial| trial.state.is_over());
        return format!("**{name}:** no version of these trials{}", if over { "" } else { " yet" });
    };
    let promote = match &model.promotion {
        Some(promotion) => format!("; promotion {}", pull_request(promotion.number, promotion.url.as_deref())),
        None if model
            .in_service
            .as_ref()
            .is_some_and(|service| service.number == best.number || !may_be_better(best, service)) =>
        {
            String::new()
        }
        None => format!(
            "; {} puts it into service",
            code(&format!("slipway promote {} --version {}", shortened(&model.model, 60), best.number))
        ),
    };
    let judged = judged(best);
    let environment = code(&shortened(&experiment.environment, 60));
    format!(
        "**{name} version {}**, {judged}; in {environment}: {}{promote}",
        best.number,
        compared(best, model.in_service.as_ref())
    )
}

/// An experiment in an environment, as a section.
fn section(experiment: &ExperimentResults) -> Section {
    let (name, environment) =
        (html_code(&shortened(&experiment.experiment, 60)), html_code(&shortened(&experiment.environment, 60)));
    let title = format!("{name} in {environment}: {}", states(experiment.trials.iter()));
    let metrics = experiment.trials.iter().map(|trial| &trial.metrics);
    let ranking = Ranking::among(experiment.ranking.as_ref(), metrics);
    let mut trials: Vec<&TrialResult> = experiment.trials.iter().collect();
    if let Some(ranking) = &ranking {
        trials.sort_by(|a, b| ranking.rank(&a.metrics).total_cmp(&ranking.rank(&b.metrics)));
    }
    let mut blocks = Vec::new();
    if let Some(model) = &experiment.model {
        blocks.push(Block::Text(best(experiment, model)));
    }
    if !trials.is_empty() {
        let (rows, left) = table(&trials, ranking.as_ref());
        blocks.push(Block::Rows(rows));
        blocks.extend(left.map(Block::Text));
    }
    if let Some(ranking) = &ranking {
        blocks.extend(by_parameter(ranking, &trials).into_iter().map(Block::Text));
    }
    blocks.extend(curves(ranking.as_ref(), &trials).into_iter().map(Block::Text));
    Section { title, blocks }
}

/// The trials in a table, and a line for the metrics that it has no room for.
fn table(trials: &[&TrialResult], ranking: Option<&Ranking>) -> (Rows, Option<String>) {
    // what has a column of its own is no metric here
    let of = trials
        .iter()
        .flat_map(|trial| trial.metrics.keys())
        .filter(|metric| !matches!(metric.as_str(), "seconds" | "best_epoch" | "images_per_second"));
    let (metrics, left) = shown(ranking, of);
    let titles: Vec<String> = metrics.iter().map(|metric| cell(&shortened(metric, 40))).collect();
    let mut columns = vec![("trial", false), ("state", false), ("parameters", false), ("epochs", true)];
    columns.extend(titles.iter().map(|title| (title.as_str(), true)));
    columns.extend([("duration", true), ("CPU-hours", true), ("planned at most", true), ("version", true)]);
    let row = |trial: &&TrialResult| {
        let state = match &trial.state {
            TrialState::Waiting(None) => "waiting".to_owned(),
            TrialState::Waiting(Some(Hindrance { reason, advice })) => {
                let advice = if advice.is_empty() {
                    String::new()
                } else {
                    format!(". {}", cell(&shortened(advice, CHARACTERS)))
                };
                format!("⚠ not started: {}{advice}", cell(&shortened(reason, CHARACTERS)))
            }
            TrialState::Running => "running".to_owned(),
            TrialState::Finished => "✓ finished".to_owned(),
            TrialState::Refused(why) => format!("⚠ refused by the gate: {}", cell(&shortened(why, CHARACTERS))),
            TrialState::Failed(why) => format!("✗ failed: {}", cell(&shortened_inside(why, CHARACTERS))),
            TrialState::Cancelled => "cancelled".to_owned(),
        };
        let epochs = trial.epochs.map(|(done, of)| format!("{done} of {of}")).unwrap_or_default();
        let values = metrics.iter().map(|metric| match trial.metrics.get(*metric) {
            Some(value) if value.is_finite() => format!(" {} |", decimals(*value, 4)),
            Some(_) => " ⚠ not a number |".to_owned(),
            None => " |".to_owned(),
        });
        let values: String = values.collect();
        // what has not begun has used nothing that could be unknown
        let begun = !matches!(trial.state, TrialState::Waiting(_));
        let known = |text: Option<String>| text.unwrap_or_else(|| if begun { "⚠".to_owned() } else { String::new() });
        let version = trial.version.map(|version| version.to_string()).unwrap_or_default();
        format!(
            "| {} | {state} | {} | {epochs} |{values} {} | {} | {} | {version} |",
            linked(&shortened(&trial.name, 100), trial.url.as_deref()),
            cell(&shortened(&parameters(&trial.parameters), CHARACTERS)),
            known(trial.seconds.map(duration)),
            known(trial.cpu_hours.map(hours)),
            hours(trial.planned_cpu_hours),
        )
    };
    (Rows::table(&columns, trials.iter().map(row).collect(), "trial"), left_out(&left, "more metric", "shown"))
}

/// Seconds as text, such as `3 min 20 s`.
fn duration(seconds: f64) -> String {
    if !(0.0..1e9).contains(&seconds) {
        return "⚠".to_owned();
    }
    let all = seconds.round() as u64;
    match (all / 3600, all / 60 % 60, all % 60) {
        (0, 0, _) => format!("{} s", decimals(seconds, 1)),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}
