//! The report on a change that is not merged yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use slipway_gitops::{Change, Difference};
use slipway_markdown::{cell, code, html_code, shortened, visible};
use slipway_project::cluster::Prices;
use slipway_project::plan::parameters;
use slipway_source::Finding;

use crate::about::About;
use crate::amount::{Price, hours};
use crate::document::{Block, Check, Document, Object, Rows, Section, Subject, count, thousands};
use crate::examination::{Conflict, Examination, conflict_finding};
use crate::expectation::{Estimates, Expectations, Expected};
use crate::jobs::{EnvironmentJobs, Job};
use crate::link::address;
use slipway_forge::{Annotation, Conclusion, Level};

/// The name of the check, by which a rule of the branch requires it.
pub const CHECK: &str = "slipway";

/// The most characters of a text of others in a cell or a line.
pub(crate) const CHARACTERS: usize = 200;

/// The most warnings in the first lines; more are counted.
const WARNINGS: usize = 3;

/// The most datasets and images in the first lines; more are counted.
const NAMED: usize = 4;

/// The most annotations. GitHub shows few, and the comment has all findings.
const ANNOTATIONS: usize = 200;

/// What merging a change would start, stop, cost and change.
#[must_use]
pub fn plan_report(examination: &Examination, about: &About, expectations: &Expectations) -> Document {
    let estimates = Estimates::new(expectations);
    let costs: Vec<Costs> = examination.environments.iter().map(|one| Costs::of(one, &estimates)).collect();
    let mut total = Costs::default();
    costs.iter().for_each(|one| total.add(one));
    let warnings = warnings(examination, expectations, &total);

    let mut sections = Vec::new();
    sections.extend(findings(examination, about));
    sections.extend(unknown(examination));
    let objects = objects(examination);
    for (jobs, costs) in examination.environments.iter().zip(&costs).filter(|(one, _)| is_shown(one, &objects)) {
        let objects = objects.get(jobs.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        sections.push(environment(examination, jobs, costs, &estimates, objects));
    }
    let headline = headline(examination);
    let missing = missing(examination, about);
    let conclusion = match () {
        () if examination.is_refused() => Conclusion::Failure,
        () if is_complete(examination) => Conclusion::Success,
        () => Conclusion::Neutral,
    };
    let price = match total.price_most.text() {
        price if price.is_empty() => String::new(),
        price => format!("; at most {price}"),
    };
    let refused = match refusals(examination) {
        0 => String::new(),
        findings => format!("; {}", count(findings, "finding")),
    };
    Document {
        subject: Subject::Plan,
        first: first(examination, &headline, &total, &missing, &warnings),
        summary: format!("{headline}{price}{refused}"),
        sections,
        everything: everything(about),
        check: Some(Check {
            name: CHECK.to_owned(),
            conclusion,
            title: title(examination, &headline),
            annotations: annotations(examination),
        }),
    }
}

/// Where everything is that does not fit.
fn everything(about: &About) -> String {
    match (about.everything.as_deref().and_then(address), about.number) {
        (Some(url), _) => format!("[Everything is in the whole report]({url})"),
        (None, Some(number)) => format!("`slipway report {number} --dry-run` shows everything"),
        (None, None) => "`slipway report --dry-run` shows everything".to_owned(),
    }
}

/// What TrainJobs can use and are expected to use.
#[derive(Clone, Debug, Default)]
struct Costs {
    jobs: usize,
    cpu_most: f64,
    gpu_most: f64,
    price_most: Price,
    cpu_expected: f64,
    gpu_expected: f64,
    price_expected: Price,
    /// Jobs without a past run to expect something by.
    without_history: usize,
    /// Jobs in an environment whose prices are not known, or on GPUs that have none.
    without_price: usize,
    /// Jobs that are expected to be stopped at their deadline.
    too_long: usize,
}

impl Costs {
    fn of<'a>(environment: &'a EnvironmentJobs, estimates: &Estimates<'a>) -> Self {
        // a changed file is no new run, but nobody knows that before the cluster has answered
        Self::of_jobs(environment.starts.iter(), &environment.prices, estimates)
    }

    fn of_jobs<'a>(
        jobs: impl Iterator<Item = &'a Job>,
        prices: &Result<Prices, String>,
        estimates: &Estimates<'a>,
    ) -> Self {
        let mut costs = Self::default();
        for job in jobs {
            costs.jobs += 1;
            costs.cpu_most += job.cpu_hours;
            costs.gpu_most += job.gpu_hours;
            let prices = prices.as_ref().ok();
            let price = |cpu: f64, gpu: f64| prices.and_then(|prices| price(prices, cpu, gpu));
            match price(job.cpu_hours, job.gpu_hours) {
                Some((currency, amount)) => costs.price_most.add(currency, amount),
                None => costs.without_price += 1,
            }
            match estimates.of(job) {
                Some(Expected { cpu_hours, gpu_hours, reaches_deadline }) => {
                    costs.cpu_expected += cpu_hours;
                    costs.gpu_expected += gpu_hours;
                    costs.too_long += usize::from(reaches_deadline);
                    if let Some((currency, amount)) = price(cpu_hours, gpu_hours) {
                        costs.price_expected.add(currency, amount);
                    }
                }
                None => costs.without_history += 1,
            }
        }
        costs
    }

    fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.cpu_most += other.cpu_most;
        self.gpu_most += other.gpu_most;
        self.price_most.extend(&other.price_most);
        self.cpu_expected += other.cpu_expected;
        self.gpu_expected += other.gpu_expected;
        self.price_expected.extend(&other.price_expected);
        self.without_history += other.without_history;
        self.without_price += other.without_price;
        self.too_long += other.too_long;
    }

    /// A table of what is expected beside the most. What is not known is said in its place.
    fn table(&self) -> String {
        let known = self.jobs - self.without_history;
        // a sum over some of the jobs is not the sum
        let expected = |sum: String| match known {
            0 => "⚠ no history".to_owned(),
            known if known < self.jobs => format!("⚠ {sum} for {} of {}", thousands(known), thousands(self.jobs)),
            _ => sum,
        };
        let priced = |price: &Price| match (price.text(), self.without_price) {
            (text, 0) => cell(&text),
            (text, _) if text.is_empty() => "⚠ no price".to_owned(),
            (text, without) => format!("⚠ {}, and {} without a price", cell(&text), count(without, "TrainJob")),
        };
        let mut text = "| | expected | at most |\n|---|---:|---:|\n".to_owned();
        let _ = writeln!(text, "| CPU-hours | {} | {} |", expected(hours(self.cpu_expected)), hours(self.cpu_most));
        if self.gpu_most > 0.0 {
            let _ = writeln!(text, "| GPU-hours | {} | {} |", expected(hours(self.gpu_expected)), hours(self.gpu_most));
        }
        let _ = writeln!(text, "| price | {} | {} |", expected(priced(&self.price_expected)), priced(&self.price_most));
        text
    }
}

