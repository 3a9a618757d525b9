//! `slipway trace`: from a version or a job to the exact experiment, the commit of main and the pull request, whichever way it was merged.

use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::project::{EXPERIMENT, Project, Ran, git};

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    /// A merge commit.
    Commit,
    /// One new commit with everything.
    Squash,
    /// New commits with the same changes, on top of a main that moved meanwhile.
    Rebase,
    /// A queue: several pull requests are merged on a temporary branch, then main moves to its end.
    QueueOfMerges,
    /// A queue that squashes.
    QueueOfSquashes,
}

/// A project with its forge, on which this test merges as GitHub does.
struct Hub {
    project: Project,
}

impl Hub {
    fn new() -> Self {
        Self { project: Project::new() }
    }

    fn forge(&self, arguments: &[&str]) -> String {
        git(Path::new(&self.project.forge()), arguments)
    }

    /// Proposes an experiment from today's main; the number of the pull request and the names of the jobs that it starts.
    fn propose(&self, text: &str) -> (u64, Vec<String>) {
        self.project.git(&["fetch", "--quiet", &self.project.forge(), "main"]);
        self.project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        self.project.write("experiments/digits.yaml", text);
        let ran =
            self.project.run(&["propose", "experiments/digits.yaml", "--remote", &self.project.forge(), "-o", "json"]);
        assert_eq!(ran.code(), 0, "{ran:?}");
        let json = ran.json();
        let starts = json["plan"]["changes"][0]["starts"].as_array().unwrap();
        let names = starts.iter().map(|start| start["name"].as_str().unwrap().to_owned()).collect();
        (json["pullRequest"]["number"].as_u64().unwrap(), names)
    }

    /// Merges a pull request and removes its branch. The forge's own record is not told, as on GitHub nothing in the repository is.
    fn merge(&self, number: u64, merge: Merge) {
        let desk = self.clone(&format!("desk-{number}"), &[]);
        let at_desk = |arguments: &[&str]| git(&desk, arguments);
        let other = |file: &str, message: &str| {
            std::fs::write(desk.join(file), file).unwrap();
            at_desk(&["add", "."]);
            at_desk(&["commit", "--quiet", "-m", message]);
        };
        at_desk(&["fetch", "--quiet", "origin", &format!("refs/pull/{number}/head")]);
        let head = at_desk(&["rev-parse", "FETCH_HEAD"]);
        let title = at_desk(&["log", "-1", "--format=%s", &head]);
        let merged = format!("Merge pull request #{number} from octo/slipway/digits\n\n{title}");
        let squashed = format!("{title} (#{number})");
        match merge {
            Merge::Commit => drop(at_desk(&["merge", "--quiet", "--no-ff", "-m", &merged, &head])),
            Merge::Squash => {
                at_desk(&["merge", "--quiet", "--squash", &head]);
                at_desk(&["commit", "--quiet", "-m", &squashed]);
            }
            Merge::Rebase => {
                other("others.txt", "Of others");
                at_desk(&["cherry-pick", &format!("origin/main..{head}")]);
            }
            Merge::QueueOfMerges | Merge::QueueOfSquashes => {
                let queue = format!("gh-readonly-queue/main/pr-{number}-{}", at_desk(&["rev-parse", "HEAD"]));
                at_desk(&["checkout", "--quiet", "-b", "before", "HEAD"]);
                other("before.txt", "Another pull request");
                at_desk(&["checkout", "--quiet", "-b", "after", "HEAD~1"]);
                other("after.txt", "Yet another");
                at_desk(&["checkout", "--quiet", "-b", &queue, "main"]);
                for (branch, merged, squashed) in [
                    ("before", "Merge pull request #901 from octo/before", "Another (#901)"),
                    (&head, &merged, &squashed),
                    ("after", "Merge pull request #902 from octo/after", "Yet another (#902)"),
                ] {
                    if merge == Merge::QueueOfMerges {
                        at_desk(&["merge", "--quiet", "--no-ff", "-m", merged, branch]);
                    } else {
                        at_desk(&["merge", "--quiet", "--squash", branch]);
                        at_desk(&["commit", "--quiet", "-m", squashed]);
                    }
                }
            }
        }
        at_desk(&["push", "--quiet", "origin", "HEAD:main"]);
        for branch in self.forge(&["for-each-ref", "--format=%(refname)", "refs/heads/slipway"]).lines() {
            self.forge(&["update-ref", "-d", branch]);
        }
    }

