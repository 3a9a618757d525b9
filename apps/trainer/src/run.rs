//! One trial, from its environment to a registered version.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use slipway_c10d::Algorithm;
use slipway_checkpoint::{Attempt, Checkpoints, Remover};
use slipway_experiment::{Model, OptimizerName, ScheduleName, Training, Trial};
use slipway_job::{
    Attempts, Conclusion, Environment, Origin, Recorder, Registration, Reporter, Start, Verdict, cache, judge, now_ms,
    params, publish, runtime, trial, upload,
};
use slipway_mlflow::{Client, Metric, Retry, RunStatus, Tag};
use slipway_model::{Bundle, Config, FILES};
use slipway_names::{exit, tag};
use tokio::runtime::Runtime;

use crate::augment::Augmentation;
use crate::data::{Data, fetch};
use crate::describe;
use crate::evaluate::{Evaluation, evaluate};
use crate::failure::{Failure, Result};
use crate::pictures;
use crate::resume;
use crate::saver::{Saver, Waiter};
use crate::schedule::{Decay, Schedule};
use crate::snapshot::Snapshot;
use crate::train::{Event, Keep, Plan, Trained, train};
use crate::workers::Workers;

/// Momentum of stochastic gradient descent if an experiment does not say: the usual value.
const MOMENTUM: f64 = 0.9;
/// Weight decay of AdamW if an experiment does not say: PyTorch's default.
const ADAMW_WEIGHT_DECAY: f64 = 0.01;

/// What to do about a metric that is not a number.
const ADVICE: &str = "look at the run's loss, and lower training.optimizer.learningRate if it diverged";

/// How long a worker that is stopped, or has lost another one, stores its last checkpoint.
pub(crate) const LAST_CHECKPOINT: Duration = Duration::from_secs(2);
/// How long checkpoints that nobody needs are removed, while this worker could end.
const REMOVING: Duration = Duration::from_secs(10);

/// Trains the trial that `SLIPWAY_TRIAL` holds, as one of its workers.
pub(crate) fn run(environment: &Environment, launched: Instant) -> Result<()> {
    let trial = trial(environment)?;
    let built_in = built_in(&trial)?;
    let origin = Origin::read();
    let client = Client::from_env()?.with_retry(Retry::JOB);
    let runtime = runtime()?;
    let stored: Arc<OnceLock<Waiter>> = Arc::default();
    let at_stop = Arc::clone(&stored);
    let last_checkpoint = async move {
        if let Some(waiter) = at_stop.get() {
            waiter.store_now(LAST_CHECKPOINT).await;
        }
    };
    let conclusion = Conclusion::listen(&runtime, last_checkpoint, slipway_c10d::exit_at_once)?;
    let attempts = runtime.block_on(Attempts::look(&client, &trial))?;
    let leads = environment.membership.rank == 0;
    if leads {
        runtime.block_on(attempts.end_runs(&client))?;
    }
    if let Some(completed) = attempts.completed() {
        tracing::info!(event = "done_before", "nothing is left to do: {completed}");
        if leads {
            runtime.block_on(remove_checkpoints_of_all(&trial.name));
            Reporter::start(environment.progress_interval)?.conclude();
        }
        return Ok(());
    }
    // the dataset is fetched, and a checkpoint looked for, while the workers meet
    let fetching = runtime.spawn(fetch(trial.dataset.clone()));
    let finding = leads.then(|| resume::start(&runtime, trial.name.clone())).transpose()?;
    let workers = Workers::meet(environment)?;
    tracing::info!(event = "workers_met", rank = workers.rank, workers = workers.world_size);
    let begun = workers.of_rank_0(now_ms())?;
    let mut found = resume::wait(&workers, &runtime, finding)?;
    let (resumed, record) = found.share(&workers)?.unzip();
    let mut recorder = leads.then(|| {
        let start = Start {
            experiment: trial.experiment.clone(),
            name: trial.name.clone(),
            tags: origin.tags(&trial),
            params: params(&trial),
            begun,
            resumed: record.flatten(),
        };
        Recorder::start(client.clone(), runtime.handle().clone(), start)
    });
    let reporter = leads.then(|| Reporter::start(environment.progress_interval)).transpose()?;
    let remover = found.attempt.as_ref().map(Attempt::remover);
    let saver = found.attempt.map(|attempt| {
        let record = recorder.as_ref().map(Recorder::record_handle);
        Saver::start(runtime.handle(), attempt, environment.checkpoint_interval, record)
    });
    let saver = saver.transpose()?;
    if let Some(saver) = &saver {
        let _ = stored.set(saver.waiter());
    }
    if let Some(recorder) = &recorder {
        conclusion.set_run(recorder.run_handle());
    }
    let done = runtime
        .block_on(fetching)
        .map_err(|error| Failure::Unexpected(format!("fetching the dataset: {error}")))
        .and_then(|dataset| Data::new(&dataset?))
        .and_then(|data| {
            let trained = train_and_report(
                &plan(built_in, &data),
                &data,
                &workers,
                (resumed, saver.as_ref()),
                recorder.as_mut().zip(reporter.as_ref()),
                launched,
            )?;
            match recorder.as_mut().zip(reporter) {
                Some((recorder, reporter)) => {
                    let job = Job {
                        trial: &trial,
                        origin: &origin,
                        data: &data,
                        epochs: built_in.1.epochs,
                        client: &client,
                        runtime: &runtime,
                        conclusion: &conclusion,
                        checkpoint: stored.get(),
                        launched,
                    };
                    job.conclude(trained, recorder, reporter)
                }
                None => Ok(()),
            }
        });
    let settled = stored.get().map_or(Ok(()), |waiter| runtime.block_on(waiter.settle(LAST_CHECKPOINT)));
    // whatever this worker failed of: if another attempt has begun, that matters more
    let done = done.map_err(|failure| settled.err().unwrap_or(failure));
    let remove = || {
        if let Some(waiter) = stored.get() {
            waiter.abandon();
        }
        runtime.block_on(remove_checkpoints(remover.as_ref()));
    };
    match &done {
        Ok(()) => remove(),
        // the run is another attempt's
        Err(Failure::Overtaken(_)) => {}
        Err(failure) => {
            conclusion.claim_failed(&runtime, failure.code());
            let rank_0 = workers.rank_0.map(|rank_0| (rank_0, begun));
            runtime.block_on(conclusion.end_failed(&client, &trial, rank_0, failure.code(), &failure.to_string()));
            // no attempt follows
            if [exit::INPUT, exit::GATE].contains(&failure.code()) {
                remove();
            }
        }
    }
    done
}

