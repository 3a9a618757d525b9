//! `slipway-server bench FOLDER`: the throughput of a bundle in this process, without HTTP. It is the baseline for the server.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use slipway_model::{Bundle, Prepared};

use crate::fatal::Fatal;

/// How long each batch size is measured: long enough to be stable, short enough for many rounds.
const DURATION: Duration = Duration::from_millis(1500);

/// Measures images per second on one thread, at batch 1 and at batch 32. Returns one JSON object.
///
/// # Errors
/// When the folder does not hold a bundle.
pub fn bench(folder: &Path) -> Result<String, Fatal> {
    tch::set_num_threads(1);
    let bundle = Bundle::load(folder).map_err(|error| Fatal::Input(error.to_string()))?;
    let bundle = Prepared::new(bundle).map_err(|error| Fatal::Unexpected(error.to_string()))?;
    let rate = |batch: usize| -> Result<f64, Fatal> {
        let images = vec![0.5; batch * bundle.config().pixels()];
        let infer = || bundle.probabilities(&images, batch).map_err(|error| Fatal::Unexpected(error.to_string()));
        for _ in 0..20 {
            infer()?;
        }
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < DURATION {
            infer()?;
            done += batch;
        }
        Ok(done as f64 / begun.elapsed().as_secs_f64())
    };
    Ok(json!({ "batch1": rate(1)?, "batch32": rate(32)? }).to_string())
}
