//! A training as people follow it, of which the training manager does everything that is not a merge: it opens the pull request, reports
//! on it, shows how far the training is, and proposes what came of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use slipway_forge::{BareForge, Opened};
use tokio::process::Command;

use crate::demo::Addresses;
use crate::programs::repository;

/// The experiment, and the model that nothing is in service of.
const NAME: &str = "followed";
/// From the merge to the report that it runs.
const TOLD: Duration = Duration::from_secs(10);
/// Longer than anything else takes.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// A training that has begun.
pub struct Followed<'a> {
    addresses: &'a Addresses,
    forge: BareForge,
    client: slipway_http::Client,
    /// The pull request that started it.
    number: u64,
    /// Its only trial.
    trial: String,
}

impl<'a> Followed<'a> {
    /// Proposes one of the clone's experiments as another one, by the REST interface, and merges that. Returns once the report says that it
    /// runs, and REST and the page have shown how it goes on.
    pub async fn start(addresses: &'a Addresses, clone: &Path) -> Result<Self> {
        let mut followed = Self {
            addresses,
            forge: BareForge::open(&addresses.forge)?,
            client: slipway_http::loopback(PATIENCE)?,
            number: 0,
            trial: String::new(),
        };
        followed.number = followed.propose(&source(clone)?).await?;
        followed.forge.merge(followed.number)?;
        let merged = Instant::now();
        followed.trial = followed.only_trial().await?;
        tokio::try_join!(
            followed.reported("1 trial running", merged, TOLD),
            followed.goes_on_in_the_events(),
            followed.goes_on_in_the_browser(),
        )?;
        Ok(followed)
    }

    /// Waits for the report of the results and for the promotion that the manager opens, merges that, and waits until the version is served.
    pub async fn until_served(&self) -> Result<()> {
        let report = self.reported("1 trial finished", Instant::now(), PATIENCE).await?;
        // it is there before the report, which leads to it
        let promotion = the_promotion(&self.forge, NAME)?;
        ensure!(promotion.is_open() && report.contains(&format!("#{}", promotion.number)), "{promotion:?}: {report}");
        // REST shows it when MLflow is asked next
        until("REST shows the version", PATIENCE, async || {
            Ok((self.rest(&format!("trials/{}", self.trial)).await?["version"] == 1).then_some(()))
        })
        .await?;
        self.forge.merge(promotion.number)?;
        let url = format!("{}/v2/models/{NAME}", self.addresses.server);
        let version = until("the server serves it", PATIENCE, async || {
            let answer = self.client.get(&url).send().await?;
            // not seen yet, or not loaded yet
            if matches!(answer.status().as_u16(), 404 | 503) {
                return Ok(None);
            }
            let metadata: Value = answer.error_for_status()?.json().await?;
            Ok(metadata["versions"][0].as_str().map(str::to_owned))
        });
        ensure!(version.await? == "1");
        Ok(())
    }

    /// Opens the pull request; its number.
    async fn propose(&self, source: &str) -> Result<u64> {
        let state = self.addresses.kubeconfig.parent().context("the state folder")?;
        let token = std::fs::read_to_string(state.join("manager-token"))?;
        let url = format!("{}/api/v1/experiments", self.addresses.manager);
        let request = self.client.post(url).bearer_auth(token).json(&json!({ "name": NAME, "source": source }));
        let answer = request.send().await?;
        let (status, opened) = (answer.status(), answer.json::<Value>().await?);
        ensure!(status.as_u16() == 201, "{status}: {opened}");
        opened["number"].as_u64().with_context(|| format!("no number: {opened}"))
    }

    async fn rest(&self, path: &str) -> Result<Value> {
        let answer = self.client.get(format!("{}/api/v1/{path}", self.addresses.manager)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn only_trial(&self) -> Result<String> {
        until("the trial is known", PATIENCE, async || {
            let found = self.rest(&format!("trials?experiment={NAME}")).await?;
            Ok(found["trials"][0]["name"].as_str().map(str::to_owned))
        })
        .await
    }

    /// Waits until the report on the pull request says something. Returns the report.
    async fn reported(&self, what: &str, since: Instant, limit: Duration) -> Result<String> {
        let left = limit.saturating_sub(since.elapsed());
        reported(&self.forge, self.number, what, left).await
    }

    /// The trial runs, and its events show more and more progress.
    async fn goes_on_in_the_events(&self) -> Result<()> {
        let mut events = self.client.get(format!("{}/api/v1/events", self.addresses.manager)).send().await?;
        let (mut text, mut seen) = (String::new(), BTreeSet::new());
        while seen.len() < 2 {
            let chunk = events.chunk().await?.context("the events have ended")?;
            text.push_str(std::str::from_utf8(&chunk)?);
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let trial: Value = data.map(serde_json::from_str).transpose()?.unwrap_or_default();
                if trial["name"] == self.trial.as_str() {
                    ensure!(trial["state"] == "waiting" || trial["state"] == "running", "it ended unseen: {trial}");
                    seen.extend(trial["progress"]["percent"].as_u64());
                }
                text = rest.to_owned();
            }
        }
        Ok(())
    }

    async fn goes_on_in_the_browser(&self) -> Result<()> {
        let script = repository().join("tests/browser/running.mjs");
        let browser = Command::new("node").arg(script).arg(&self.addresses.page).arg(&self.trial).status();
        let status = browser.await.context("node is needed")?;
        ensure!(status.success(), "the browser test ended with {status}");
        Ok(())
    }
}

/// An experiment of the clone that takes long enough to be followed, under another name and with a model of its own.
fn source(clone: &Path) -> Result<String> {
    let mut text = std::fs::read_to_string(clone.join("experiments/mnist-mlp.yaml"))?;
    for (from, to) in
        [("name: mnist-mlp", "name: followed"), ("model: mnist,", "model: followed,"), ("epochs: 10", "epochs: 40")]
    {
        ensure!(text.contains(from), "no `{from}` in {text}");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Waits until the report on a pull request says something. Returns the report.
pub async fn reported(forge: &BareForge, number: u64, what: &str, limit: Duration) -> Result<String> {
    let waited = until(what, limit, async || {
        let published = forge.published(number)?;
        let report = published.map(|published| published.parts.concat()).unwrap_or_default();
        Ok(report.contains(what).then_some(report))
    });
    waited.await.with_context(|| format!("the report on #{number} is: {:?}", forge.published(number)))
}

/// The pull request that puts a model's first version into service, of which there is exactly one.
pub fn the_promotion(forge: &BareForge, model: &str) -> Result<Opened> {
    let branch = format!("slipway/serve-{model}-");
    let mut all: Vec<Opened> = forge.list()?.into_iter().filter(|opened| opened.branch.starts_with(&branch)).collect();
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => bail!("there should be one promotion of {model}: {last:?}, {all:?}"),
    }
}

async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < limit, "not within {} s: {what}", limit.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}
