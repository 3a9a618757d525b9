//! The report on a change that is not merged yet.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use slipway_forge::Conclusion;
use slipway_gitops::Change;
use slipway_markdown::{code, shortened};

use crate::about::About;
use crate::annotations::annotations;
use crate::costs::Costs;
use crate::document::{Block, Check, Document, Rows, Section, Subject, count, thousands};
use crate::examination::{Conflict, Examination};
use crate::expectation::{Estimates, Expectations};
use crate::jobs::EnvironmentJobs;
use crate::link::address;
use crate::plan_sections::{environment, experiment_files, findings, is_shown, objects, trainer_image, unknown};
use crate::short::{CHARACTERS, few, image, named_digest, text};

/// The name of the check, by which a rule of the branch requires it.
pub const CHECK: &str = "slipway";

/// The most warnings in the first lines; more are counted.
const WARNINGS: usize = 3;

/// What merging a change would start, stop, cost and change.
#[must_use]
pub fn plan_report(examination: &Examination, about: &About, expectations: &Expectations) -> Document {
    let estimates = Estimates::new(expectations, &examination.recorded);
    let costs: Vec<Costs> = examination.environments.iter().map(|one| Costs::of(one, &estimates)).collect();
    let mut total = Costs::default();
    costs.iter().for_each(|one| total.add(one));
    let warnings = warnings(examination, about, expectations, &total);

    let mut sections = Vec::new();
    sections.extend(findings(examination, about));
    if warnings.len() > room(examination) {
        let blocks = vec![Block::Rows(Rows::list(warnings.iter().map(|one| format!("⚠ {one}")), "warning"))];
        sections.push(Section { title: format!("⚠ {}", count(warnings.len(), "warning")), blocks });
    }
    sections.extend(unknown(examination));
    sections.extend(experiment_files(examination));
    let objects = objects(examination);
    for (jobs, costs) in
        examination.environments.iter().zip(&costs).filter(|(one, _)| is_shown(examination, one, &objects))
    {
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
        first: first(examination, expectations, &headline, &total, &missing, &warnings),
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
        (None, Some(number)) => {
            format!("`slipway report {number} --to report` writes everything to `report/report.md`")
        }
        (None, None) => "`slipway report` with `--to report` writes everything to `report/report.md`".to_owned(),
    }
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
    let (archived, changes) = (sum(|one| one.archived.len()), sum(|one| one.changes.len()));
    let stays = sum(|one| one.stays);
    let unreadable = sum(|one| one.unreadable.len());
    let mut parts = Vec::new();
    for (number, verb) in [(starts, "starts"), (stops, "stops"), (archived, "archives"), (changes, "changes")] {
        if number > 0 {
            parts.push(format!("{verb} {}", count(number, "TrainJob")));
        }
    }
    if unreadable > 0 {
        parts.push(format!("⚠ {} cannot be read", count(unreadable, "TrainJob file")));
    }
    if !examination.in_service.is_empty() {
        parts.push(format!("changes {} in service", count(examination.in_service.len(), "version")));
    }
    if !examination.trainer_images.is_empty() {
        parts.push(format!("changes {}", count(examination.trainer_images.len(), "trainer image")));
    }
    if parts.is_empty() {
        parts.push("starts and stops no TrainJob".to_owned());
    }
    if stays > 0 {
        parts.push(format!("{} {}", thousands(stays), if stays == 1 { "stays" } else { "stay" }));
    }
    let objects = object_counts(examination);
    if let Some([added, changed, removed]) =
        objects.filter(|counts| starts + stops + archived + changes == 0 && counts.iter().sum::<usize>() > 0)
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

/// How many warnings stand in the first lines.
fn room(examination: &Examination) -> usize {
    if examination.in_service.is_empty() { WARNINGS } else { WARNINGS - 1 }
}

/// The first lines: at most [`FIRST_LINES`](crate::FIRST_LINES).
fn first(
    examination: &Examination,
    known: &Expectations,
    headline: &str,
    total: &Costs,
    missing: &[String],
    warnings: &[String],
) -> String {
    let mut text = format!("### Slipway: {headline}\n\n");
    if total.jobs > 0 {
        let _ = writeln!(text, "{}", total.table());
    }
    let starts = || examination.environments.iter().flat_map(|one| &one.starts);
    let datasets: BTreeSet<String> = starts().filter_map(|job| job.dataset.as_ref()).map(named_digest).collect();
    let images: BTreeSet<String> = starts().map(|job| image(&job.image)).collect();
    // what new jobs run is on the same line as what those here run, since lines are few
    let newer: Vec<String> = examination.trainer_images.iter().map(|one| trainer_image(one, image)).collect();
    let newer = Some(few(&newer, ", ")).filter(|newer| !newer.is_empty());
    let newer = newer.map(|newer| format!("for jobs rendered from now on, {newer}"));
    let images = Some(few(&Vec::from_iter(images), ", ")).filter(|images| !images.is_empty());
    let images: Vec<String> = images.into_iter().chain(newer).collect();
    let mut line = |title: &str, all: &[String]| {
        if !all.is_empty() {
            let _ = writeln!(text, "- **{title}:** {}", few(all, ", "));
        }
    };
    line("Data", &Vec::from_iter(datasets));
    line("Images", &Vec::from_iter((!images.is_empty()).then(|| images.join("; "))));
    line("In service", &examination.in_service.iter().map(|one| one.compared(known)).collect::<Vec<_>>());
    if let Some([added, changed, removed]) = object_counts(examination) {
        let [added, changed, removed] = [added, changed, removed].map(thousands);
        let _ = writeln!(text, "- **Objects in the clusters:** {added} added, {changed} changed, {removed} removed");
    }
    if missing.is_empty() {
        text.push_str("- **Reviewed is what runs:** merging leaves the files that are reviewed here, and nothing is missing in them\n");
    } else {
        // each kind of thing is one of them, so there are few
        let _ = writeln!(text, "- **Missing for the merge:** {}", missing.join("; "));
    }
    let room = room(examination);
    let listed = if warnings.len() > room { room - 1 } else { warnings.len() };
    for warning in &warnings[..listed] {
        let _ = writeln!(text, "- ⚠ {warning}");
    }
    if warnings.len() > listed {
        let _ = writeln!(text, "- ⚠ {}, below", count(warnings.len() - listed, "more warning"));
    }
    text
}

/// What must be done before it can be merged, as Markdown.
fn missing(examination: &Examination, about: &About) -> Vec<String> {
    let mut missing = Vec::new();
    let render = render(about);
    match &examination.conflict {
        Some(Conflict::Files { files, only_rendered }) => {
            let how = if *only_rendered {
                format!("only rendered files do: {render} resolves it")
            } else if about.resolution.is_empty() {
                format!("a person decides: merge {} into the branch", branch(about))
            } else {
                format!("a person decides: {}", about.resolution)
            };
            missing.push(format!("{} ({}); {how}", in_conflict(files.len()), few(&codes(files), ", ")));
        }
        Some(Conflict::Unrelated) => missing.push("a common history with the base branch".to_owned()),
        None => {}
    }
    let files: BTreeSet<&str> = examination.not_as_reviewed.iter().map(|finding| finding.file.as_str()).collect();
    if !files.is_empty() {
        let files = few(&codes(files), ", ");
        missing.push(format!("rendered files that fit the experiments after the merge ({files}): {render}"));
    }
    if !examination.findings.is_empty() {
        missing.push(format!("{} to be corrected, below", count(examination.findings.len(), "finding")));
    }
    if about.is_draft {
        missing.push("it is a draft: mark it as ready".to_owned());
    }
    if !about.reviewers.is_empty() {
        missing.push(format!("an approval by {}", few(&codes(&about.reviewers), ", ")));
    }
    missing.extend(about.missing.iter().map(|text| code(&shortened(text, CHARACTERS))));
    missing
}

/// What brings the rendered files up to date, as Markdown: the author of a fork does it there, because nobody here may push to it.
fn render(about: &About) -> String {
    if about.is_fork {
        return format!("`slipway render`, merged with {} and pushed to its branch", branch(about));
    }
    let number = about.number.map_or_else(|| "N".to_owned(), |number| number.to_string());
    format!("`slipway render --pull-request {number}`")
}

/// Names as code.
fn codes(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    names.into_iter().map(|name| code(&shortened(name.as_ref(), 100))).collect()
}

pub(crate) fn branch(about: &About) -> String {
    if about.base_branch.is_empty() { "the base branch".to_owned() } else { code(&shortened(&about.base_branch, 100)) }
}

/// What a reader must not overlook, as Markdown, the worst first.
fn warnings(examination: &Examination, about: &About, expectations: &Expectations, total: &Costs) -> Vec<String> {
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
    warnings.extend(about.unknown.iter().map(|unknown| format!("Missing for the merge: {}", text(unknown))));
    if total.too_long > 0 {
        let (jobs, are) = (count(total.too_long, "TrainJob"), if total.too_long == 1 { "is" } else { "are" });
        warnings.push(format!("{jobs} {are} expected to be stopped at the deadline: earlier runs took longer"));
    }
    let changes: usize = examination.environments.iter().map(|one| one.changes.len()).sum();
    if changes > 0 {
        warnings.push(format!("{} in place: a job that runs or is done does not start again", changed(changes)));
    }
    let others: Vec<String> = codes(examination.environments.iter().flat_map(|environment| &environment.other_records));
    if !others.is_empty() {
        let (records, files) = (count(others.len(), "record"), few(&others, ", "));
        warnings.push(format!(
            "{records} of the history without a file of its TrainJob that moves ({files}): a trial with a record never starts"
        ));
    }
    for (trainer, jobs) in &examination.keep_code {
        let (code, jobs) = (code(&shortened(&format!("trainers/{trainer}"), 100)), count(*jobs, "TrainJob"));
        warnings.push(format!(
            "{code} changes, and {jobs} of before keep the code that they have: `rerun` runs the new one"
        ));
    }
    let render = render(about);
    for draft in &examination.drafts {
        let (file, jobs) = (code(&shortened(&draft.file, 100)), count(draft.jobs, "TrainJob"));
        let environment = code(&shortened(&draft.environment, 60));
        warnings.push(format!(
            "{file} is not rendered in {environment}, so merging does not start its {jobs}; to render it: {render}"
        ));
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
        warnings.push(format!("No expected price for {}: {why}", count(total.without_history, "TrainJob")));
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
