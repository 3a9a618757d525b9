//! The models that answer: those in service, and some that were asked for by version.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use slipway_serving::{Pin, Pins};
use tokio::sync::{OnceCell, Semaphore};

use crate::catalog::{Catalog, Listing};
use crate::challenge::Challengers;
use crate::loaded::{Loaded, NotLoaded};
use crate::refusal::Refusal;
use crate::registry::Registry;

/// How many versions that are not in service are kept loaded.
const ON_DEMAND: usize = 4;
/// How many of them are loaded at once.
const LOADS: usize = 2;
/// How many requests may wait for versions that are not loaded yet.
const WAITING: usize = 64;

/// How long a challenger that makes room may take to answer its last requests.
const GOING: Duration = Duration::from_secs(3);

/// The version in service of each model, by the model's name.
pub type InService = BTreeMap<String, Arc<Loaded>>;

type Cell = Arc<OnceCell<Arc<Loaded>>>;

/// The models that answer. A request looks its model up once and keeps it, so that a swap never disturbs a running request.
#[derive(Debug)]
pub struct Models {
    /// The versions that are tried beside those in service.
    pub challengers: Challengers,
    registry: Registry,
    catalog: Catalog,
    in_service: ArcSwap<InService>,
    /// Why a pinned model is not in service yet, by its name.
    held_back: Mutex<BTreeMap<String, String>>,
    /// The most recently used version is at the back.
    on_demand: Mutex<VecDeque<(Pin, Cell)>>,
    loads: Semaphore,
    waiting: Arc<Semaphore>,
}

impl Models {
    /// Starts without a model in service.
    pub fn new(registry: Registry, challengers: Challengers) -> Self {
        Self {
            challengers,
            catalog: Catalog::new(registry.clone()),
            registry,
            in_service: ArcSwap::default(),
            held_back: Mutex::default(),
            on_demand: Mutex::default(),
            loads: Semaphore::new(LOADS),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Every registered version.
    pub async fn registered(&self) -> Listing {
        self.catalog.list().await
    }

    /// What is in service now.
    pub fn in_service(&self) -> Arc<InService> {
        self.in_service.load_full()
    }

    /// Every loaded version: those in service, those that are tried beside them, and those that were asked for by version.
    pub fn loaded(&self) -> Vec<Arc<Loaded>> {
        let mut loaded: Vec<_> = self.in_service().values().cloned().collect();
        loaded.extend(self.challengers.loaded());
        let kept = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.extend(kept.iter().filter_map(|(_, cell)| cell.get().cloned()));
        loaded
    }

    /// Puts exactly these versions into service. Loads the new ones first; if one fails, everything stays as it was. Their challengers are
    /// loaded later, and whether that succeeds changes nothing here.
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
        let pinned = || pins.iter().map(|pin| pin.digest);
        let challengers = || pins.challengers().map(|challenger| challenger.pin.digest);
        // First of all, so that the download of one does not push another one out of the cache.
        self.registry.keep(now.values().map(|loaded| loaded.digest).chain(pinned()).collect()).await;
        let mut next = InService::new();
        for pin in pins {
            let same = now.get(&pin.name).filter(|loaded| loaded.is(pin));
            let loaded = match same {
                Some(loaded) => Arc::clone(loaded),
                None => match self.challengers.loaded_as(pin) {
                    Some(promoted) => promoted,
                    None => self.load_in_any_case(pin).await.map_err(|reason| reason.to_string())?,
                },
            };
            next.insert(pin.name.clone(), loaded);
        }
        self.in_service.store(Arc::new(next));
        self.registry.keep(pinned().chain(challengers()).collect::<BTreeSet<_>>()).await;
        self.challengers.declare(pins);
        Ok(())
    }

    /// Finds a model's version in service.
    ///
    /// # Errors
    /// 404 when there is none, or when it is not the version that is asked for; 503 when it is not loaded yet.
    pub fn find_in_service(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, Refusal> {
        let Some(served) = self.in_service.load().get(name).cloned() else {
            if let Some(reason) = self.held_back.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
                return Err(Refusal::unavailable(format!("{name} is not in service yet: {reason}")));
            }
            let in_service = self.in_service();
            let names: Vec<&str> = in_service.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Refusal::missing(format!("no version of {name} is in service (in service: {names})")));
        };
        match version {
            Some(version) if version != served.version => Err(Refusal::missing(format!(
                "version {version} of {name} is not in service; version {} is",
                served.version
            ))),
            _ => Ok(served),
        }
    }

