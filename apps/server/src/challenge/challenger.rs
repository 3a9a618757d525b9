//! A challenger, and what a request has to do with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use slipway_serving::{Challenger as Declared, Mode};

use super::agreement::{alike, classes};
use super::canary::canary;
use super::figures::{Compared, Figures, Outcome, Worse};
use super::pick;
use super::shadow::{Place, Shadow, Shadowed};
use super::truths::{Said, Truth, Truths};
use super::watch::Watch;
use crate::ask::{Answered, Asked};
use crate::interface::Interface;
use crate::loaded::Loaded;
use crate::metrics::{Challenged, Metrics};
use crate::tensor::Array;
use crate::workers::{NoAnswer, Workers};

/// A version that is tried beside one version in service.
#[derive(Debug)]
pub struct Challenger {
    /// What `models.yaml` says.
    pub declared: Declared,
    /// The version in service.
    pub(super) champion: String,
    salt: u64,
    running: ArcSwapOption<Running>,
    stage: Mutex<Stage>,
    figures: Mutex<Figures>,
    compared: Mutex<Compared>,
    /// Requests that a shadow should have got, but it was behind.
    pub(super) dropped: AtomicU64,
    truths: Mutex<Truths>,
    pub(super) metrics: Challenged,
}

/// A challenger that is loaded.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) model: Arc<Loaded>,
    way: Way,
}

/// How it gets its requests.
#[derive(Debug)]
enum Way {
    Canary(Workers),
    Shadow(Shadow),
}

/// Where a challenger is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Not loaded yet, or not any more, and why.
    Waiting(String),
    /// It does not take and give what its champion does.
    Unfit(String),
    Running(SystemTime),
    SwitchedOff(Why, SystemTime),
}

/// Why a challenger was switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// `errors`, `latency` or `corrections`.
    pub because: &'static str,
    /// In a sentence.
    pub reason: String,
}

impl Challenger {
    /// One that is not loaded yet.
    ///
    /// # Errors
    /// Never: the levels of its tests are constants.
    pub(super) fn new(declared: &Declared, champion: &Loaded, metrics: &Metrics) -> slipway_drift::Result<Self> {
        let (pin, mode) = (&declared.pin, declared.mode.as_str());
        Ok(Self {
            declared: declared.clone(),
            champion: champion.version.clone(),
            salt: pick::salt(&pin.name, &pin.digest),
            running: ArcSwapOption::empty(),
            stage: Mutex::new(Stage::Waiting("it is being loaded".to_owned())),
            figures: Mutex::new(Figures::new(declared.share.get())?),
            compared: Mutex::default(),
            dropped: AtomicU64::new(0),
            truths: Mutex::new(Truths::new()?),
            metrics: metrics.challenged(&pin.name, &pin.version.to_string(), mode),
        })
    }

    /// The version, if it is loaded.
    pub fn model(&self) -> Option<Arc<Loaded>> {
        self.running.load().as_ref().map(|running| Arc::clone(&running.model))
    }

    /// Takes the class that is right for a request.
    pub fn truth(&self, id: &str, class: i64) -> Truth {
        self.truths().take(id, class)
    }

    /// Takes what a person says instead of the answer to a request, and switches the canary off if its answers were found to be corrected more
    /// often. Of a shadow nobody has seen an answer.
    pub fn corrected(&self, id: &str, class: i64) {
        let of_canary = self.truths().correct(id, class);
        let worse = of_canary.is_some_and(|of_canary| self.figures().corrections.take(of_canary));
        if worse {
            self.switch_off(Worse::Corrections);
        }
    }

