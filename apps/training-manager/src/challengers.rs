//! The pull request that ends the trial of a challenger: opened once for each trial and environment, unless git declares it again.
//!
//! The server switches a canary off by itself, and its tests decide which of two versions is better. git must learn of both: until
//! `models.yaml` changes, a server that starts again begins the trial anew.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use serde::Deserialize;
use slipway_causes::{chain, without_password};
use slipway_cluster::Leadership;
use slipway_digest::Digest;
use slipway_forge::{Opened, PullRequestState};
use slipway_http::{Client, Url, client_of};
use slipway_mlflow::Client as Mlflow;
use slipway_names::tag;
use slipway_proposal::{Conclusion, Opening, Tried, Verdict};
use slipway_service::{Followed, Warned, first_stays, must_lead};
use slipway_serving::{Challenger, Mode, Pin, Share};

use crate::error::{Error, Result};
use crate::evidence::evidence;
use crate::mark::Mark;
use crate::promotions::first;

/// How often the server is asked.
const PAUSE: Duration = Duration::from_secs(5);
/// The limit of one request.
const LIMIT: Duration = Duration::from_secs(10);

/// The server whose challengers are followed. Of several replicas behind one address any may answer, and each has a trial of its own: the
/// first one that has come to an end counts.
#[derive(Debug)]
pub struct Server {
    url: Url,
    client: Client,
}

