//! A plan in the terminal.

use std::fmt::Write as _;

use slipway_project::plan::{number, parameters};
use slipway_project::plan_markdown::{LISTED, cost, heading};
use slipway_project::{Plan, count};

use crate::context::Context;

/// The plan with a line for each TrainJob, coloured where colours are shown.
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
            let _ = writeln!(text, "  = {} unchanged", count(change.stays, "TrainJob"));
        }
        if !change.starts.is_empty() {
            let _ = writeln!(text, "  {}", cost(change));
        }
    }
    let _ = write!(text, "{}", plan.summary());
    text
}

fn more(text: &mut String, total: usize, what: &str) {
    if total > LISTED {
        let _ = writeln!(text, "  … and {} more {what}", total - LISTED);
    }
}
