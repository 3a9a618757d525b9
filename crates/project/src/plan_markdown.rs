//! A plan as the body of a pull request.

use std::fmt::Write as _;

use slipway_experiment::in_hours;
use slipway_markdown::{cell, characters, code};

use crate::count;
use crate::plan::{Change, Plan, number, parameters};

/// More jobs than this are counted instead of listed.
pub const LISTED: usize = 50;

/// The most characters of the text. GitHub accepts 65,536 in the body of a pull request, and what changes in the clusters needs its share.
const MAX_CHARACTERS: usize = 14 * 1024;

/// Characters kept for the line that counts what is left out.
const REST: usize = 200;

/// The plan in Markdown: counts and price first, then a table for each experiment and environment.
///
/// At most 14 Ki characters for any number of jobs. Of a table that does not fit, the jobs that do not are counted; of many tables, the
/// last ones are.
#[must_use]
pub fn markdown(plan: &Plan) -> String {
    markdown_with(plan, "")
}

/// The same, with other counts and warnings below its own counts and above its tables.
#[must_use]
pub fn markdown_with(plan: &Plan, summary: &str) -> String {
    let counts = format!("**{}**\n", sentence(&plan.summary_with(code)));
    let tables = tables(plan, MAX_CHARACTERS.saturating_sub(characters(&counts)));
    let gap = if summary.is_empty() { "" } else { "\n" };
    format!("{counts}{gap}{summary}{tables}")
}

/// A table for each experiment and environment, in at most `limit` characters.
fn tables(plan: &Plan, limit: usize) -> String {
    let mut text = String::new();
    let mut left = limit.saturating_sub(REST);
    let mut changes = plan.changes.iter();
    while let Some(change) = changes.next() {
        let section = section(change, left);
        if characters(&section) > left {
            let rest: Vec<&Change> = std::iter::once(change).chain(changes).collect();
            let starts: usize = rest.iter().map(|change| change.starts.len()).sum();
            let stops: usize = rest.iter().map(|change| change.stops.len()).sum();
            let archived: usize = rest.iter().map(|change| change.archived.len()).sum();
            let archiving = if archived > 0 { format!(", archiving {archived}") } else { String::new() };
            let (tables, starts) = (count(rest.len(), "more table"), count(starts, "TrainJob"));
            let _ = writeln!(
                text,
                "\n… and {tables}, starting {starts} and stopping {stops}{archiving}: `slipway plan` shows them"
            );
            break;
        }
        left -= characters(&section);
        text.push_str(&section);
    }
    text
}

/// One experiment in one environment, with as many jobs as fit into `limit` characters.
fn section(change: &Change, limit: usize) -> String {
    let mut text = format!("\n### {}\n\n", code(&heading(change)));
    if !change.starts.is_empty() {
        let _ = writeln!(text, "{}.\n", sentence(&cost_with(change, code)));
    }
    if let Some(program) = &change.program {
        let _ = writeln!(text, "Runs {}.\n", code(&program.summary()));
    }
    if change.stays > 0 {
        let _ = writeln!(text, "{} unchanged.\n", count(change.stays, "TrainJob"));
    }
    if let Some(note) = kept_code_with(change, code) {
        let _ = writeln!(text, "⚠ {}.\n", sentence(&note));
    }
    if !change.starts.is_empty() {
        let has_gpus = change.starts.iter().any(|start| start.gpu_hours > 0.0);
        let (title, line, rest) = if has_gpus { (" at most GPU-hours |", "---:|", " |") } else { Default::default() };
        let _ =
            writeln!(text, "| starts | parameters | workers | at most CPU-hours |{title}\n|---|---|---:|---:|{line}");
        let rows = change.starts.iter().map(|start| {
            let (parameters, hours) = (cell(&parameters(&start.parameters)), number(start.cpu_hours));
            let gpus = if has_gpus { format!(" {} |", number(start.gpu_hours)) } else { String::new() };
            format!("| {} | {parameters} | {} | {hours} |{gpus}\n", cell(&start.name), start.workers)
        });
        list(&mut text, rows, limit, |left| format!("| … and {left} more | | | |{rest}\n"));
    }
    for (what, names) in [("Stops, if they still run", &change.stops), ("Moves to the history", &change.archived)] {
        if !names.is_empty() {
            let _ = writeln!(text, "\n{what}:\n");
            let rows = names.iter().map(|name| format!("- {}\n", code(name)));
            list(&mut text, rows, limit, |left| format!("- … and {left} more\n"));
        }
    }
    text
}

/// Adds lines, [`LISTED`] at most, as long as the text has no more than `limit` characters; then a line that counts the rest.
fn list(text: &mut String, lines: impl ExactSizeIterator<Item = String>, limit: usize, more: impl Fn(usize) -> String) {
    let (all, mut shown) = (lines.len(), 0);
    let mut left = limit.saturating_sub(characters(text) + REST);
    for line in lines.take(LISTED) {
        let Some(rest) = left.checked_sub(characters(&line)) else { break };
        (left, shown) = (rest, shown + 1);
        text.push_str(&line);
    }
    if shown < all {
        text.push_str(&more(all - shown));
    }
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
    cost_with(change, str::to_owned)
}

/// The same with a price as `shown`, since a currency is any text.
fn cost_with(change: &Change, shown: impl Fn(&str) -> String) -> String {
    let of = |used: f64, budget: Option<f64>, unit: &str| match budget {
        Some(budget) => in_hours(&format!("{} of {}", number(used), number(budget)), unit),
        None => in_hours(&number(used), unit),
    };
    let mut hours = of(change.cpu_hours, change.budget_cpu_hours, "CPU");
    if change.gpu_hours > 0.0 {
        let _ = write!(hours, " and {}", of(change.gpu_hours, change.budget_gpu_hours, "GPU"));
    }
    format!("at most {hours}, {}", shown(&format!("{:.2} {}", change.cost, change.currency)))
}