/// What hours cost, with the currency; `None` if there are GPU-hours, and those have no price.
fn price(prices: &Prices, cpu_hours: f64, gpu_hours: f64) -> Option<(&str, f64)> {
    let gpus = if gpu_hours > 0.0 { gpu_hours * prices.gpu_hour? } else { 0.0 };
    Some((&prices.currency, cpu_hours * prices.cpu_hour + gpus))
}

/// One line of text: what happens, without what it costs.
fn headline(examination: &Examination) -> String {
    match &examination.conflict {
        Some(Conflict::Files { files, .. }) => return format!("cannot be merged: {}", in_conflict(files.len())),
        Some(Conflict::Unrelated) => return "cannot be merged: no common history".to_owned(),
        None => {}
    }
    let sum = |of: fn(&EnvironmentJobs) -> usize| examination.environments.iter().map(of).sum::<usize>();
    let (starts, stops) = (sum(|one| one.starts.len()), sum(|one| one.stops.len()));
    let (changes, stays) = (sum(|one| one.changes.len()), sum(|one| one.stays));
    let unreadable = sum(|one| one.unreadable.len());
    let mut parts = Vec::new();
    for (number, verb) in [(starts, "starts"), (stops, "stops"), (changes, "changes")] {
        if number > 0 {
            parts.push(format!("{verb} {}", count(number, "TrainJob")));
        }
    }
    if unreadable > 0 {
        parts.push(format!("⚠ {} cannot be read", count(unreadable, "TrainJob file")));
    }
    if !examination.served.is_empty() {
        parts.push(format!("changes {} in service", count(examination.served.len(), "model")));
    }
    if parts.is_empty() {
        parts.push("starts and stops no TrainJob".to_owned());
    }
    if stays > 0 {
        parts.push(format!("{} {}", thousands(stays), if stays == 1 { "stays" } else { "stay" }));
    }
    let objects = object_counts(examination);
    if let Some([added, changed, removed]) =
        objects.filter(|counts| starts + stops + changes == 0 && counts.iter().sum::<usize>() > 0)
    {
        parts.push(format!("objects: {added} added, {changed} changed, {removed} removed"));
    }
    parts.join(", ")
}

