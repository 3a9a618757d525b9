//! The details of a plan, by subject and environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use slipway_experiment::in_hours;
use slipway_gitops::{Change, Difference};
use slipway_markdown::{cell, code, html_code, shortened};
use slipway_project::cluster::Prices;
use slipway_project::plan::parameters;
use slipway_source::Finding;

use crate::about::About;
use crate::amount::{Price, hours};
use crate::costs::{Costs, price};
use crate::document::{Block, Object, Rows, Section, count, thousands};
use crate::examination::{Conflict, Examination, TrainerImage, conflict_finding};
use crate::expectation::{Estimates, Expected};
use crate::jobs::{EnvironmentJobs, Job};
use crate::plan::branch;
use crate::short::{CHARACTERS, text};

/// Every finding, as a section; `None` without any.
pub(crate) fn findings(examination: &Examination, about: &About) -> Option<Section> {
    let conflict = match &examination.conflict {
        Some(Conflict::Files { files, .. }) => files.iter().map(|file| conflict_finding(file)).collect(),
        Some(Conflict::Unrelated) | None => Vec::new(),
    };
    let all = conflict.iter().chain(&examination.not_as_reviewed).chain(&examination.findings);
    let mut rows: Vec<String> = all.map(|finding| finding_line("✗", finding)).collect();
    let refused = rows.len();
    rows.extend(examination.warnings.iter().map(|finding| finding_line("⚠", finding)));
    if rows.is_empty() {
        return None;
    }
    let remarks = rows.len() - refused;
    let title = match (refused, remarks) {
        (0, remarks) => format!("⚠ {}", count(remarks, "remark")),
        (refused, 0) => format!("✗ {}", count(refused, "finding")),
        (refused, remarks) => format!("✗ {}, {}", count(refused, "finding"), count(remarks, "remark")),
    };
    let mut blocks = vec![Block::Rows(Rows::list(rows, "finding"))];
    if !examination.not_as_reviewed.is_empty() {
        let on = branch(about);
        blocks.insert(0, Block::Text(format!(
            "What runs must be what was reviewed: after the merge into {on}, each rendered file must be the one of this branch, and what its experiment \
             renders to there."
        )));
    }
    Some(Section { title, blocks })
}