    /// A fresh clone, which has the branches alone.
    fn clone(&self, name: &str, options: &[&str]) -> PathBuf {
        let folder = self.project.root().parent().unwrap().join(name);
        let (url, path) = (format!("file://{}", self.project.forge()), folder.display().to_string());
        git(&self.project.root(), &[&["clone", "--quiet"], options, &[&url, &path]].concat());
        folder
    }

    /// The commit of main's first-parent history that brought what main holds at a path now.
    fn brought(&self, path: &str) -> String {
        self.forge(&["log", "-1", "--first-parent", "--format=%H", "main", "--", path])
    }
}

fn run(folder: &Path, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(arguments).current_dir(folder).env_remove("SLIPWAY_REMOTE").env_remove("MLFLOW_TRACKING_URI");
    change(&mut command);
    Ran::of(command.output().unwrap())
}

fn trace(folder: &Path, subject: &str) -> Ran {
    run(folder, &["trace", subject, "-o", "json"], |_| {})
}

#[rstest]
#[case(Merge::Commit)]
#[case(Merge::Squash)]
#[case(Merge::Rebase)]
#[case(Merge::QueueOfMerges)]
#[case(Merge::QueueOfSquashes)]
fn every_kind_of_merge_leaves_the_lineage_intact(#[case] merge: Merge) {
    let hub = Hub::new();
    let text = EXPERIMENT.replace("epochs: 3", "epochs: 2");
    let (number, jobs) = hub.propose(&text);
    let proposed = hub.forge(&["ls-tree", "-r", &format!("refs/pull/{number}/head"), "overlays/local/training-jobs"]);
    hub.merge(number, merge);
    let merged = hub.forge(&["ls-tree", "-r", "main", "overlays/local/training-jobs"]);
    assert_eq!(merged, proposed, "the rendered bytes do not depend on how a person merges");

    let fresh = hub.clone("fresh", &[]);
    assert_eq!(run(&fresh, &["check"], |_| {}).code(), 0);
    for job in &jobs {
        let ran = trace(&fresh, job);
        assert_eq!(ran.code(), 0, "{ran:?}");
        let found = ran.json();
        let blob = found["experiment"]["blob"].as_str().unwrap();
        assert_eq!(git(&fresh, &["cat-file", "-p", blob]), text.trim_end(), "the exact content");
        let commit = hub.brought("experiments/digits.yaml");
        assert_eq!(found["experiment"]["commit"]["id"], commit);
        assert_eq!(git(&fresh, &["rev-parse", &format!("{commit}:experiments/digits.yaml")]), blob);
        assert_eq!(found["trainJob"]["commit"]["id"], commit);
        assert_eq!(found["experiment"]["commit"]["pullRequest"]["number"], number);
        assert_eq!(found["trainJob"]["commit"]["pullRequest"]["title"], "Train digits (2 TrainJobs)");
        assert_eq!(found["trainJob"]["file"], format!("overlays/local/training-jobs/{job}.yaml"));
        assert_eq!(found["trainJob"]["image"], "slipway/trainer:0.1.0");
        assert_eq!(found["dataset"]["name"], "ten");
        assert_eq!(found["history"]["branch"], format!("main of {}", hub.project.forge()));
        assert_eq!(found["unresolved"], json!([]));
    }
}

