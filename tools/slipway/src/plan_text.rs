//! A plan in the terminal.

use std::fmt::Write as _;

use slipway_project::plan::{Ended, hours, parameters};
use slipway_project::plan_markdown::{LISTED, cost, heading, kept_code};
use slipway_project::{Plan, count};

use crate::context::Context;

/// The plan with a line for each TrainJob, coloured where colours are shown.
pub(crate) fn terminal(plan: &Plan, context: &Context) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        let _ = writeln!(text, "{}", context.paint("1", &heading(change)));
        if let Some(program) = &change.program {
            let _ = writeln!(text, "  runs {}", program.summary());
        }
        let width = change.starts.iter().map(|start| start.name.len()).max().unwrap_or(0);
        for start in change.starts.iter().take(LISTED) {
            let workers = f64::from(start.workers.max(1));
            let line = format!(
                "  + {:width$}  {} × {}  {}",
                start.name,
                count(start.workers as usize, "worker"),
                hours(start.cpu_hours / workers, start.gpu_hours / workers),
                parameters(&start.parameters),
            );
            let _ = writeln!(text, "{}", context.paint("32", line.trim_end()));
        }
        more(&mut text, change.starts.len(), "starts");
        for stop in change.stops.iter().take(LISTED) {
            let _ = writeln!(text, "{}", context.paint("31", &format!("  - {stop}  stops if it still runs")));
        }
        more(&mut text, change.stops.len(), "stop");
        for name in change.archived.iter().take(LISTED) {
            let _ = writeln!(text, "  > {name}  moves to the history");
        }
        more(&mut text, change.archived.len(), "move to the history");
        if change.stays > 0 {
            let _ = writeln!(text, "  = {} unchanged", count(change.stays, "TrainJob"));
        }
        if let Some(note) = kept_code(change) {
            let _ = writeln!(text, "  {}", context.paint("33", &format!("! {note}")));
        }
        if !change.starts.is_empty() {
            let _ = writeln!(text, "  {}", cost(change));
        }
    }
    for Ended { environment, experiment, jobs, rerun } in plan.ended.iter().take(LISTED) {
        let have = if *jobs == 1 { "has" } else { "have" };
        let jobs = count(*jobs, "TrainJob");
        let _ = writeln!(
            text,
            "{experiment} in {environment}: {jobs} {have} ended, in the history (`slipway history {experiment}`); `rerun: {rerun}` below its \
             `spec` runs it again"
        );
    }
    more(&mut text, plan.ended.len(), "experiments have ended");
    let _ = write!(text, "{}", plan.summary());
    text
}

fn more(text: &mut String, total: usize, what: &str) {
    if total > LISTED {
        let _ = writeln!(text, "  … and {} more {what}", total - LISTED);
    }
}
