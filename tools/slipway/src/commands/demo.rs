//! `slipway demo`: the product's own commands in order, on one machine, with a merge where a person would merge.

mod drift;
mod report;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use slipway_dataset::{Dataset, Digest, Store};
use slipway_embedded::{JobStatus, Jobs, Observer, Phase, Running, begin};
use slipway_forge::{MergeMethod, Opened};
use slipway_git::Repository;
use slipway_mlflow::{Client, ModelVersion, Run};
use slipway_names::tag::TRAINJOB;
use slipway_project::plan::Start;
use slipway_project::{Tree, count};
use slipway_proposal::{ExperimentProposal, Opening, Promotion, Remote, best_version};

use crate::context::Context;
use crate::dataset::add;
use crate::failure::Failure;
use crate::local_loop::{configuration, interrupted, parse_port, phase_line};
use crate::model_server::ModelServer;
use crate::plan_text;
use crate::renderers::KustomizeArgs;
use crate::services::embedded_datasets;
use report::{Prediction, Report, TrialReport};

const EXPERIMENT: &str = "experiments/mnist-cnn.yaml";
const EXPERIMENT_NAME: &str = "mnist-cnn";
const DATASET: &str = "datasets/mnist-10k.yaml";
const MODEL: &str = "mnist";

#[derive(Debug, Args)]
#[command(
    after_help = "Starts from scratch each time, in .slipway/demo. It does not change the work tree. It runs what is committed, and \
                  experiments/mnist-cnn.yaml as it is in the work tree.\n\n\
                  Examples:\n  slipway demo\n  slipway demo --drift\n  slipway demo --exit -o json | jq .prediction"
)]
pub(crate) struct Demo {
    /// Stop everything once the loop has been shown
    #[arg(long)]
    exit: bool,
    /// Show the second act: turned and noisy digits arrive, are noticed, and are learned
    #[arg(long)]
    drift: bool,
    /// The page's port [default: any free one]
    #[arg(long, value_parser = parse_port)]
    page_port: Option<u16>,
}

/// How long each phase took, in the order in which they ended.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Vec<(String, Duration)>>>);

impl Clock {
    fn add(&self, phase: &str, took: Duration) {
        if let Ok(mut phases) = self.0.lock() {
            phases.push((phase.to_owned(), took));
        }
    }

    fn seconds(&self) -> serde_json::Map<String, serde_json::Value> {
        let phases = self.0.lock().map(|phases| phases.clone()).unwrap_or_default();
        phases.into_iter().map(|(phase, took)| (phase, rounded(took.as_secs_f64()).into())).collect()
    }
}

/// Rounded to the millisecond.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

impl Demo {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        let clock = Clock::default();
        let interrupted = interrupted();
        tokio::pin!(interrupted);
        let state = context.root.join(".slipway/demo");
        let mut configuration = configuration(context, state, self.page_port, observer(context, &clock))?;
        configuration.afresh = true;

        context.progress(context.paint(
            "1",
            "Starting S3, MLflow, the model server, the training manager, the dataset monitor, the page and the forge",
        ));
        let starting = begin(configuration).await.map_err(step("start"))?;
        let store = embedded_datasets(starting.s3(), starting.credentials())?;
        let git = Repository::project(&context.root)?;
        let remote = Remote::at(starting.forge())?;
        let jobs = starting.jobs();

        // MLflow takes seconds to start; the dataset and the pull request do not need it.
        let proposing = async {
            let digest = timed(&clock, context, "dataset", self.dataset(context, &store)).await?;
            let starts = timed(&clock, context, "propose", self.propose(context, &git, &remote)).await?;
            Ok::<_, Failure>((digest, starts))
        };
        let ready = async { starting.ready().await.map_err(step("start")) };
        let (mut running, (digest, starts)) = tokio::select! {
            both = async { tokio::try_join!(ready, proposing) } => both?,
            result = &mut interrupted => return result,
        };

