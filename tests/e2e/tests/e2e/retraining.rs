//! What lands in MinIO becomes a retrain pull request on GitHub: by MinIO's events, whatever becomes of them, and by a poll without them. Once that is
//! merged and trained, the monitor compares the new version with the one in service, and proposes it. And the pipeline that makes the dataset of it gives
//! the same bytes as a job in the cluster and at home.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use slipway_dataset::idx::{write_images, write_labels};
use slipway_e2e::{GitHub, Picture, SIDE, Stack, text, until};
use slipway_proposal::retrain_branch;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(300);
/// How long the monitor looks at nothing when it is done: what has landed is built within half of it.
const QUIET: Duration = Duration::from_secs(10);

const GROWN: &str = "e2e-grown";
/// It looks once an hour, so that only an event or a commit makes it look.
const MONITOR: &str =
    "  monitor: {every: 1h, cooldown: 1s, budget: 100, retrain: {experiments: [e2e-grown-cnn], newLabelled: 20}}\n";
const RARELY: &str = "every: 1h";
const OFTEN: &str = "every: 5s";
const EXPERIMENT: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: e2e-grown-cnn}
spec:
  dataset: e2e-grown
  model: {architecture: cnn}
  training: {epochs: 1, batchSize: 16, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  workers: {count: 1, cpu: 200m, memory: 256Mi}
  budget: {cpuHours: 4, deadline: 20m}
  register: {model: e2e-grown}
";
const EXPERIMENT_FILE: &str = "experiments/e2e-grown-cnn.yaml";

const JUDGED: &str = "e2e-judged";
const JUDGED_EXPERIMENT: &str = "e2e-judged-mlp";
/// Of a hundred old test items that nobody is wrong about two points cannot be ruled out.
const JUDGED_MONITOR: &str = "  monitor: {every: 5s, cooldown: 1s, budget: 100, retrain: {experiments: [e2e-judged-mlp], newLabelled: 200, loss: 0.1}}\n";
/// Long enough to be right about every picture of either kind.
const JUDGED_YAML: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: e2e-judged-mlp}
spec:
  dataset: e2e-judged
  model: {architecture: mlp}
  training: {epochs: 30, batchSize: 16, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  workers: {count: 1, cpu: 200m, memory: 256Mi}
  budget: {cpuHours: 4, deadline: 20m}
  register: {model: e2e-judged}
";
/// How long a training may take.
const TRAINING: Duration = Duration::from_secs(600);

const PIPED: &str = "e2e-piped";
const OVERLAY: &str = "overlays/local/dataset-monitor/kustomization.yaml";
/// The line that switches the job on.
const SWITCH: &str = "../../../base/dataset-monitor/pipeline, ";

#[test]
fn what_lands_is_proposed_once_for_a_digest_by_events_in_any_order_and_by_polls() -> Result<()> {
    let stack = Stack::get()?;
    let github = stack.github()?;
    stack.change("A dataset that grows", |root| {
        declare(root, GROWN, MONITOR)?;
        fs::write(root.join(EXPERIMENT_FILE), EXPERIMENT)?;
        stack.build_dataset(GROWN, &["--pin"]).map(drop)
    })?;
    until("the monitor has seen that nothing is new", LIMIT, || {
        let state = stack.watched(GROWN)?;
        Ok(if state["decision"]["action"] == "nothing" { Ok(()) } else { Err(state.to_string()) })
    })?;

    // an event: no poll is due, and nobody commits
    let (commit, told) = (stack.repository().main()?, stack.notifications()?);
    stack.land(GROWN, &pictures(0..30))?;
    let (_, took) = proposed(stack, github, GROWN, 30)?;
    println!("from the arrival to the pull request, by an event: {:.1} s", took.as_secs_f64());
    ensure!(stack.notifications()? > told, "MinIO has told nothing");
    each_once(github)?;

    // events before what they are about, twice, in another order, and of what was there before
    let mut more = pictures(30..60);
    more.reverse();
    for some in more.chunks(7) {
        stack.tell_monitor(GROWN, some)?;
    }
    stack.land(GROWN, &more)?;
    stack.land(GROWN, &pictures(0..30))?;
    let mut all = pictures(0..60);
    all.rotate_left(17);
    for some in all.chunks(13) {
        stack.tell_monitor(GROWN, some)?;
    }
    proposed(stack, github, GROWN, 60)?;
    ensure!(stack.repository().main()? == commit, "somebody has committed meanwhile, which makes the monitor look");
    each_once(github)?;

    // no events: first what was told of the pictures above must be done, so that the next look is that of the commit, and those after it are polls
    let silence = Silence::begin(stack)?;
    until("the monitor is done with what it was told", LIMIT, || {
        let before = stack.watched(GROWN)?;
        sleep(QUIET);
        let after = stack.watched(GROWN)?;
        let is_done = before["lookedAt"].is_u64() && before["lookedAt"] == after["lookedAt"];
        Ok(if is_done { Ok(()) } else { Err(format!("{before}, and then {after}")) })
    })?;
    let since = seconds()?;
    stack.change("Look more often", |root| replace(root, &declaration(GROWN), RARELY, OFTEN))?;
    until("the monitor has looked again", LIMIT, || {
        let state = stack.watched(GROWN)?;
        let has_looked = state["lookedAt"].as_u64().is_some_and(|looked| looked > since);
        Ok(if has_looked { Ok(()) } else { Err(state.to_string()) })
    })?;
    let (commit, told) = (stack.repository().main()?, stack.notifications()?);
    stack.land(GROWN, &pictures(60..90))?;
    let (_, took) = proposed(stack, github, GROWN, 90)?;
    println!("from the arrival to the pull request, by a poll every 5 s: {:.1} s", took.as_secs_f64());
    ensure!(stack.notifications()? == told, "somebody has told the monitor, although MinIO is not to");
    ensure!(stack.repository().main()? == commit, "somebody has committed meanwhile, which makes the monitor look");
    each_once(github)?;

    stack.set_notifications(true)?;
    drop(silence);
    stack.change("No dataset that grows", |root| {
        fs::remove_file(root.join(EXPERIMENT_FILE))?;
        remove(root, GROWN)
    })
}

#[test]
fn what_was_retrained_is_compared_with_the_version_in_service_and_proposed_once() -> Result<()> {
    let stack = Stack::get()?;
    let github = stack.github()?;
    stack.change("A dataset whose versions are compared", |root| {
        declare(root, JUDGED, "")?;
        stack.build_dataset(JUDGED, &["--pin"]).map(drop)
    })?;
    // the first version knows the usual pictures alone; the training manager proposes it, because there is none in service
    let started = stack.start_on_github(JUDGED_EXPERIMENT, JUDGED_YAML)?;
    let [job] = started.jobs.as_slice() else { bail!("one trial, not {:?}", started.jobs) };
    stack.completes(job, TRAINING)?;
    serves(stack, github, 1)?;
    stack.change("Watch it", |root| {
        let path = root.join(declaration(JUDGED));
        Ok(fs::write(&path, fs::read_to_string(&path)? + JUDGED_MONITOR)?)
    })?;

    let odd: Vec<Picture> = (0..200).map(|number| Picture::odd(1000 + number)).collect();
    stack.land(JUDGED, &odd)?;
    let (branch, _) = proposed(stack, github, JUDGED, 200)?;
    let head = stack.head(JUDGED)?;
    stack.merge_on_github(github.retraining(&branch)?)?;
    until("the retrained version is registered", TRAINING, || {
        let versions = stack.versions_of(JUDGED)?;
        let is_there = versions.iter().any(|version| version.number == "2" && version.status == "READY");
        Ok(if is_there { Ok(()) } else { Err(format!("{versions:?}")) })
    })?;
    let promotion = serves(stack, github, 2)?;
    let body = text(&promotion, "/body");
    for said in [
        "Both versions were asked about the test split of what version 2 was trained on",
        "| test items | | version 1 right | version 2 right |",
        "\n| new | ",
        "\n| old | ",
    ] {
        ensure!(body.contains(said), "the promotion does not say {said}: {body}");
    }
    // once the monitor has seen that the new version is in service, it compares it with nothing any more
    until("the monitor compares with what the new version knows", LIMIT, || {
        let state = stack.watched(JUDGED)?;
        let is_new = state["evidence"]["reference"]["digest"] == head.to_string().as_str();
        Ok(if is_new { Ok(()) } else { Err(state.to_string()) })
    })?;
    let all = github.promotions(JUDGED)?;
    ensure!(all.len() == 2, "{} promotions of two versions: {all:#?}", all.len());
    Ok(())
}

#[test]
fn the_pipeline_as_a_job_gives_the_bytes_of_a_build_at_home() -> Result<()> {
    let stack = Stack::get()?;
    // the job asks it for the default branch
    stack.github()?;
    stack.land(PIPED, &pictures(0..20))?;
    stack.change("A dataset that nobody watches", |root| {
        declare(root, PIPED, "")?;
        replace(root, OVERLAY, "components: [", &format!("components: [{SWITCH}"))
    })?;
    let kubectl = |arguments: &[&str]| stack.kubectl().run(&[&["-n", "dataset-monitor"][..], arguments].concat());
    until("the job is there to be started", LIMIT, || Ok(Ok(kubectl(&["get", "cronjob", "dataset-pipeline"])?)))?;
    // of a name that no earlier run has left
    let job = format!("{PIPED}-{}", seconds()?);
    kubectl(&["create", "job", &job, "--from=cronjob/dataset-pipeline"])?;
    until("the job has ended", LIMIT, || {
        let object = stack.kubectl().get(&["job", &job, "-n", "dataset-monitor"])?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let is_over = |one: &&Value| ["Complete", "Failed"].contains(&text(one, "/type")) && one["status"] == "True";
        Ok(match conditions.iter().find(is_over) {
            Some(end) => Ok(end.clone()),
            None => Err(object["status"].to_string()),
        })
    })
    .and_then(|(end, _)| {
        let log = || kubectl(&["logs", &format!("job/{job}")]).unwrap_or_else(|error| error.to_string());
        ensure!(end["type"] == "Complete", "{end}: {}", log());
        Ok(())
    })?;

    let head = stack.head(PIPED)?.to_string();
    stack.repository().pull()?;
    let again = stack.build_dataset(PIPED, &[])?;
    ensure!(again["digest"] == head.as_str() && again["moved"] == false, "{again}, and the job has built {head}");
    let anew = stack.build_dataset_anew(PIPED, "e2e-home")?;
    ensure!(anew["digest"] == head.as_str() && anew["moved"] == true, "{anew}, and the job has built {head}");

    // the CronJob counts it among its own, and may have removed it
    kubectl(&["delete", "job", &job, "--ignore-not-found"])?;
    stack.change("No dataset that nobody watches", |root| {
        replace(root, OVERLAY, SWITCH, "")?;
        remove(root, PIPED)
    })
}

/// While this lives, MinIO tells nobody of what lands. When it is dropped, whatever became of the test, it tells the monitor again.
struct Silence<'a>(&'a Stack);