fn in_conflict(files: usize) -> String {
    format!("{} {} with the base branch", count(files, "file"), if files == 1 { "conflicts" } else { "conflict" })
}

/// Objects that are added, changed and removed; `None` if that is not known.
fn object_counts(examination: &Examination) -> Option<[usize; 3]> {
    let differences = examination.differences.as_ref()?.as_ref().ok()?;
    let mut counts = [0; 3];
    for one in &differences.objects {
        counts[match one.change {
            Change::Added => 0,
            Change::Changed => 1,
            Change::Removed => 2,
        }] += 1;
    }
    Some(counts)
}

/// The number of findings that make the check red.
fn refusals(examination: &Examination) -> usize {
    let conflict = match &examination.conflict {
        Some(Conflict::Files { files, .. }) => files.len(),
        Some(Conflict::Unrelated) => 1,
        None => 0,
    };
    examination.findings.len() + examination.not_as_reviewed.len() + conflict
}

/// Whether everything could be examined.
fn is_complete(examination: &Examination) -> bool {
    let compared = match &examination.differences {
        None => true,
        Some(Ok(differences)) => differences.not_shown.is_empty() && differences.omitted.is_empty(),
        Some(Err(_)) => false,
    };
    compared && examination.skipped.is_empty() && examination.environments.iter().all(|one| one.prices.is_ok())
}

fn title(examination: &Examination, headline: &str) -> String {
    match refusals(examination) {
        0 if is_complete(examination) => headline.to_owned(),
        0 => format!("{headline}; not everything could be examined"),
        findings => format!("{}: {headline}", count(findings, "finding")),
    }
}

/// The first lines: at most [`FIRST_LINES`](crate::FIRST_LINES).
fn first(examination: &Examination, headline: &str, total: &Costs, missing: &[String], warnings: &[String]) -> String {
    let mut text = format!("### Slipway: {headline}\n\n");
    if total.jobs > 0 {
        let _ = writeln!(text, "{}", total.table());
    }
    let shown = examination.served.len().min(WARNINGS);
    for served in &examination.served[..shown] {
        let _ = writeln!(text, "- {}", served.planned());
    }
    if examination.served.len() > shown {
        let _ = writeln!(text, "- and {} in service", count(examination.served.len() - shown, "more model"));
    }
    let starts = || examination.environments.iter().flat_map(|one| &one.starts);
    let datasets: BTreeSet<String> = starts().filter_map(|job| job.dataset.as_ref()).map(named_digest).collect();
    let images: BTreeSet<String> = starts().map(|job| image(&job.image)).collect();
    let mut line = |title: &str, all: &[String]| {
        if !all.is_empty() {
            let more =
                if all.len() > NAMED { format!(" and {} more", thousands(all.len() - NAMED)) } else { String::new() };
            let shown: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
            let _ = writeln!(text, "- **{title}:** {}{more}", shown.join(", "));
        }
    };
    line("Data", &Vec::from_iter(datasets));
    line("Images", &Vec::from_iter(images));
    if let Some([added, changed, removed]) = object_counts(examination) {
        let [added, changed, removed] = [added, changed, removed].map(thousands);
        let _ = writeln!(text, "- **Objects in the clusters:** {added} added, {changed} changed, {removed} removed");
    }
    if missing.is_empty() {
        text.push_str("- **Reviewed is what runs:** merging leaves the files that are reviewed here, and nothing is missing in them\n");
    } else {
        let more = if missing.len() > NAMED {
            format!("; and {} more", thousands(missing.len() - NAMED))
        } else {
            String::new()
        };
        let shown: Vec<&str> = missing.iter().take(NAMED).map(String::as_str).collect();
        let _ = writeln!(text, "- **Missing for the merge:** {}{more}", shown.join("; "));
    }
    let listed = if warnings.len() > WARNINGS { WARNINGS - 1 } else { warnings.len() };
    for warning in &warnings[..listed] {
        let _ = writeln!(text, "- ⚠ {warning}");
    }
    if warnings.len() > listed {
        let _ = writeln!(text, "- ⚠ {}, below", count(warnings.len() - listed, "more warning"));
    }
    text
}

