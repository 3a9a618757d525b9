//! One trial, from its environment to a registered version.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use slipway_checkpoint::Attempt;
use slipway_dataset::Unpacked;
use slipway_experiment::{Parameter, Program, Trial, Work};
use slipway_job::{
    Attempts, Conclusion, Environment, Failure, Origin, Recorder, Reporter, Result, Start, cache, now_ms, params,
    runtime, trial,
};
use slipway_mlflow::{Client, Retry, Run, Tag};
use slipway_names::{env, exit, tag};
use tokio::runtime::Runtime;

use crate::checkpoints::{self, Found, LastLook, Storing};
use crate::conclude::Outcome;
use crate::data;
use crate::ending::Ending;
use crate::environment::{Given, Lead, Settings, variables};
use crate::meeting::Meeting;
use crate::model::Workspace;
use crate::processes::{Ended, Processes};
use crate::progress::{Lines, watch_run};

/// The port at which a single worker's program may meet itself, if nobody says another one; torchrun's.
const ALONE: u16 = 29_500;

/// How long the last checkpoint of a program that has ended is stored.
const LAST_CHECKPOINT: Duration = Duration::from_secs(2);

/// Runs the trial that `SLIPWAY_TRIAL` holds, as one of its workers.
pub(crate) fn run(environment: &Environment, launched: Instant) -> Result<()> {
    let trial = trial(environment)?;
    let Work::Program(program) = &trial.work else {
        return Err(Failure::Input(
            "the trial trains a network of the built-in trainer: its command is slipway-trainer, not slipway-launch"
                .to_owned(),
        ));
    };
    let settings = Settings::read()?;
    let client = Client::from_env()?.with_retry(Retry::JOB);
    let runtime = runtime()?;
    let processes = runtime.block_on(async { Processes::new(settings.grace) })?;
    let storing: Arc<OnceLock<LastLook>> = Arc::default();
    let (stopping, at_stop) = (processes.clone(), Arc::clone(&storing));
    let left = checkpoint_folder(&trial.name, environment.membership.rank);
    let stop = async move {
        // a program may leave a checkpoint when it gets SIGTERM
        stopping.stop().await;
        if let Some(last_look) = at_stop.get() {
            last_look.store(LAST_CHECKPOINT).await;
        }
        checkpoints::forget(&left);
    };
    let conclusion = Conclusion::listen(&runtime, stop, |code| std::process::exit(code.into()))?;
    let attempts = runtime.block_on(Attempts::look(&client, &trial))?;
    let leads = environment.membership.rank == 0;
    if leads {
        runtime.block_on(attempts.end_runs(&client))?;
    }
    if let Some(completed) = attempts.completed() {
        tracing::info!(event = "done_before", "nothing is left to do: {completed}");
        if leads {
            runtime.block_on(checkpoints::remove_all(&trial.name));
            Reporter::start(environment.progress_interval)?.conclude();
        }
        return Ok(());
    }
    // the dataset is fetched, and a checkpoint looked for, while the workers meet
    let unpacking = runtime.spawn(data::unpack(trial.dataset.clone()));
    let folders = Folders::make(&trial.name, environment.membership.rank)?;
    let find = || checkpoints::start(&runtime, trial.name.clone(), folders.checkpoints.clone());
    let finding = leads.then(find).transpose()?;
    let begun = now_ms();
    let meeting = runtime.block_on(Meeting::hold(environment, &trial.name, begun))?;
    tracing::info!(
        event = "workers_met",
        rank = environment.membership.rank,
        workers = environment.membership.world_size
    );
    // this may take longer than workers wait for each other; they know that rank 0 lives as long as their connections do
    let found = match finding {
        Some(finding) => runtime.block_on(checkpoints::found(finding))?,
        None => Found::default(),
    };
    runtime.block_on(meeting.tell(found.id));
    let remover = found.attempt.as_ref().map(Attempt::remover);
    let mut recorder = leads.then(|| {
        let start = Start {
            experiment: trial.experiment.clone(),
            name: trial.name.clone(),
            tags: tags(&trial),
            params: params(&trial),
            begun,
            resumed: found.record,
        };
        Recorder::start(client.clone(), runtime.handle().clone(), start)
    });
    if let Some(recorder) = &recorder {
        conclusion.set_run(recorder.run_handle());
    }
    let reporter = if leads { Reporter::start(environment.progress_interval)? } else { Reporter::silent() };
    let mut job = Job {
        trial: &trial,
        program,
        environment,
        settings: &settings,
        client: &client,
        runtime: &runtime,
        processes: &processes,
        conclusion: &conclusion,
        meeting,
        folders,
        attempt: found.attempt,
        storing: &storing,
        launched,
    };
    let done = (|| {
        if let Some(id) = runtime.block_on(job.meeting.checkpoint())? {
            runtime.block_on(checkpoints::follow(&trial.name, &id, &job.folders.checkpoints, &cache()))?;
        }
        let unpacked = runtime.block_on(unpacking);
        let unpacked = unpacked.map_err(|error| Failure::Unexpected(format!("fetching the dataset: {error}")))??;
        job.work(recorder.as_mut(), &unpacked, &reporter)
    })();
    checkpoints::forget(&job.folders.checkpoints);
    let remove = || {
        runtime.block_on(async {
            if let Some(last_look) = storing.get() {
                last_look.abandon().await;
            }
            checkpoints::remove(remover.as_ref()).await;
        });
    };
    match done {
        Ok(()) => {
            remove();
            reporter.conclude();
            Ok(())
        }
        Err(failure) => {
            conclusion.claim_failed(&runtime, failure.code());
            runtime.block_on(job.meeting.fail());
            let (rank_0, reason) = (job.meeting.rank_0(), failure.to_string());
            runtime.block_on(conclusion.end_failed(&client, &trial, rank_0, failure.code(), &reason));
            // no attempt follows
            if [exit::INPUT, exit::GATE].contains(&failure.code()) {
                remove();
            }
            Err(failure)
        }
    }
}

