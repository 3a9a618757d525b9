//! Loads the challengers that `models.yaml` names, after the versions in service.

use std::sync::Arc;
use std::time::Duration;

use super::challenger::Challenger;
use crate::models::Models;

/// The pause after a first failure.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Follows the declared challengers for ever. One that cannot be loaded is tried again after a growing pause, and a new declaration at once.
pub async fn follow(models: Arc<Models>) {
    let mut declared = models.challengers.declared.subscribe();
    loop {
        let pins = declared.borrow_and_update().clone();
        models.challengers.arrange(&pins, &models.in_service());
        tokio::select! {
            () = load(&models) => if declared.changed().await.is_err() { return },
            changed = declared.changed() => if changed.is_err() { return },
        }
    }
}

/// Returns once none waits any more.
async fn load(models: &Arc<Models>) {
    let mut pause = PAUSE;
    loop {
        let waiting: Vec<Arc<Challenger>> =
            models.challengers.all().into_iter().filter(|challenger| challenger.is_waiting()).collect();
        let mut failed = false;
        for challenger in &waiting {
            failed |= !try_to_load(models, challenger).await;
        }
        if !failed {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns whether it is loaded, also if it does not fit.
async fn try_to_load(models: &Arc<Models>, challenger: &Arc<Challenger>) -> bool {
    let pin = &challenger.declared.pin;
    match models.load_with_room(pin).await {
        Ok(model) => {
            if let Some(champion) = models.in_service().get(&pin.name) {
                models.challengers.start(challenger, champion, model);
            }
            true
        }
        Err(reason) => {
            let reason = reason.to_string();
            tracing::warn!(event = "challenger_not_loaded", model = pin.name, version = pin.version, "{reason}");
            challenger.wait(reason);
            false
        }
    }
}