/// A dataset with the beginning of its digest, as Markdown.
fn named_digest((name, digest): &(String, String)) -> String {
    format!("{} at {}", code(&shortened(name, 60)), code(&short_digest(digest)))
}

/// The beginning of a digest.
pub(crate) fn short_digest(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hex)) => format!("{}:{}", shortened(algorithm, 10), hex.chars().take(8).collect::<String>()),
        None => shortened(digest, 19),
    }
}

/// An image with the beginning of its digest, as Markdown.
fn image(image: &str) -> String {
    match image.split_once('@') {
        Some((name, digest)) => code(&format!("{}@{}", shortened(name, 80), short_digest(digest))),
        None => format!("{} (⚠ no digest)", code(&shortened(image, 80))),
    }
}

/// What must be done before it can be merged, as Markdown.
fn missing(examination: &Examination, about: &About) -> Vec<String> {
    let number = about.number.map_or_else(|| "N".to_owned(), |number| number.to_string());
    let mut missing = Vec::new();
    let render = if about.is_fork {
        format!("`slipway render`, merged with {} and pushed to its branch", branch(about))
    } else {
        format!("`slipway render --pull-request {number}`")
    };
    match &examination.conflict {
        Some(Conflict::Files { files, only_rendered }) => {
            let how = if *only_rendered {
                format!("only rendered files do: {render} resolves it")
            } else {
                "merge the base branch".to_owned()
            };
            let named: Vec<String> = files.iter().take(NAMED).map(|file| code(&shortened(file, 100))).collect();
            let more = if files.len() > NAMED {
                format!(" and {} more", thousands(files.len() - NAMED))
            } else {
                String::new()
            };
            missing.push(format!("{} ({}{more}), {how}", in_conflict(files.len()), named.join(", ")));
        }
        Some(Conflict::Unrelated) => missing.push("a common history with the base branch".to_owned()),
        None => {}
    }
    let files: BTreeSet<&str> = examination.not_as_reviewed.iter().map(|finding| finding.file.as_str()).collect();
    if !files.is_empty() {
        let named: Vec<String> = files.iter().take(NAMED).map(|file| code(&shortened(file, 100))).collect();
        let more =
            if files.len() > NAMED { format!(" and {} more", thousands(files.len() - NAMED)) } else { String::new() };
        missing.push(format!(
            "rendered files that fit the experiments after the merge ({}{more}): {render}",
            named.join(", ")
        ));
    }
    if !examination.findings.is_empty() {
        missing.push(format!("{} to be corrected, below", count(examination.findings.len(), "finding")));
    }
    if about.is_draft {
        missing.push("it is a draft: mark it as ready".to_owned());
    }
    if !about.reviewers.is_empty() {
        let named: Vec<String> = about.reviewers.iter().take(NAMED).map(|name| code(&shortened(name, 60))).collect();
        let more = if about.reviewers.len() > NAMED {
            format!(" and {} more", about.reviewers.len() - NAMED)
        } else {
            String::new()
        };
        missing.push(format!("an approval by {}{more}", named.join(", ")));
    }
    missing.extend(about.missing.iter().map(|text| code(&shortened(text, CHARACTERS))));
    missing
}