/// Tags that lead from a run or a version back to what made it.
fn tags(trial: &Trial) -> Vec<Tag> {
    let mut tags = Origin::read().tags(trial);
    tags.extend(std::env::var(env::PROGRAM_TREE).ok().map(|tree| Tag::new(tag::PROGRAM_TREE, tree)));
    tags
}

/// One worker's part of a trial.
struct Job<'a> {
    trial: &'a Trial,
    program: &'a Program,
    environment: &'a Environment,
    settings: &'a Settings,
    client: &'a Client,
    runtime: &'a Runtime,
    processes: &'a Processes,
    conclusion: &'a Conclusion,
    meeting: Meeting,
    folders: Folders,
    /// Of rank 0, if there is a place for checkpoints.
    attempt: Option<Attempt>,
    storing: &'a OnceLock<LastLook>,
    launched: Instant,
}

/// Folders of this worker in the cache.
struct Folders {
    output: PathBuf,
    home: PathBuf,
    checkpoints: PathBuf,
}

/// Where the program of a worker finds checkpoints and leaves them. Workers of one machine share the cache.
fn checkpoint_folder(job: &str, rank: usize) -> PathBuf {
    cache().join("checkpoints").join(job).join(rank.to_string())
}

impl Folders {
    fn make(job: &str, rank: usize) -> Result<Self> {
        let base = cache();
        let folders = Self {
            output: base.join("output").join(job),
            home: base.join("home"),
            checkpoints: checkpoint_folder(job, rank),
        };
        // what an earlier attempt left there is not this one's: its checkpoints are in the store
        let afresh = |folder: &Path| match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(folder),
        };
        let output = if rank == 0 { afresh(&folders.output) } else { Ok(()) };
        output
            .and_then(|()| afresh(&folders.checkpoints))
            .and_then(|()| std::fs::create_dir_all(&folders.home))
            .map_err(|error| Failure::Unexpected(format!("cannot create folders in {}: {error}", base.display())))?;
        Ok(folders)
    }
}

