//! A model that is ready to answer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use slipway_digest::Digest;
use slipway_model::{Measured, Prepared, Times};
use slipway_serving::Pin;
use slipway_signature::Content;

use crate::challenge::Challenger;
use crate::interface::{BATCH, Interface};
use crate::network::{Network, classify};
use crate::quick::Quick;
use crate::room::{Room, Share, anonymous};
use crate::statistics::Statistics;
use crate::tensor::Array;
use crate::trial::Found;

/// A version of a model, with a copy for each worker. The copies share the weights, and their calls do not block each other.
#[derive(Debug)]
pub struct Loaded {
    /// The registered model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the files that were loaded.
    pub digest: Digest,
    /// What it takes and gives.
    pub interface: Interface,
    /// What it has answered so far.
    pub statistics: Statistics,
    /// If it is so quick that the threads which answer requests run it themselves.
    pub(crate) quick: Option<Quick>,
    /// The version that is tried beside this one, if it is in service.
    challenger: ArcSwapOption<Challenger>,
    memory: Share,
    networks: Vec<Mutex<Network>>,
}

/// Why a model is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLoaded {
    /// It needs more memory than is free; others could make room for it.
    #[error("{0}")]
    NoRoom(String),
    /// It does not run, or cannot be had.
    #[error("{0}")]
    Failed(String),
}

impl Loaded {
    /// Loads a model from its folder and warms it up, so that no request waits for a cold model. `found` is what its trial found, which
    /// a built-in network does not need. While this runs, nothing else loads: the memory that it takes is measured, without the code that it runs.
    ///
    /// # Errors
    /// When the folder does not hold a model, the model does not run, or there is no room for it.
    pub fn load(
        pin: &Pin,
        folder: &Path,
        content: Content,
        found: Option<Found>,
        workers: usize,
        room: &Room,
    ) -> Result<Self, NotLoaded> {
        let failed = |reason: String| NotLoaded::Failed(format!("version {} of {}: {reason}", pin.version, pin.name));
        let no_room = |reason: String| NotLoaded::NoRoom(format!("version {} of {}: {reason}", pin.version, pin.name));
        // at least its files, and what its trial needed; a built-in network is there twice while its forms are compared
        let copies = if content == Content::Bundle { 2 } else { 1 };
        let least = (copies * size(folder, content).map_err(failed)?).max(found.map_or(0, |found| found.bytes));
        let memory = room.take(least).map_err(no_room)?;
        let before = anonymous();
        let workers = workers.max(1);
        let (mut network, mut interface) = Network::load(content, folder, workers).map_err(failed)?;
        if let Some(Found { most, other, .. }) = found {
            (interface.most, interface.other) = (most, other);
        }
        for rows in if interface.batched { vec![1, interface.most] } else { vec![1] } {
            network
                .run(&interface, &interface.zeros(rows), false)
                .map_err(|reason| failed(format!("it does not answer zeros: {reason}")))?;
        }
        let quick = if let Network::BuiltIn(prepared) = &network {
            log(pin, prepared);
            Quick::of(prepared)
        } else {
            None
        };
        let mut networks = Vec::with_capacity(workers);
        for _ in 1..workers {
            networks.push(Mutex::new(network.share().map_err(failed)?));
        }
        networks.push(Mutex::new(network));
        let grown = anonymous().saturating_sub(before);
        let memory = if grown > least {
            drop(memory);
            room.take(grown).map_err(no_room)?
        } else {
            memory
        };
        if quick.is_some() {
            // Nothing of libtorch answers its requests. What did run of it compared the two forms, or registered operators when the program started.
            slipway_allocator::files::release();
        }
        let Pin { name, version, digest } = pin.clone();
        let (version, statistics) = (version.to_string(), Statistics::default());
        let challenger = ArcSwapOption::empty();
        Ok(Self { name, version, digest, interface, statistics, quick, challenger, memory, networks })
    }

    /// The version that is tried beside this one.
    pub fn challenger(&self) -> Option<Arc<Challenger>> {
        self.challenger.load_full()
    }

    /// From now on this version is tried beside this one, or none.
    pub(crate) fn set_challenger(&self, challenger: Option<Arc<Challenger>>) {
        self.challenger.store(challenger);
    }

