//! Looking at one dataset: what git, the registry and the store say, put together. The monitor and the command line look in the same way.

use slipway_dataset::Store;
use slipway_digest::Digest;
use slipway_experiment::{Dataset, Monitor};
use slipway_forge::Forge;
use slipway_mlflow::Client;
use slipway_names::tag;
use slipway_pipeline::Places;
use slipway_project::{Project, Tree, serving};
use slipway_proposal::{is_retraining_of, retrain_branch};
use slipway_serving::Pin;

use crate::{
    Basis, Decision, Error, Evidence, Model, PastRetraining, Result, Served, Situation, decide, examine, gather,
};

/// The time over which the budget counts, in seconds: 30 days.
pub(crate) const MONTH: i64 = 30 * 86_400;

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The dataset store.
    pub store: &'a Store,
    /// Where declared sources are, and what was read of them.
    pub places: &'a Places,
    /// The registry; without it nobody knows what the version in service was trained on.
    pub mlflow: Option<&'a Client>,
    /// The internal address of the model server; without it nobody is asked.
    pub server: Option<&'a str>,
    /// Where pull requests are; without it none are known.
    pub forge: Option<&'a Forge>,
    /// Whether it is an error if nobody can say what the version in service was trained on. Otherwise the pinned digest is the reference, which is
    /// said; whoever acts must not do that, because another reference is another watch.
    pub must_know: bool,
    /// Since when the version in service has not answered by earlier looks, in seconds since 1970.
    pub silent: Option<i64>,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Look {
    /// No build has published it yet.
    NoHead,
    /// Neither is a digest pinned nor a version in service that was trained on it, so there is nothing to compare with.
    NothingTrained,
    /// The head was examined.
    Found(Box<Found>),
}

/// A head that was examined.
#[derive(Clone, Debug)]
pub struct Found {
    /// The numbers.
    pub evidence: Evidence,
    /// What to do.
    pub decision: Decision,
    /// How it is watched: as declared, otherwise by the defaults and switched off.
    pub monitor: Monitor,
}

/// Looks at the dataset that `tree` declares under a name, for the versions that are in service in an environment. `now` is the time, in seconds
/// since 1970, until which what has landed is in the head.
///
/// # Errors
/// When the store or the forge cannot be reached, or what they hold cannot be compared. [`Error::Reference`] if it must be known what the version in service
/// was trained on, and nobody says it; otherwise a registry or a server that does not answer is no error: what is not known is said.
pub async fn look(
    tree: &Tree,
    environment: &str,
    declaration: &Dataset,
    sources: Sources<'_>,
    now: i64,
) -> Result<Look> {
    let Sources { store, places, mlflow, server, forge, must_know, silent } = sources;
    let name = &declaration.name;
    let monitor = declaration.spec.monitor.clone().unwrap_or_else(Monitor::undeclared);
    let pinned: Option<Digest> = declaration.spec.digest.as_ref().and_then(|digest| digest.parse().ok());
    let mut unknown = Vec::new();
    let service = match in_service(tree, environment, declaration, mlflow).await {
        Ok(service) => service,
        Err(reason) if must_know => return Err(Error::Reference { dataset: name.clone(), reason }),
        Err(reason) => {
            unknown.push(format!("{reason}; so the pinned digest is the reference"));
            None
        }
    };
    let trained_on = service.as_ref().and_then(|(_, digest)| *digest).or(pinned);
    let Some(trained_on) = trained_on else { return Ok(Look::NothingTrained) };
    let Some(material) = gather(declaration, Basis { trained_on, pinned }, places, store).await? else {
        return Ok(Look::NoHead);
    };
    let served = match (&service, server) {
        (Some((pin, _)), Some(server)) => {
            let model = Model { name: pin.name.clone(), version: pin.version };
            Some((model, Served::new(server, &pin.name, pin.version)?))
        }
        _ => None,
    };
    let asked = served.as_ref().map(|(model, served)| (model.clone(), served));
    let mut evidence = examine(&material, asked, &monitor, now).await?;
    unknown.append(&mut evidence.unknown);
    evidence.unknown = unknown;
    evidence.silent = evidence.silent.map(|since| silent.unwrap_or(since).min(since));
    let (mut past, mut of_head) = (Vec::new(), None);
    if let Some(forge) = forge {
        past = retrainings(forge, name, &monitor, now).await?;
        of_head = retraining_of(forge, name, &evidence.head).await?;
    }
    let decision = decide(&Situation { monitor: &monitor, pinned, now, past: &past, of_head }, &evidence);
    Ok(Look::Found(Box::new(Found { evidence, decision, monitor })))
}

/// The retrain pull requests of a dataset that count for its budget and its cooldown.
pub(crate) async fn retrainings(
    forge: &Forge,
    dataset: &str,
    monitor: &Monitor,
    now: i64,
) -> Result<Vec<PastRetraining>> {
    let cooldown = i64::try_from(monitor.cooldown.seconds()).unwrap_or(i64::MAX);
    let since = forge.opened_since(now.saturating_sub(MONTH.max(cooldown))).await?;
    let of_dataset = since.iter().filter(|opened| !opened.is_fork && is_retraining_of(dataset, &opened.branch));
    Ok(of_dataset.map(|opened| PastRetraining { number: opened.number, opened_at: opened.opened_at }).collect())
}

/// The number of the retrain pull request of a head, in any state; `None` if there was none.
pub(crate) async fn retraining_of(forge: &Forge, dataset: &str, head: &Digest) -> Result<Option<u64>> {
    let opened = forge.of_branch(&retrain_branch(dataset, head)).await?;
    Ok(opened.first().map(|opened| opened.number))
}

/// The version in service that experiments on the dataset have made, with the digest of what it was trained on if the registry says it. Of several the one
/// that the monitor would retrain first.
pub(crate) async fn in_service(
    tree: &Tree,
    environment: &str,
    declaration: &Dataset,
    mlflow: Option<&Client>,
) -> Result<Option<(Pin, Option<Digest>)>, String> {
    let project = Project::read(&tree.limited_to(&["clusters", "datasets", "experiments", "trainers"]));
    let pins = serving::read(tree, environment).map_err(|finding| finding.to_string())?;
    let first = declaration.spec.monitor.as_ref().and_then(|monitor| monitor.retrain.as_ref());
    let first = first.map(|retrain| retrain.experiments.as_slice()).unwrap_or_default();
    let on_it = |experiment: &slipway_experiment::Experiment| experiment.spec.dataset == declaration.name;
    let mut models: Vec<(usize, &str)> = project
        .experiments
        .iter()
        .filter(|source| on_it(&source.experiment))
        .filter_map(|source| {
            let register = source.experiment.spec.register.as_ref()?;
            let rank = first.iter().position(|name| *name == source.experiment.name).unwrap_or(first.len());
            Some((rank, register.model.as_str()))
        })
        .collect();
    models.sort_unstable();
    let Some(pin) = models.iter().find_map(|(_, model)| pins.get(model)).cloned() else { return Ok(None) };
    let Some(mlflow) = mlflow else { return Ok(Some((pin, None))) };
    match mlflow.get_model_version(&pin.name, &pin.version.to_string()).await {
        Ok(version) => {
            let digest = version.tag(tag::DATASET_DIGEST).parse().ok();
            Ok(Some((pin, digest)))
        }
        Err(error) => {
            Err(format!("the registry does not say what {} version {} was trained on: {error}", pin.name, pin.version))
        }
    }
}