    /// Begins: from now on requests come.
    ///
    /// # Errors
    /// When it does not take and give what the champion does, or no thread can be started.
    pub(super) fn start(
        self: &Arc<Self>,
        champion: &Loaded,
        model: Arc<Loaded>,
        (workers, queue): (usize, usize),
        metrics: &Metrics,
    ) -> Result<(), String> {
        if let Some(difference) = champion.interface.difference(&model.interface) {
            let (champion, challenger) = (&champion.version, &model.version);
            return Err(format!("version {challenger} cannot be asked what version {champion} is asked: {difference}"));
        }
        let failed = |error: std::io::Error| format!("starting a thread: {error}");
        let way = match self.declared.mode {
            Mode::Canary => {
                Way::Canary(Workers::start(workers, queue, metrics.clone()).map_err(failed)?.that_nobody_waits_for())
            }
            Mode::Shadow => Way::Shadow(Shadow::start(self, Arc::clone(&model)).map_err(failed)?),
        };
        // before its first request
        self.set(Stage::Running(SystemTime::now()));
        self.running.store(Some(Arc::new(Running { model, way })));
        Ok(())
    }

    /// Ends: requests that it has got are finished, and its memory is free after the last one.
    pub(super) fn stop(&self, reason: String) {
        if self.running.swap(None).is_some() {
            self.set(Stage::Waiting(reason));
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(*self.stage(), Stage::Waiting(_))
    }

    pub(super) fn wait(&self, reason: String) {
        self.set(Stage::Waiting(reason));
    }

    pub(super) fn refuse(&self, reason: String) {
        self.set(Stage::Unfit(reason));
    }

    /// Answers a request for the champion, and has the challenger answer it as well or instead.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        champion: &Arc<Loaded>,
        workers: &Workers,
        asked: Asked<'_>,
    ) -> Result<Answered, NoAnswer> {
        let Asked { id, inputs, rows, named, features } = asked;
        let running = self.running.load_full().filter(|running| rows <= running.model.interface.most);
        let Some(running) = running else {
            return Ok((Arc::clone(champion), workers.ask(Arc::clone(champion), inputs, rows, features).await?));
        };
        let chosen = self.declared.share.has(pick::hash(self.salt, id, &inputs));
        match &running.way {
            // whoever names a version gets that one, and nobody chose
            Way::Canary(_) if named => {
                Ok((Arc::clone(champion), workers.ask(Arc::clone(champion), inputs, rows, features).await?))
            }
            Way::Canary(own) => {
                let limit = self.figures().limit();
                let answered = match limit.filter(|_| chosen) {
                    Some(limit) => {
                        canary(self, (&running.model, own), (champion, workers), inputs, (rows, features), limit)
                            .await?
                    }
                    None => self.observed(champion, workers, inputs, (rows, features)).await?,
                };
                // what the champion answers for the canary says nothing about what either of them answers
                if limit.is_some() && Arc::ptr_eq(&answered.0, &running.model) == chosen {
                    self.keep(id, rows, chosen, &answered);
                }
                Ok(answered)
            }
            Way::Shadow(shadow) => {
                let place = if chosen { self.place(shadow, &inputs) } else { None };
                let Some(place) = place else {
                    return self.observed(champion, workers, inputs, (rows, features)).await;
                };
                let again = inputs.clone();
                let (model, outputs) = self.observed(champion, workers, inputs, (rows, features)).await?;
                // what both versions give
                let compared = outputs.iter().take(champion.interface.outputs.len()).cloned().collect();
                place.fill(Shadowed { id: id.map(str::to_owned), inputs: again, rows, champion: compared });
                Ok((model, outputs))
            }
        }
    }

    /// Keeps what a canary or its champion has answered, for whoever says what was right.
    fn keep(&self, id: Option<&str>, rows: usize, by_canary: bool, (version, outputs): &Answered) {
        let (Some(id), 1) = (id, rows) else { return };
        // what every answer of a version has
        let outputs = &outputs[..outputs.len().min(version.interface.outputs.len())];
        if let Some(class) = class_of_row(&version.interface, outputs) {
            self.truths().keep(id, if by_canary { Said::Canary(class) } else { Said::Champion(class) });
        }
    }

