//! The charts of an experiment's trials, and which metrics they and the table have room for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use slipway_markdown::{code, shortened};

use crate::chart::{Curve, MOST_LINES, bars, has_line, lines, mark};
use crate::document::{count, thousands};
use crate::results::{Ranking, TrialResult};
use crate::short::few;

/// The most metrics in a table, and the most that are drawn.
const METRICS: usize = 4;

/// The most swept parameters that have a chart.
const PARAMETERS: usize = 6;

/// The metrics that are shown: the one that trials are compared by, then those that most trials have; and those that are left out.
pub(crate) fn shown<'a>(
    ranking: Option<&'a Ranking>,
    of: impl Iterator<Item = &'a String>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    of.for_each(|metric| *counts.entry(metric).or_default() += 1);
    let first = ranking.map(|ranking| ranking.metric.as_str()).filter(|metric| counts.contains_key(metric));
    let mut metrics: Vec<(&str, usize)> = counts.into_iter().filter(|(metric, _)| Some(*metric) != first).collect();
    metrics.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut shown: Vec<&str> = first.into_iter().chain(metrics.into_iter().map(|(metric, _)| metric)).collect();
    let left = shown.split_off(shown.len().min(METRICS));
    (shown, left)
}

/// What is left out for want of room, as a line; `None` if nothing is.
pub(crate) fn left_out(names: &[&str], noun: &str, verb: &str) -> Option<String> {
    let listed: Vec<String> = names.iter().map(|name| code(&shortened(name, 40))).collect();
    (!names.is_empty()).then(|| format!("{}, not {verb} here: {}", count(names.len(), noun), few(&listed, ", ")))
}

/// A chart for each swept parameter: the best value among the trials that have the same value of it.
pub(crate) fn by_parameter(ranking: &Ranking, trials: &[&TrialResult]) -> Vec<String> {
    let names: BTreeSet<&str> = trials.iter().flat_map(|trial| trial.parameters.keys()).map(String::as_str).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    let left = names.split_off(names.len().min(PARAMETERS));
    let mut charts = Vec::new();
    for name in names {
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
    charts.extend(left_out(&left, "more parameter", "drawn"));
    charts
}

fn of_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A chart for each metric that has a history, of the best trials. `trials` are in their order.
pub(crate) fn curves(ranking: Option<&Ranking>, trials: &[&TrialResult]) -> Vec<String> {
    let mut charts = Vec::new();
    let (metrics, left) = shown(ranking, trials.iter().flat_map(|trial| trial.curves.keys()));
    for metric in metrics {
        let histories = trials.iter().filter_map(|trial| Some((*trial, trial.curves.get(metric)?.as_slice())));
        let histories = histories.filter(|(_, curve)| curve.len() > 1);
        let (all, empty): (Vec<(&TrialResult, Curve<'_>)>, Vec<_>) = histories.partition(|(_, curve)| has_line(curve));
        let drawn = &all[..all.len().min(MOST_LINES)];
        let Some((chart, ends_early)) = lines(metric, &drawn.iter().map(|(_, curve)| *curve).collect::<Vec<_>>())
        else {
            continue;
        };
        let name = |trial: &TrialResult| code(&shortened(&trial.name, 60));
        let legend: Vec<String> =
            drawn.iter().enumerate().map(|(line, (trial, _))| format!("{} {}", mark(line), name(trial))).collect();
        // histories are asked for of the best trials alone; the others have this metric too
        let with =
            trials.iter().filter(|trial| trial.metrics.contains_key(metric) || trial.curves.contains_key(metric));
        let with = with.count() - empty.len();
        let some = if drawn.len() < with {
            let which = if ranking.is_some() { "best" } else { "first" };
            format!(", the {which} {} of {}", drawn.len(), thousands(with))
        } else {
            String::new()
        };
        let held = if ends_early { "; a line that ended before the others keeps its last value" } else { "" };
        let empty: Vec<String> = empty.iter().map(|(trial, _)| name(trial)).collect();
        let without = match empty.len() {
            0 => String::new(),
            _ => format!("; ⚠ without a number that can be drawn: {}", few(&empty, ", ")),
        };
        let metric = code(&shortened(metric, 40));
        charts.push(format!("{metric}{some} ({}{held}{without}):\n\n{chart}", legend.join(", ")));
    }
    charts.extend(left_out(&left, "more curve", "drawn"));
    charts
}