    /// Finds a registered version, which is loaded first if necessary.
    ///
    /// # Errors
    /// 404 when there is no such version; 503 when it cannot be loaded, or too many requests wait for others.
    pub async fn find_registered(self: &Arc<Self>, name: &str, version: &str) -> Result<Arc<Loaded>, Refusal> {
        let served = self.in_service.load().get(name).cloned();
        if let Some(served) = served.filter(|served| served.version == version) {
            return Ok(served);
        }
        let tried = self.challengers.of(name).and_then(|challenger| challenger.model());
        if let Some(tried) = tried.filter(|tried| tried.version == version) {
            return Ok(tried);
        }
        if let Some(cell) = self.cell_of(|pin| pin.name == name && pin.version.to_string() == version)
            && let Some(loaded) = cell.get()
        {
            return Ok(Arc::clone(loaded));
        }
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return Err(Refusal::unavailable(format!("{WAITING} requests wait for versions that are not in service")));
        };
        let Some(pin) = self.registry.pin(name, version).await? else { return Err(self.unknown(name, version).await) };
        let models = Arc::clone(self);
        // In a task of its own: a load that has begun is finished, even if its client is gone.
        let loading = tokio::spawn(async move {
            let loaded = models.load(&pin).await;
            drop(place);
            loaded
        });
        loading.await.map_err(|error| Refusal::unexpected(error.to_string()))?.map_err(Refusal::unavailable)
    }

    async fn load(&self, pin: &Pin) -> Result<Arc<Loaded>, String> {
        let cell = self.cell_of(|kept| kept == pin).unwrap_or_else(|| self.keep(pin.clone()));
        let load = async || {
            let _load = self.loads.acquire().await.map_err(|error| error.to_string())?;
            self.load_with_room(pin).await.map_err(|reason| reason.to_string())
        };
        // Concurrent requests load it once; a failure is not kept.
        let loaded = cell.get_or_try_init(load).await.map(Arc::clone);
        self.forget(pin);
        loaded
    }

    /// Loads a version that is to be put into service. If there is no room for it, everything else makes room.
    async fn load_in_any_case(&self, pin: &Pin) -> Result<Arc<Loaded>, NotLoaded> {
        let loaded = self.load_with_room(pin).await;
        if !matches!(loaded, Err(NotLoaded::NoRoom(_))) {
            return loaded;
        }
        let going = self.challengers.make_room();
        if going.is_empty() {
            return loaded;
        }
        // a challenger goes when it has answered the requests that it has got
        let begun = Instant::now();
        while going.iter().any(|model| model.strong_count() > 0) && begun.elapsed() < GOING {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.registry.load(pin).await
    }

    /// Loads a version. If there is no room for it, versions that are neither in service nor challengers make room.
    pub(crate) async fn load_with_room(&self, pin: &Pin) -> Result<Arc<Loaded>, NotLoaded> {
        match self.registry.load(pin).await {
            Err(NotLoaded::NoRoom(_)) if self.forget_all() => self.registry.load(pin).await,
            other => other,
        }
    }

    async fn unknown(&self, name: &str, version: &str) -> Refusal {
        let registered = self.registered().await.unwrap_or_default();
        let of_name = registered.iter().filter(|other| other.name == name);
        let numbers: Vec<&str> = of_name.map(|other| other.version.as_str()).collect();
        Refusal::missing(match numbers.as_slice() {
            [] => format!("there is no version {version} of {name}"),
            numbers => format!("{name} has no version {version}; it has {}", numbers.join(", ")),
        })
    }

    fn hold_back(&self, reasons: BTreeMap<String, String>) {
        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    /// Drops this version if it could not be loaded, and of those that are loaded all but the most recently used.
    fn forget(&self, failed: &Pin) {
        let mut kept = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(pin, cell)| pin != failed || cell.initialized());
        let mut loaded = kept.iter().filter(|(_, cell)| cell.initialized()).count();
        kept.retain(|(_, cell)| {
            let goes = loaded > ON_DEMAND && cell.initialized();
            loaded -= usize::from(goes);
            !goes
        });
    }

    /// Drops every loaded version that is not in service, and returns whether there was one.
    fn forget_all(&self) -> bool {
        let mut kept = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.len();
        kept.retain(|(_, cell)| !cell.initialized());
        kept.len() < before
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
        let cell = Cell::default();
        kept.push_back((pin, Arc::clone(&cell)));
        cell
    }
}