fn branch(about: &About) -> String {
    if about.base_branch.is_empty() { "the base branch".to_owned() } else { code(&shortened(&about.base_branch, 100)) }
}

/// What a reader must not overlook, as Markdown, the worst first.
fn warnings(examination: &Examination, expectations: &Expectations, total: &Costs) -> Vec<String> {
    let mut warnings = Vec::new();
    for environment in &examination.environments {
        if let Err(reason) = &environment.prices
            && !environment.starts.is_empty()
        {
            warnings.push(format!("{} has no prices: {}", code(&shortened(&environment.name, 60)), text(reason)));
        }
    }
    match &examination.differences {
        Some(Err(reason)) => warnings.push(format!("What changes in the clusters is not known: {}", text(reason))),
        Some(Ok(differences)) => {
            let unknown = differences.not_shown.len() + differences.omitted.len();
            if unknown > 0 {
                warnings.push(format!("{} not compared, below", count(unknown, "source")));
            }
        }
        None => {}
    }
    if total.too_long > 0 {
        let (jobs, are) = (count(total.too_long, "TrainJob"), if total.too_long == 1 { "is" } else { "are" });
        warnings.push(format!("{jobs} {are} expected to be stopped at the deadline: earlier runs took longer"));
    }
    let changes: usize = examination.environments.iter().map(|one| one.changes.len()).sum();
    if changes > 0 {
        warnings.push(format!("{} in place: a job that runs or is done does not start again", changed(changes)));
    }
    for draft in &examination.drafts {
        let (file, jobs) = (code(&shortened(&draft.file, 100)), count(draft.jobs, "TrainJob"));
        let environment = code(&shortened(&draft.environment, 60));
        warnings.push(format!("{file} is not rendered in {environment}, so merging does not start its {jobs}"));
    }
    if total.without_price > 0 && examination.environments.iter().all(|one| one.prices.is_ok()) {
        warnings.push(format!(
            "{} without a price: GPUs have none in that environment",
            count(total.without_price, "TrainJob")
        ));
    }
    if total.without_history > 0 {
        let why = match &expectations.unavailable {
            Some(reason) => text(reason),
            None => "no run of their experiments has finished".to_owned(),
        };
        warnings.push(format!("Nothing is expected of {}: {why}", count(total.without_history, "TrainJob")));
    }
    if !examination.skipped.is_empty() {
        warnings.push(format!("{} not checked, below", count(examination.skipped.len(), "place")));
    }
    if !examination.warnings.is_empty() {
        warnings.push(format!("{} in the changed files, below", count(examination.warnings.len(), "remark")));
    }
    warnings
}

fn changed(jobs: usize) -> String {
    if jobs == 1 { "1 TrainJob changes".to_owned() } else { format!("{} TrainJobs change", thousands(jobs)) }
}

/// A message of others as Markdown within a line.
pub(crate) fn text(message: &str) -> String {
    code(&shortened(message.trim(), CHARACTERS))
}

