//! `slipway drift`: whether datasets have changed, whether that matters, and what the monitor would do about it.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use slipway_evidence::{Decision, Evidence, Found, Look, Loss, Sources, drawn, look};
use slipway_experiment::Dataset;
use slipway_git::Repository;
use slipway_names::env;
use slipway_project::{Project, Tree};

use crate::context::Context;
use crate::failure::Failure;
use crate::pipeline::looking;
use crate::remote::RemoteArgs;
use crate::running::LoopArgs;
use crate::services;

#[derive(Debug, Args)]
#[command(
    after_help = "The numbers are those of the dataset monitor, computed here: from git, the dataset's head, what has landed, and the answers of the version \
                  in service. Nothing is opened, built or changed. What landed since the last build is not in it: `slipway dataset build` comes first.\n\n\
                  Examples:\n  slipway drift\n  slipway drift digits -o json | jq .[0].decision"
)]
pub(crate) struct Drift {
    /// The dataset [default: every one with a monitor]
    dataset: Option<String>,
    /// The environment whose versions in service are meant
    #[arg(long, default_value = "local")]
    environment: String,
    /// The model server's internal address [default: that of the loop on this machine]
    #[arg(long, env = env::SERVER_URL, hide_env_values = true, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
}

/// One dataset, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Shown {
    Found { dataset: String, evidence: Box<Evidence>, decision: Decision },
    Nothing { dataset: String, reason: &'static str },
}

impl Drift {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = Tree::of_work_tree(&context.root)?;
        let project = Project::read(&tree);
        let declared = self.declared(&project)?;
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let store = services::datasets(context).await?;
        let mlflow = services::mlflow(running.as_ref());
        if let Err(failure) = &mlflow {
            context.warn(format!("what versions were trained on is not known: {failure}"));
        }
        let server = self.server.clone().or_else(|| running.as_ref().map(|state| state.server.clone()));
        let remote = self.remote.find(&git, running.as_ref());
        if let Err(failure) = &remote {
            context.warn(format!("earlier pull requests are not known: {failure}"));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default();
        let mut all = Vec::new();
        for declaration in declared {
            let (_temporary, places) = looking(context)?;
            let sources = Sources {
                store: &store,
                places: &places,
                mlflow: mlflow.as_ref().ok(),
                server: server.as_deref(),
                forge: remote.as_ref().ok().map(|remote| &remote.forge),
                // what is not known is shown
                must_know: false,
                silent: None,
            };
            let found = look(&tree, &self.environment, declaration, sources, now).await;
            let found = found.map_err(|error| Failure::Service(format!("{}: {error}", declaration.name)))?;
            all.push(shown(context, declaration, found));
        }
        context.json(&all)
    }

    /// The declarations that are meant.
    fn declared<'a>(&self, project: &'a Project) -> Result<Vec<&'a Dataset>, Failure> {
        let all = || project.datasets.values().map(|file| &file.dataset);
        let Some(name) = &self.dataset else {
            let watched: Vec<&Dataset> = all().filter(|dataset| dataset.spec.monitor.is_some()).collect();
            if watched.is_empty() {
                let help = "name one, or add `monitor: {}` to a declaration in datasets/ (docs/continuous-training.md)";
                return Err(Failure::Input(format!("no dataset has a monitor: {help}")));
            }
            return Ok(watched);
        };
        let file = format!("datasets/{}", name.strip_prefix("datasets/").unwrap_or(name));
        let known: Vec<&str> = project.datasets.keys().map(String::as_str).collect();
        let found = project.datasets.values().find(|declared| declared.dataset.name == *name || declared.file == file);
        match found {
            Some(declared) => Ok(vec![&declared.dataset]),
            None => {
                let wrong = project.findings.iter().filter(|finding| finding.file.starts_with("datasets/"));
                let wrong: Vec<_> = wrong.cloned().collect();
                if !wrong.is_empty() {
                    return Err(Failure::Invalid(wrong));
                }
                let known = slipway_source::suggestion(name, "declared", &known);
                Err(Failure::Input(format!("there is no dataset {name}; {known}")))
            }
        }
    }
}

/// Prints what was found for a person; returns what is printed as JSON.
fn shown(context: &Context, declaration: &Dataset, found: Look) -> Shown {
    let dataset = declaration.name.clone();
    context.say(context.paint("1", &dataset));
    let reason = match found {
        Look::Found(found) => {
            if declaration.spec.monitor.is_none() {
                context.say("its declaration has no monitor, so nothing is opened; this is what the defaults say");
            }
            let Found { evidence, decision, .. } = *found;
            say(context, &evidence, &decision);
            return Shown::Found { dataset, evidence: Box::new(evidence), decision };
        }
        Look::NoHead => "no build has published it yet: `slipway dataset build` does",
        Look::NothingTrained => {
            "no digest is pinned and no version in service was trained on it, so there is nothing to compare with"
        }
    };
    context.say(reason);
    Shown::Nothing { dataset, reason }
}

