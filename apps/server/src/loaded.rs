//! A model that is ready to answer.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use slipway_digest::Digest;
use slipway_model::{Bundle, Config};
use slipway_serving::Pin;

/// The most images in one call of a model, whether one request brought them or several.
pub const MOST_IMAGES: usize = 64;

/// A version of a model, with a copy for each worker. The copies share the weights, and their calls do not block each other.
#[derive(Debug)]
pub struct Loaded {
    /// The registered model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its configuration and weights.
    pub digest: Digest,
    config: Config,
    bundles: Vec<Mutex<Bundle>>,
}

impl Loaded {
    /// Loads a bundle from its folder and warms it up, so that no request waits for a cold model.
    ///
    /// # Errors
    /// When the folder does not hold a model, or the model does not run.
    pub fn load(pin: &Pin, folder: &Path, workers: usize) -> slipway_model::Result<Self> {
        let bundle = Bundle::load(folder)?;
        let config = bundle.config().clone();
        let pixels = config.pixels();
        // OpenMP keeps this number for each thread, and this is not one of the workers.
        tch::set_num_threads(1);
        for images in [1, MOST_IMAGES] {
            bundle.probabilities(&vec![0.0; images * pixels], images)?;
        }
        let bundles = (0..workers.max(1)).map(|_| Mutex::new(bundle.share())).collect();
        let Pin { name, version, digest } = pin.clone();
        Ok(Self { name, version: version.to_string(), digest, config, bundles })
    }

    /// Whether this is the pinned version.
    pub fn is(&self, pin: &Pin) -> bool {
        self.name == pin.name && self.version == pin.version.to_string() && self.digest == pin.digest
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Probabilities of `images` images, row by row, by the worker with this index.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn probabilities(&self, worker: usize, pixels: &[f32], images: usize) -> slipway_model::Result<Vec<f32>> {
        let bundle = &self.bundles[worker % self.bundles.len()];
        // A call that panicked left nothing half done: the weights are frozen.
        bundle.lock().unwrap_or_else(PoisonError::into_inner).probabilities(pixels, images)
    }
}

#[cfg(test)]
impl Loaded {
    /// A network with fresh weights.
    pub(crate) fn fresh(seed: u64, workers: usize) -> (Self, Bundle) {
        let config = Config::mnist(slipway_model::Architecture::Mlp, 0.0);
        let bundle = Bundle::new(&slipway_model::Model::new(&config, seed).unwrap()).unwrap();
        let bundles = (0..workers).map(|_| Mutex::new(bundle.share())).collect();
        (Self { name: "mnist".into(), version: seed.to_string(), digest: Digest::of([]), config, bundles }, bundle)
    }

    /// Keeps a worker inside its call until the guard is dropped.
    pub(crate) fn hold(&self, worker: usize) -> std::sync::MutexGuard<'_, Bundle> {
        self.bundles[worker].lock().unwrap()
    }
}
