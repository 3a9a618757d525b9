//! Watching: which dataset is looked at when, and what a look is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use slipway_cluster::Leadership;
use slipway_dataset::Store;
use slipway_digest::Digest;
use slipway_evidence::{Decision, Evidence, Found, Look, PATIENCE, Sources, evidence_cache, look, trim, unix_seconds};
use slipway_experiment::Dataset;
use slipway_mlflow::Client;
use slipway_pipeline::{Places, Temporary, build, landed};
use slipway_samples::Reader;
use slipway_service::{Followed, Warned, backoff, lead, must_lead};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::act::{Hands, act};
use crate::broken::Broken;
use crate::declared::{Declared, Files, dataset_cache};
use crate::error::{Error, Result};
use crate::hints::Hints;
use crate::metrics::Metrics;
use crate::published::{Published, show};
use crate::remembered::{Arriving, Remembered, RememberedRequests, Wanted};
use crate::requests::are_watched;
use crate::watched::DatasetState;

/// How often the default branch is looked at, at least.
const BRANCH: Duration = Duration::from_secs(10);
/// The least time between two looks at a dataset, however many hints there are.
const LEAST: Duration = Duration::from_secs(1);
/// When it is looked again because the version in service did not answer, in seconds; once it was waited for, less often.
const AGAIN: i64 = 60;
const LATER: i64 = 600;
/// The pause after a first failure. It doubles up to the time after which the dataset is looked at anyway.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);
/// When a build is tried again that failed because of the data, although nobody knows of a change: a source may be somewhere else.
const REFUSED: Duration = Duration::from_secs(3600);

/// A dataset monitor.
#[derive(Debug)]
pub struct Watcher {
    /// The repository, with its forge.
    pub followed: Followed,
    /// The dataset store.
    pub store: Store,
    /// The sample of the requests.
    pub requests: Reader,
    /// The registry.
    pub mlflow: Client,
    /// The internal address of the model server.
    pub server: Option<String>,
    /// The environment whose versions in service are meant.
    pub environment: String,
    /// A folder for copies.
    pub cache: PathBuf,
    /// Whether this monitor is the one that writes.
    pub leadership: Leadership,
    /// What was done.
    pub metrics: Metrics,
    /// The datasets that somebody says are to be looked at.
    pub hints: Hints,
}

/// How a dataset stands after what has landed was listed.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// The head has all that had landed then, in seconds since 1970.
    Current(i64),
    /// Something is arriving, and is built then.
    Arriving(Instant),
    /// The data do not fit what is declared, so nothing is built before one of both changes.
    Refused,
}

impl Watcher {
    /// Watches until it is dropped, which may be at any moment. Who does not lead only follows what is declared.
    pub async fn run(&self, published: &Published) -> Infallible {
        let declared = watch::Sender::new(Arc::new(Declared::default()));
        tokio::join!(
            self.follow(&declared, published),
            lead(&self.leadership, async || self.watch(&declared, published).await)
        )
        .0
    }

    /// Follows the default branch for ever.
    async fn follow(&self, declared: &watch::Sender<Arc<Declared>>, published: &Published) -> Infallible {
        let mut warned = Warned::default();
        loop {
            // not borrowed while it is sent to
            let before = declared.borrow().commit.clone();
            match self.newest(&before).await {
                Ok(found) => {
                    warned.clear();
                    if let Some(found) = found {
                        self.publish(&found, published);
                        declared.send_replace(Arc::new(found));
                    }
                    published.ready.send_if_modified(|ready| std::mem::replace(ready, Ok(())).is_err());
                }
                Err(error) => warned.warn("the default branch cannot be followed", &error),
            }
            tokio::time::sleep(self.followed.pause.max(LEAST).min(BRANCH)).await;
        }
    }

