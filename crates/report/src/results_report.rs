//! The report on what came of a merged pull request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use slipway_markdown::{cell, code, html_code, shortened};
use slipway_project::plan::parameters;

use crate::amount::{decimals, hours};
use crate::chart::{Curve, MOST_LINES, bars, lines, mark};
use crate::comparison::{compared, judged};
use crate::document::{Block, Document, Rows, Section, Subject, count, thousands};
use crate::link::{address, linked, pull_request};

use crate::in_service::InService;
use crate::results::{ExperimentResults, Hindrance, ModelResult, Ranking, Results, TrialResult, TrialState};
use crate::short::{CHARACTERS, few, short_commit, text};

/// The metrics that mean accuracy, the best known first.
const ACCURACIES: [&str; 3] = ["test_accuracy", "accuracy", "validation_accuracy"];

/// The most metrics in a table, and the most that are drawn.
const METRICS: usize = 4;

/// The most swept parameters that have a chart.
const PARAMETERS: usize = 6;

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
        let changes: Vec<String> = results.in_service.iter().map(InService::line).collect();
        let back = results.number.map_or_else(String::new, |number| {
            format!(". To go back, run `slipway revert {number}`, or press *Revert* on GitHub")
        });
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
        let who = match trials.as_slice() {
            [trial] => name(trial),
            trials => count(trials.len(), "trial"),
        };
        (trials.len(), format!("{who} cannot start: {}", why(hindrance)))
    });
    let failed = failed.into_iter().map(|(trial, why)| (1, format!("{} failed: {}", name(trial), text(why))));
    let lines: Vec<(usize, String)> = hindered.chain(failed).collect();
    let mut text: String = lines.iter().take(named).map(|(_, line)| format!("- ⚠ {line}\n")).collect();
    let rest: usize = lines.iter().skip(named).map(|(trials, _)| trials).sum();
    if rest > 0 {
        let any_waits = trials.iter().any(|trial| matches!(trial.state, TrialState::Waiting(Some(_))));
        let verb = if any_waits { "cannot start or failed" } else { "failed" };
        let _ = writeln!(text, "- ⚠ {} {verb}, below", count(rest, "more trial"));
    }
    text
}

/// Why a trial cannot begin and what to do, within a line of Markdown.
        if let Some(why) = &model.no_best {
            return format!("**{name}:** ⚠ none of its versions can be chosen, so none is proposed: {}", text(why));
        }
fn why(hindrance: &Hindrance) -> String {
    let advice = Some(hindrance.advice.as_str()).filter(|advice| !advice.is_empty());
    text(&hindrance.reason) + &advice.map(|advice| format!(". {}", text(advice))).unwrap_or_default()
}

/// A model's best version beside the one in service, in one line.
fn best(experiment: &ExperimentResults, model: &ModelResult) -> String {
    let name = code(&shortened(&model.model, 60));
    let Some(best) = &model.best else {
        let over = experiment.trials.iter().all(|trial| trial.state.is_over());
        return format!("**{name}:** no version{}", if over { "" } else { " yet" });
    };
    let promote = match &model.promotion {
        Some(promotion) => format!("; promotion {}", pull_request(promotion.number, promotion.url.as_deref())),
        None if model.in_service.as_ref().is_some_and(|service| service.number == best.number) => String::new(),
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
    let ranking = ranking(experiment);
    let mut trials: Vec<&TrialResult> = experiment.trials.iter().collect();
    if let Some(ranking) = &ranking {
        trials.sort_by(|a, b| rank(ranking, a).total_cmp(&rank(ranking, b)));
    }
    let mut blocks = Vec::new();
    if let Some(model) = &experiment.model {
        blocks.push(Block::Text(best(experiment, model)));
    }
    if !trials.is_empty() {
        blocks.push(Block::Rows(table(&trials, ranking.as_ref())));
    }
    if let Some(ranking) = &ranking {
        blocks.extend(by_parameter(ranking, &trials).into_iter().map(Block::Text));
    }
    blocks.extend(curves(ranking.as_ref(), &trials).into_iter().map(Block::Text));
    Section { title, blocks }
}

/// What trials are compared by: the metric that is asked for, otherwise their accuracy on the best known data.
fn ranking(experiment: &ExperimentResults) -> Option<Ranking> {
    let has = |metric: &str| experiment.trials.iter().any(|trial| trial.metrics.contains_key(metric));
    let accuracy = || ACCURACIES.into_iter().find(|metric| has(metric));
    experiment
        .ranking
        .clone()
        .or_else(|| accuracy().map(|metric| Ranking { metric: metric.to_owned(), more_is_better: true }))
}

/// Less is better; what has no value comes last.
fn rank(ranking: &Ranking, trial: &TrialResult) -> f64 {
    match trial.metrics.get(&ranking.metric).filter(|value| value.is_finite()) {
        Some(value) if ranking.more_is_better => -value,
        Some(value) => *value,
        None => f64::INFINITY,
    }
}

/// The metrics that are shown: the one that trials are compared by, then those that most trials have.
fn shown<'a>(ranking: Option<&'a Ranking>, of: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    of.for_each(|metric| *counts.entry(metric).or_default() += 1);
    let first = ranking.map(|ranking| ranking.metric.as_str()).filter(|metric| counts.contains_key(metric));
    let mut metrics: Vec<(&str, usize)> = counts.into_iter().filter(|(metric, _)| Some(*metric) != first).collect();
    metrics.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    first.into_iter().chain(metrics.into_iter().map(|(metric, _)| metric)).take(METRICS).collect()
}

