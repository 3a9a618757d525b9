//! The life of a record: `slipway archive` with MLflow's real server, what everything else makes of it, `slipway history`, and the way
//! back.

use std::path::Path;

use serde_json::{Value, json};
use slipway_embedded::{State, StateFolder};
use slipway_experiment::{JobResult, JobState, Record, read_job};
use slipway_mlflow::{LoggedModelStatus, Metric, RunStatus, Tag};
use slipway_mlflow_server::Mlflow;
use slipway_names::tag;
use time::OffsetDateTime;

use crate::project::{EXPERIMENT, Project, Ran, git};

const EXPERIMENTS: &str = "experiments/digits.yaml";
const JOBS: &str = "overlays/local/training-jobs";
const HISTORY: &str = "overlays/local/history";

/// How long the runs of these tests took, in milliseconds.
const TOOK: i64 = 90_000;

/// Two hours ago, in milliseconds since 1970.
fn begun() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp() - 2 * 3600) * 1000
}

/// A project whose experiment of two trials is merged, with their names.
fn started() -> (Project, Vec<String>) {
    let project = Project::new();
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    ask(&project, &["merge", &opened]);
    pull(&project);
    let jobs = names(&project, JOBS);
    assert_eq!(jobs.len(), 2);
    (project, jobs)
}

/// Runs a command with the forge of the project and without MLflow, as JSON; it succeeds.
fn ask(project: &Project, arguments: &[&str]) -> Value {
    succeeded(project.run(&[arguments, &["--remote", &project.forge(), "-o", "json"]].concat()))
}

/// The same with MLflow.
fn ask_with(project: &Project, mlflow: &str, arguments: &[&str]) -> Value {
    let forge = project.forge();
    let arguments = [arguments, &["--remote", &forge, "-o", "json"]].concat();
    succeeded(project.run_with(&arguments, |command| {
        command.env("MLFLOW_TRACKING_URI", mlflow);
    }))
}

fn succeeded(ran: Ran) -> Value {
    assert_eq!(ran.code(), 0, "{ran:?}");
    ran.json()
}

/// The error of a command with the forge of the project.
fn refused(project: &Project, arguments: &[&str]) -> String {
    let ran = project.run(&[arguments, &["--remote", &project.forge()]].concat());
    assert_ne!(ran.code(), 0, "{arguments:?}: {ran:?}");
    ran.errors()
}

fn number(answer: &Value) -> String {
    answer["pullRequest"]["number"].as_u64().unwrap_or_else(|| panic!("{answer}")).to_string()
}

/// Takes over what was merged.
fn pull(project: &Project) {
    project.git(&["fetch", "--quiet", &project.forge(), "main"]);
    project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
}

/// The names of the jobs in a folder of the work tree.
fn names(project: &Project, folder: &str) -> Vec<String> {
    let files = project.list(folder).into_iter();
    files.filter_map(|file| Some(file.rsplit('/').next()?.strip_suffix(".yaml")?.to_owned())).collect()
}

fn file(folder: &str, job: &str) -> String {
    format!("{folder}/{job}.yaml")
}

fn tags(all: &[(&str, &str)]) -> Vec<Tag> {
    all.iter().map(|(name, value)| Tag::new(*name, *value)).collect()
}

/// A run as a worker leaves it.
async fn run(mlflow: &Mlflow, job: &str, status: RunStatus, of_run: &[(&str, &str)], begun: i64) -> String {
    let client = &mlflow.client;
    let experiment = client.get_or_create_experiment("digits").await.unwrap();
    let all = tags(&[&[(tag::TRAINJOB, job)], of_run].concat());
    let run = client.create_run(&experiment, job, &all, begun).await.unwrap();
    client.log_batch(&run.run_id, &[Metric::new("accuracy", 0.975, begun, 0)], &[], &[]).await.unwrap();
    if status != RunStatus::Running {
        client.update_run(&run.run_id, status, begun + TOOK).await.unwrap();
    }
    run.run_id
}

