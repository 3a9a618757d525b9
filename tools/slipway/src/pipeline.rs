//! Running a dataset's pipeline, and saying what it came to.

use serde::Serialize;
use slipway_experiment::{Dataset, Source, pin_digest};
use slipway_pipeline::{Built, Counts, Error, Places, ReasonCount, SetAsideReport, Step, Temporary};
use slipway_source::{Finding, position_of};
use slipway_sources::Limits;

use crate::context::Context;
use crate::dataset::{package, read};
use crate::failure::Failure;
use crate::replace::replace;
use crate::{cache, services};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    name: &'a str,
    digest: String,
    report: String,
    store: String,
    items: u64,
    #[serde(flatten)]
    counts: Counts,
    set_aside: &'a SetAsideReport,
    /// Images or rows that were read in this run.
    read: u64,
    /// Whether the head was moved; otherwise it was already this.
    moved: bool,
    /// Whether the declaration has this digest.
    pinned: bool,
}

#[derive(Serialize)]
struct Plan<'a> {
    name: &'a str,
    /// The digest of now, if there is one.
    head: Option<String>,
    sources: Vec<PlannedSource>,
}

#[derive(Serialize)]
struct PlannedSource {
    kind: &'static str,
    units: u64,
    new: u64,
}

/// Builds a dataset; `file` declares it.
pub(crate) async fn build(context: &Context, file: &str, pin: bool) -> Result<(), Failure> {
    let (text, declaration) = with_pipeline(context, file)?;
    let store = services::datasets(context).await?;
    let (_temporary, places) = places(context, &declaration)?;
    let mut read = 0;
    let built = slipway_pipeline::build(&declaration, &places, &store, |step| {
        if let Step::Read { new_items, .. } = step {
            read = new_items;
        }
        context.progress(said(&step));
    });
    let built = built.await.map_err(|error| failure(error, file, &text))?;
    let name = &declaration.name;
    list(context, &built);
    let head = if built.moved { "is the head now" } else { "is the head already" };
    context.say(format!("publish    {} {head}, in {}", built.digest, store.place()));
    context.say(format!("           its report is {}", built.report_digest));
    let mut pinned = declaration.spec.digest.as_deref() == Some(built.digest.to_string().as_str());
    if pin && !pinned {
        let text = pin_digest(file, &text, &built.digest.to_string()).map_err(Failure::Invalid)?;
        replace(&context.root.join(file), text.as_bytes())
            .map_err(|error| Failure::Environment(format!("cannot write {file}: {error}")))?;
        pinned = true;
        context.say(format!("pinned in {file}"));
    } else if !pinned {
        context
            .say(format!("{file} pins another digest or none; `slipway dataset build {name} --pin` writes this one"));
    }
    context.json(&Report {
        name,
        digest: built.digest.to_string(),
        report: built.report_digest.to_string(),
        store: store.place(),
        items: built.report.items,
        counts: built.report.counts,
        set_aside: &built.report.set_aside,
        read,
        moved: built.moved,
        pinned,
    })
}

/// Says what a build would read.
pub(crate) async fn plan(context: &Context, file: &str) -> Result<(), Failure> {
    let (text, declaration) = with_pipeline(context, file)?;
    let store = services::datasets(context).await?;
    let (_temporary, places) = places(context, &declaration)?;
    let planned = slipway_pipeline::plan(&declaration, &places, &store).await;
    let planned = planned.map_err(|error| failure(error, file, &text))?;
    for source in &planned.sources {
        context.say(format!("read       {} {}, {} of them for the first time", source.units, source.kind, source.new));
    }
    match &planned.head {
        Some(head) => context.say(format!("publish    the head is {head}; what has a place keeps it")),
        None => context.say("publish    there is no head yet: every item gets its place for the first time"),
    }
    let sources = planned.sources.iter();
    let sources = sources.map(|source| PlannedSource { kind: source.kind, units: source.units, new: source.new });
    let head = planned.head.map(|head| head.to_string());
    context.json(&Plan { name: &declaration.name, head, sources: sources.collect() })
}