/// The trials in a table.
fn table(trials: &[&TrialResult], ranking: Option<&Ranking>) -> Rows {
    // what has a column of its own is no metric here
    let of = trials
        .iter()
        .flat_map(|trial| trial.metrics.keys())
        .filter(|metric| !matches!(metric.as_str(), "seconds" | "best_epoch" | "images_per_second"));
    let metrics = shown(ranking, of);
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
                    format!(" {}", cell(&shortened(advice, CHARACTERS)))
                };
                format!("⚠ cannot start: {}{advice}", cell(&shortened(reason, CHARACTERS)))
            }
            TrialState::Running => "running".to_owned(),
            TrialState::Finished => "✓ finished".to_owned(),
            TrialState::Refused(why) => format!("⚠ refused by the gate: {}", cell(&shortened(why, CHARACTERS))),
            TrialState::Failed(why) => format!("✗ failed: {}", cell(&shortened(why, CHARACTERS))),
            TrialState::Cancelled => "cancelled".to_owned(),
        };
        let epochs = trial.epochs.map(|(done, of)| format!("{done} of {of}")).unwrap_or_default();
        let values = metrics.iter().map(|metric| match trial.metrics.get(*metric) {
            Some(value) if value.is_finite() => format!(" {} |", decimals(*value, 4)),
            Some(_) => " ⚠ not a number |".to_owned(),
            None => " |".to_owned(),
        });
        let values: String = values.collect();
        let version = trial.version.map(|version| version.to_string()).unwrap_or_default();
        format!(
            "| {} | {state} | {} | {epochs} |{values} {} | {} | {} | {version} |",
            linked(&shortened(&trial.name, 100), trial.url.as_deref()),
            cell(&shortened(&parameters(&trial.parameters), CHARACTERS)),
            trial.seconds.map(duration).unwrap_or_default(),
            trial.cpu_hours.map(hours).unwrap_or_default(),
            hours(trial.planned_cpu_hours),
        )
    };
    Rows::table(&columns, trials.iter().map(row).collect(), "trial")
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

/// A chart for each swept parameter: the best value among the trials that have the same value of it.
fn by_parameter(ranking: &Ranking, trials: &[&TrialResult]) -> Vec<String> {
    let names: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.parameters.keys()).collect();
    let mut charts = Vec::new();
    for name in names.into_iter().take(PARAMETERS) {
        let mut best: BTreeMap<String, (&Value, f64)> = BTreeMap::new();
        for trial in trials {
            let (Some(value), Some(metric)) = (trial.parameters.get(name), trial.metrics.get(&ranking.metric)) else {
                continue;
            };
            let (key, metric) = (value.to_string(), *metric);
            let better = |old: f64| if ranking.more_is_better { metric > old } else { metric < old };
            match best.get_mut(&key) {
                Some((_, old)) if better(*old) => *old = metric,
                Some(_) => {}
                None if metric.is_finite() => drop(best.insert(key, (value, metric))),
                None => {}
            }
        }
        let mut values: Vec<(&Value, f64)> = best.into_values().collect();
        // numbers by size, texts as they are
        values.sort_by(|(a, _), (b, _)| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.to_string().cmp(&b.to_string()),
        });
        let values: Vec<(String, f64)> = values.into_iter().map(|(value, metric)| (of_value(value), metric)).collect();
        let short = name.rsplit('.').next().unwrap_or(name);
        if let Some((chart, shown)) = bars(&ranking.metric, short, &values) {
            let some = if shown < values.len() {
                format!(", {} of {} values", thousands(shown), thousands(values.len()))
            } else {
                String::new()
            };
            let (metric, name) = (code(&shortened(&ranking.metric, 40)), code(&shortened(name, 60)));
            charts.push(format!("Best {metric} by {name}{some}:\n\n{chart}"));
        }
    }
    charts
}

fn of_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A chart for each metric that has a history, of the best trials.
fn curves(ranking: Option<&Ranking>, trials: &[&TrialResult]) -> Vec<String> {
    let mut charts = Vec::new();
    for metric in shown(ranking, trials.iter().flat_map(|trial| trial.curves.keys())) {
        let all = trials.iter().filter_map(|trial| Some((*trial, trial.curves.get(metric)?.as_slice())));
        let all: Vec<(&TrialResult, Curve<'_>)> = all.filter(|(_, curve)| curve.len() > 1).collect();
        let drawn = &all[..all.len().min(MOST_LINES)];
        let Some((chart, ends_early)) = lines(metric, &drawn.iter().map(|(_, curve)| *curve).collect::<Vec<_>>())
        else {
            continue;
        };
        let legend: Vec<String> = drawn
            .iter()
            .enumerate()
            .map(|(line, (trial, _))| format!("{} {}", mark(line), code(&shortened(&trial.name, 60))))
            .collect();
        let some = if drawn.len() < all.len() {
            format!(", the best {} of {}", drawn.len(), thousands(all.len()))
        } else {
            String::new()
        };
        let held = if ends_early { "; a line that ended before the others keeps its last value" } else { "" };
        charts.push(format!("{}{some} ({}{held}):\n\n{chart}", code(&shortened(metric, 40)), legend.join(", ")));
    }
    charts
}