/// Every finding, as a section; `None` without any.
fn findings(examination: &Examination, about: &About) -> Option<Section> {
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
fn unknown(examination: &Examination) -> Option<Section> {
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

/// The objects that differ, by environment.
fn objects(examination: &Examination) -> BTreeMap<&str, Vec<&Difference>> {
    let mut objects: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    if let Some(Ok(differences)) = &examination.differences {
        for one in &differences.objects {
            objects.entry(&one.environment).or_default().push(one);
        }
    }
    objects
}

fn is_shown(environment: &EnvironmentJobs, objects: &BTreeMap<&str, Vec<&Difference>>) -> bool {
    !environment.is_unchanged() || objects.contains_key(environment.name.as_str())
}

/// One environment, as a section.
fn environment<'a>(
    examination: &'a Examination,
    jobs: &'a EnvironmentJobs,
    costs: &Costs,
    estimates: &Estimates<'a>,
    objects: &[&Difference],
) -> Section {
    let mut said = Vec::new();
    let all = [("starts", &jobs.starts), ("stops", &jobs.stops), ("changes", &jobs.changes)];
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
    let title = format!("{}: {}", html_code(&shortened(&jobs.name, 60)), said.join(", "));

    let mut blocks = Vec::new();
    if let Err(reason) = &jobs.prices {
        blocks.push(Block::Text(format!("⚠ Nothing here can be priced: {}", text(reason))));
    }
    for one in examination.trainer_images.iter().filter(|one| one.environment == jobs.name) {
        let which = one.trainer.as_deref().map_or_else(
            || "The built-in trainer".to_owned(),
            |name| format!("Trainer {}", code(&shortened(name, 60))),
        );
        let from = one.before.as_deref().map_or_else(|| "no image".to_owned(), image);
        let to = one.after.as_deref().map_or_else(|| "no image".to_owned(), image);
        blocks
            .push(Block::Text(format!("{which} changes from {from} to {to}, for jobs that are rendered from now on.")));
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
    if costs.jobs > 0 {
        blocks.push(Block::Text(costs.table().trim_end().to_owned()));
    }
    let mut experiments: BTreeMap<&str, [Vec<&Job>; 3]> = BTreeMap::new();
    for (index, (_, some)) in all.into_iter().enumerate() {
        for job in some {
            experiments.entry(&job.experiment).or_default()[index].push(job);
        }
    }
    for (name, [starts, stops, changes]) in experiments {
        blocks.push(Block::Text(experiment(examination, name, &starts, jobs, estimates)));
        if !starts.is_empty() {
            blocks.push(Block::Rows(table(&starts, &jobs.prices, estimates)));
        }
        for (what, some) in [("stops, if it still runs", stops), ("⚠ changes in place", changes)] {
            let items: Vec<String> =
                some.iter().map(|job| format!("{what}: {}", code(&shortened(&job.name, 100)))).collect();
            if !items.is_empty() {
                blocks.push(Block::Rows(Rows::list(items, "TrainJob")));
            }
        }
    }
    blocks.extend(objects.iter().map(|one| Block::Object(object(one))));
    Section { title, blocks }
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
    let of = |budget: Option<f64>| budget.map(|hours| format!(" of {}", self::hours(hours))).unwrap_or_default();
    let mut text =
        format!("{heading}: at most {}{} CPU-hours", hours(costs.cpu_most), of(budget.map(|budget| budget.0)));
    if costs.gpu_most > 0.0 {
        let _ = write!(text, " and {}{} GPU-hours", hours(costs.gpu_most), of(budget.and_then(|budget| budget.1)));
    }
    match costs.price_most.text() {
        price if price.is_empty() => text.push_str(", ⚠ no price"),
        price => text.push_str(&format!(", {}", code(&price))),
    }
    if costs.without_price > 0 && costs.without_price < costs.jobs {
        let _ = write!(text, ", ⚠ {} without a price", count(costs.without_price, "TrainJob"));
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

/// Findings at their lines, the worst first.
fn annotations(examination: &Examination) -> Vec<Annotation> {
    let at_top = |file: &str| match examination.folder.as_str() {
        "" => file.to_owned(),
        folder => format!("{folder}/{file}"),
    };
    let annotation = |finding: &Finding, file: String, level: Level| {
        let help = finding.help.as_deref().map(|help| format!("\n{help}")).unwrap_or_default();
        Annotation {
            file,
            line: finding.line.max(1),
            column: finding.column.max(1),
            level,
            title: finding.code.to_owned(),
            message: visible(&shortened(&format!("{}{help}", finding.message), 2_000)),
        }
    };
    let conflicts: Vec<Annotation> = match &examination.conflict {
        Some(Conflict::Files { files, .. }) => {
            let files = files.iter().take(ANNOTATIONS);
            files.map(|file| annotation(&conflict_finding(file), file.clone(), Level::Failure)).collect()
        }
        Some(Conflict::Unrelated) | None => Vec::new(),
    };
    let mistakes =
        examination.not_as_reviewed.iter().chain(&examination.findings).map(|finding| (finding, Level::Failure));
    let all = mistakes.chain(examination.warnings.iter().map(|finding| (finding, Level::Warning)));
    let of_files = all.map(|(finding, level)| annotation(finding, at_top(&finding.file), level));
    conflicts.into_iter().chain(of_files).take(ANNOTATIONS).collect()
}