    /// Whether this is the pinned version.
    pub fn is(&self, pin: &Pin) -> bool {
        self.name == pin.name && self.version == pin.version.to_string() && self.digest == pin.digest
    }

    /// The memory that it takes, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory.bytes()
    }

    /// The most rows of a batch from several requests; 1 if each request runs alone.
    pub fn batch(&self) -> usize {
        if self.interface.batched { self.interface.most.min(BATCH) } else { 1 }
    }

    /// The model's answer to inputs that are as its interface says, by the worker with this index. The features, if they are wanted, are the last output.
    ///
    /// # Errors
    /// When the model fails.
    pub fn run(&self, worker: usize, inputs: &[Array], features: bool) -> Result<Vec<Array>, String> {
        let network = &self.networks[worker % self.networks.len()];
        // A call that panicked left nothing half done: the weights are frozen.
        network.lock().unwrap_or_else(PoisonError::into_inner).run(&self.interface, inputs, features)
    }

    /// The answer of a quick model, by the thread that asks.
    ///
    /// # Errors
    /// When the model fails, or is not quick.
    pub(crate) fn run_here(&self, inputs: &[Array], features: bool) -> Result<Vec<Array>, String> {
        let quick = self.quick.as_ref().ok_or("it is not quick")?;
        classify(|images, rows, to| quick.inference.answer(images, rows, to), inputs, features)
    }
}

/// Says which form of a built-in network answers, and why.
fn log(pin: &Pin, prepared: &Prepared) {
    let Measured { one, many, difference } = prepared.measured();
    let micros = |time: Duration| (time.as_secs_f64() * 1e7).round() / 10.0;
    let chosen = |times: Times| if times.own_is_faster() { "own" } else { "libtorch" };
    tracing::info!(
        event = "prepared",
        model = pin.name,
        version = pin.version,
        one = chosen(one),
        many = chosen(many),
        own_us = one.own.map(micros),
        own_many_us = many.own.map(micros),
        libtorch_us = micros(one.libtorch),
        libtorch_many_us = micros(many.libtorch),
        difference = f64::from(difference),
        "microseconds for an image alone, and for one of eight, in the form of this program and in libtorch's; the faster one answers"
    );
}

/// The bytes of the files that count.
fn size(folder: &Path, content: Content) -> Result<u64, String> {
    let files = content.files(folder).map_err(|error| error.to_string())?;
    Ok(files.iter().filter_map(|file| folder.join(file).metadata().ok()).map(|file| file.len()).sum())
}

#[cfg(test)]
impl Loaded {
    /// A network with fresh weights, for the workers' threads.
    pub(crate) fn fresh(seed: u64, workers: usize) -> (Self, slipway_model::Bundle) {
        let config = slipway_model::Config::mnist(slipway_model::Architecture::Mlp, 0.0);
        let bundle = slipway_model::Bundle::new(&slipway_model::Model::new(&config, seed).unwrap()).unwrap();
        let prepared = Prepared::new(bundle.share()).unwrap();
        let networks = (0..workers).map(|_| Mutex::new(Network::BuiltIn(Box::new(prepared.share())))).collect();
        let model = Self {
            name: "mnist".into(),
            version: seed.to_string(),
            digest: Digest::of([]),
            interface: Interface::of_bundle(&config),
            statistics: Statistics::default(),
            quick: None,
            challenger: ArcSwapOption::empty(),
            memory: Room::new(1).take(1).unwrap(),
            networks,
        };
        (model, bundle)
    }

    /// The same, run by the thread that asks if a request has at most so many rows.
    pub(crate) fn quick(seed: u64, rows: usize) -> (Self, slipway_model::Bundle) {
        let (mut model, bundle) = Self::fresh(seed, 1);
        let inference = slipway_model::Inference::of(bundle.model()).unwrap().unwrap();
        model.quick = Some(Quick::new(Arc::new(inference), rows));
        (model, bundle)
    }

    /// Keeps a worker inside its call until the guard is dropped.
    pub(crate) fn hold(&self, worker: usize) -> std::sync::MutexGuard<'_, Network> {
        self.networks[worker].lock().unwrap()
    }
}