fn finding_line(mark: &str, finding: &Finding) -> String {
    let at = format!("{}:{}:{}", shortened(&finding.file, CHARACTERS), finding.line, finding.column);
    let help = finding.help.as_deref().map(first_line).map(|help| format!("<br>{}", text(help))).unwrap_or_default();
    format!("{mark} {}: {}{help}", code(&at), text(&finding.message))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What could not be examined, as a section; `None` if there is nothing of that.
pub(crate) fn unknown(examination: &Examination) -> Option<Section> {
    let mut rows: Vec<String> = Vec::new();
    match &examination.differences {
        Some(Ok(differences)) => {
            rows.extend(differences.not_shown.iter().map(|why| format!("⚠ not compared: {}", text(why))));
            rows.extend(differences.omitted.iter().map(|one| format!("⚠ not read: {}", text(&one.to_string()))));
        }
        Some(Err(reason)) => rows.push(format!("⚠ the objects of all environments: {}", text(reason))),
        None => {}
    }
    rows.extend(examination.skipped.iter().map(|why| format!("⚠ not checked: {}", text(why))));
    let title = format!("⚠ {} not examined", thousands(rows.len()));
    (!rows.is_empty()).then(|| Section { title, blocks: vec![Block::Rows(Rows::list(rows, "reason"))] })
}

/// What a person has changed in the experiment files, from which everything else follows.
pub(crate) fn experiment_files(examination: &Examination) -> Option<Section> {
    let files = &examination.experiment_files;
    let blocks: Vec<Block> = files
        .iter()
        .map(|(file, diff)| {
            let (kind, headline) = ("experiment file".to_owned(), file.clone());
            Block::Object(Object { kind, headline, diff: diff.clone() })
        })
        .collect();
    let title = format!("{} changed", count(blocks.len(), "experiment file"));
    (!blocks.is_empty()).then_some(Section { title, blocks })
}

/// The objects that differ, by environment.
pub(crate) fn objects(examination: &Examination) -> BTreeMap<&str, Vec<&Difference>> {
    let mut objects: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    if let Some(Ok(differences)) = &examination.differences {
        for one in &differences.objects {
            objects.entry(&one.environment).or_default().push(one);
        }
    }
    objects
}

pub(crate) fn is_shown(
    examination: &Examination,
    environment: &EnvironmentJobs,
    objects: &BTreeMap<&str, Vec<&Difference>>,
) -> bool {
    !environment.is_unchanged()
        || examination.in_service.iter().any(|one| one.environment == environment.name)
        || examination.trainer_images.iter().any(|one| one.environment == environment.name)
        || objects.contains_key(environment.name.as_str())
}

/// One environment, as a section.
pub(crate) fn environment<'a>(
    examination: &'a Examination,
    jobs: &'a EnvironmentJobs,
    costs: &Costs,
    estimates: &Estimates<'a>,
    objects: &[&Difference],
) -> Section {
    let mut said = Vec::new();
    let all =
        [("starts", &jobs.starts), ("stops", &jobs.stops), ("archives", &jobs.archived), ("changes", &jobs.changes)];
    for (verb, some) in all.into_iter().filter(|(_, some)| !some.is_empty()) {
        said.push(format!("{verb} {}", count(some.len(), "TrainJob")));
    }
    if !jobs.unreadable.is_empty() {
        said.push(format!("⚠ {} cannot be read", count(jobs.unreadable.len(), "TrainJob file")));
    }
    if jobs.stays > 0 {
        said.push(format!("{} {}", thousands(jobs.stays), if jobs.stays == 1 { "stays" } else { "stay" }));
    }
    if !objects.is_empty() {
        said.push(count(objects.len(), "object"));
    }

    let mut blocks = Vec::new();
    if let Err(reason) = &jobs.prices {
        blocks.push(Block::Text(format!("⚠ Nothing here can be priced: {}", text(reason))));
    }
    let images = examination.trainer_images.iter().filter(|one| one.environment == jobs.name);
    let images: Vec<String> =
        images.map(|one| format!("for jobs rendered from now on, {}", trainer_image(one, whole))).collect();
    if !images.is_empty() {
        said.push(format!("changes {}", count(images.len(), "trainer image")));
        blocks.push(Block::Rows(Rows::list(images, "trainer image")));
    }
    let served = examination.in_service.iter().filter(|one| one.environment == jobs.name);
    let served: Vec<String> = served.map(|one| format!("in service: {}", one.line())).collect();
    if !served.is_empty() {
        said.push(format!("{} in service", count(served.len(), "version")));
        blocks.push(Block::Rows(Rows::list(served, "version")));
    }
    if !jobs.unreadable.is_empty() {
        let row = |(file, reason): &(String, String)| {
            format!("| ⚠ {} | {} |", cell(&shortened(file, CHARACTERS)), cell(&shortened(reason, CHARACTERS)))
        };
        let rows = jobs.unreadable.iter().map(row).collect();
        blocks.push(Block::Rows(Rows::table(
            &[("what it starts is not known", false), ("because", false)],
            rows,
            "file",
        )));
    }
    if !jobs.other_records.is_empty() {
        let records = jobs
            .other_records
            .iter()
            .map(|file| format!("⚠ no file of its TrainJob moves: {}", code(&shortened(file, CHARACTERS))));
        blocks.push(Block::Rows(Rows::list(records, "record")));
    }
    // that of the only environment stands in the first lines
    if costs.jobs > 0 && examination.environments.iter().filter(|one| !one.starts.is_empty()).count() > 1 {
        blocks.push(Block::Text(costs.table().trim_end().to_owned()));
    }
    let content = content(jobs);
    if !content.is_empty() {
        blocks.push(Block::Rows(Rows::list(content, "digest")));
    }
    let mut experiments: BTreeMap<&str, [Vec<&Job>; 4]> = BTreeMap::new();
    for (index, (_, some)) in all.into_iter().enumerate() {
        for job in some {
            experiments.entry(&job.experiment).or_default()[index].push(job);
        }
    }
    for (name, [starts, stops, archived, changes]) in experiments {
        blocks.push(Block::Text(experiment(examination, name, &starts, jobs, estimates)));
        if !starts.is_empty() {
            blocks.push(Block::Rows(table(&starts, &jobs.prices, estimates)));
        }
        for (what, some) in [
            ("stops, if it still runs", stops),
            ("moves to the history, and stops if it still runs", archived),
            ("⚠ changes in place", changes),
        ] {
            let items: Vec<String> =
                some.iter().map(|job| format!("{what}: {}", code(&shortened(&job.name, 100)))).collect();
            if !items.is_empty() {
                blocks.push(Block::Rows(Rows::list(items, "TrainJob")));
            }
        }
    }
    blocks.extend(objects.iter().map(|one| Block::Object(object(one))));
    let title = format!("{}: {}", html_code(&shortened(&jobs.name, 60)), said.join(", "));
    Section { title, blocks }
}

/// Which image a trainer has before and after, as `shown`, within a line of Markdown.
pub(crate) fn trainer_image(one: &TrainerImage, shown: fn(&str) -> String) -> String {
    let which = match one.trainer.as_deref() {
        Some(name) => format!("trainer {}", code(&shortened(name, 60))),
        None => "the built-in trainer".to_owned(),
    };
    let named = |image: &Option<String>| image.as_deref().map_or_else(|| "no image".to_owned(), shown);
    let environment = code(&shortened(&one.environment, 60));
    format!("{which} in {environment} changes from {} to {}", named(&one.before), named(&one.after))
}