/// The same, and a version that it registered.
async fn registered(mlflow: &Mlflow, job: &str) -> String {
    let id = run(mlflow, job, RunStatus::Finished, &[(tag::GATE, "passed")], begun()).await;
    let client = &mlflow.client;
    let experiment = client.get_or_create_experiment("digits").await.unwrap();
    let logged = client.create_logged_model(&experiment, "model", &id, &[], &[]).await.unwrap();
    client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Ready).await.unwrap();
    client.get_or_create_registered_model("mnist").await.unwrap();
    let digest = format!("sha256:{}", "b".repeat(64));
    let of_version = tags(&[(tag::TRAINJOB, job), (tag::DIGEST, &digest)]);
    let source = format!("models:/{}", logged.model_id);
    client.create_model_version("mnist", &source, &id, &logged.model_id, &of_version).await.unwrap();
    id
}

/// Commits the record of a job in place of its file, as a merged pull request leaves it.
fn archived_by_hand(project: &Project, job: &str, result: JobResult) {
    let path = file(JOBS, job);
    let text = project.read(&path);
    let record = Record::new(&read_job(&path, &text).unwrap(), result);
    project.write(&file(HISTORY, job), &String::from_utf8(record.to_bytes(text.as_bytes())).unwrap());
    std::fs::remove_file(project.root().join(&path)).unwrap();
    project.commit("archived");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
}

