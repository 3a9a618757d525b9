//! A plan for a person: in the terminal, and as the body of a pull request.

use std::fmt::Write as _;

use crate::context::Context;
use crate::failure::count;
use crate::plan::{Change, Plan, number, parameters};

/// More jobs than this are counted, not listed.
const LISTED: usize = 50;

/// For the terminal.
pub(crate) fn terminal(plan: &Plan, context: &Context) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        let _ = writeln!(text, "{}", context.paint("1", &heading(change)));
        let width = change.starts.iter().map(|start| start.name.len()).max().unwrap_or(0);
        for start in change.starts.iter().take(LISTED) {
            let line = format!(
                "  + {:width$}  {} × {} CPU-hours  {}",
                start.name,
                count(start.workers as usize, "worker"),
                number(start.cpu_hours / f64::from(start.workers.max(1))),
                parameters(&start.parameters),
            );
            let _ = writeln!(text, "{}", context.paint("32", line.trim_end()));
        }
        more(&mut text, change.starts.len(), "starts");
        for stop in change.stops.iter().take(LISTED) {
            let _ = writeln!(text, "{}", context.paint("31", &format!("  - {stop}  stops if it still runs")));
        }
        more(&mut text, change.stops.len(), "stop");
        if change.stays > 0 {
            let _ = writeln!(text, "  = {} as they are", count(change.stays, "TrainJob"));
        }
        if !change.starts.is_empty() {
            let _ = writeln!(text, "  {}", cost(change));
        }
    }
    let _ = write!(text, "{}", plan.summary());
    text
}

/// For a pull request.
pub(crate) fn markdown(plan: &Plan) -> String {
    let mut text = format!("**{}**\n", sentence(&plan.summary()));
    for change in &plan.changes {
        let _ = writeln!(text, "\n### {}\n", heading(change));
        if !change.starts.is_empty() {
            let _ = writeln!(text, "| starts | parameters | workers | at most CPU-hours |\n|---|---|---:|---:|");
            for start in change.starts.iter().take(LISTED) {
                let _ = writeln!(
                    text,
                    "| `{}` | {} | {} | {} |",
                    start.name,
                    parameters(&start.parameters),
                    start.workers,
                    number(start.cpu_hours)
                );
            }
            if change.starts.len() > LISTED {
                let _ = writeln!(text, "| … and {} more | | | |", change.starts.len() - LISTED);
            }
            let _ = writeln!(text, "\n{}.", sentence(&cost(change)));
        }
        if !change.stops.is_empty() {
            let _ = writeln!(text, "\nStops what still runs of:\n");
            for stop in change.stops.iter().take(LISTED) {
                let _ = writeln!(text, "- `{stop}`");
            }
            if change.stops.len() > LISTED {
                let _ = writeln!(text, "- … and {} more", change.stops.len() - LISTED);
            }
        }
        if change.stays > 0 {
            let _ = writeln!(text, "\n{} as they are.", count(change.stays, "TrainJob"));
        }
    }
    text
}

fn heading(change: &Change) -> String {
    match &change.file {
        Some(file) => format!("{} in {} ({file})", change.experiment, change.environment),
        None if change.experiment.is_empty() => format!("jobs of no experiment in {}", change.environment),
        None => format!("{} in {} (its experiment file is gone)", change.experiment, change.environment),
    }
}

/// `at most 2 of 4 CPU-hours, 0.08 USD`
fn cost(change: &Change) -> String {
    let budget = change.budget_cpu_hours.map(|hours| format!(" of {}", number(hours))).unwrap_or_default();
    format!("at most {}{budget} CPU-hours, {:.2} {}", number(change.cpu_hours), change.cost, change.currency)
}

fn more(text: &mut String, total: usize, what: &str) {
    if total > LISTED {
        let _ = writeln!(text, "  … and {} more {what}", total - LISTED);
    }
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
