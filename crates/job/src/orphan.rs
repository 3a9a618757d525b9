//! The run of an attempt whose rank 0 ended without a word: the workers that are left end it, since on the last attempt nobody else will.

use std::net::SocketAddr;
use std::time::Duration;

use slipway_experiment::Trial;
use slipway_mlflow::{Client, Error, Run};
use slipway_names::tag;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::attempts::kill;

const REASON: &str = "killed: the worker with rank 0 ended without a word (out of memory, or its node was lost)";

/// How long rank 0 may take to say itself how its run ends, if it still lives. Together with [`MARKING`], this is less than a pod has between
/// SIGTERM and SIGKILL (base/trainer-runtime).
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long marking the run may take; why this worker ends is already in the log.
const MARKING: Duration = Duration::from_secs(8);
/// The time limit of one look for rank 0, and the pause between two.
const LOOK: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Ends the attempt's run once rank 0 is gone, if it left the run open. A run that another attempt has made, or continues, is not
/// touched. `begun` is the attempt's [`Start::begun`](crate::Start), in milliseconds. While rank 0 lives, the run is its own.
pub(crate) async fn end_orphaned_run(client: &Client, trial: &Trial, rank_0: SocketAddr, begun: i64) {
    if timeout(LAST_WORDS, gone(rank_0)).await.is_err() {
        return;
    }
    let ended = timeout(MARKING, async {
        let runs = client.runs_of_job(&trial.experiment, &trial.name).await?;
        for run in runs.iter().filter(|run| run.is_open() && is_of(run, begun)) {
            kill(client, run, REASON).await?;
        }
        Ok::<_, Error>(())
    });
    match ended.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(event = "run_not_ended", "{error}"),
        Err(_) => tracing::warn!(event = "run_not_ended", "MLflow did not answer within {} s", MARKING.as_secs()),
    }
}

fn is_of(run: &Run, begun: i64) -> bool {
    run.tags.get(tag::ATTEMPT).is_some_and(|attempt| *attempt == begun.to_string())
}

/// Returns once nothing listens where the workers met: rank 0 does so for as long as it lives.
async fn gone(rank_0: SocketAddr) {
    while matches!(timeout(LOOK, TcpStream::connect(rank_0)).await, Ok(Ok(_))) {
        tokio::time::sleep(PAUSE).await;
    }
}