        let address = running.addresses().clone();
        let work = async {
            let done = timed(&clock, context, "train", train(context, &jobs, starts)).await?;
            let client = Client::new(&address.mlflow)?;
            let versions = client.search_model_versions(MODEL).await?;
            let server = ModelServer::at(&address.server)?;
            timed(&clock, context, "promote", serve(context, &git, &remote, &versions, &server)).await?;
            let prediction = timed(&clock, context, "predict", predict(context, &store, &digest, &server)).await?;
            let trials = trials(&client, &versions, done).await?;
            let drift = if self.drift {
                let (context, clock, git, remote, store) = (context, &clock, &git, &remote, &store);
                let (jobs, client, addresses, server, before) = (&jobs, &client, &address, &server, &digest);
                let act = drift::Act { context, clock, git, remote, store, jobs, client, addresses, server, before };
                Some(act.play().await?)
            } else {
                None
            };
            clock.add("total", begun.elapsed());
            Ok::<_, Failure>(Report { trials, prediction, drift, seconds: clock.seconds(), addresses: address })
        };
        let report = tokio::select! {
            report = work => report.map(Some),
            // If a part of the loop fails, that is why other things fail too.
            error = running.failure() => Err(error.into()),
            result = &mut interrupted => result.map(|()| None),
        };
        let result = match report {
            Ok(Some(report)) => {
                context.say(report.table(context));
                context.json(&report)?;
                if self.exit { Ok(()) } else { stay(context, &mut running, &report.addresses.page, interrupted).await }
            }
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        let ended = running.shutdown().await;
        result.and(ended.map_err(Failure::from))
    }

    /// Puts the dataset into the store; its declaration has its digest already.
    async fn dataset(&self, context: &Context, store: &Store) -> Result<Digest, Failure> {
        let added = add(context, store, DATASET, false).await?;
        context.progress(format!("dataset {} is stored as {}", added.name, added.digest));
        Ok(added.digest)
    }

    /// Opens the pull request and merges it, as a person would. Returns what starts.
    async fn propose(&self, context: &Context, git: &Repository, remote: &Remote) -> Result<Vec<Start>, Failure> {
        context.progress(context.paint("1", &format!("\nslipway propose {EXPERIMENT}")));
        let here = Tree::of_work_tree(&context.root)?;
        let proposal = ExperimentProposal::prepare(git, remote, &here, &[EXPERIMENT.to_owned()]).await?;
        context.progress(plan_text::terminal(&proposal.plan, context));
        if proposal.is_empty() {
            return Err(Failure::Input(format!(
                "there is nothing to propose, since the TrainJobs of {EXPERIMENT} are committed already, or have run: remove them from \
                 overlays/local/training-jobs/, or raise spec.rerun"
            )));
        }
        let plan = proposal.plan.clone();
        let opened = proposal.open(git, remote, KustomizeArgs::default().find()?.as_ref(), Opening::default()).await?;
        merge(remote, &opened).await?;
        context.progress(format!("opened pull request #{}, merged it into main\n", opened.number));
        Ok(plan.changes.into_iter().flat_map(|change| change.starts).collect())
    }
}

/// Keeps everything running until a person stops it, or a part of it fails.
async fn stay(
    context: &Context,
    running: &mut Running,
    page: &str,
    interrupted: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    context.progress(format!("\nDraw a digit: {page}\nPress Ctrl-C to stop everything."));
    tokio::select! {
        error = running.failure() => Err(error.into()),
        result = interrupted => { context.progress("\nshutting down"); result }
    }
}

fn observer(context: &Context, clock: &Clock) -> Observer {
    let (context, clock) = (context.clone(), clock.clone());
    Arc::new(move |phase, took| {
        clock.add(phase, took);
        context.progress(phase_line(phase, took));
    })
}

/// Does a step, records how long it took, and names the step in its failure.
async fn timed<T>(
    clock: &Clock,
    context: &Context,
    phase: &'static str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    let done = work.await.map_err(|failure| failure.during(phase))?;
    clock.add(phase, begun.elapsed());
    context.progress(phase_line(phase, begun.elapsed()));
    Ok(done)
}

fn step<E: Into<Failure>>(phase: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| error.into().during(phase)
}

/// Merges as a person would.
async fn merge(remote: &Remote, opened: &Opened) -> Result<(), Failure> {
    remote.forge.merge(opened.number, MergeMethod::Merge, &opened.head).await?;
    Ok(())
}

/// Waits for the jobs that the merge started.
async fn train(context: &Context, jobs: &Jobs, starts: Vec<Start>) -> Result<Vec<(Start, JobStatus)>, Failure> {
    context.progress(context.paint("1", &format!("Training {} on this machine", count(starts.len(), "trial"))));
    let mut done = Vec::new();
    for start in starts {
        let status = jobs.finished(&start.name).await?;
        if status.phase != Phase::Complete {
            return Err(Failure::Job(format!("TrainJob {} failed: {}", start.name, status.message())));
        }
        context.progress(format!("  {} is complete", start.name));
        done.push((start, status));
    }
    Ok(done)
}