fn finished() -> JobResult {
    let begun = begun();
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(begun / 1000 + seconds).unwrap();
    JobResult { started: Some(at(0)), ..JobResult::new(JobState::Finished, at(90)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_moves_to_the_history_once_and_comes_back_to_the_byte() {
    let (project, jobs) = started();
    let mlflow = Mlflow::start().await;
    let url = mlflow.url.as_str();
    let [done, other] = jobs.as_slice() else { panic!("{jobs:?}") };
    let before = project.read(&file(JOBS, done));
    assert!(refused(&project, &["archive"]).contains("is asked of its MLflow: no loop is running here"));
    let nothing = ask_with(&project, url, &["archive"]);
    assert_eq!(
        (&nothing["records"], &nothing["stays"], &nothing["pullRequest"]),
        (&json!([]), &json!(jobs), &Value::Null)
    );

    let id = registered(&mlflow, done).await;
    run(&mlflow, other, RunStatus::Running, &[], begun()).await;
    let dry = ask_with(&project, url, &["archive", "--dry-run"]);
    assert_eq!((&dry["stays"], &dry["pullRequest"]), (&json!([other]), &Value::Null), "{dry}");
    assert_eq!(ask_with(&project, url, &["archive", "--older-than", "720h", "--dry-run"])["records"], json!([]));

    // nobody has kept what its workers printed
    assert_eq!(dry["withoutLogs"], json!([done]), "{dry}");
    let forge = project.forge();
    let ran = project.run_with(&["archive", "--dry-run", "--remote", &forge], |command| {
        command.env("MLFLOW_TRACKING_URI", url);
    });
    assert!(
        ran.errors().contains(&format!(
            "no log of 1 TrainJob is kept with a run, and the merge takes the pods with their logs away: {done}."
        )),
        "{ran:?}"
    );
    let of_run = mlflow.client.get_run(&id).await.unwrap();
    mlflow.client.log_artifact(&of_run, "logs/worker-0.log", "epoch 1\n".as_bytes().to_vec()).await.unwrap();
    assert_eq!(ask_with(&project, url, &["archive", "--dry-run"])["withoutLogs"], json!([]));

    // once, however often it is asked for
    let opened = ask_with(&project, url, &["archive"]);
    let first = number(&opened);
    let record = &opened["records"][0];
    assert_eq!((&record["name"], &record["result"]["state"]), (&json!(done), &json!("finished")), "{opened}");
    assert_eq!((&record["result"]["run"], &record["result"]["version"]), (&json!(id), &json!(1)), "{opened}");
    assert_eq!((&record["result"]["seconds"], &record["result"]["cpuHours"]), (&json!(90.0), &json!(0.05)), "{opened}");
    assert_eq!(number(&ask_with(&project, url, &["archive"])), first);
    let shown = ask(&project, &["show", &first]);
    assert_eq!((&shown["title"], &shown["labels"]), (&json!("Record 1 ended TrainJob in local"), &json!(["history"])));

    // for git it is a move, and the report says what it is
    let forge = project.forge();
    let branch = shown["branch"].as_str().unwrap();
    let moved = git(Path::new(&forge), &["diff", "--find-renames", "--name-status", "main", branch]);
    assert!(moved.starts_with('R') && moved.lines().count() == 1, "{moved}");
    let report = ask(&project, &["report", &first]);
    assert_eq!(
        (&report["conclusion"], &report["summary"]),
        (&json!("success"), &json!("archives 1 TrainJob, 1 stays")),
        "{report}"
    );
    ask(&project, &["merge", &first]);
    pull(&project);
    assert_eq!((names(&project, JOBS), names(&project, HISTORY)), (vec![other.clone()], vec![done.clone()]));
    assert!(project.read(&file(HISTORY, done)).ends_with(&format!("\n---\n{before}")));

    // it has run: nothing asks for it any more
    let checked = ask_without_remote(&project, &["check"]);
    assert_eq!(
        (&checked["jobs"], &checked["records"], &checked["drafts"]),
        (&json!(1), &json!(1), &json!([])),
        "{checked}"
    );
    assert_eq!(ask_without_remote(&project, &["render", "--check"])["written"], json!([]));
    assert_eq!(ask_without_remote(&project, &["render"]), json!({"written": [], "removed": []}));
    assert_eq!(ask_without_remote(&project, &["plan"])["changes"][0]["starts"], json!([]));
    assert!(ask(&project, &["propose", EXPERIMENTS])["pullRequest"].is_null());
    assert!(ask_with(&project, url, &["archive"])["pullRequest"].is_null());
    let message = refused(&project, &["cancel", done]);
    assert!(message.contains(&format!("{done} has ended")) && message.contains(HISTORY), "{message}");
    assert!(refused(&project, &["archive", done]).contains("is archived already: overlays/local/history/"));
    assert_eq!(ask(&project, &["report", &first, "--dry-run"])["summary"], "moved 1 ended TrainJob to the history");
    let traced = ask(&project, &["trace", done]);
    assert_eq!(
        (&traced["trainJob"]["file"], &traced["trainJob"]["record"]),
        (&json!(file(JOBS, done)), &json!(file(HISTORY, done)))
    );
    assert!(refused(&project, &["trace", "digits"]).contains(done), "an experiment names its archived jobs as well");

    // a rerun is another job
    project.write(EXPERIMENTS, &EXPERIMENT.replace("  budget", "  rerun: 2\n  budget"));
    assert_eq!(
        ask(&project, &["propose", EXPERIMENTS, "--dry-run"])["plan"]["changes"][0]["starts"].as_array().unwrap().len(),
        2
    );
    project.write(EXPERIMENTS, EXPERIMENT);

    // the way back
    let undone = ask(&project, &["revert", &first]);
    assert_eq!(undone["plan"]["changes"][0]["starts"][0]["name"], json!(done), "{undone}");
    ask(&project, &["merge", &number(&undone)]);
    pull(&project);
    assert_eq!((project.read(&file(JOBS, done)), names(&project, HISTORY)), (before, vec![]));
    assert_eq!(project.run(&["check"]).code(), 0);
}

/// Runs a command that knows no remote, as JSON; it succeeds.
fn ask_without_remote(project: &Project, arguments: &[&str]) -> Value {
    succeeded(project.run(&[arguments, &["-o", "json"]].concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_on_this_machine_decides_whether_its_jobs_have_ended() {
    let (project, jobs) = started();
    let mlflow = Mlflow::start().await;
    for job in &jobs {
        // each failed a moment ago, and could be started again
        let begun = OffsetDateTime::now_utc().unix_timestamp() * 1000 - TOOK;
        run(&mlflow, job, RunStatus::Failed, &[(tag::FAILURE, "no memory")], begun).await;
    }
    let unsettled = ask_with(&project, &mlflow.url, &["archive", "--dry-run"]);
    assert_eq!((&unsettled["records"], &unsettled["stays"]), (&json!([]), &json!(jobs)), "{unsettled}");
    let nobody = || "http://127.0.0.1:9".to_owned();
    let folder = project.root().join(".slipway");
    let held = StateFolder::take(&folder, false).unwrap();
    let state = State {
        pid: std::process::id(),
        s3: nobody(),
        mlflow: mlflow.url.clone(),
        server: nobody(),
        page: nobody(),
        manager: nobody(),
        monitor: nobody(),
        forge: project.forge().into(),
        kubeconfig: folder.join("kubeconfig"),
    };
    state.publish(&held).unwrap();
    for (job, phase) in jobs.iter().zip(["Failed", "Running"]) {
        let job = folder.join("jobs").join(job);
        std::fs::create_dir_all(&job).unwrap();
        std::fs::write(job.join("status.yaml"), format!("phase: {phase}\nconditions: []\njobsStatus: []\n")).unwrap();
    }
    let by_name = ask_without_remote(&project, &["archive", "digits", "--dry-run"]);
    let archive = || ask_without_remote(&project, &["archive", "--dry-run"]);
    let found = archive();
    assert_eq!(by_name["records"], found["records"], "an experiment stands for its TrainJobs");
    assert_eq!((&found["records"][0]["name"], &found["stays"]), (&json!(jobs[0]), &json!([jobs[1]])), "{found}");
    assert_eq!(found["records"][0]["result"]["reason"], "no memory");

    // merged there, it is shown by what is merged there
    let opened = ask_without_remote(&project, &["archive", "--label", "tidy"]);
    ask(&project, &["merge", &number(&opened)]);
    let history = ask_without_remote(&project, &["history"]);
    assert_eq!(history["records"][0]["name"], json!(jobs[0]), "the work tree does not have it yet: {history}");
    let status = ask_without_remote(&project, &["status"]);
    let shown = status["jobs"].as_array().unwrap().iter().find(|one| one["name"] == json!(jobs[0])).unwrap();
    assert_eq!((&shown["archived"], &shown["cpuHours"]), (&json!(true), &json!(1.0)), "{status}");
}

#[test]
fn what_has_ended_is_said_to_have_ended_and_how_it_runs_again() {
    let (project, jobs) = started();
    for job in &jobs {
        archived_by_hand(&project, job, finished());
    }
    let forge = project.forge();
    for arguments in [&["plan"][..], &["plan", EXPERIMENTS], &["propose", EXPERIMENTS, "--remote", &forge]] {
        let ran = project.run(arguments);
        assert_eq!((ran.code(), ran.errors().as_str()), (0, ""), "{ran:?}");
        for says in [
            "digits in local: 2 TrainJobs have ended, in the history (`slipway history digits`); `rerun: 2` below its `spec` runs it again\n",
            "nothing to do: 2 TrainJobs have ended, in the history\n",
        ] {
            assert!(ran.text().contains(says), "{arguments:?}: {ran:?}");
        }
    }
    let planned = project.run(&["plan", "-o", "json"]).json();
    let expected = json!([{ "environment": "local", "experiment": "digits", "jobs": 2, "rerun": 2 }]);
    assert_eq!(planned["ended"], expected, "{planned}");
    // an experiment names all of its TrainJobs
    let message = refused(&project, &["archive", "digits"]);
    assert!(message.contains("digits is archived already: its TrainJobs are in overlays/local/history"), "{message}");
    assert!(refused(&project, &["archive", "digit"]).contains("local has no TrainJob digit"));
}

#[test]
fn the_history_is_a_table_with_sums() {
    let (project, jobs) = started();
    assert!(project.run(&["history"]).text().contains("no TrainJob is in the history"));
    let mut failed = finished();
    failed.state = JobState::Failed;
    failed.reason = Some("worker 1:\nno memory".to_owned());
    failed.ended += time::Duration::hours(1);
    archived_by_hand(&project, &jobs[0], finished());
    archived_by_hand(&project, &jobs[1], failed);
    let ran = project.run(&["history", "digits"]);
    assert_eq!((ran.code(), ran.errors().as_str()), (0, ""), "{ran:?}");
    let text = ran.text();
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("digits-")).collect();
    assert!(rows[0].contains(&jobs[1]) && rows[0].contains("failed: worker 1: no memory"), "the newest first: {text}");
    assert!(rows[1].contains("1 min 30 s") && rows[1].contains("learningRate="), "{text}");
    // 90 s and 3690 s of two CPUs, each at 0.50 EUR an hour
    assert!(text.contains("2 TrainJobs: 1 finished, 1 failed; 2.1 CPU-hours, 1.05 EUR"), "{text}");

    let json = ask_without_remote(&project, &["history", "--limit", "1"]);
    assert_eq!((json["records"].as_array().unwrap().len(), &json["totals"]["records"]), (1, &json!(2)));
    assert_eq!(json["totals"]["states"], json!({"finished": 1, "failed": 1}));
    assert_eq!(ask_without_remote(&project, &["history", "digit"])["totals"]["records"], 0);
    assert_eq!(ask_without_remote(&project, &["history", "--env", "local"])["totals"]["records"], 2);
    let unknown = project.run(&["history", "--environment", "moon"]);
    assert!(
        unknown.code() == 3 && unknown.errors().contains("unknown environment `moon`; known: local"),
        "{unknown:?}"
    );
    project.write(&file(HISTORY, &jobs[0]), "x: [");
    let broken = project.run(&["history"]);
    assert!(broken.code() == 0 && broken.errors().contains("1 record cannot be read"), "{broken:?}");
    let checked = project.run(&["check", "-o", "json"]);
    assert_eq!(
        (checked.code(), checked.findings()),
        (3, vec![format!("{}:1:1 record-without-job", file(HISTORY, &jobs[0]))])
    );
}

#[test]
fn a_plan_expects_what_the_history_has_without_mlflow() {
    let (project, jobs) = started();
    project.write(EXPERIMENTS, &EXPERIMENT.replace("  budget", "  rerun: 2\n  budget"));
    let expected = |project: &Project| {
        let opened = number(&ask(project, &["propose", EXPERIMENTS]));
        project.run(&["report", &opened, "--dry-run", "--remote", &project.forge()]).text()
    };
    let without = expected(&project);
    assert!(without.contains("| CPU-hours | ⚠ no history | 2 |"), "{without}");
    project.git(&["checkout", "--quiet", EXPERIMENTS]);
    archived_by_hand(&project, &jobs[0], finished());
    project.write(EXPERIMENTS, &EXPERIMENT.replace("  budget", "  rerun: 2\n  budget"));
    let with = expected(&project);
    assert!(with.contains("| CPU-hours | 0.1 | 2 |") && !with.contains("no history"), "{with}");
    assert!(with.contains("| price | `0.05 EUR` | `1.00 EUR` |") && !with.contains("Nothing is expected"), "{with}");
}

#[test]
fn a_proposal_is_undone_although_a_trial_of_it_has_run() {
    let (project, jobs) = started();
    archived_by_hand(&project, &jobs[0], finished());
    let undone = ask(&project, &["revert", "1"]);
    let change = &undone["plan"]["changes"][0];
    assert_eq!((&change["stops"], &change["archived"]), (&json!([jobs[1]]), &json!([])), "{undone}");
    ask(&project, &["merge", &number(&undone)]);
    pull(&project);
    assert_eq!((names(&project, JOBS), names(&project, HISTORY)), (vec![], vec![jobs[0].clone()]));
    assert_eq!(project.run(&["check"]).code(), 0);
    assert_eq!(project.run(&["render", "--check"]).code(), 4, "the other one is a draft");
}

#[test]
fn the_last_trial_beside_archived_ones_stays_cancelled() {
    let (project, jobs) = started();
    archived_by_hand(&project, &jobs[0], finished());
    let opened = ask(&project, &["cancel", "digits"]);
    assert_eq!(opened["plan"]["changes"][0]["stops"], json!([jobs[1]]), "{opened}");
    ask(&project, &["merge", &number(&opened)]);
    pull(&project);
    assert!(project.read(EXPERIMENTS).contains(&format!("\n  cancelled: [{}]\n", jobs[1])));
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
    assert!(refused(&project, &["cancel", "digits"]).contains("digits has ended, so there is nothing to cancel"));
}

#[test]
fn archives_of_different_jobs_do_not_conflict_and_one_of_a_cancelled_job_is_resolved_by_rendering() {
    let (project, jobs) = started();
    let base = project.git(&["rev-parse", "HEAD"]);
    let on_branch = |branch: &str, change: &dyn Fn()| {
        project.git(&["checkout", "--quiet", "-b", branch, &base]);
        change();
        project.git(&["add", "-A"]);
        project.git(&["commit", "--quiet", "-m", branch]);
    };
    let archive = |job: &str| {
        let path = file(JOBS, job);
        let text = project.read(&path);
        let record = Record::new(&read_job(&path, &text).unwrap(), finished());
        project.write(&file(HISTORY, job), &String::from_utf8(record.to_bytes(text.as_bytes())).unwrap());
        std::fs::remove_file(project.root().join(&path)).unwrap();
    };
    on_branch("one", &|| archive(&jobs[0]));
    on_branch("two", &|| archive(&jobs[1]));
    project.git(&["merge", "--quiet", "--no-edit", "one"]);
    assert_eq!((names(&project, JOBS), names(&project, HISTORY)), (vec![], jobs.clone()));
    assert_eq!(project.run(&["check"]).code(), 0);

    // one is cancelled on a branch while main archives it: both take its file away, and git sees a move against a deletion
    on_branch("cancelled", &|| std::fs::remove_file(project.root().join(file(JOBS, &jobs[0]))).unwrap());
    project.git(&["push", "--quiet", &project.forge(), "one:main", "cancelled"]);
    project.open_by_hand_as(2, "cancelled");
    let report = ask(&project, &["report", "2", "--dry-run"]);
    assert_eq!(report["conclusion"], "failure", "{report}");
    ask(&project, &["render", "--pull-request", "2"]);
    assert_eq!(ask(&project, &["report", "2", "--dry-run"])["conclusion"], "success");
    ask(&project, &["merge", "2"]);
    pull(&project);
    assert_eq!((names(&project, JOBS), names(&project, HISTORY)), (vec![jobs[1].clone()], vec![jobs[0].clone()]));
}

#[test]
fn a_record_that_nobody_moved_there_is_said_in_the_report() {
    let (project, jobs) = started();
    let path = file(JOBS, &jobs[0]);
    let text = project.read(&path);
    let record = Record::new(&read_job(&path, &text).unwrap(), finished());
    // another file below the record than the one that runs
    let other = text.replace("numNodes: 2", "numNodes: 2   # as it was");
    project.git(&["checkout", "--quiet", "-b", "forged"]);
    project.write(&file(HISTORY, &jobs[0]), &String::from_utf8(record.to_bytes(other.as_bytes())).unwrap());
    std::fs::remove_file(project.root().join(&path)).unwrap();
    project.commit("forged");
    project.git(&["push", "--quiet", &project.forge(), "forged"]);
    project.open_by_hand_as(2, "forged");
    let report = project.run(&["report", "2", "--dry-run", "--remote", &project.forge()]).text();
    assert!(report.contains("below this record stands another file than"), "{report}");

    // a record of a job that is rendered nowhere: the trial would never start
    project.git(&["checkout", "--quiet", "-b", "blocked", "main"]);
    project.write(
        &file(HISTORY, "digits-00000000"),
        &String::from_utf8(record.to_bytes(text.as_bytes())).unwrap().replace(&jobs[0], "digits-00000000"),
    );
    project.commit("blocked");
    project.git(&["push", "--quiet", &project.forge(), "blocked"]);
    project.open_by_hand_as(3, "blocked");
    let report = project.run(&["report", "3", "--dry-run", "--remote", &project.forge()]).text();
    assert!(report.contains("1 record of the history without a file of its TrainJob that moves"), "{report}");
}

#[test]
fn a_shallow_clone_traces_what_only_the_record_has() {
    let (project, jobs) = started();
    archived_by_hand(&project, &jobs[0], finished());
    project.write("notes.txt", "later");
    project.commit("later");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    let clone = project.root().join("../shallow");
    let url = format!("file://{}", project.forge());
    git(&project.root(), &["clone", "--quiet", "--depth=1", &url, &clone.display().to_string()]);
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["trace", &jobs[0], "--branch", "HEAD", "-o", "json"])
        .current_dir(&clone)
        .output()
        .unwrap();
    let traced: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(5), "this machine lacks a part of the history: {traced}");
    assert_eq!(traced["trainJob"]["file"], json!(file(JOBS, &jobs[0])), "{traced}");
    assert_eq!(traced["trainJob"]["record"], json!(file(HISTORY, &jobs[0])));
    let blob = project.git(&["rev-parse", &format!("HEAD~2:{}", file(JOBS, &jobs[0]))]);
    assert_eq!(traced["trainJob"]["blob"], json!(blob), "the file is in the record to the byte");
    assert_eq!(traced["dataset"]["name"], "ten");
}