fn with_pipeline(context: &Context, file: &str) -> Result<(String, Dataset), Failure> {
    let (text, declaration) = read(context, file)?;
    if declaration.spec.pipeline.is_some() {
        return Ok((text, declaration));
    }
    let message = format!("{} has no pipeline", declaration.name);
    let help = format!("declare `pipeline: {{}}`, or store it as it is: `slipway dataset add {file}`");
    Err(Failure::Invalid(vec![Finding::at(file, position_of(&text, "spec"), "missing-field", message).with_help(help)]))
}

/// Where everything is for a build. The temporary folder is removed when it is dropped.
pub(crate) fn places(context: &Context, declaration: &Dataset) -> Result<(Temporary, Places), Failure> {
    let (temporary, places) = looking(context)?;
    let npm = match &declaration.spec.source {
        Source::Npm(source) => Some(package(source)?),
        _ => None,
    };
    Ok((temporary, Places { npm, ..places }))
}

/// The same for who only looks at what builds have left: without the source's package.
pub(crate) fn looking(context: &Context) -> Result<(Temporary, Places), Failure> {
    let cache = cache::folder()?;
    let temporary = Temporary::new(&cache.join("pipeline")).map_err(|error| Failure::Environment(error.to_string()))?;
    let sources =
        slipway_sources::Places { project: context.root.clone(), cache, repin: false, limits: Limits::default() };
    let places = Places { sources, npm: None, temporary: temporary.path().to_owned() };
    Ok((temporary, places))
}

/// A line about a step.
fn said(step: &Step) -> String {
    match step {
        Step::Read { units, items, new_units, new_items, new_bytes } => {
            let known = units - new_units;
            let new = if *new_units == 0 {
                "nothing is new".to_owned()
            } else {
                format!("{new_items} of {new_units} new ones were read ({new_bytes} bytes)")
            };
            format!("read       {items} items of {units} sources: {new}, {known} sources were read before")
        }
        Step::Validated { kept, set_aside } => {
            let count: u64 = set_aside.iter().map(|reason| reason.count).sum();
            let reasons: Vec<String> =
                set_aside.iter().map(|ReasonCount { reason, count }| format!("{count} {}", reason.name())).collect();
            let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
            format!("validate   {kept} fit, {count} are set aside{reasons}")
        }
        Step::Split { counts, new } => format!(
            "split      train {}, validation {}, test {}: {} have a place for the first time",
            counts.train,
            counts.validation,
            counts.test,
            new.total()
        ),
        Step::Published { made, .. } if made.is_empty() => "publish    every split is stored already".to_owned(),
        Step::Published { made, bytes } => format!("publish    {} ({bytes} bytes)", made.join(", ")),
        Step::Overtaken => "publish    somebody else has published meanwhile: again, from the new head".to_owned(),
        _ => String::new(),
    }
}

/// The first items that are set aside.
fn list(context: &Context, built: &Built) {
    let aside = &built.report.set_aside;
    for item in &aside.first {
        let mut why = item.reason.name().to_owned();
        if let Some(of) = &item.of {
            why = format!("{why} of {of}");
        }
        if let Some(distance) = item.distance {
            why = format!("{why}, in {distance} of 64 bits another");
        }
        if let Some(detail) = &item.detail {
            why = format!("{why}: {detail}");
        }
        context.say(format!("  set aside  {}: {why}", item.item));
    }
    let more = aside.count.saturating_sub(aside.first.len() as u64);
    if more > 0 {
        context.say(format!("  and {more} more: the blob {} of the store has the whole list", aside.list.digest));
    }
    for short in &built.report.short {
        let (split, actual, declared) = (&short.split, short.actual, short.declared);
        context
            .say(format!("  {split} has {actual} of {declared} items: what has a place keeps it, and too few are new"));
    }
}

fn failure(error: Error, file: &str, text: &str) -> Failure {
    match error {
        Error::Source(slipway_sources::Error::Problem(problem)) => {
            let at = position_of(text, &problem.field);
            Failure::Invalid(vec![Finding::at(file, at, problem.code, problem.message).with_help(problem.help)])
        }
        Error::Source(slipway_sources::Error::Dataset(error)) | Error::Dataset(error) => error.into(),
        error @ Error::Temporary { .. } => Failure::Environment(error.to_string()),
        error => Failure::Service(error.to_string()),
    }
}