impl<'a> Silence<'a> {
    fn begin(stack: &'a Stack) -> Result<Self> {
        // first: a call that fails may have done what it was to do
        let silence = Self(stack);
        stack.set_notifications(false)?;
        Ok(silence)
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.set_notifications(true) {
            println!("MinIO still tells nobody of what lands: {error:#}");
        }
    }
}

/// Seconds since 1970.
fn seconds() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Pictures that are not in the source.
fn pictures(numbers: std::ops::Range<u32>) -> Vec<Picture> {
    numbers.map(|number| Picture::usual(1000 + number)).collect()
}

fn declaration(name: &str) -> String {
    format!("datasets/{name}.yaml")
}

/// Declares a dataset that begins with 400 pictures, and to which adds what lands below its name.
fn declare(root: &Path, name: &str, monitor: &str) -> Result<()> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for picture in (0..400).map(Picture::usual) {
        pixels.extend(picture.levels());
        labels.push(picture.class());
    }
    let folder = root.join(name);
    fs::create_dir_all(&folder)?;
    let side = SIDE as usize;
    fs::write(folder.join("images"), write_images(side, side, &pixels)?)?;
    fs::write(folder.join("labels"), write_labels(&labels)?)?;
    let text = format!(
        "apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {{name: {name}}}
spec:
  source: {{idx: {{images: {name}/images, labels: {name}/labels}}}}
  classes: 2
  shape: [{SIDE}, {SIDE}]
  split: {{validation: 0.25, test: 0.25, seed: 0}}
  pipeline: {{read: {{landing: [s3://landing/{name}/]}}}}
{monitor}"
    );
    Ok(fs::write(root.join(declaration(name)), text)?)
}

fn remove(root: &Path, name: &str) -> Result<()> {
    fs::remove_file(root.join(declaration(name)))?;
    Ok(fs::remove_dir_all(root.join(name))?)
}

fn replace(root: &Path, path: &str, from: &str, to: &str) -> Result<()> {
    let path = root.join(path);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(text.contains(from), "{} has no {from}", path.display());
    Ok(fs::write(&path, text.replacen(from, to, 1))?)
}

/// Waits until the head of a dataset has so many items that the pinned digest does not have, and the pull request of this head is there. Returns its
/// branch, and how long that took.
fn proposed(stack: &Stack, github: &GitHub, dataset: &str, new: u64) -> Result<(String, Duration)> {
    until(&format!("a pull request of a head with {new} new items"), LIMIT, || {
        let branch = retrain_branch(dataset, &stack.head(dataset)?);
        let (state, all) = (stack.watched(dataset)?, github.retrainings(dataset)?);
        let is_whole = state["evidence"]["new"] == new;
        let is_there = is_whole && all.contains(&branch);
        Ok(if is_there { Ok(branch) } else { Err(format!("{state}, no {branch} in {all:?}")) })
    })
}

/// Waits until a version of the model that is judged is proposed, merges that, and waits until it is in service. Returns the pull request.
fn serves(stack: &Stack, github: &GitHub, version: u64) -> Result<Value> {
    let title = format!("Serve {JUDGED} version {version} in local");
    let (promotion, took) = until(&format!("the promotion of version {version}"), LIMIT, || {
        let all = github.promotions(JUDGED)?;
        let found = all.iter().find(|one| text(one, "/title") == title).cloned();
        Ok(found.ok_or_else(|| format!("{all:?}")))
    })?;
    println!("from the registration of version {version} to its promotion: {:.1} s", took.as_secs_f64());
    stack.merge_on_github(promotion["number"].as_u64().context("it has no number")?)?;
    until("the promoted version is in service", LIMIT, || {
        let served = stack.ask(&format!("{}/v2/models/{JUDGED}", stack.url("models")))?;
        Ok(if served["versions"][0] == version.to_string().as_str() { Ok(()) } else { Err(served.to_string()) })
    })?;
    Ok(promotion)
}

/// Checks that no digest has two pull requests.
fn each_once(github: &GitHub) -> Result<()> {
    let mut by_branch: BTreeMap<String, usize> = BTreeMap::new();
    for branch in github.retrainings(GROWN)? {
        *by_branch.entry(branch).or_default() += 1;
    }
    ensure!(by_branch.values().all(|count| *count == 1), "{by_branch:?}");
    Ok(())
}