impl Job<'_> {
    /// Runs the program, and on rank 0, which has a recorder, concludes the trial.
    fn work(&mut self, mut recorder: Option<&mut Recorder>, unpacked: &Unpacked, reporter: &Reporter) -> Result<()> {
        let run = recorder.as_mut().map(|recorder| recorder.created()).transpose()?;
        let run = run.as_ref();
        let lines = run.map(|_| Lines::new()).transpose();
        let lines = lines
            .map_err(|error| Failure::Unexpected(format!("cannot make a pipe for the program's progress: {error}")))?;
        let parameters: serde_json::Map<_, _> =
            self.program.parameters.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
        let parameters = serde_json::Value::Object(parameters).to_string();
        let mut membership = self.environment.membership.clone();
        if membership.master_port == 0 {
            membership.master_port = ALONE;
        }
        let lead = run.zip(lines.as_ref()).map(|(run, lines)| Lead {
            run_id: &run.run_id,
            experiment_id: &run.experiment_id,
            output: &self.folders.output,
            progress: lines.descriptor(),
        });
        let has_store = std::env::var_os(env::CHECKPOINT_STORE).is_some_and(|store| !store.is_empty());
        // rank 0 knows whether it may store there
        let stores = has_store && (run.is_none() || self.attempt.is_some());
        let given = Given {
            job: &self.trial.name,
            membership: &membership,
            data: &unpacked.folder,
            parameters: &parameters,
            home: &self.folders.home,
            checkpoints: stores.then_some(self.folders.checkpoints.as_path()),
            lead,
        };
        let variables = variables(std::env::vars_os(), &given);
        // not empty: the trial was read from what `render` wrote
        let (name, first) =
            self.program.command.split_first().ok_or_else(|| Failure::Input("program.command is empty".to_owned()))?;
        let mut command = Command::new(name);
        command.args(first).args(&self.program.args).current_dir(&self.settings.program).env_clear().envs(&variables);
        tracing::info!(
            event = "program",
            seconds = self.launched.elapsed().as_secs_f64(),
            "starting {}",
            self.program.command.join(" ")
        );

        self.store_checkpoints(run)?;
        let ended = self.run_program(&mut command, run, lines, reporter)?;
        tracing::info!(event = "program_ended", seconds = ended.ran.as_secs_f64(), status = %ended.status);
        if ended.immortal > 0 {
            tracing::warn!(event = "left_behind", "{} processes of the program cannot be ended", ended.immortal);
        }
        let judged = self.judge_ending(&ended, run);
        if let Some(last_look) = self.storing.get() {
            self.runtime.block_on(last_look.store(LAST_CHECKPOINT));
        }
        judged?;
        self.runtime.block_on(self.meeting.conclude())?;
        let Some(run) = run else { return Ok(()) };
        recorder.map(Recorder::finish).transpose()?;
        // what concludes a trial is not interrupted by what storing comes to
        if let Some(last_look) = self.storing.get() {
            self.runtime.block_on(last_look.abandon());
        }
        let run = self.runtime.block_on(self.client.get_run(&run.run_id))?;
        let outcome = Outcome {
            trial: self.trial,
            tags: tags(self.trial),
            client: self.client,
            runtime: self.runtime,
            processes: self.processes,
            conclusion: self.conclusion,
            workspace: Workspace {
                folder: &self.settings.program,
                command: name,
                variables: &variables,
                output: &self.folders.output,
            },
            unpacked,
            run,
            ran: ended.ran,
        };
        outcome.conclude()
    }

    /// Stores the checkpoints of the program from now on, if this worker may. If another attempt has begun, this one ends: run and
    /// checkpoints are not its own any more.
    fn store_checkpoints(&mut self, run: Option<&Run>) -> Result<()> {
        let Some((attempt, run)) = self.attempt.take().zip(run) else { return Ok(()) };
        let (last_look, processes) = (LastLook::new(), self.processes.clone());
        let _ = self.storing.set(last_look.clone());
        let storing = Storing::new(attempt, self.folders.checkpoints.clone(), run.run_id.clone());
        let runtime = self.runtime.handle().clone();
        let store = move || {
            runtime.block_on(async {
                if let Some(overtaken) = storing.run(last_look).await {
                    tracing::error!(event = "failed", "{overtaken}");
                    processes.stop().await;
                    std::process::exit(exit::PEER.into());
                }
            });
        };
        std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(store)
            .map(drop)
            .map_err(|error| Failure::Unexpected(format!("starting the thread for checkpoints: {error}")))
    }

    fn run_program(
        &self,
        command: &mut Command,
        run: Option<&Run>,
        lines: Option<Lines>,
        reporter: &Reporter,
    ) -> Result<Ended> {
        let epochs = match self.program.parameters.get("epochs") {
            Some(Parameter::Number(number)) => number.as_f64(),
            _ => None,
        };
        self.runtime.block_on(async {
            let watching = async {
                let Some((run, lines)) = run.zip(lines) else { return std::future::pending().await };
                let logged = watch_run(self.client, &run.run_id, epochs, reporter, self.environment.progress_interval);
                tokio::join!(logged, lines.watch(reporter));
            };
            tokio::pin!(watching);
            let running = self.processes.run(command, None);
            tokio::pin!(running);
            let ended = tokio::select! {
                ended = &mut running => ended?,
                () = &mut watching => running.await?,
            };
            // without a limit it always ends
            ended.ok_or_else(|| Failure::Unexpected("the program did not end".to_owned()))
        })
    }

    /// Nothing if the program ended well here.
    fn judge_ending(&mut self, ended: &Ended, run: Option<&Run>) -> Result<()> {
        let lost = self.meeting.lost();
        let logged_nothing = !ended.status.success() && {
            // at once, because another worker's program may fail next, and asks who was first
            self.runtime.block_on(self.meeting.fail());
            let client = self.client.clone().with_retry(Retry::INTERACTIVE);
            let found = run.map(|run| self.runtime.block_on(client.get_run(&run.run_id)));
            // if MLflow is away, that may be why the program failed
            found.is_none_or(|run| run.is_ok_and(|run| run.metrics.is_empty()))
        };
        let ending = Ending { status: ended.status, ran: ended.ran, errors: &ended.errors, lost, logged_nothing };
        ending.result()
    }
}
