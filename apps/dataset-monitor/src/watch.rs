//! Watching: which dataset is looked at when, and what a look is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use slipway_cluster::Leadership;
use slipway_dataset::Store;
use slipway_digest::Digest;
use slipway_evidence::{Decision, Found, Hold, Look, Sources, look};
use slipway_experiment::Dataset;
use slipway_mlflow::Client;
use slipway_pipeline::{Places, Temporary, build, landed};
use slipway_service::{Followed, Warned, lead, must_lead};
use slipway_sources::Limits;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;

use crate::act::act;
use crate::declared::{Declared, put_files};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::watched::{DatasetState, Watched};

/// How often the default branch is looked at, at least.
const BRANCH: Duration = Duration::from_secs(10);
/// The least time between two looks at a dataset, however many hints there are.
const LEAST: Duration = Duration::from_secs(1);
/// When it is looked again although nothing has changed: while a window may fill, somebody did not answer, or something is held back.
const AGAIN: Duration = Duration::from_secs(60);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// A dataset monitor.
#[derive(Debug)]
pub struct Watcher {
    /// The repository, with its forge.
    pub followed: Followed,
    /// The dataset store.
    pub store: Store,
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
    pub hints: Mutex<mpsc::Receiver<String>>,
}

/// Where what is known leaves the monitor.
#[derive(Debug)]
pub struct Published {
    /// What is known of each dataset.
    pub watched: watch::Sender<Arc<Watched>>,
    /// Whether git has been read once; otherwise what is still awaited.
    pub ready: watch::Sender<Result<(), String>>,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            watched: watch::Sender::default(),
            ready: watch::Sender::new(Err("git has not been read yet".to_owned())),
        }
    }
}

