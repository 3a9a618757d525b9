//! Logs a run to MLflow while it trains, without delaying a step.

use std::sync::Arc;

use slipway_mlflow::{Client, Metric, Param, Run, Tag};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::attempts::until_answered;
use crate::record::{Logged, Queue};
use crate::run::{create, reopen};
use crate::{Failure, Record, RecordHandle, Result, RunHandle};

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
    /// When the attempt began, in milliseconds since 1970, which tells the attempts of a TrainJob apart.
    pub begun: i64,
    /// What a checkpoint says of the run of an earlier attempt. That run is continued: what it lacks is sent, and what it has is not sent again. If
    /// MLflow does not have it any more, there is another run.
    pub resumed: Option<Record>,
}

/// Collects metrics and sends them from a background task.
#[derive(Debug)]
pub struct Recorder {
    client: Client,
    runtime: Handle,
    run: watch::Receiver<Option<Run>>,
    queue: Arc<Queue>,
    /// The attempt, and the run of an earlier one that it continues.
    begun: i64,
    resumed: Option<String>,
    task: Option<JoinHandle<Result<Run, slipway_mlflow::Error>>>,
}

impl Recorder {
    /// Creates or continues the run in the background.
    pub fn start(client: Client, runtime: Handle, mut start: Start) -> Self {
        let queue = Arc::new(Queue::default());
        if let Some(resumed) = &mut start.resumed {
            queue.push(std::mem::take(&mut resumed.unsent));
        }
        let (created, run) = watch::channel(None);
        let (begun, resumed) = (start.begun, start.resumed.as_ref().and_then(|resumed| resumed.run_id.clone()));
        let task = runtime.spawn(record(client.clone(), start, created, Arc::clone(&queue)));
        Self { client, runtime, run, queue, begun, resumed, task: Some(task) }
    }

    /// A handle that can end the run from elsewhere.
    pub fn run_handle(&self) -> RunHandle {
        RunHandle { client: self.client.clone(), run: self.run.clone(), attempt: self.begun }
    }

    /// A view of what is recorded, for checkpoints.
    pub fn record_handle(&self) -> RecordHandle {
        RecordHandle { queue: Arc::clone(&self.queue), run: self.run.clone(), resumed: self.resumed.clone() }
    }

    /// Queues metrics. Those of a name must come by step.
    ///
    /// # Errors
    /// When MLflow has failed for good.
    pub fn log(&mut self, metrics: Vec<Metric>) -> Result<()> {
        self.queue.push(metrics);
        // the task only ends before the queue is closed if it failed
        if self.task.as_ref().is_none_or(JoinHandle::is_finished) { self.finish().map(drop) } else { Ok(()) }
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
        self.queue.close();
        let task = self.task.take().ok_or_else(|| Failure::Unexpected("the run is already finished".to_owned()))?;
        match self.runtime.block_on(task) {
            Ok(Ok(run)) => Ok(run),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(Failure::Unexpected(format!("logging the run to MLflow: {error}"))),
        }
    }
}

async fn record(
    client: Client,
    start: Start,
    created: watch::Sender<Option<Run>>,
    queue: Arc<Queue>,
) -> Result<Run, slipway_mlflow::Error> {
    let continued = match start.resumed.as_ref().and_then(|resumed| resumed.run_id.as_ref()) {
        Some(run_id) => reopen(&client, &start, run_id).await?,
        None => None,
    };
    let logged = match &continued {
        Some(run) => Logged::of(&client, run).await?,
        None => Logged::default(),
    };
    let event = if continued.is_some() { "run_continued" } else { "run" };
    let (to, of) = (&client, &start);
    let run = match continued {
        Some(run) => run,
        None => until_answered(move |is_repeated| create(to, of, is_repeated)).await?,
    };
    tracing::info!(event, run_id = run.run_id, experiment = start.experiment, name = start.name);
    created.send_replace(Some(run.clone()));
    // MLflow refuses another value of one that is there
    let missing: Vec<_> = start.params.into_iter().filter(|param| !run.params.contains_key(&param.key)).collect();
    client.log_batch(&run.run_id, &[], &missing, &[]).await?;
    // metrics that arrive while a batch is being sent go with the next one
    while let Some(mut metrics) = queue.next().await {
        let count = metrics.len();
        metrics.retain(|metric| !logged.has(metric));
        if !metrics.is_empty() {
            client.log_batch(&run.run_id, &metrics, &[], &[]).await?;
        }
        queue.confirm(count);
    }
    Ok(run)
}
