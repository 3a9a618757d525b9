//! A request that the canary answers, or the champion if it cannot.

use std::sync::Arc;
use std::time::Duration;

use super::challenger::Challenger;
use super::figures::Outcome;
use super::watch::Watch;
use crate::ask::Answered;
use crate::loaded::Loaded;
use crate::tensor::Array;
use crate::workers::{NoAnswer, Workers};

/// A version with the threads that run it.
type Version<'a> = (&'a Arc<Loaded>, &'a Workers);

/// Asks the canary, and then the champion if the canary fails, takes longer than the limit, or gives numbers that are none.
pub(super) async fn canary(
    challenger: &Challenger,
    (canary, own): Version<'_>,
    (champion, workers): Version<'_>,
    inputs: Vec<Array>,
    (rows, features): (usize, bool),
    limit: Duration,
) -> Result<Answered, NoAnswer> {
    let watch = Watch::begin(challenger, true);
    let answer = tokio::time::timeout(limit, own.ask(Arc::clone(canary), inputs.clone(), rows, features)).await;
    let took = watch.elapsed();
    let outcome = match answer {
        Ok(Ok(outputs)) if are_finite(canary, &outputs) => {
            watch.over_after(Some(Outcome::Answered), took);
            return Ok((Arc::clone(canary), outputs));
        }
        Ok(Ok(_) | Err(NoAnswer::Model(_))) => Some(Outcome::Failed),
        // a full queue says nothing about the version, neither of the canary nor of its champion
        Ok(Err(_)) => None,
        Err(_) => Some(Outcome::TooLate),
    };
    let answer = workers.ask(Arc::clone(champion), inputs, rows, features).await;
    // a request that nobody can answer is at fault itself
    let fault = matches!(&answer, Ok(outputs) if are_finite(champion, outputs));
    watch.over_after(outcome.filter(|_| fault), took);
    Ok((Arc::clone(champion), answer?))
}

/// Whether the outputs that every answer of a version has are numbers. Features are there only if somebody wants them, and so decide nothing.
fn are_finite(version: &Loaded, outputs: &[Array]) -> bool {
    outputs.iter().take(version.interface.outputs.len()).all(|output| output.elements.are_finite())
}