/// What is remembered of a dataset from one look to the next: nothing that is not found again after a start.
#[derive(Debug, Default)]
struct Remembered {
    /// When it is looked at next.
    due: Option<Instant>,
    looked: Option<Instant>,
    /// What had landed when it was built last, by which declaration.
    built: Option<(Digest, Dataset)>,
    /// What the last look was at: the head and the commit.
    seen: Option<(Digest, String)>,
    /// When it is looked again although nothing has changed.
    again: Option<Instant>,
    /// The reference that an issue was opened about.
    reported: Option<Digest>,
    warned: Warned,
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
            Some(commit) if commit != before => Declared::read(&self.followed.git, &commit).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Shows which datasets are watched now, with what is known of them already.
    fn publish(&self, declared: &Declared, published: &Published) {
        published.watched.send_modify(|watched| {
            let state = |dataset: &Dataset| {
                let known = watched.get(&dataset.name).map(|known| (**known).clone()).unwrap_or_default();
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
        let mut hints = self.hints.lock().await;
        let mut changes = declared.subscribe();
        let mut remembered: BTreeMap<String, Remembered> = BTreeMap::new();
        loop {
            let now_declared = Arc::clone(&changes.borrow_and_update());
            let enabled = now_declared.datasets.iter().filter(|dataset| is_enabled(dataset));
            let enabled: Vec<&Dataset> = enabled.collect();
            remembered.retain(|name, _| enabled.iter().any(|dataset| dataset.name == *name));
            for dataset in enabled {
                let memory = remembered.entry(dataset.name.clone()).or_default();
                let is_new_commit = memory.seen.as_ref().is_none_or(|(_, commit)| *commit != now_declared.commit);
                if is_new_commit || memory.due.is_none_or(|due| due <= Instant::now()) {
                    self.visit(&now_declared, dataset, memory, published).await;
                }
            }
            let next = remembered.values().filter_map(|memory| memory.due).min();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                _ = changes.changed() => {}
                Some(name) = hints.recv() => {
                    let mut named = vec![name];
                    while let Ok(more) = hints.try_recv() {
                        named.push(more);
                    }
                    for name in named {
                        if let Some(memory) = remembered.get_mut(&name) {
                            let soonest = memory.looked.map_or_else(Instant::now, |looked| looked + LEAST);
                            memory.due = memory.due.map(|due| due.min(soonest));
                        }
                    }
                }
            }
        }
    }

    /// Looks at a dataset, remembers when it is due again, and shows what came of it.
    async fn visit(&self, declared: &Declared, dataset: &Dataset, memory: &mut Remembered, published: &Published) {
        let every = dataset.spec.monitor.as_ref().map_or(PAUSE.as_secs(), |monitor| monitor.every.seconds());
        let done = self.round(declared, dataset, memory, published).await;
        memory.looked = Some(Instant::now());
        let mut pause = Duration::from_secs(every);
        let failure = match done {
            Ok(()) => {
                memory.warned.clear();
                None
            }
            Err((step, error)) => {
                self.metrics.failures.with_label_values(&[step]).inc();
                let why = format!("{}: {error}", dataset.name);
                memory.warned.warn(&format!("{step} failed"), &why);
                // a look that failed is tried again, although nothing may change
                if step == "look" || memory.seen.is_none() {
                    memory.seen = Some((Digest::of(""), declared.commit.clone()));
                }
                pause = pause.min(PAUSE);
                Some(error.to_string())
            }
        };
        let due = Instant::now() + pause;
        memory.due = Some(memory.again.map_or(due, |again| again.min(due)));
        show(published, &dataset.name, |state| state.failure = failure);
    }

    /// Builds what has landed, looks at the head, and does what was decided.
    async fn round(
        &self,
        declared: &Declared,
        dataset: &Dataset,
        memory: &mut Remembered,
        published: &Published,
    ) -> Result<(), (&'static str, Error)> {
        let at = |step: &'static str| move |error: Error| (step, error);
        let folder = self.cache.join("files");
        let temporary = Temporary::new(&self.cache.join("temporary")).map_err(|error| ("build", Error::from(error)))?;
        let places = Places {
            sources: slipway_sources::Places {
                project: folder.clone(),
                cache: self.cache.join("datasets"),
                repin: false,
                limits: Limits::default(),
            },
            npm: None,
            temporary: temporary.path().to_owned(),
        };
        // a build that fails does not hide what the head is
        let built = self.build(declared, dataset, memory, &places, &folder).await;
        let head = self.store.head(&dataset.name).await.map_err(|error| ("look", Error::from(error)))?;
        let head = head.map_or_else(|| Digest::of(""), |seen| seen.head.manifest);
        let seen = (head, declared.commit.clone());
        let is_again = memory.again.is_some_and(|again| again <= Instant::now());
        if memory.seen.as_ref() != Some(&seen) || is_again {
            self.look(declared, dataset, memory, &places, published).await.map_err(at("look"))?;
            memory.seen = Some(seen);
        }
        built.map_err(at("build"))
    }

    /// Builds the dataset, if something else has landed or is declared than when it was built last.
    async fn build(
        &self,
        declared: &Declared,
        dataset: &Dataset,
        memory: &mut Remembered,
        places: &Places,
        folder: &std::path::Path,
    ) -> Result<()> {
        let Some(pipeline) = &dataset.spec.pipeline else { return Ok(()) };
        let now = landed(pipeline, &self.store).await?;
        // a pin is no reason to build
        let mut declares = dataset.clone();
        declares.spec.digest = None;
        declares.spec.monitor = None;
        let wanted = (now, declares);
        if memory.built.as_ref() == Some(&wanted) {
            return Ok(());
        }
        put_files(&self.followed.git, &declared.commit, dataset, folder).await?;
        must_lead(&self.leadership)?;
        let built = build(dataset, places, &self.store, |step| tracing::debug!("{}: {step:?}", dataset.name)).await?;
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
        memory.built = Some(wanted);
        Ok(())
    }

    /// Examines the head, and does what was decided.
    async fn look(
        &self,
        declared: &Declared,
        dataset: &Dataset,
        memory: &mut Remembered,
        places: &Places,
        published: &Published,
    ) -> Result<()> {
        let sources = Sources {
            store: &self.store,
            places,
            mlflow: Some(&self.mlflow),
            server: self.server.as_deref(),
            forge: Some(&self.followed.remote.forge),
        };
        let now = seconds();
        memory.again = None;
        let Look::Found(found) = look(&declared.tree, &self.environment, dataset, sources, now).await? else {
            return Ok(());
        };
        let Found { evidence, decision, .. } = *found;
        let before = published.watched.borrow().get(&dataset.name).and_then(|state| state.decision.clone());
        if before.as_ref() != Some(&decision) {
            tracing::info!(event = "decided", "{}: {}: {}", dataset.name, decision.what(), decision.why());
        }
        show(published, &dataset.name, |state| {
            state.evidence = Some(evidence.clone());
            state.decision = Some(decision.clone());
            state.looked_at = Some(now);
        });
        let is_for_a_while = matches!(decision, Decision::HeldBack { by: Hold::Cooldown | Hold::Budget, .. });
        if evidence.change.waiting > 0 || !evidence.unknown.is_empty() || is_for_a_while {
            memory.again = Some(Instant::now() + AGAIN);
        }
        if self.followed.is_read_only() {
            return Ok(());
        }
        // what is said once about a reference is not looked for at each look
        let reference = evidence.reference.digest;
        let is_issue = matches!(decision, Decision::Issue { .. });
        if is_issue && memory.reported == Some(reference) {
            return Ok(());
        }
        let opened = act(&self.followed, &self.leadership, &self.metrics, &evidence, &decision).await?;
        memory.reported = is_issue.then_some(reference);
        show(published, &dataset.name, |state| state.opened = opened);
        Ok(())
    }
}

fn is_enabled(dataset: &Dataset) -> bool {
    dataset.spec.monitor.as_ref().is_some_and(|monitor| monitor.enabled)
}

/// Changes what is shown of a dataset that is watched.
fn show(published: &Published, name: &str, change: impl FnOnce(&mut DatasetState)) {
    published.watched.send_if_modified(|watched| {
        let Some(state) = watched.get(name) else { return false };
        let mut after = (**state).clone();
        change(&mut after);
        if after == **state {
            return false;
        }
        Arc::make_mut(watched).insert(name.to_owned(), Arc::new(after));
        true
    });
}

/// Seconds since 1970.
fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}