/// Removes the checkpoints that this attempt has stored or taken over, if it has; those of a later one stay.
pub(crate) async fn remove_checkpoints(remover: Option<&Remover>) {
    if let Some(remover) = remover {
        removed(remover.remove()).await;
    }
}

/// Removes the checkpoints of a job that is known to be done, whoever stored them.
async fn remove_checkpoints_of_all(job: &str) {
    let remove = async {
        match Checkpoints::from_env(job).await? {
            Some(checkpoints) => checkpoints.remove().await,
            None => Ok(()),
        }
    };
    removed(remove).await;
}

/// Nothing depends on a removal.
async fn removed(remove: impl Future<Output = slipway_checkpoint::Result<()>>) {
    let reason = match tokio::time::timeout(REMOVING, remove).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the store did not remove them within {REMOVING:?}"),
    };
    tracing::warn!(event = "checkpoints_left", "checkpoints that nobody needs stay in the store: {reason}");
}

/// The network and the training of a trial of this program.
fn built_in(trial: &Trial) -> Result<(&Model, &Training)> {
    trial.work.built_in().ok_or_else(|| {
        Failure::Input(
            "the trial runs a program of its own, which slipway-launch starts: set `spec.trainer.command` to \
             [slipway-launch]"
                .to_owned(),
        )
    })
}

fn plan((model, training): (&Model, &Training), data: &Data) -> Plan {
    let architecture = model.architecture;
    let dropout = model.dropout.unwrap_or_else(|| architecture.default_dropout());
    let (momentum, weight_decay) = (training.optimizer.momentum, training.optimizer.weight_decay);
    Plan {
        model: Config {
            input: [1, data.train.height as i64, data.train.width as i64],
            classes: data.classes as i64,
            ..Config::mnist(architecture, dropout)
        },
        epochs: training.epochs as usize,
        batch_size: training.batch_size as usize,
        optimizer: match training.optimizer.name {
            OptimizerName::Adam => Algorithm::Adam { weight_decay: weight_decay.unwrap_or(0.0) },
            OptimizerName::Adamw => Algorithm::AdamW { weight_decay: weight_decay.unwrap_or(ADAMW_WEIGHT_DECAY) },
            OptimizerName::Sgd => {
                Algorithm::Sgd { momentum: momentum.unwrap_or(MOMENTUM), weight_decay: weight_decay.unwrap_or(0.0) }
            }
        },
        learning_rate: training.optimizer.learning_rate,
        schedule: training.schedule.map_or(Schedule::CONSTANT, schedule),
        augmentation: training.augmentation.map(|augmentation| Augmentation {
            shift: augmentation.shift.unwrap_or(0) as usize,
            rotation: augmentation.rotation.unwrap_or(0.0),
        }),
        patience: training.early_stopping.map(|stopping| stopping.patience as usize),
        seed: training.seed,
        max_steps: None,
    }
}

