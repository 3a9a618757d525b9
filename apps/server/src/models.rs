//! The models that answer: those in service, and some that were asked for by version.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use slipway_serving::{Pin, Pins};
use tokio::sync::OnceCell;

use crate::loaded::Loaded;
use crate::refusal::Refusal;
use crate::registry::Registry;

/// How many versions that are not in service are kept loaded.
const ON_DEMAND: usize = 4;

/// The version in service of each model, by the model's name.
pub type InService = BTreeMap<String, Arc<Loaded>>;

type Cell = Arc<OnceCell<Arc<Loaded>>>;

/// The models that answer. A request looks its model up once and keeps it, so that a swap never disturbs a running request.
#[derive(Debug)]
pub struct Models {
    registry: Registry,
    in_service: ArcSwap<InService>,
    /// Why a pinned model is not in service yet, by its name.
    held_back: Mutex<BTreeMap<String, String>>,
    /// The most recently used version is at the back.
    on_demand: Mutex<VecDeque<(Pin, Cell)>>,
}

impl Models {
    /// Starts without a model in service.
    pub fn new(registry: Registry) -> Self {
        Self { registry, in_service: ArcSwap::default(), held_back: Mutex::default(), on_demand: Mutex::default() }
    }

    /// The registry that the models are loaded from.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is in service now.
    pub fn in_service(&self) -> Arc<InService> {
        self.in_service.load_full()
    }

    /// Puts exactly these versions into service. Loads the new ones first; if one fails, everything stays as it was.
    ///
    /// # Errors
    /// Why a version cannot be loaded.
    pub async fn serve(&self, pins: &Pins) -> Result<(), String> {
        let reasons = |reason: &str| pins.iter().map(|pin| (pin.name.clone(), reason.to_owned())).collect();
        self.hold_back(reasons("it is being loaded"));
        let served = self.try_to_serve(pins).await;
        self.hold_back(served.as_ref().map_or_else(|reason| reasons(reason), |()| BTreeMap::new()));
        served
    }

    async fn try_to_serve(&self, pins: &Pins) -> Result<(), String> {
        let now = self.in_service();
        let mut next = InService::new();
        for pin in pins {
            let same = now.get(&pin.name).filter(|loaded| loaded.is(pin));
            let loaded = match same {
                Some(loaded) => Arc::clone(loaded),
                None => self.registry.load(pin).await?,
            };
            next.insert(pin.name.clone(), loaded);
        }
        self.in_service.store(Arc::new(next));
        Ok(())
    }

    /// Finds a model's version in service, or the version that is asked for, which is loaded first if necessary.
    ///
    /// # Errors
    /// 404 when there is no such model or version; 503 when it is not loaded yet or cannot be loaded.
    pub async fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, Refusal> {
        let served = self.in_service.load().get(name).cloned();
        let Some(version) = version else {
            return served.ok_or_else(|| {
                if let Some(reason) = self.held_back.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
                    return Refusal::unavailable(format!("{name} is not in service yet: {reason}"));
                }
                let in_service = self.in_service();
                let names: Vec<&str> = in_service.keys().map(String::as_str).collect();
                Refusal::missing(format!(
                    "no version of {name} is in service (in service: {}); a version that is not in service is at \
                     /v2/models/{name}/versions/<version>",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                ))
            });
        };
        if let Some(served) = served.filter(|served| served.version == version) {
            return Ok(served);
        }
        if let Some(cell) = self.cell_of(|pin| pin.name == name && pin.version.to_string() == version)
            && let Some(loaded) = cell.get()
        {
            return Ok(Arc::clone(loaded));
        }
        let pin = self.registry.pin(name, version).await?;
        let cell = self.cell_of(|kept| *kept == pin).unwrap_or_else(|| self.keep(pin.clone()));
        // Concurrent requests load it once; a failure is not kept.
        let loaded = cell.get_or_try_init(|| self.registry.load(&pin)).await.map(Arc::clone);
        loaded.map_err(|reason| {
            self.forget(&pin);
            Refusal::unavailable(reason)
        })
    }

    fn hold_back(&self, reasons: BTreeMap<String, String>) {
        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    /// Drops a version that could not be loaded, so that it does not take the place of one that can.
    fn forget(&self, pin: &Pin) {
        let mut kept = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, cell)| other != pin || cell.initialized());
    }

    /// The cell of a version that is kept on demand, which becomes the most recently used. Returns `None` if it is not kept.
    fn cell_of(&self, matches: impl Fn(&Pin) -> bool) -> Option<Cell> {
        let mut kept = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(pin, _)| matches(pin))?;
        let entry = kept.remove(at)?;
        let cell = Arc::clone(&entry.1);
        kept.push_back(entry);
        Some(cell)
    }

    fn keep(&self, pin: Pin) -> Cell {
        let mut kept = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have added it in the meantime.
        if let Some((_, cell)) = kept.iter().find(|(other, _)| *other == pin) {
            return Arc::clone(cell);
        }
        if kept.len() >= ON_DEMAND {
            kept.pop_front();
        }
        let cell = Cell::default();
        kept.push_back((pin, Arc::clone(&cell)));
        cell
    }
}