/// That unchanged TrainJobs do not run the code of now; `None` if all do.
#[must_use]
pub fn kept_code(change: &Change) -> Option<String> {
    kept_code_with(change, str::to_owned)
}

/// The same with the place of the code as `shown`.
fn kept_code_with(change: &Change, shown: impl Fn(&str) -> String) -> Option<String> {
    let code = shown(&change.program.as_ref()?.code);
    let jobs = count(change.keeps_code, "unchanged TrainJob");
    let (keep, run) = if change.keeps_code == 1 { ("keeps", "it was") } else { ("keep", "they were") };
    (change.keeps_code > 0).then(|| {
        format!(
            "{jobs} {keep} the code that {run} rendered with, and {code} has changed: raise `rerun` to run the new code"
        )
    })
}

/// The text with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Runs, Start};

    fn change(name: &str, starts: usize, stops: usize) -> Change {
        let start = |index: usize| Start {
            name: format!("{name}-{index:08x}"),
            parameters: [("training.seed".to_owned(), index.into())].into(),
            workers: 2,
            cpu_hours: 1.0,
            gpu_hours: 0.0,
        };
        Change {
            environment: "local".to_owned(),
            experiment: name.to_owned(),
            file: Some(format!("experiments/{name}.yaml")),
            program: None,
            starts: (0..starts).map(start).collect(),
            stops: (0..stops).map(|index| format!("{name}-{index:08x}")).collect(),
            archived: Vec::new(),
            stays: 1,
            keeps_code: 0,
            cpu_hours: starts as f64,
            budget_cpu_hours: Some(starts as f64),
            gpu_hours: 0.0,
            budget_gpu_hours: None,
            cost: 1.0,
            currency: "EUR".to_owned(),
        }
    }

    fn plan(changes: Vec<Change>) -> Plan {
        let cpu_hours = changes.iter().map(|change| change.cpu_hours).sum();
        Plan { changes, ended: Vec::new(), cpu_hours, gpu_hours: 0.0 }
    }

    #[test]
    fn counts_and_price_stand_first_for_any_number_of_jobs() {
        for (experiments, starts) in [(1, 1000), (40, 300), (500, 2), (2, 1)] {
            let changes = (0..experiments).map(|index| change(&format!("e{index}"), starts, starts)).collect();
            let plan = plan(changes);
            let text = markdown(&plan);
            assert!(text.chars().count() <= MAX_CHARACTERS, "{experiments} × {starts}: {}", text.chars().count());
            let all = count(experiments * starts, "TrainJob");
            assert!(text.starts_with(&format!("**Starts {all}, stops {all}")), "{text}");
            assert!(text.lines().next().unwrap_or_default().contains(".00 EUR`**"), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let text = markdown(&plan(vec![change("a", 300, 70)]));
        assert!(text.contains("| … and 250 more | | | |") && text.contains("- … and 20 more"), "{text}");
        // tables that do not fit at all
        let text = markdown(&plan((0..100).map(|index| change(&format!("e{index}"), 50, 0)).collect()));
        let shown = text.matches("### ").count();
        let rest = format!("… and {} more tables, starting {} TrainJobs", 100 - shown, (100 - shown) * 50);
        assert!(shown < 100 && text.contains(&rest), "{text}");
    }

    #[test]
    fn no_name_or_parameter_is_markup() {
        let mut hostile = change("digits", 1, 0);
        hostile.environment = "<img src=x>".to_owned();
        hostile.starts[0].parameters = [("note".to_owned(), "| @octo <b> [x](https://example.org)".into())].into();
        let text = markdown(&plan(vec![hostile]));
        assert!(text.contains("\n### `digits in <img src=x> (experiments/digits.yaml)`\n"), "{text}");
        let row = text.lines().find(|line| line.contains("digits-00000000")).unwrap_or_default();
        assert!(row.starts_with("| `digits-00000000` | <code>note=&#34;&#124; &#64;<wbr>octo &#60;b&#62;"), "{row}");
        assert_eq!(row.matches('|').count(), 5, "{row}");
    }

    #[test]
    fn no_currency_and_no_place_of_code_is_markup() {
        let mut hostile = change("digits", 1, 0);
        hostile.currency = "`EUR`** @org/team <img src=x>\n\n# \u{202e}approved\u{7}".to_owned();
        let place = "trainers/`x` @org/team\n\n# approved".to_owned();
        hostile.program =
            Some(Runs { code: place, command: vec!["a|b`\n# x".to_owned()], parameters: BTreeMap::new() });
        hostile.keeps_code = 1;
        let text = markdown(&plan(vec![hostile]));
        let price = "``1.00 `EUR`** @org/team <img src=x>  # \u{fffd}approved\u{fffd}``";
        assert!(
            text.starts_with(&format!("**Starts 1 TrainJob, 1 unchanged; at most 1 CPU-hour, {price}**\n")),
            "{text}"
        );
        assert!(text.contains(&format!("\nAt most 1 of 1 CPU-hours, {price}.\n")), "{text}");
        assert!(text.contains("and ``trainers/`x` @org/team  # approved`` has changed"), "{text}");
        assert!(!text.contains("\n# ") && !text.contains(['\u{202e}', '\u{7}']), "{text}");
    }
}
