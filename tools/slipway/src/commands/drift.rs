//! `slipway drift`: whether datasets have changed, whether that matters, and what the monitor would do about it.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use slipway_evidence::{
    Change, Decision, Evidence, Found, Look, Loss, Sources, drawn, evidence_cache, look, requests, unix_seconds,
};
use slipway_experiment::Dataset;
use slipway_git::Repository;
use slipway_names::env;
use slipway_project::{Project, Tree};
use slipway_samples::{Reader, bucket};

use crate::context::Context;
use crate::failure::Failure;
use crate::pipeline::looking;
use crate::registries;
use crate::remote::RemoteArgs;
use crate::running::LoopArgs;
use crate::services;

#[derive(Debug, Args)]
#[command(
    after_help = "The numbers are those of the dataset monitor, computed here: from git, the dataset's head, what has landed, the answers of the version \
                  in service, and the sample of its requests if those are watched. Nothing is opened, built or changed. What \
                  landed since the last build is not in it: `slipway dataset build` comes first.\n\n\
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
    /// The bucket with the sample of the requests
    #[arg(long, env = env::REQUESTS, hide_env_values = true, value_name = "S3", default_value = "s3://requests")]
    requests: String,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
}

/// One dataset, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Shown {
    Found {
        dataset: String,
        evidence: Box<Evidence>,
        decision: Decision,
        #[serde(flatten)]
        requests: Asked,
    },
    Nothing {
        dataset: String,
        reason: &'static str,
        #[serde(flatten)]
        requests: Asked,
    },
}

/// What was found about the requests, if those are watched, or why it could not be.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Box<requests::Look>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_failure: Option<String>,
}

impl Drift {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = Tree::of_work_tree(&context.root)?;
        let project = Project::read(&tree);
        let declared = self.declared(&project)?;
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let store = services::datasets(context).await?;
        let bucket = bucket(&self.requests).ok_or_else(|| {
            let given = &self.requests;
            Failure::Input(format!("--requests is `{given}`: give s3:// and a bucket, such as s3://requests"))
        })?;
        let samples = Reader::new(store.beside(bucket));
        let mlflow = registries::of_environment(context, &self.environment, running.as_ref());
        if let Err(failure) = &mlflow {
            context.warn(format!("what versions were trained on is not known: {failure}"));
        }
        let here = running.as_ref().filter(|_| self.environment == registries::LOCAL);
        let server = self.server.clone().or_else(|| here.map(|state| state.server.clone()));
        let remote = self.remote.find(&git, running.as_ref());
        if let Err(failure) = &remote {
            context.warn(format!("earlier pull requests are not known: {failure}"));
        }
        let now = unix_seconds();
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
            let failed = |error: slipway_evidence::Error| Failure::Service(format!("{}: {error}", declaration.name));
            let found = found.map_err(failed)?;
            let mut asked = Asked::default();
            if declaration.spec.monitor.as_ref().is_some_and(|monitor| monitor.requests.is_some()) {
                let cache = evidence_cache(&places.sources.cache);
                let sources = requests::Sources {
                    samples: &samples,
                    store: &store,
                    cache: &cache,
                    mlflow: mlflow.as_ref().ok(),
                    server: server.as_deref(),
                    forge: remote.as_ref().ok().map(|remote| &remote.forge),
                    slice: None,
                };
                // nothing is known of earlier hours, so all that the sample still has are read
                let mut watch = None;
                let look = requests::look(&tree, &self.environment, declaration, sources, &mut watch, now);
                match Box::pin(look).await {
                    Ok(look) => asked.requests = Some(Box::new(look)),
                    // what is known of the data is shown all the same
                    Err(error) => {
                        context.warn(format!("{}: the requests cannot be looked at: {error}", declaration.name));
                        asked.requests_failure = Some(error.to_string());
                    }
                }
            }
            all.push(shown(context, declaration, found, asked));
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
fn shown(context: &Context, declaration: &Dataset, found: Look, requests: Asked) -> Shown {
    let dataset = declaration.name.clone();
    context.say(context.paint("1", &dataset));
    let reason = match found {
        Look::Found(found) => {
            if declaration.spec.monitor.is_none() {
                context.say("its declaration has no monitor, so nothing is opened; this is what the defaults say");
            }
            let Found { evidence, decision, .. } = *found;
            say(context, &evidence, &decision);
            say_requests(context, requests.requests.as_deref());
            return Shown::Found { dataset, evidence: Box::new(evidence), decision, requests };
        }
        Look::NoHead if declaration.spec.pipeline.is_none() => {
            "it has no pipeline, so nothing arrives that could have changed: `pipeline: {}` in its declaration, then `slipway dataset build`, \
             give it a head to look at (docs/continuous-training.md)"
        }
        Look::NoHead => "no build has published it yet: `slipway dataset build` does",
        Look::NothingTrained => {
            "no digest is pinned and no version in service was trained on it, so there is nothing to compare with"
        }
    };
    context.say(reason);
    say_requests(context, requests.requests.as_deref());
    Shown::Nothing { dataset, reason, requests }
}

/// What was found about the requests, if those are watched. No request is shown: people have sent them.
fn say_requests(context: &Context, look: Option<&requests::Look>) {
    let Some(requests::Look { evidence, decision, .. }) = look else { return };
    if let Some(requests::Evidence { model, change, hours, loss, unknown, .. }) = evidence {
        context.say(format!("requests          to {} version {}", model.name, model.version));
        let alarm = match &change.alarm {
            Some(alarm) => format!("yes, after {} of the sample", alarm.after),
            None => "no".to_owned(),
        };
        context.say(format!(
            "changed?          {alarm}: the capital is at most {:.3e} and 1 is an alarm, {} ({} rows of the sample in {hours} hours)",
            change.capital, change.promise, change.observations
        ));
        context.say(format!("does it matter?   {}", matters(loss.as_ref(), "rows of the sample")));
        for unknown in unknown {
            context.say(format!("not known         {unknown}"));
        }
        if !change.comparisons.is_empty() {
            context.say(table(change).to_string());
        }
    }
    context.say(format!("about requests    {}: {}", decision.what(), decision.why()));
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
    context.say(format!("does it matter?   {}", matters(evidence.loss.as_ref(), "new items")));
    for unknown in &evidence.unknown {
        context.say(format!("not known         {unknown}"));
    }
    if !change.comparisons.is_empty() {
        context.say(table(change).to_string());
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

/// Whether a loss matters, of which `items` are counted.
fn matters(loss: Option<&Loss>, items: &str) -> String {
    let Some(loss) = loss else { return "not known".to_owned() };
    let yes = if loss.matters { "yes" } else { "no" };
    let accuracy = |accuracy: f64| format!("{:.1} %", 100.0 * accuracy);
    let measured =
        loss.measured.map(|measured| format!("{} of {} by labels", accuracy(measured.accuracy), measured.of));
    let estimated = loss.estimated.map(|estimated| format!("{} estimated without", accuracy(estimated.accuracy)));
    let by = if loss.measured.is_none() { " by the estimate" } else { "" };
    let now: Vec<String> = measured.into_iter().chain(estimated).collect();
    format!(
        "{yes}: accuracy {} on the reference, {} on {} {items}; {:.1} points are certainly lost{by}, {:.1} matter",
        accuracy(loss.reference.accuracy),
        now.join(", "),
        loss.items,
        100.0 * loss.certain.max(0.0),
        100.0 * loss.threshold
    )
}

fn table(change: &Change) -> Table {
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
    for comparison in &change.comparisons {
        let stream = change.streams.iter().find(|stream| stream.stream == comparison.stream);
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