/// A digest or an image with all of its digest.
fn whole(text: &str) -> String {
    code(&shortened(text, 2 * CHARACTERS))
}

/// The data and images of what starts, with their whole digests: the first lines have room for the beginning of each.
fn content(jobs: &EnvironmentJobs) -> BTreeSet<String> {
    let datasets = jobs.starts.iter().filter_map(|job| job.dataset.as_ref());
    let datasets = datasets.map(|(name, digest)| format!("data {} at {}", code(&shortened(name, 60)), whole(digest)));
    let images = jobs.starts.iter().map(|job| format!("image {}", whole(&job.image)));
    datasets.chain(images).collect()
}

/// What an experiment starts, in one line.
fn experiment<'a>(
    examination: &Examination,
    name: &str,
    starts: &[&'a Job],
    environment: &EnvironmentJobs,
    estimates: &Estimates<'a>,
) -> String {
    let heading = match name {
        "" => "**Jobs without an experiment**".to_owned(),
        name => format!("**{}**", code(&shortened(name, 60))),
    };
    if starts.is_empty() {
        return heading;
    }
    let costs = Costs::of_jobs(starts.iter().copied(), &environment.prices, estimates);
    let budget = examination.budgets.get(name);
    let of = |used: f64, budget: Option<f64>, unit: &str| match budget {
        Some(budget) => in_hours(&format!("{} of {}", hours(used), hours(budget)), unit),
        None => in_hours(&hours(used), unit),
    };
    let mut text = format!("{heading}: at most {}", of(costs.cpu_most, budget.map(|budget| budget.0), "CPU"));
    if costs.gpu_most > 0.0 {
        let _ = write!(text, " and {}", of(costs.gpu_most, budget.and_then(|budget| budget.1), "GPU"));
    }
    match costs.price_most.text() {
        price if price.is_empty() => text.push_str(", ⚠ no price"),
        price => text.push_str(&format!(", {}", code(&price))),
    }
    if costs.without_price > 0 && costs.without_price < costs.jobs {
        let _ = write!(text, ", ⚠ {} without a price", count(costs.without_price, "TrainJob"));
    }
    if let Some(program) = starts.iter().find_map(|job| job.program.as_deref()) {
        let _ = write!(text, "; runs {}", code(&shortened(program, 2 * CHARACTERS)));
    }
    text
}

/// The jobs that start, in a table.
fn table<'a>(starts: &[&'a Job], prices: &Result<Prices, String>, estimates: &Estimates<'a>) -> Rows {
    let has_gpus = starts.iter().any(|job| job.gpu_hours > 0.0);
    let mut columns = vec![
        ("starts", false),
        ("parameters", false),
        ("workers", true),
        ("CPU-hours expected", true),
        ("at most", true),
    ];
    if has_gpus {
        columns.extend([("GPU-hours expected", true), ("at most", true)]);
    }
    columns.push(("price at most", true));
    let row = |job: &&'a Job| {
        let expected = estimates.of(job);
        let shown = |of: fn(Expected) -> f64| expected.map_or_else(|| "⚠ no history".to_owned(), |one| hours(of(one)));
        let late = if expected.is_some_and(|one| one.reaches_deadline) { "⚠ deadline: " } else { "" };
        let gpus = match has_gpus {
            true => format!(" {} | {} |", shown(|one| one.gpu_hours), hours(job.gpu_hours)),
            false => String::new(),
        };
        let mut cost = Price::default();
        if let Some((currency, amount)) =
            prices.as_ref().ok().and_then(|prices| price(prices, job.cpu_hours, job.gpu_hours))
        {
            cost.add(currency, amount);
        }
        let cost = if cost == Price::default() { "⚠ no price".to_owned() } else { cell(&cost.text()) };
        format!(
            "| {} | {} | {} | {late}{} | {} |{gpus} {cost} |",
            cell(&shortened(&job.name, 100)),
            cell(&shortened(&parameters(&job.parameters), CHARACTERS)),
            job.workers,
            shown(|one| one.cpu_hours),
            hours(job.cpu_hours),
        )
    };
    Rows::table(&columns, starts.iter().map(row).collect(), "TrainJob")
}

fn object(one: &Difference) -> Object {
    let mark = match one.change {
        Change::Added => "+",
        Change::Removed => "−",
        Change::Changed => "~",
    };
    let name = if one.namespace.is_empty() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
    Object {
        kind: one.kind.clone(),
        headline: format!("{mark} {} {name} ({})", one.kind, one.application),
        diff: one.diff.clone(),
    }
}
