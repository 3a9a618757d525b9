//! What MLflow has of a trial.

use tokio::sync::OwnedSemaphorePermit;

use super::problem::Problem;
use super::shared::Shared;
use crate::view::Trial;

/// A trial's run, and a place among those who ask MLflow.
pub(crate) struct Run {
    pub(crate) found: slipway_mlflow::Run,
    _place: OwnedSemaphorePermit,
}

impl Run {
    /// That of a trial; `None` if it has none.
    ///
    /// # Errors
    /// When MLflow does not answer, or too many ask it.
    pub(crate) async fn of(shared: &Shared, trial: &Trial) -> Result<Option<Self>, Problem> {
        let Some(run) = &trial.run else { return Ok(None) };
        let place = shared.tracking.take()?;
        match shared.state.mlflow.get_run(&run.id).await {
            Ok(found) => Ok(Some(Self { found, _place: place })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// MLflow does not answer, or refuses.
pub(crate) fn unavailable(error: &slipway_mlflow::Error) -> Problem {
    tracing::warn!(event = "mlflow_failed", "{error}");
    Problem::unavailable("MLflow", error.to_string())
}
