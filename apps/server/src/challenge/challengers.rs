//! All challengers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use slipway_serving::{Pin, Pins};
use tokio::sync::watch;

use super::challenger::Challenger;
use super::report::Report;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::models::InService;

/// The challenger of each model that has one, by the model's name.
type All = BTreeMap<String, Arc<Challenger>>;

/// The challengers that `models.yaml` names.
#[derive(Debug)]
pub struct Challengers {
    all: ArcSwap<All>,
    /// What the file says, once its versions are in service.
    pub(super) declared: watch::Sender<Pins>,
    /// Threads of a canary, and requests that may wait for them.
    pub(super) threads: (usize, usize),
    pub(super) metrics: Metrics,
    begun: AtomicBool,
}

impl Challengers {
    /// None yet. A canary gets as many threads and as long a queue as the versions in service.
    pub fn new(workers: usize, queue: usize, metrics: Metrics) -> Self {
        Self {
            all: ArcSwap::default(),
            declared: watch::Sender::new(Pins::default()),
            threads: (workers, queue),
            metrics,
            begun: AtomicBool::new(false),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Challenger>> {
        self.all.load().values().cloned().collect()
    }

    /// The challenger of a model.
    pub fn of(&self, model: &str) -> Option<Arc<Challenger>> {
        self.all.load().get(model).cloned()
    }

    /// How all of them are.
    pub fn reports(&self) -> Vec<Report> {
        self.all().iter().map(|challenger| challenger.report()).collect()
    }

    /// The loaded ones.
    pub fn loaded(&self) -> Vec<Arc<Loaded>> {
        self.all().iter().filter_map(|challenger| challenger.model()).collect()
    }

    /// This version, if it is a challenger that is loaded: it is promoted without being loaded again.
    pub(crate) fn loaded_as(&self, pin: &Pin) -> Option<Arc<Loaded>> {
        self.of(&pin.name)?.model().filter(|model| model.is(pin))
    }

    /// Ends all of them, and returns those that were loaded: their memory is free when they are gone.
    pub(crate) fn make_room(&self) -> Vec<Weak<Loaded>> {
        let mut going = Vec::new();
        for challenger in self.all() {
            going.extend(challenger.model().map(|model| Arc::downgrade(&model)));
            challenger.stop("a version in service needed its memory: raise SLIPWAY_MODEL_MEMORY_MIB".to_owned());
        }
        going
    }

    /// Says what the file names, once its versions are in service.
    pub(crate) fn declare(&self, pins: &Pins) {
        self.declared.send_replace(pins.clone());
    }

    /// Keeps the challengers that are still declared for the same champions, ends the others, and adds new ones, which are not loaded yet.
    /// A version that is loaded for another trial already is taken from there.
    pub(super) fn arrange(&self, pins: &Pins, in_service: &InService) {
        let before = self.all.load_full();
        let mut next = All::new();
        for declared in pins.challengers() {
            let name = &declared.pin.name;
            // a list that is not in service yet comes again
            let Some(champion) = in_service.get(name) else { continue };
            if let Some(kept) = before.get(name)
                && kept.declared == *declared
                && champion.challenger().is_some_and(|own| Arc::ptr_eq(&own, kept))
            {
                next.insert(name.clone(), Arc::clone(kept));
                continue;
            }
            match Challenger::new(declared, champion, &self.metrics) {
                Ok(challenger) => drop(next.insert(name.clone(), Arc::new(challenger))),
                Err(error) => tracing::error!(event = "no_challenger", model = name, "{error}"),
            }
        }
        for (name, champion) in in_service {
            let challenger = next.get(name);
            let loaded = before.get(name).and_then(|before| before.model());
            if let (Some(challenger), Some(loaded)) = (challenger, loaded)
                && challenger.is_waiting()
                && loaded.is(&challenger.declared.pin)
            {
                self.start(challenger, champion, loaded);
            }
            champion.set_challenger(challenger.cloned());
        }
        for (name, before) in &*before {
            if !next.get(name).is_some_and(|next| Arc::ptr_eq(next, before)) {
                before.stop("it is not declared any more".to_owned());
            }
        }
        self.all.store(Arc::new(next));
    }

    /// Whether one was ever tried: then a thread of its own may still be inside it.
    pub fn have_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Begins the trial of a loaded version. What does not fit waits for another declaration.
    pub(super) fn start(&self, challenger: &Arc<Challenger>, champion: &Loaded, model: Arc<Loaded>) {
        self.begun.store(true, Ordering::Relaxed);
        let (name, version) = (model.name.clone(), model.version.clone());
        match challenger.start(champion, model, self.threads, &self.metrics) {
            Ok(()) => {
                let mode = challenger.declared.mode.as_str();
                tracing::info!(
                    event = "challenger",
                    model = name,
                    version,
                    mode,
                    "it is tried beside the version in service"
                );
            }
            Err(reason) => {
                tracing::error!(event = "challenger_not_run", model = name, version, "{reason}");
                challenger.refuse(reason);
            }
        }
    }
}