fn schedule(schedule: slipway_experiment::Schedule) -> Schedule {
    let decay = match (schedule.name, schedule.every.zip(schedule.factor)) {
        (ScheduleName::Cosine, _) => Decay::Cosine,
        (ScheduleName::Step, Some((every, factor))) => Decay::Step { every: every as usize, factor },
        // a trial with a schedule `step` that lacks one of the two is refused when it is read
        (ScheduleName::Constant, _) | (ScheduleName::Step, None) => Decay::None,
    };
    Schedule { warmup_epochs: schedule.warmup_epochs.unwrap_or(0) as usize, decay }
}

/// Trains, and reports events to MLflow and to Kubernetes.
fn train_and_report(
    plan: &Plan,
    data: &Data,
    workers: &Workers,
    (resumed, saver): (Option<Snapshot>, Option<&Saver>),
    mut reports: Option<(&mut Recorder, &Reporter)>,
    launched: Instant,
) -> Result<Trained> {
    let mut is_first = true;
    if let Some(saver) = saver {
        saver.open();
    }
    let keeper = saver.map(|saver| saver as &dyn Keep);
    let trained = train(plan, &data.train, &data.validation, workers, (resumed, keeper), |event| {
        let Some((recorder, reporter)) = &mut reports else { return Ok(()) };
        match event {
            Event::Step { done, of } => {
                if std::mem::take(&mut is_first) {
                    tracing::info!(event = "first_step", seconds = launched.elapsed().as_secs_f64());
                }
                reporter.note(|progress| progress.step(done, of, Instant::now()));
                Ok(())
            }
            Event::Losses(losses) => {
                if let Some((_, _, loss)) = losses.last() {
                    reporter.note(|progress| progress.metric("loss", *loss));
                }
                let metrics = losses.into_iter();
                let metrics = metrics.map(|(step, time, loss)| Metric::new("loss", loss, time, step as i64));
                Ok(recorder.log(metrics.collect())?)
            }
            Event::Epoch { epoch, validation_accuracy, images_per_second } => {
                tracing::info!(event = "epoch", epoch, validation_accuracy, images_per_second);
                reporter.note(|progress| {
                    progress.metric("validation_accuracy", validation_accuracy);
                    progress.metric("images_per_second", images_per_second);
                });
                let (time, step) = (now_ms(), epoch as i64);
                Ok(recorder.log(vec![
                    Metric::new("validation_accuracy", validation_accuracy, time, step),
                    Metric::new("images_per_second", images_per_second, time, step),
                ])?)
            }
            Event::Kept { epoch, validation_accuracy } => {
                tracing::info!(event = "kept", epoch, validation_accuracy);
                Ok(recorder.log(vec![Metric::new("best_epoch", epoch as f64, now_ms(), epoch as i64)])?)
            }
        }
    });
    if let Some(saver) = saver {
        saver.close();
    }
    trained
}

/// What rank 0 needs to conclude a trial.
struct Job<'a> {
    trial: &'a Trial,
    origin: &'a Origin,
    data: &'a Data,
    epochs: u32,
    client: &'a Client,
    runtime: &'a Runtime,
    conclusion: &'a Conclusion,
    /// For the checkpoint of the end of the training.
    checkpoint: Option<&'a Waiter>,
    launched: Instant,
}