    async fn newest(&self, before: &str) -> Result<Option<Declared>> {
        let branch = self.followed.remote.forge.default_branch().await?;
        match self.followed.fetch(&branch).await? {
            Some(commit) if commit != before => {
                let is_watched = |dataset: &Dataset| dataset.spec.monitor.is_some();
                Declared::read(&self.followed.git, &commit, is_watched).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Shows which datasets are watched now, with what is known of them already.
    fn publish(&self, declared: &Declared, published: &Published) {
        published.watched.send_modify(|watched| {
            let state = |dataset: &Dataset| {
                let mut known = watched.get(&dataset.name).map(|known| (**known).clone()).unwrap_or_default();
                if !are_watched(dataset) {
                    known.requests = None;
                }
                let landing = dataset.spec.pipeline.as_ref().map(|pipeline| pipeline.landing.clone());
                let enabled = dataset.spec.monitor.as_ref().is_some_and(|monitor| monitor.enabled);
                DatasetState { enabled, landing: landing.unwrap_or_default(), ..known }
            };
            let all = declared.datasets.iter().map(|dataset| (dataset.name.clone(), Arc::new(state(dataset))));
            *watched = Arc::new(all.collect());
        });
    }

    /// Looks at each dataset when it is due, and when somebody says that it should be.
    async fn watch(&self, declared: &watch::Sender<Arc<Declared>>, published: &Published) -> Infallible {
        let mut changes = declared.subscribe();
        let mut remembered: BTreeMap<String, Remembered> = BTreeMap::new();
        loop {
            let now_declared = Arc::clone(&changes.borrow_and_update());
            let enabled = now_declared.datasets.iter().filter(|dataset| is_enabled(dataset));
            let enabled: Vec<&Dataset> = enabled.collect();
            remembered.retain(|name, _| enabled.iter().any(|dataset| dataset.name == *name));
            for dataset in enabled {
                let memory = remembered.entry(dataset.name.clone()).or_default();
                if memory.commit != now_declared.commit || memory.due.is_none_or(|due| due <= Instant::now()) {
                    self.visit(&now_declared, dataset, memory, published).await;
                }
                if !are_watched(dataset) {
                    memory.requests = RememberedRequests::default();
                } else if memory.requests.is_due(&now_declared.commit) {
                    self.visit_requests(&now_declared, declared, dataset, &mut memory.requests, published).await;
                }
                if memory.rivals.is_due(&now_declared.commit) {
                    self.visit_rivals(&now_declared, dataset, &mut memory.rivals).await;
                }
            }
            let due = |memory: &Remembered| [memory.due, memory.requests.due, memory.rivals.due];
            let next = remembered.values().flat_map(due).flatten().min();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                _ = changes.changed() => {}
                named = self.hints.take() => {
                    for (_, memory) in remembered.iter_mut().filter(|(name, _)| named.contains(*name)) {
                        // what arrives is waited for already
                        if memory.arriving.is_none() {
                            let soonest = memory.visited.map_or_else(Instant::now, |visited| visited + LEAST);
                            memory.due = memory.due.map(|due| due.min(soonest));
                        }
                    }
                }
            }
        }
    }

    /// Visits a dataset, remembers when it is due again, and shows what came of it.
    async fn visit(&self, declared: &Declared, dataset: &Dataset, memory: &mut Remembered, published: &Published) {
        let every = dataset.spec.monitor.as_ref().map_or(PAUSE.as_secs(), |monitor| monitor.every.seconds());
        let every = Duration::from_secs(every);
        let done = self.round(declared, dataset, memory, published).await;
        self.find_broken(dataset, memory, published, done.as_ref()).await;
        self.tell_broken(dataset, memory, published).await;
        let now = Instant::now();
        memory.visited = Some(now);
        memory.commit.clone_from(&declared.commit);
        let due = match done {
            Ok(standing) => {
                memory.failures = 0;
                match standing {
                    Standing::Current(_) => {
                        memory.warned.clear();
                        show(published, &dataset.name, |state| state.failure = None);
                        memory.again.map_or(now + every, |again| again.min(now + every))
                    }
                    Standing::Arriving(ready) => ready,
                    // what was shown of it stays
                    Standing::Refused => now + every,
                }
            }
            Err((step, error)) => {
                self.metrics.failures.with_label_values(&[step]).inc();
                memory.warned.warn(&format!("{step} failed"), &format!("{}: {error}", dataset.name));
                show(published, &dataset.name, |state| state.failure = Some(error.to_string()));
                let pause = backoff(PAUSE, memory.failures, every);
                memory.failures = memory.failures.saturating_add(1);
                now + pause
            }
        };
        memory.due = Some(due);
    }

    /// Finds out whether the data are broken, after a round.
    async fn find_broken(
        &self,
        dataset: &Dataset,
        memory: &mut Remembered,
        published: &Published,
        done: Result<&Standing, &(&'static str, Error)>,
    ) {
        match done {
            Ok(Standing::Current(_)) => {
                let state = published.watched.borrow().get(&dataset.name).cloned();
                let evidence = state.as_ref().and_then(|state| state.evidence.as_ref());
                memory.broken = evidence.and_then(Broken::feed);
            }
            // it is as it was
            Ok(Standing::Arriving(_) | Standing::Refused) => {}
            Err((_, error @ Error::Pipeline(_))) => {
                // what it is about has the head in its name: without that nothing is said yet, and the build is tried again
                let Ok(head) = self.store.head(&dataset.name).await else {
                    memory.refused = None;
                    return;
                };
                let head = head.map(|seen| seen.head.manifest);
                let broken = Broken::refused(&dataset.name, head.as_ref(), error);
                // one that failed for another reason says nothing about the data
                memory.broken = broken.or(memory.broken.take());
            }
            Err(_) => {}
        }
    }

    /// Shows what is broken, and opens an issue about it unless there is one. One that cannot be opened is tried again at the next visit.
    async fn tell_broken(&self, dataset: &Dataset, memory: &mut Remembered, published: &Published) {
        let why = memory.broken.as_ref().map(|broken| broken.why.clone());
        show(published, &dataset.name, |state| state.broken = why);
        let Some(broken) = &memory.broken else {
            memory.told = None;
            return;
        };
        if self.followed.is_read_only() || memory.told.as_ref() == Some(&broken.about) {
            return;
        }
        let hands = Hands { followed: &self.followed, leadership: &self.leadership, metrics: &self.metrics };
        match broken.tell(hands, &dataset.name).await {
            Ok(_) => memory.told = Some(broken.about.clone()),
            Err(error) => {
                self.metrics.failures.with_label_values(&["tell"]).inc();
                memory.warned.warn("what is broken cannot be told", &format!("{}: {error}", dataset.name));
            }
        }
    }

    /// Builds what has landed, looks at the head, and does what was decided. While the head is not what has landed nobody looks: windows would be judged
    /// before all that belongs to them is there.
    async fn round(
        &self,
        declared: &Declared,
        dataset: &Dataset,
        memory: &mut Remembered,
        published: &Published,
    ) -> Result<Standing, (&'static str, Error)> {
        let at = |step: &'static str| move |error: Error| (step, error);
        let temporary = Temporary::new(&self.cache.join("temporary")).map_err(|error| ("build", Error::from(error)))?;
        let files = self.files(declared, dataset, memory, temporary.path()).await.map_err(at("build"))?;
        let places = files.places(dataset, &self.cache, temporary.path());
        let standing = self.build(dataset, memory, &places, &files).await.map_err(at("build"))?;
        let Standing::Current(listed) = standing else { return Ok(standing) };
        let head = self.store.head(&dataset.name).await.map_err(|error| ("look", Error::from(error)))?;
        // of what is set aside only the report says it
        let head = head.map(|seen| [seen.head.manifest, seen.head.report]);
        let seen = (head, declared.commit.clone());
        let is_again = memory.again.is_some_and(|again| again <= Instant::now());
        if memory.seen.as_ref() != Some(&seen) || is_again {
            // one that fails is tried again, although nothing may change
            memory.seen = None;
            self.look(declared, dataset, memory, &places, listed, published).await.map_err(at("look"))?;
            memory.seen = Some(seen);
        }
        Ok(standing)
    }

    /// Where the datasets are that are compared.
    pub(crate) fn evidence_cache(&self, dataset: &Dataset) -> PathBuf {
        evidence_cache(&dataset_cache(&self.cache, dataset))
    }

    /// The files of a dataset's source in git.
    async fn files(
        &self,
        declared: &Declared,
        dataset: &Dataset,
        memory: &mut Remembered,
        temporary: &Path,
    ) -> Result<Files> {
        let known = memory.files.as_ref().filter(|files| files.commit == declared.commit && files.folder.is_dir());
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let cache = self.cache.join("files");
        let files = Files::put(&self.followed.git, &declared.commit, dataset, &cache, temporary).await?;
        memory.files = Some(files.clone());
        Ok(files)
    }

    /// Builds the dataset, if something else has landed or is declared than when it was built last.
    async fn build(
        &self,
        dataset: &Dataset,
        memory: &mut Remembered,
        places: &Places,
        files: &Files,
    ) -> Result<Standing> {
        // what lands from now on may be missing
        let listed = unix_seconds();
        let Some(pipeline) = &dataset.spec.pipeline else { return Ok(Standing::Current(listed)) };
        let landed = landed(pipeline, &self.store).await?;
        // a pin is no reason to build
        let mut declares = dataset.clone();
        declares.spec.digest = None;
        declares.spec.monitor = None;
        let wanted = Wanted { landed, declares, files: files.digest };
        if memory.built.as_ref() == Some(&wanted) {
            memory.arriving = None;
            return Ok(Standing::Current(listed));
        }
        let now = Instant::now();
        if memory.refused.as_ref().is_some_and(|(refused, again)| *refused == wanted && now < *again) {
            return Ok(Standing::Refused);
        }
        if memory.has_landed(&landed) {
            let arriving = Arriving::seen(memory.arriving, landed, now);
            memory.arriving = Some(arriving);
            if now < arriving.ready() {
                return Ok(Standing::Arriving(arriving.ready()));
            }
        }
        must_lead(&self.leadership)?;
        let built = build(dataset, places, &self.store, |step| tracing::debug!("{}: {step:?}", dataset.name)).await;
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                if is_of_the_data(&error) {
                    memory.refused = Some((wanted, now + REFUSED));
                    memory.arriving = None;
                }
                return Err(error.into());
            }
        };
        if built.moved {
            self.metrics.builds.inc();
            let aside = built.report.set_aside.count;
            tracing::info!(
                event = "built",
                "{} is {} now: {} items, {aside} set aside",
                dataset.name,
                built.digest,
                built.report.counts.total()
            );
        }
        (memory.built, memory.refused, memory.arriving) = (Some(wanted), None, None);
        Ok(Standing::Current(listed))
    }

    /// Examines the head, which has all that had landed at `now`, and does what was decided.
    async fn look(
        &self,
        declared: &Declared,
        dataset: &Dataset,
        memory: &mut Remembered,
        places: &Places,
        now: i64,
        published: &Published,
    ) -> Result<()> {
        let sources = Sources {
            store: &self.store,
            places,
            mlflow: Some(&self.mlflow),
            server: self.server.as_deref(),
            forge: Some(&self.followed.remote.forge),
            must_know: true,
            silent: memory.silent,
        };
        memory.again = None;
        let Look::Found(found) = look(&declared.tree, &self.environment, dataset, sources, now).await? else {
            memory.silent = None;
            return Ok(());
        };
        let Found { evidence, decision, .. } = &*found;
        let before = published.watched.borrow().get(&dataset.name).and_then(|state| state.decision.clone());
        if before.as_ref() != Some(decision) {
            tracing::info!(event = "decided", "{}: {}: {}", dataset.name, decision.what(), decision.why());
        }
        show(published, &dataset.name, |state| {
            state.evidence = Some(evidence.clone());
            state.decision = Some(decision.clone());
            state.looked_at = Some(now);
        });
        memory.silent = evidence.silent;
        memory.again = again(&found, now).map(|seconds| Instant::now() + Duration::from_secs(seconds));
        self.forget(dataset, evidence, places).await;
        if self.followed.is_read_only() {
            return Ok(());
        }
        // what is said once about a reference is not looked for at each look, nor is it said less of it later
        let matters = evidence.loss.as_ref().is_some_and(|loss| loss.matters);
        let reference = evidence.reference.digest;
        let is_issue = matches!(decision, Decision::Issue { .. });
        if is_issue && memory.reported.is_some_and(|(of, said)| of == reference && (said || !matters)) {
            return Ok(());
        }
        let hands = Hands { followed: &self.followed, leadership: &self.leadership, metrics: &self.metrics };
        let opened = act(hands, &found).await?;
        memory.reported = is_issue.then_some((reference, matters));
        show(published, &dataset.name, |state| state.opened = opened);
        Ok(())
    }

    /// Removes from the dataset's cache what no later look needs. One that fails costs space, and is made again.
    async fn forget(&self, dataset: &Dataset, evidence: &Evidence, places: &Places) {
        let pinned = dataset.spec.digest.as_ref().and_then(|digest| digest.parse().ok());
        let kept: Vec<Digest> = [evidence.head, evidence.reference.digest].into_iter().chain(pinned).collect();
        if let Err(error) = trim(dataset, &kept, places, &self.store).await {
            tracing::warn!(event = "cache", "what is not needed of {} stays in the cache: {error}", dataset.name);
        }
    }
}

/// In how many seconds it is to be looked again although nothing changes: when a window closes, when what holds something back ends, and after a while when
/// the version in service did not answer. `None` if only a change can change anything.
fn again(found: &Found, now: i64) -> Option<u64> {
    let Found { evidence, decision, .. } = found;
    let until = match decision {
        Decision::HeldBack { until, .. } => *until,
        _ => None,
    };
    let pause = |since: i64| if now.saturating_sub(since) < PATIENCE { AGAIN } else { LATER };
    let silent = evidence.silent.map(|since| now.saturating_add(pause(since)));
    let soonest = [evidence.change.closes, until, silent].into_iter().flatten().min()?;
    // by the clock, which is ahead of when it was listed
    u64::try_from(soonest.saturating_sub(unix_seconds()).max(1)).ok()
}

/// Whether a build failed because of what is in the data or declared, so that trying again comes to the same.
pub(crate) fn is_of_the_data(error: &slipway_pipeline::Error) -> bool {
    matches!(error, slipway_pipeline::Error::Source(slipway_sources::Error::Problem(_)))
}

fn is_enabled(dataset: &Dataset) -> bool {
    dataset.spec.monitor.as_ref().is_some_and(|monitor| monitor.enabled)
}
