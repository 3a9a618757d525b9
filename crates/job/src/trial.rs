//! The trial of this worker.

use slipway_experiment::Trial;
use slipway_names::env;

use crate::{Environment, Failure, Result};

/// Reads `SLIPWAY_TRIAL`, and checks that as many workers were started as the trial needs.
///
/// # Errors
/// [`Failure::Input`] when it is not set, holds no trial, or needs another number of workers.
pub fn trial(environment: &Environment) -> Result<Trial> {
    let text = std::env::var(env::TRIAL).map_err(|_| {
        Failure::Input(
            "SLIPWAY_TRIAL is not set: start this program from a TrainJob that `slipway render` wrote".to_owned(),
        )
    })?;
    let trial = Trial::from_json(&text).map_err(|error| Failure::Input(format!("SLIPWAY_TRIAL: {error}")))?;
    let world_size = environment.membership.world_size;
    if world_size != trial.workers as usize {
        return Err(Failure::Input(format!(
            "{world_size} workers were started (PET_NNODES × PET_NPROC_PER_NODE), but the trial needs {}: set \
             `spec.trainer.numNodes` to {} and `numProcPerNode` to 1",
            trial.workers, trial.workers
        )));
    }
    Ok(trial)
}