impl Job<'_> {
    /// Evaluates the model, logs the results, and registers it if the gate passes. The version is created last.
    fn conclude(&self, trained: Trained, recorder: &mut Recorder, reporter: Reporter) -> Result<()> {
        let evaluation = evaluate(&trained.model, &self.data.test)?;
        // if this worker dies while it registers, nothing is trained again; and if another attempt has begun, that one registers
        if let Some(waiter) = self.checkpoint {
            self.runtime.block_on(waiter.settle(LAST_CHECKPOINT))?;
        }
        let seconds = self.launched.elapsed().as_secs_f64();
        tracing::info!(
            event = "trained",
            test_accuracy = evaluation.accuracy,
            images_per_second = trained.images_per_second,
            seconds
        );
        reporter.note(|progress| progress.metric("test_accuracy", evaluation.accuracy));
        let (time, step) = (now_ms(), i64::from(self.epochs));
        recorder.log(vec![
            Metric::new("test_accuracy", evaluation.accuracy, time, step),
            Metric::new("images_per_second", trained.images_per_second, time, step),
            Metric::new("seconds", seconds, time, step),
        ])?;
        let run = recorder.finish()?;
        self.runtime.block_on(self.client.log_inputs(&run.run_id, &[describe::input(self.trial, self.data)]))?;
        self.runtime.block_on(self.log_evaluation(&run, &evaluation))?;
        let Some(gate) = &self.trial.register else {
            self.runtime.block_on(self.client.set_tag(&run.run_id, tag::GATE, "none"))?;
            return self.finish(&run, reporter);
        };
        let value = |metric: &slipway_experiment::Metric| match metric.as_str() {
            slipway_experiment::Metric::ACCURACY => Some(evaluation.accuracy),
            slipway_experiment::Metric::VALIDATION_ACCURACY => trained.validation_accuracy,
            _ => None,
        };
        let verdict = judge(gate, value, ADVICE)?;
        verdict.log();
        self.runtime.block_on(self.client.log_batch(&run.run_id, &[], &[], &verdict.tags()))?;
        if verdict == Verdict::Passed {
            self.register(&gate.model, &run, &trained, &evaluation, seconds)?;
        }
        self.finish(&run, reporter)
    }

    fn finish(&self, run: &slipway_mlflow::Run, reporter: Reporter) -> Result<()> {
        self.conclusion.claim(self.runtime);
        self.runtime.block_on(self.client.update_run(&run.run_id, RunStatus::Finished, now_ms()))?;
        reporter.conclude();
        Ok(())
    }

    async fn log_evaluation(&self, run: &slipway_mlflow::Run, evaluation: &Evaluation) -> Result<()> {
        let mistakes: Vec<_> = evaluation
            .mistakes
            .iter()
            .map(|m| serde_json::json!({"image": m.index, "label": m.label, "answer": m.answer, "probability": m.probability}))
            .collect();
        let report = serde_json::json!({
            "split": "test", "accuracy": evaluation.accuracy, "confusion": evaluation.confusion, "mistakes": mistakes,
        });
        let confusion = pictures::confusion_matrix(evaluation)?;
        let worst = pictures::worst_mistakes(evaluation, &self.data.test)?;
        tokio::try_join!(
            self.client.log_artifact(run, "evaluation/confusion_matrix.png", confusion),
            self.client.log_artifact(run, "evaluation/worst_mistakes.png", worst),
            self.client.log_artifact(run, "evaluation/evaluation.json", report.to_string()),
        )?;
        Ok(())
    }

    fn register(
        &self,
        model: &str,
        run: &slipway_mlflow::Run,
        trained: &Trained,
        evaluation: &Evaluation,
        seconds: f64,
    ) -> Result<()> {
        let cache = cache();
        let folder = tempfile::tempdir_in(&cache).map_err(|error| {
            Failure::Unexpected(format!("cannot create a folder for the bundle in {}: {error}", cache.display()))
        })?;
        Bundle::new(&trained.model)?.save(folder.path())?;
        let digest =
            slipway_signature::digest(folder.path()).map_err(|error| Failure::Unexpected(error.to_string()))?;
        let mut tags = self.origin.tags(self.trial);
        tags.extend([
            Tag::new(tag::DIGEST, digest.to_string()),
            Tag::new(tag::DATASET, &self.trial.dataset.name),
            Tag::new(tag::ARCHITECTURE, trained.model.config().architecture.as_str()),
            Tag::new(tag::ACCURACY, evaluation.accuracy.to_string()),
            Tag::new(tag::IMAGES_PER_SECOND, format!("{:.1}", trained.images_per_second)),
            Tag::new(tag::SECONDS, format!("{seconds:.2}")),
        ]);
        let params = params(self.trial);
        let registration = Registration { model, job: &self.trial.name, run, params: &params, tags: &tags };
        let logged = self.runtime.block_on(upload(self.client, &registration, folder.path(), &FILES))?;
        self.conclusion.claim(self.runtime);
        let version = self.runtime.block_on(publish(self.client, &registration, &logged))?;
        tracing::info!(event = "registered", model, version = version.version, %digest);
        Ok(())
    }
}