fn say(context: &Context, evidence: &Evidence, decision: &Decision) {
    let reference = &evidence.reference;
    let head = evidence.head;
    context.say(format!("head              {head}"));
    context.say(format!(
        "compared with     {}, {} items, of which {} are the reference",
        reference.digest, reference.items, reference.held_out
    ));
    if let Some(model) = &evidence.model {
        context.say(format!("version           {} version {}", model.name, model.version));
    }
    let quality = &evidence.quality;
    context
        .say(format!("new               {} items; {} of the head are not pinned yet", evidence.new, evidence.unpinned));
    context.say(format!("quality           {} of {} items are set aside", quality.set_aside, quality.items));
    let change = &evidence.change;
    let alarm = match &change.alarm {
        Some(alarm) => format!("yes, after {} new items", alarm.after),
        None => "no".to_owned(),
    };
    context.say(format!(
        "has it changed?   {alarm}: the capital is at most {:.3e} and 1 is an alarm, {} ({} of {} items in {} windows)",
        change.capital, change.promise, change.observations, evidence.new, change.windows
    ));
    context.say(format!("does it matter?   {}", matters(evidence.loss.as_ref())));
    for unknown in &evidence.unknown {
        context.say(format!("not known         {unknown}"));
    }
    if !change.comparisons.is_empty() {
        context.say(table(evidence).to_string());
    }
    for (loud, levels) in evidence.loudest.iter().zip(evidence.pictures.each()).take(3) {
        let answer = loud.answer.as_ref();
        let answer =
            answer.map_or_else(String::new, |(label, sure)| format!(", answered {label} ({:.0} %)", 100.0 * sure));
        let label = loud.label.as_deref().unwrap_or("?");
        let stream = &loud.stream;
        context.say(format!("loud: {} is {label}{answer}, far out in {stream}", slipway_markdown::visible(&loud.item)));
        drawn(evidence.pictures.shape, levels).iter().for_each(|line| context.say(format!("  {line}")));
    }
    context.say(format!("the monitor does  {}: {}", decision.what(), decision.why()));
}

fn matters(loss: Option<&Loss>) -> String {
    let Some(loss) = loss else { return "not known".to_owned() };
    let yes = if loss.matters { "yes" } else { "no" };
    let accuracy = |accuracy: f64| format!("{:.1} %", 100.0 * accuracy);
    let measured =
        loss.measured.map(|measured| format!("{} of {} by labels", accuracy(measured.accuracy), measured.of));
    let estimated = loss.estimated.map(|estimated| format!("{} estimated without", accuracy(estimated.accuracy)));
    let now: Vec<String> = measured.into_iter().chain(estimated).collect();
    format!(
        "{yes}: accuracy {} on the reference, {} on {} new items; {:.1} points are certainly lost, {:.1} matter",
        accuracy(loss.reference.accuracy),
        now.join(", "),
        loss.items,
        100.0 * loss.certain.max(0.0),
        100.0 * loss.threshold
    )
}

fn table(evidence: &Evidence) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "stream",
        "capital",
        "more frequent",
        "here",
        "usual",
        "at most",
        "PSI",
        "chi²/KS (p)",
        "Wasserstein",
    ]);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for comparison in &evidence.change.comparisons {
        let stream = evidence.change.streams.iter().find(|stream| stream.stream == comparison.stream);
        let of = |value: fn(&slipway_evidence::StreamChange) -> f64| stream.map(|stream| percent(value(stream)));
        let test = comparison.chi_square.or(comparison.kolmogorov_smirnov);
        table.add_row([
            comparison.stream.clone(),
            of(|stream| stream.share).unwrap_or_default(),
            stream.map(|stream| stream.event.clone()).unwrap_or_default(),
            stream.and_then(|stream| stream.seen).map(percent).unwrap_or_default(),
            of(|stream| stream.usual).unwrap_or_default(),
            of(|stream| stream.bound).unwrap_or_default(),
            format!("{:.3}", comparison.stability_index.statistic),
            test.map(|test| format!("{:.3} ({:.1e})", test.statistic, test.p_value)).unwrap_or_default(),
            comparison.wasserstein.map(|distance| format!("{distance:.3}")).unwrap_or_default(),
        ]);
    }
    table
}