    fn place(&self, shadow: &Shadow, inputs: &[Array]) -> Option<Place> {
        let place = shadow.place(inputs.iter().map(|input| input.elements.bytes()).sum());
        if place.is_none() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.dropped.inc();
        }
        place
    }

    /// The champion's answer, which is counted.
    async fn observed(
        &self,
        champion: &Arc<Loaded>,
        workers: &Workers,
        inputs: Vec<Array>,
        (rows, features): (usize, bool),
    ) -> Result<Answered, NoAnswer> {
        let watch = Watch::begin(self, false);
        let answer = workers.ask(Arc::clone(champion), inputs, rows, features).await;
        match &answer {
            Ok(_) => watch.over(Some(Outcome::Answered)),
            Err(NoAnswer::Model(_)) => watch.over(Some(Outcome::Failed)),
            // says nothing about the version
            Err(_) => watch.over(None),
        };
        Ok((Arc::clone(champion), answer?))
    }

    /// Counts what the challenger answered in the shadow of the champion.
    pub(super) fn shadowed(&self, of: &Shadowed, answer: Result<Vec<Array>, String>, took: Duration) {
        let Some(model) = self.model() else { return };
        match answer {
            Ok(outputs) => {
                let agreed = alike(&model.interface, &of.champion, &outputs, of.rows) as u64;
                let disagreed = of.rows as u64 - agreed;
                let of_row = |outputs: &[Array]| class_of_row(&model.interface, outputs);
                if let (Some(id), 1, Some(champion), Some(challenger)) =
                    (&of.id, of.rows, of_row(&of.champion), of_row(&outputs))
                {
                    self.truths().keep(id, Said::Both { champion, challenger });
                }
                self.metrics.answered.inc();
                self.metrics.agreed.inc_by(agreed);
                self.metrics.disagreed.inc_by(disagreed);
                self.metrics.seconds.observe(took.as_secs_f64());
                // last, so that whoever sees the request counted finds it everywhere
                let mut compared = self.compared();
                compared.shadow.answered += 1;
                compared.shadow.latencies.add(took);
                compared.agreed += agreed;
                compared.disagreed += disagreed;
            }
            Err(reason) => {
                self.compared().shadow.failed += 1;
                self.metrics.failed.inc();
                tracing::debug!(event = "challenger_failed", model = model.name, version = model.version, "{reason}");
            }
        }
    }

    /// Takes what became of a request, and switches the canary off if it was found to be worse.
    pub(super) fn observe(&self, of_canary: bool, outcome: Outcome, took: Duration) {
        let worse = {
            let mut figures = self.figures();
            if of_canary { figures.canary(outcome, took) } else { figures.champion(outcome, took) }
        };
        if of_canary {
            match outcome {
                Outcome::Answered => {
                    self.metrics.answered.inc();
                    self.metrics.seconds.observe(took.as_secs_f64());
                }
                Outcome::Failed | Outcome::TooLate => self.metrics.failed.inc(),
                Outcome::Left => {}
            }
        }
        if let Some(worse) = worse
            && self.declared.mode == Mode::Canary
        {
            self.switch_off(worse);
        }
    }

    fn switch_off(&self, worse: Worse) {
        // whoever takes it out is the one who says so
        if self.running.swap(None).is_none() {
            return;
        }
        let why = self.figures().why(worse);
        let pin = &self.declared.pin;
        tracing::error!(event = "canary_switched_off", model = pin.name, version = pin.version, "{}", why.reason);
        self.set(Stage::SwitchedOff(why, SystemTime::now()));
    }

    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        // nothing panics while a lock is held
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn compared(&self) -> MutexGuard<'_, Compared> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn truths(&self) -> MutexGuard<'_, Truths> {
        self.truths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        *self.stage() = stage;
    }
}

/// The class of the only row of an answer.
fn class_of_row(interface: &Interface, outputs: &[Array]) -> Option<i64> {
    classes(interface, outputs)?.first().copied()
}