/// A challenger, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Trial {
    pub(crate) model: String,
    pub(crate) champion: String,
    pub(crate) challenger: String,
    digest: String,
    pub(crate) mode: String,
    pub(crate) share: f64,
    state: String,
    pub(crate) reason: Option<String>,
    pub(crate) requests: Requests,
    pub(crate) agreement: Agreement,
    pub(crate) tests: Tests,
    pub(crate) truth: Truth,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Requests {
    pub(crate) champion: Counted,
    pub(crate) challenger: Counted,
    pub(crate) dropped: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Counted {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) latency_ms: Option<Quantiles>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Agreement {
    pub(crate) agreed: u64,
    pub(crate) disagreed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Tests {
    pub(crate) errors: Evidence,
    pub(crate) latency: Evidence,
    pub(crate) corrections: Evidence,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Evidence {
    pub(crate) e_value: f64,
    pub(crate) decides_at: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Truth {
    pub(crate) known: u64,
    pub(crate) better: u64,
    pub(crate) worse: u64,
    decision: String,
    pub(crate) evidence: Evidence,
    pub(crate) difference: [f64; 2],
    pub(crate) level: f64,
}

#[derive(Deserialize)]
struct Answer {
    challengers: Vec<Trial>,
}

impl Trial {
    /// What it came to; `None` while it goes on.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match (self.state.as_str(), self.truth.decision.as_str()) {
            ("switched_off", _) | (_, "worse") => Some(Verdict::Remove),
            (_, "better") => Some(Verdict::Promote),
            _ => None,
        }
    }

    pub(crate) fn is_switched_off(&self) -> bool {
        self.state == "switched_off"
    }

    /// What is tried, and how; `None` if the server says it in a way that no server of this release does.
    fn tried(&self) -> Option<Tried> {
        let digest: Digest = self.digest.parse().ok()?;
        let pin = Pin { name: self.model.clone(), version: self.challenger.parse().ok()?, digest };
        let mode = [Mode::Shadow, Mode::Canary].into_iter().find(|mode| mode.as_str() == self.mode)?;
        let challenger = Challenger { pin, mode, share: Share::new(self.share)? };
        Some(Tried { challenger, champion: self.champion.parse().ok()? })
    }
}

impl Server {
    /// The server at an address.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(url: Url) -> std::result::Result<Self, reqwest::Error> {
        let client = client_of(&url).timeout(LIMIT).build()?;
        Ok(Self { url, client })
    }

    async fn trials(&self) -> Result<Vec<Trial>> {
        let failed = |error: reqwest::Error| Error::Server {
            url: without_password(self.url.as_str()).trim_end_matches('/').to_owned(),
            reason: chain(&error.without_url()),
        };
        let url = format!("{}/challengers", self.url.as_str().trim_end_matches('/'));
        let answer = self.client.get(url).send().await.map_err(failed)?.error_for_status().map_err(failed)?;
        Ok(answer.json::<Answer>().await.map_err(failed)?.challengers)
    }
}

/// Follows the challengers of a server for ever.
pub(crate) async fn follow(
    server: &Server,
    followed: &Followed,
    mlflow: &Mlflow,
    leadership: &Leadership,
    environment: &str,
) -> Infallible {
    let mut warned = Warned::default();
    let mut memory = Memory::default();
    loop {
        match step(server, followed, mlflow, leadership, environment, &mut memory).await {
            Ok(()) => warned.clear(),
            Err(error) => warned.warn("the ends of trials are not proposed", &error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is remembered of the trials that have ended, for as long as the server says so.
#[derive(Default)]
struct Memory {
    /// Those of which there was a pull request, so that nobody is asked about them again.
    done: BTreeSet<String>,
    /// What was said of those whose end could not be proposed.
    warned: BTreeMap<String, Warned>,
}

async fn step(
    server: &Server,
    followed: &Followed,
    mlflow: &Mlflow,
    leadership: &Leadership,
    environment: &str,
    memory: &mut Memory,
) -> Result<()> {
    let trials = server.trials().await?;
    let ended: Vec<(String, &Trial, Tried, Verdict)> = trials
        .iter()
        .filter_map(|trial| {
            let (verdict, tried) = (trial.verdict()?, trial.tried()?);
            Some((format!("{} {}", trial.model, tried.id()), trial, tried, verdict))
        })
        .collect();
    // what runs again is another trial
    memory.done.retain(|key| ended.iter().any(|(other, ..)| other == key));
    memory.warned.retain(|key, _| ended.iter().any(|(other, ..)| other == key));
    for (key, trial, tried, verdict) in ended {
        if memory.done.contains(&key) {
            continue;
        }
        match conclude(followed, mlflow, leadership, environment, trial, &tried, verdict).await {
            Ok(true) => {
                memory.warned.remove(&key);
                memory.done.insert(key);
            }
            Ok(false) => {}
            Err(error @ Error::NotLeader(_)) => return Err(error),
            // the others do not wait for this one
            Err(error) => {
                let Pin { name, version, .. } = &tried.challenger.pin;
                let what = format!("the end of the trial of version {version} of {name} is not proposed");
                memory.warned.entry(key).or_default().warn(&what, &error);
            }
        }
    }
    Ok(())
}

/// Opens the pull request that ends a trial, unless there was one already. Returns whether there is or was one.
///
/// That there was one is kept with the version's run in MLflow, as for promotions. One that was merged has ended an earlier trial, if git declares
/// it again; one that was closed is an answer.
async fn conclude(
    followed: &Followed,
    mlflow: &Mlflow,
    leadership: &Leadership,
    environment: &str,
    trial: &Trial,
    tried: &Tried,
    verdict: Verdict,
) -> Result<bool> {
    let pin = &tried.challenger.pin;
    let version = mlflow.get_model_version(&pin.name, &pin.version.to_string()).await?;
    let mark = Mark::of(mlflow, &version, tag::TRIAL, &format!("{environment}.{}", tried.id()));
    let forge = &followed.remote.forge;
    let counts =
        |opened: &Opened| opened.state != PullRequestState::Merged && Conclusion::is_one(opened, tried, environment);
    let newest = forge.newest().await?;
    if let Some(found) = first(&newest, counts) {
        mark.replace(leadership, found).await?;
        return Ok(true);
    }
    if let Some(number) = mark.number().await?
        && forge.get(number).await?.state != PullRequestState::Merged
    {
        return Ok(true);
    }
    let conclusion = Conclusion::prepare(&followed.git, &followed.remote, environment, tried, verdict).await?;
    if conclusion.is_empty() {
        // git declares another trial by now; the server will too
        return Ok(false);
    }
    must_lead(leadership)?;
    let opening = Opening { is_reported: true, ..Opening::default() };
    let opened = conclusion.open(&followed.git, &followed.remote, &evidence(trial, verdict), opening).await?;
    tracing::info!("opened #{} to end the trial of version {} of {}", opened.number, pin.version, pin.name);
    let newest = forge.newest().await?;
    let first = first_stays::<Error>(forge, leadership, first(&newest, counts).cloned(), opened).await?;
    mark.replace(leadership, &first).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
