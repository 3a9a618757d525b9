//! Looking at the requests of the version in service that was trained on a dataset. The monitor and the command line look in the same way.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use slipway_dataset::Store;
use slipway_digest::Digest;
use slipway_experiment::{Dataset, Monitor};
use slipway_forge::Forge;
use slipway_mlflow::Client;
use slipway_project::Tree;
use slipway_samples::{File, Reader};

use super::decision::decide;
use super::watch::{About, Read};
use super::{Evidence, Watch, hours};
use crate::look::{in_service, retraining_of, retrainings};
use crate::material::{Before, computed};
use crate::{Decision, Error, Model, Result, Served, Situation};

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The sample of the requests.
    pub samples: &'a Reader,
    /// The dataset store.
    pub store: &'a Store,
    /// A folder for what is read of it.
    pub cache: &'a Path,
    /// The registry; without it the pinned digest is the reference.
    pub mlflow: Option<&'a Client>,
    /// The internal address of the model server; without it there is no reference.
    pub server: Option<&'a str>,
    /// Where pull requests are; without it none are known.
    pub forge: Option<&'a Forge>,
    /// After so long no further hour is judged in this look; without it all are.
    pub slice: Option<Duration>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// The numbers; `None` if there is nothing to compare, of which the decision says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What to do.
    pub decision: Decision,
    /// When the next hour of the sample can be judged, or what holds something back ends, in seconds since 1970.
    pub again: i64,
}

/// Looks at the requests of the version in service that was trained on the dataset which `tree` declares, in an environment. `watch` is what is known of earlier
/// hours; it is continued, or begun if there is none or it is about something else. `now` is the time, in seconds since 1970.
///
/// # Errors
/// When the store, the sample, the server, the registry or the forge cannot be reached, or what they hold cannot be compared. Hours that were judged until then
/// stay judged.
pub async fn look(
    tree: &Tree,
    environment: &str,
    declaration: &Dataset,
    sources: Sources<'_>,
    watch: &mut Option<Watch>,
    now: i64,
) -> Result<Look> {
    let Sources { samples, store, cache, mlflow, server, forge, slice } = sources;
    let name = &declaration.name;
    let monitor = declaration.spec.monitor.clone().unwrap_or_else(Monitor::undeclared);
    let pinned: Option<Digest> = declaration.spec.digest.as_ref().and_then(|digest| digest.parse().ok());
    let nothing = |why: &str| {
        let decision = Decision::Nothing { why: why.to_owned() };
        Ok(Look { evidence: None, decision, again: hours::next(now) })
    };
    let service = in_service(tree, environment, declaration, mlflow).await;
    let service = service.map_err(|reason| Error::Reference { dataset: name.clone(), reason })?;
    let Some((pin, digest)) = service else {
        return nothing("no version in service was trained on this dataset, so there are no requests to look at");
    };
    let Some(trained_on) = digest.or(pinned) else {
        return nothing("neither the registry nor a pinned digest says what the version in service was trained on");
    };
    let Some(server) = server else {
        return nothing(
            "no model server is known (SLIPWAY_SERVER_URL) whose answers to the reference could be compared",
        );
    };
    let about = About::new(Model { name: pin.name.clone(), version: pin.version }, trained_on, &monitor);
    let kept = watch.take().filter(|kept| kept.is_about(&about));
    let current = match kept {
        Some(kept) => kept,
        None => {
            let served = Served::new(server, &pin.name, pin.version)?;
            let stored = store.fetch(&trained_on, cache).await?;
            let before = computed(move || Before::of(&stored)).await?;
            let ink = served.ink(before.shape).await?;
            Watch::begin(about, name, &before, &served, ink).await?
        }
    };
    // kept, whatever fails from here on
    let watch = watch.insert(current);
    let (first, last) = hours::settled(now);
    let files = samples.list(&pin.name, Some(pin.version), first, last).await?;
    let new = watch.new_of(files, first);
    let begun = Instant::now();
    for (number, files) in new.chunk_by(|one, next| one.hour == next.hour).enumerate() {
        if number > 0 && slice.is_some_and(|slice| begun.elapsed() >= slice) {
            let decision = Decision::Nothing { why: "earlier hours of the sample are still being read".to_owned() };
            return Ok(Look { evidence: None, decision, again: now });
        }
        take(watch, samples, files).await?;
    }
    let head = store.head(name).await?.map(|seen| seen.head.manifest);
    let labels = declaration.spec.labels.as_deref().unwrap_or_default();
    let mut evidence = watch.evidence(name, labels, head, &monitor, now)?;
    if digest.is_none() {
        let said =
            format!("what {} version {} was trained on; so the pinned digest is the reference", pin.name, pin.version);
        evidence.unknown.insert(0, format!("the registry does not say {said}"));
    }
    let (mut past, mut of_head) = (Vec::new(), None);
    if let (Some(forge), Some(head), Some(_)) = (forge, &head, &evidence.change.alarm) {
        past = retrainings(forge, name, &monitor, now).await?;
        of_head = retraining_of(forge, name, head).await?;
    }
    let decision = decide(&Situation { monitor: &monitor, pinned, now, past: &past, of_head }, &evidence);
    let held_until = match decision {
        Decision::HeldBack { until, .. } => until,
        _ => None,
    };
    let again = held_until.map_or(hours::next(now), |until| until.min(hours::next(now)));
    Ok(Look { evidence: Some(evidence), decision, again })
}

/// Reads the files of one hour, one after the other, so that one is in memory at a time, and judges it.
async fn take(watch: &mut Watch, samples: &Reader, files: &[File]) -> Result<()> {
    let Some(hour) = files.first().map(|file| file.hour) else { return Ok(()) };
    let mut read = Read::of(hour);
    for file in files {
        match samples.read(file).await {
            Ok(samples) => watch.read(&samples, &mut read)?,
            // it was too old, and was deleted since it was listed
            Err(slipway_samples::Error::Gone { .. }) => {}
            // it will not become readable, and the others are
            Err(error @ slipway_samples::Error::Malformed { .. }) => read.unread.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    watch.take(hour, files, read)
}
