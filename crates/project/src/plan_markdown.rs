//! A plan as the body of a pull request.

use std::fmt::Write as _;

use crate::count;
use crate::plan::{Change, Plan, number, parameters};

/// More jobs than this are counted instead of listed.
pub const LISTED: usize = 50;

/// The plan in Markdown: counts and price first, then a table for each experiment and environment. Its length is bounded by [`LISTED`]
/// for each table.
#[must_use]
pub fn markdown(plan: &Plan) -> String {
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
            let _ = writeln!(text, "\nStops, if they still run:\n");
            for stop in change.stops.iter().take(LISTED) {
                let _ = writeln!(text, "- `{stop}`");
            }
            if change.stops.len() > LISTED {
                let _ = writeln!(text, "- … and {} more", change.stops.len() - LISTED);
            }
        }
        if change.stays > 0 {
            let _ = writeln!(text, "\n{} unchanged.", count(change.stays, "TrainJob"));
        }
    }
    text
}

/// What a change is about, such as `mnist-cnn in local (experiments/mnist-cnn.yaml)`.
#[must_use]
pub fn heading(change: &Change) -> String {
    match &change.file {
        Some(file) => format!("{} in {} ({file})", change.experiment, change.environment),
        None if change.experiment.is_empty() => format!("jobs without an experiment in {}", change.environment),
        None => format!("{} in {} (its experiment no longer exists)", change.experiment, change.environment),
    }
}

/// What the starting jobs of a change can cost, such as `at most 2 of 4 CPU-hours, 0.08 USD`.
#[must_use]
pub fn cost(change: &Change) -> String {
    let budget = change.budget_cpu_hours.map(|hours| format!(" of {}", number(hours))).unwrap_or_default();
    format!("at most {}{budget} CPU-hours, {:.2} {}", number(change.cpu_hours), change.cost, change.currency)
}

/// The text with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