#[test]
fn each_content_of_an_experiment_leads_to_its_own_pull_request() {
    let hub = Hub::new();
    let (first, before) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    hub.merge(first, Merge::Squash);
    let of_first = hub.brought("experiments/digits.yaml");
    let (second, after) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 4"));
    hub.merge(second, Merge::Rebase);
    let of_second = hub.brought("experiments/digits.yaml");
    let expect = |folder: &Path, job: &str, number: u64, commit: &str| {
        let ran = trace(folder, job);
        assert_eq!(ran.code(), 0, "{ran:?}");
        for part in ["experiment", "trainJob"] {
            assert_eq!(ran.json()[part]["commit"]["id"], commit, "{part}: {ran:?}");
            assert_eq!(ran.json()[part]["commit"]["pullRequest"]["number"], number, "{part}: {ran:?}");
        }
    };
    // the first jobs are not on main any more
    let fresh = hub.clone("fresh", &[]);
    expect(&fresh, &before[0], first, &of_first);
    expect(&fresh, &after[0], second, &of_second);

    // a revert removes the second ones, and brings the first ones again
    let desk = hub.clone("desk-revert", &[]);
    git(&desk, &["revert", "--no-edit", &of_second]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:main"]);
    let fresh = hub.clone("reverted", &[]);
    assert!(!fresh.join(format!("overlays/local/training-jobs/{}.yaml", after[0])).exists());
    expect(&fresh, &before[0], first, &of_first);
    expect(&fresh, &after[0], second, &of_second);
    assert_eq!(run(&fresh, &["check"], |_| {}).code(), 0);
}

#[test]
fn a_job_that_is_rendered_later_has_a_commit_of_its_own() {
    let hub = Hub::new();
    // the experiment is on main since the first commit
    let (number, jobs) = hub.propose(EXPERIMENT);
    let first = hub.forge(&["rev-parse", "main"]);
    hub.merge(number, Merge::Squash);
    let found = trace(&hub.clone("fresh", &[]), &jobs[0]);
    // nobody proposed the first commit, which is said
    assert_eq!(found.code(), 0, "{found:?}");
    assert_eq!(found.json()["experiment"]["commit"]["id"], first);
    assert!(found.json()["experiment"]["commit"]["pullRequest"].is_null(), "{found:?}");
    assert_eq!(found.json()["trainJob"]["commit"]["pullRequest"]["number"], number);
    assert_eq!(found.json()["unresolved"][0]["part"], "pullRequest");
}

/// MLflow with version 3 of `mnist`, which a run of this job made.
async fn mlflow(tags: &Value) -> MockServer {
    let stub = MockServer::start().await;
    let run_id = "0123456789abcdef0123456789abcdef";
    let version = json!({ "name": "mnist", "version": "3", "status": "READY", "run_id": run_id, "tags": tags });
    let run = json!({ "run": { "info": { "run_id": run_id, "experiment_id": "1", "status": "FINISHED" }, "data": { "tags": tags } } });
    let search = || Mock::given(method("GET")).and(path_regex("model-versions/search$"));
    let answer = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let versions = || answer(json!({ "model_versions": [version.clone()] }));
    search().and(query_param("filter", "name = 'mnist'")).respond_with(versions()).mount(&stub).await;
    search().and(query_param("filter", "")).respond_with(versions()).mount(&stub).await;
    search().respond_with(answer(json!({}))).with_priority(9).mount(&stub).await;
    Mock::given(method("GET")).and(path_regex("runs/get$")).respond_with(answer(run)).mount(&stub).await;
    stub
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_and_a_run_lead_to_the_same_as_their_job() {
    let hub = Hub::new();
    let (number, jobs) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let job = hub.forge(&["show", &format!("refs/pull/{number}/head:overlays/local/training-jobs/{}.yaml", jobs[0])]);
    hub.merge(number, Merge::Squash);
    // what the trainer makes of the variables of its TrainJob
    let variable = |name: &str| {
        let line = job.lines().find(|line| line.contains(&format!("name: {name},"))).unwrap();
        line.split("value: ").nth(1).unwrap().trim_end_matches('}').replace('"', "")
    };
    let tags = json!([
        { "key": "slipway.trainjob", "value": jobs[0] },
        { "key": "slipway.experiment-file", "value": variable("SLIPWAY_EXPERIMENT_FILE") },
        { "key": "slipway.experiment-blob", "value": variable("SLIPWAY_EXPERIMENT_BLOB") },
        { "key": "slipway.dataset-digest", "value": format!("sha256:{}", "a".repeat(64)) },
        { "key": "slipway.digest", "value": format!("sha256:{}", "b".repeat(64)) },
    ]);
    let (stub, fresh) = (mlflow(&tags).await, hub.clone("fresh", &[]));
    let trace = |arguments: &[&str]| {
        run(&fresh, &[&["trace"], arguments].concat(), |command| {
            command.env("MLFLOW_TRACKING_URI", stub.uri());
        })
    };
    for subject in ["mnist", "mnist@3", "0123456789abcdef0123456789abcdef"] {
        let ran = trace(&[subject, "-o", "json"]);
        assert_eq!(ran.code(), 0, "{subject}: {ran:?}");
        let found = ran.json();
        assert_eq!(found["trainJob"]["name"], jobs[0]);
        assert_eq!(found["run"], "0123456789abcdef0123456789abcdef");
        assert_eq!(found["version"].is_null(), !subject.starts_with("mnist"));
        assert_eq!(found["experiment"]["commit"]["id"], hub.brought("experiments/digits.yaml"));
        assert_eq!(found["experiment"]["commit"]["pullRequest"]["number"], number);
        assert_eq!(found["dataset"]["digest"], format!("sha256:{}", "a".repeat(64)));
        assert_eq!(found["dataset"]["name"], "ten", "the tags have the digest alone, and the TrainJob has both");
        assert_eq!(found["unresolved"], json!([]));
    }
    let newest = trace(&["mnist"]).text();
    assert!(newest.contains("the newest one; mnist@1 names another"), "{newest}");
    let text = trace(&["mnist@3"]).text();
    assert!(!text.contains("the newest one"), "{text}");
    for words in ["mnist@3", &jobs[0], "experiments/digits.yaml", "#1", "git -C "] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for (subject, says) in [
        ("mnist@4", "mnist has no version 4; it has: 3"),
        ("mnist@three", "is not a version's number"),
        ("nothing", "no version of a model `nothing` is registered; registered are: mnist"),
        (
            "digits",
            &format!(
                "digits is an experiment: name one of its TrainJobs: {}, {}",
                jobs[0].clone().min(jobs[1].clone()),
                jobs[0].clone().max(jobs[1].clone())
            ),
        ),
    ] {
        let ran = trace(&[subject]);
        assert!(ran.code() == 3 && ran.errors().contains(says), "{subject}: {ran:?}");
    }
    // promote says the same of a model that does not exist
    let ran = run(&fresh, &["promote", "nothing"], |command| {
        command.env("MLFLOW_TRACKING_URI", stub.uri());
    });
    assert!(ran.code() == 3 && ran.errors().contains("registered are: mnist"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn promoting_again_takes_the_branch_that_is_there() {
    let hub = Hub::new();
    let stub = mlflow(&json!([
        { "key": "slipway.trainjob", "value": "digits-0123abcd" },
        { "key": "slipway.digest", "value": format!("sha256:{}", "b".repeat(64)) },
    ]))
    .await;
    let promote = |who: &str| {
        let arguments = ["promote", "mnist", "--version", "3", "--remote", &hub.project.forge(), "-o", "json"];
        let ran = hub.project.run_with(&arguments, |command| {
            command.env("MLFLOW_TRACKING_URI", stub.uri()).env("GIT_AUTHOR_NAME", who).env("GIT_AUTHOR_EMAIL", who);
        });
        assert_eq!((ran.code(), ran.errors().as_str()), (0, ""), "{ran:?}");
        let opened = &ran.json()["pullRequest"];
        (opened["number"].as_u64().unwrap(), opened["branch"].clone(), opened["commit"].clone())
    };
    let first = promote("ann");
    assert_eq!(first.0, 1);
    assert_eq!(promote("ben"), first, "it is open");
    // pushed, but the pull request could not be opened
    for name in ["refs/slipway/pull/1", "refs/pull/1/head"] {
        hub.forge(&["update-ref", "-d", name]);
    }
    assert_eq!(promote("ben"), first);

    // closed without a merge
    let record = hub.forge(&["show", "refs/slipway/pull/1"]).replace("\"open\"", "\"closed\"");
    hub.project.write("record", &record);
    let blob = hub.forge(&["hash-object", "-w", &hub.project.root().join("record").display().to_string()]);
    hub.forge(&["update-ref", "refs/slipway/pull/1", &blob]);
    let (_, branch, commit) = first;
    let second = (2, branch, commit);
    assert_eq!(promote("ben"), second, "a new pull request of the same branch");
    assert_eq!(promote("ann"), second, "it is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_branch_of_any_name_is_promoted_to_and_searched() {
    let hub = Hub::new();
    let (number, jobs) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    hub.merge(number, Merge::Squash);
    hub.forge(&["branch", "--move", "main", "trunk"]);
    let commit = hub.forge(&["rev-parse", "trunk"]);

    let tags = json!([
        { "key": "slipway.trainjob", "value": jobs[0] },
        { "key": "slipway.digest", "value": format!("sha256:{}", "b".repeat(64)) },
    ]);
    let stub = mlflow(&tags).await;
    let fresh = hub.clone("fresh", &[]);
    let ran = run(&fresh, &["promote", "mnist", "--version", "3", "-o", "json"], |command| {
        command.env("MLFLOW_TRACKING_URI", stub.uri());
    });
    assert_eq!(ran.code(), 0, "{ran:?}");
    let promoted = ran.json()["pullRequest"]["number"].as_u64().unwrap();
    let record = hub.forge(&["show", &format!("refs/slipway/pull/{promoted}")]);
    assert!(record.contains("\"base\": \"trunk\""), "{record}");
    assert_eq!(hub.forge(&["rev-parse", &format!("refs/pull/{promoted}/head^")]), commit);

    let ran = trace(&fresh, &jobs[0]);
    assert_eq!((ran.code(), ran.errors().as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.json()["history"]["branch"], format!("trunk of {}", hub.project.forge()));
    assert_eq!(ran.json()["experiment"]["commit"]["id"], commit);

    // what was fetched from a forge that is not on this machine
    git(&fresh, &["remote", "set-url", "origin", "https://github.com/octo/cat.git"]);
    let trace = || run(&fresh, &["trace", &jobs[0], "-o", "json"], |command| without_a_token(command, &fresh));
    let ran = trace();
    assert_eq!((ran.code(), ran.errors().as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.json()["history"]["branch"], "origin/trunk");
    assert_eq!(ran.json()["experiment"]["commit"]["id"], commit);
    // which branch is the default one is not known
    git(&fresh, &["remote", "set-head", "origin", "--delete"]);
    let ran = trace();
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()["history"]["branch"], "HEAD");
    for words in ["the default branch of origin is not known here", "git remote set-head origin --auto", "--branch"] {
        assert!(ran.errors().contains(words), "{words}: {ran:?}");
    }
}

/// GitHub without a token.
fn without_a_token(command: &mut Command, home: &Path) {
    for variable in ["GH_TOKEN", "GITHUB_TOKEN", "GH_HOST", "GITHUB_API_URL", "GITHUB_SERVER_URL"] {
        command.env_remove(variable);
    }
    command.env("HOME", home).env("GH_CONFIG_DIR", home);
}

#[test]
fn without_its_forge_the_message_of_the_merge_names_the_pull_request() {
    let hub = Hub::new();
    let (number, jobs) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    hub.merge(number, Merge::Squash);
    let fresh = hub.clone("fresh", &[]);
    // GitHub, without a token
    let (address, other) = ("https://github.com/octo/cat.git", "https://github.com/octo/dog.git");
    git(&fresh, &["remote", "set-url", "origin", address]);
    // nothing was fetched from the last one
    for (remote, branch) in [("origin", "origin/main"), (address, "origin/main"), (other, "HEAD")] {
        let ran = run(&fresh, &["trace", &jobs[0], "--remote", remote, "-o", "json"], |command| {
            without_a_token(command, &fresh);
        });
        assert_eq!(ran.code(), 0, "{ran:?}");
        let found = ran.json();
        assert_eq!(found["history"]["branch"], branch);
        assert_eq!(found["experiment"]["commit"]["id"], hub.brought("experiments/digits.yaml"));
        let commit = &found["experiment"]["commit"];
        assert_eq!(commit["pullRequest"], json!({ "number": number, "title": null, "url": null }));
        let reason = found["unresolved"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("no token for github.com"), "{reason}");
    }
}

#[test]
fn a_shallow_clone_names_no_commit_and_says_what_to_do() {
    let hub = Hub::new();
    let (number, jobs) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    hub.merge(number, Merge::Squash);
    let desk = hub.clone("desk-more", &[]);
    git(&desk, &["commit", "--quiet", "--allow-empty", "-m", "later"]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:main"]);
    let shallow = hub.clone("shallow", &["--depth=1"]);
    let traced = || run(&shallow, &["trace", &jobs[0], "--branch", "HEAD", "-o", "json"], |_| {});
    let ran = traced();
    assert_eq!(ran.code(), 5, "{ran:?}");
    let found = ran.json();
    assert_eq!((&found["history"]["complete"], &found["experiment"]["commit"]), (&json!(false), &Value::Null));
    assert!(found["experiment"]["blob"].is_string() && found["trainJob"]["commit"].is_null(), "{found}");
    let reason = found["unresolved"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("git fetch --unshallow"), "{reason}");
    git(&shallow, &["fetch", "--quiet", "--unshallow"]);
    let ran = traced();
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()["experiment"]["commit"]["id"], hub.brought("experiments/digits.yaml"));
}

#[test]
fn a_job_that_names_its_commit_is_traced_too() {
    let hub = Hub::new();
    let (project, text) = (&hub.project, EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    // as they were rendered before: a first commit with the experiment, a second with jobs that name the first
    project.write("experiments/digits.yaml", &text);
    project.commit("Train digits: the experiment");
    let named = project.git(&["rev-parse", "HEAD"]);
    project.run(&["render"]);
    let blob = project.git(&["rev-parse", "HEAD:experiments/digits.yaml"]);
    for file in project.list("overlays/local/training-jobs") {
        let job = project.read(&file).replace("experiment-blob", "commit").replace("EXPERIMENT_BLOB", "COMMIT");
        project.write(&file, &job.replace(&blob, &named));
    }
    project.commit("Train digits: its TrainJobs, rendered");
    assert_eq!(project.run(&["check"]).code(), 0);
    let before = project.list("overlays/local/training-jobs").iter().map(|file| project.read(file)).collect::<Vec<_>>();
    project.run(&["render"]);
    let after = project.list("overlays/local/training-jobs").iter().map(|file| project.read(file)).collect::<Vec<_>>();
    assert_eq!(before, after, "their bytes stay");

    let job = project.list("overlays/local/training-jobs")[0].rsplit('/').next().unwrap().replace(".yaml", "");
    let ran = run(&project.root(), &["trace", &job, "--branch", "HEAD", "-o", "json"], |_| {});
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(
        (&ran.json()["experiment"]["blob"], &ran.json()["experiment"]["commit"]["id"]),
        (&json!(blob), &json!(named))
    );

    // squashed, that commit is gone; the content beside the job is that of the job, which its name proves
    let desk = hub.clone("desk-squash", &[]);
    git(&desk, &["fetch", "--quiet", &project.root().display().to_string(), "HEAD"]);
    git(&desk, &["merge", "--quiet", "--squash", "FETCH_HEAD"]);
    git(&desk, &["commit", "--quiet", "-m", "Train digits (2 TrainJobs) (#1)"]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:main"]);
    let ran = trace(&hub.clone("fresh", &[]), &job);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()["experiment"]["blob"], blob);
    assert_eq!(ran.json()["experiment"]["commit"]["id"], hub.brought("experiments/digits.yaml"));
}

#[test]
fn what_is_not_merged_is_said() {
    let hub = Hub::new();
    let (_, jobs) = hub.propose(&EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let ran = trace(&hub.clone("fresh", &[]), &jobs[0]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert_eq!(ran.json()["unresolved"][0]["part"], "trainJob");
    let reason = ran.json()["unresolved"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("it is not merged"), "{reason}");
    // neither a job nor a model, and no MLflow to ask
    let ran = trace(&hub.clone("another", &[]), "mnist");
    assert!(ran.code() == 6 && ran.text().contains("no loop is running here"), "{ran:?}");
}
