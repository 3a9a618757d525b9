//! Logs a run to MLflow while it trains, without delaying a step.

use std::time::Duration;

use slipway_mlflow::{Client, Metric, Param, Run, RunStatus, Tag};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::attempts::{kill_open_runs, until_answered};
use crate::now_ms;
use crate::{Failure, Result};

/// How long marking a failed run may take; the reason is already in the log.
const MARKING: Duration = Duration::from_secs(10);

/// A run's description before it begins.
#[derive(Clone, Debug)]
pub struct Start {
    /// MLflow's experiment.
    pub experiment: String,
    /// The run's name: the TrainJob's.
    pub name: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// When the attempt began, in milliseconds since 1970, which tells the runs of a TrainJob's attempts apart.
    pub begun: i64,
}

/// Collects metrics and sends them from a background task.
#[derive(Debug)]
pub struct Recorder {
    client: Client,
    runtime: Handle,
    run: watch::Receiver<Option<Run>>,
    metrics: Option<UnboundedSender<Vec<Metric>>>,
    task: Option<JoinHandle<Result<Run, slipway_mlflow::Error>>>,
}

impl Recorder {
    /// Creates the run in the background.
    pub fn start(client: Client, runtime: Handle, start: Start) -> Self {
        let (metrics, received) = unbounded_channel();
        let (created, run) = watch::channel(None);
        let task = runtime.spawn(record(client.clone(), start, created, received));
        Self { client, runtime, run, metrics: Some(metrics), task: Some(task) }
    }

    /// A handle that can end the run from elsewhere.
    pub fn run_handle(&self) -> RunHandle {
        RunHandle { client: self.client.clone(), run: self.run.clone() }
    }

    /// Queues metrics.
    ///
    /// # Errors
    /// When MLflow has failed for good.
    pub fn log(&mut self, metrics: Vec<Metric>) -> Result<()> {
        if let Some(sender) = &self.metrics
            && sender.send(metrics).is_ok()
        {
            return Ok(());
        }
        // the task only ends before the sender is dropped if it failed
        self.finish().map(drop)
    }

    /// Waits until the run exists. Its parameters may still be on their way.
    ///
    /// # Errors
    /// When MLflow has refused or failed for good.
    pub fn created(&mut self) -> Result<Run> {
        let mut run = self.run.clone();
        let created =
            self.runtime.block_on(async { run.wait_for(Option::is_some).await.ok().and_then(|run| run.clone()) });
        // the task that creates the run has failed, and says why
        created.map_or_else(|| self.finish(), Ok)
    }

    /// Waits until the run exists and everything is sent.
    ///
    /// # Errors
    /// When MLflow has refused or failed for good.
    pub fn finish(&mut self) -> Result<Run> {
        self.metrics = None;
        let task = self.task.take().ok_or_else(|| Failure::Unexpected("the run is already finished".to_owned()))?;
        match self.runtime.block_on(task) {
            Ok(Ok(run)) => Ok(run),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(Failure::Unexpected(format!("logging the run to MLflow: {error}"))),
        }
    }
}

/// Ends a run that did not finish by itself.
#[derive(Clone, Debug)]
pub struct RunHandle {
    client: Client,
    run: watch::Receiver<Option<Run>>,
}

impl RunHandle {
    /// Sets the run's status and the reason, if MLflow answers in time. Waits for a run that is being created.
    pub async fn end(&self, status: RunStatus, reason: &str) {
        let mut created = self.run.clone();
        let marked = tokio::time::timeout(MARKING, async {
            // the task that creates the run has failed, and has reported why
            let Ok(run) = created.wait_for(Option::is_some).await.map(|run| run.clone()) else { return Ok(()) };
            let Some(run) = run else { return Ok(()) };
            self.client.end_unfinished_run(&run.run_id, status, reason, now_ms()).await
        });
        match marked.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(event = "run_not_ended", "{error}"),
            Err(_) => {
                tracing::warn!(event = "run_not_ended", "MLflow did not answer within {} s", MARKING.as_secs())
            }
        }
    }
}

async fn record(
    client: Client,
    start: Start,
    created: watch::Sender<Option<Run>>,
    mut received: UnboundedReceiver<Vec<Metric>>,
) -> Result<Run, slipway_mlflow::Error> {
    let (to, of) = (&client, &start);
    let run = until_answered(move |is_repeated| create_run(to, of, is_repeated)).await?;
    tracing::info!(event = "run", run_id = run.run_id, experiment = start.experiment, name = start.name);
    created.send_replace(Some(run.clone()));
    client.log_batch(&run.run_id, &[], &start.params, &[]).await?;
    while let Some(mut metrics) = received.recv().await {
        // metrics that arrived while the last batch was being sent go with this one
        while let Ok(more) = received.try_recv() {
            metrics.extend(more);
        }
        client.log_batch(&run.run_id, &metrics, &[], &[]).await?;
    }
    Ok(run)
}

async fn create_run(client: &Client, start: &Start, is_repeated: bool) -> Result<Run, slipway_mlflow::Error> {
    let experiment = client.get_or_create_experiment(&start.experiment).await?;
    if is_repeated {
        // a run may have been created whose id never arrived
        kill_open_runs(client, &start.experiment, &start.name).await?;
    }
    client.create_run(&experiment, &start.name, &start.tags, start.begun).await
}