/// Promotes the best version, merges, and waits until the server answers with it.
async fn serve(
    context: &Context,
    git: &Repository,
    remote: &Remote,
    versions: &[ModelVersion],
    server: &ModelServer,
) -> Result<(), Failure> {
    context.progress(context.paint("1", &format!("\nslipway promote {MODEL}")));
    let best = best_version(MODEL, versions)?;
    let promotion = Promotion::prepare(git, remote, "local", best).await?;
    if !promotion.is_empty() {
        let digest = promotion.digest;
        // the training manager proposes the same one within seconds: whoever of both is later finds that of the other
        let opened = promotion.open(git, remote, KustomizeArgs::default().find()?.as_ref(), Opening::default()).await?;
        merge(remote, &opened).await?;
        context.progress(format!(
            "pull request #{} puts version {} ({digest}) into service, merged it into main",
            opened.number, best.version
        ));
    }
    until_served(server, &best.version).await
}

/// Returns once the server answers with the version.
async fn until_served(server: &ModelServer, version: &str) -> Result<(), Failure> {
    const LIMIT: Duration = Duration::from_secs(60);
    let started = Instant::now();
    loop {
        let found = match server.version_in_service(MODEL).await {
            Ok(Some(served)) if served == version => return Ok(()),
            Ok(Some(served)) => format!("it serves version {served}"),
            Ok(None) => "it serves no version".to_owned(),
            Err(failure) => failure.to_string(),
        };
        if started.elapsed() > LIMIT {
            return Err(Failure::Service(format!(
                "the server does not serve {MODEL} version {version} after {} s ({found}): see .slipway/demo/logs/server.log",
                LIMIT.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks the server about a digit that no training has seen.
async fn predict(
    context: &Context,
    store: &Store,
    digest: &Digest,
    server: &ModelServer,
) -> Result<Prediction, Failure> {
    #[derive(Serialize)]
    struct Input {
        name: &'static str,
        datatype: &'static str,
        shape: [usize; 3],
        data: Vec<f32>,
    }
    let cache = context.root.join(".slipway/demo/cache");
    let dataset: Dataset = store.fetch(digest, &cache).await?;
    let [height, width] = dataset.shape;
    let pixels = dataset.test.images.iter().take(height * width).map(|&ink| f32::from(ink) / 255.0).collect();
    let label = dataset.test.labels.first().copied().unwrap_or_default();
    let input = Input { name: "image", datatype: "FP32", shape: [1, height, width], data: pixels };
    let answer = server.infer(MODEL, &[input]).await?;
    Prediction::of(label, &answer)
        .ok_or_else(|| Failure::Service(format!("the model server's answer is not a prediction: {answer}")))
}

/// What MLflow recorded about the trials.
async fn trials(
    client: &Client,
    versions: &[ModelVersion],
    done: Vec<(Start, JobStatus)>,
) -> Result<Vec<TrialReport>, Failure> {
    let mut trials = Vec::new();
    for (start, status) in done {
        let version = versions.iter().find(|version| version.tag(TRAINJOB) == start.name);
        let run = run_of(client, &start.name).await?;
        let metric = |key: &str| {
            run.metrics
                .get(key)
                .copied()
                .ok_or_else(|| Failure::Job(format!("the run of {} has no metric {key}", start.name)))
        };
        trials.push(TrialReport {
            accuracy: metric("test_accuracy")?,
            images_per_second: metric("images_per_second")?.round(),
            seconds: rounded(status.seconds().unwrap_or_default()),
            version: version.map(|version| version.version.clone()),
            parameters: start.parameters,
            name: start.name,
        });
    }
    Ok(trials)
}

/// The latest run of a TrainJob.
async fn run_of(client: &Client, name: &str) -> Result<Run, Failure> {
    let missing = || Failure::Job(format!("MLflow has no run of TrainJob {name}"));
    let experiment = client.get_experiment(EXPERIMENT_NAME).await?.ok_or_else(missing)?;
    let filter = format!("tags.\"{TRAINJOB}\" = '{name}'");
    let runs = client.search_runs(&[&experiment], &filter, &["attributes.start_time DESC"]).await?;
    runs.into_iter().next().ok_or_else(missing)
}
