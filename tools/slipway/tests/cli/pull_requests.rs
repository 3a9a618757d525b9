//! The life of pull requests in a bare repository: cancel, merge in each way, undo, render what is missing, show and report.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::project::{EXPERIMENT, Project, git};

const EXPERIMENTS: &str = "experiments/digits.yaml";
const JOBS: &str = "overlays/local/training-jobs";

/// Runs a command with the forge of the project, as JSON; it succeeds.
fn ask(project: &Project, arguments: &[&str]) -> Value {
    let forge = project.forge();
    let ran = project.run(&[arguments, &["--remote", &forge, "-o", "json"]].concat());
    assert_eq!(ran.code(), 0, "{arguments:?}: {ran:?}");
    ran.json()
}

/// The error of a command with the forge of the project.
fn refused(project: &Project, arguments: &[&str]) -> String {
    let forge = project.forge();
    let ran = project.run(&[arguments, &["--remote", &forge]].concat());
    assert_ne!(ran.code(), 0, "{arguments:?}: {ran:?}");
    ran.errors()
}

fn number(answer: &Value) -> String {
    answer["pullRequest"]["number"].as_u64().unwrap_or_else(|| panic!("{answer}")).to_string()
}

/// The rendered TrainJobs at a revision of the forge, by name.
fn jobs(project: &Project, revision: &str) -> Vec<String> {
    let listing = git(Path::new(&project.forge()), &["ls-tree", "--name-only", revision, &format!("{JOBS}/")]);
    let names = listing.lines().filter_map(|path| path.strip_prefix(JOBS)?.strip_prefix('/')?.strip_suffix(".yaml"));
    names.filter(|name| name.starts_with("digits-")).map(str::to_owned).collect()
}

/// A project whose experiment of two trials is merged.
fn started() -> Project {
    let project = Project::new();
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    ask(&project, &["merge", &opened]);
    assert_eq!(jobs(&project, "main").len(), 2);
    project
}

/// Takes over what was merged.
fn pull(project: &Project) {
    project.git(&["fetch", "--quiet", &project.forge(), "main"]);
    project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
}

#[test]
fn a_cancelled_experiment_has_no_jobs_and_is_a_draft() {
    let project = started();
    let planned = ask(&project, &["cancel", "digits", "--dry-run"]);
    assert!(planned["pullRequest"].is_null(), "{planned}");
    let opened = ask(&project, &["cancel", "digits"]);
    assert_eq!(opened["plan"]["changes"][0]["stops"].as_array().unwrap().len(), 2, "{opened}");
    assert_eq!(number(&ask(&project, &["cancel", "digits"])), number(&opened), "the same again is the same one");
    ask(&project, &["merge", &number(&opened)]);
    assert!(jobs(&project, "main").is_empty());
    pull(&project);
    let checked = project.run(&["check"]);
    assert_eq!(checked.code(), 0);
    assert!(checked.text().contains("experiments/digits.yaml was cancelled in local (2 TrainJobs)"), "{checked:?}");
    assert_eq!(project.run(&["check", "-o", "json"]).json()["drafts"][0]["state"], "cancelled");
    let trial = opened["plan"]["changes"][0]["stops"][0].as_str().unwrap().to_owned();
    for name in ["digits", &trial] {
        let message = refused(&project, &["cancel", name]);
        assert!(message.contains(&format!("{name} was cancelled already, so there is nothing to cancel")), "{message}");
    }
    assert!(refused(&project, &["cancel", "cats"]).contains("nothing on main has the name cats"));
    // it can be started again, and that is said
    let again = "warning: digits in local: 2 TrainJobs that were cancelled or replaced start again";
    let forge = project.forge();
    for arguments in [&["plan"][..], &["propose", EXPERIMENTS, "--dry-run", "--remote", &forge]] {
        let ran = project.run(arguments);
        assert!(ran.code() == 0 && ran.errors().contains(again), "{ran:?}");
    }
}

#[test]
fn what_has_not_started_has_nothing_to_cancel() {
    let project = Project::new();
    let message = refused(&project, &["cancel", "digits"]);
    assert!(message.contains("digits has not started, so there is nothing to cancel"), "{message}");
    assert_eq!(project.run(&["check", "-o", "json"]).json()["drafts"][0]["state"], "notStarted");
    let planned = project.run(&["plan"]);
    assert_eq!((planned.code(), planned.errors().as_str()), (0, ""), "{planned:?}");
}

#[test]
fn who_has_not_started_the_loop_is_told_how() {
    let project = Project::new();
    git(&project.top(), &["clone", "--quiet", ".", "../clone"]);
    project.git(&["remote", "add", "origin", project.top().join("../clone").to_str().unwrap()]);
    for command in [&["merge", "1"][..], &["show", "1"], &["report", "1"], &["propose", EXPERIMENTS]] {
        let ran = project.run(command);
        let says = "no loop is running here, so this is about the remote origin: start the loop with `slipway up`";
        assert!(ran.code() == 3 && ran.errors().contains(says), "{command:?}: {ran:?}");
    }
    // `status` says nothing else either
    let status = project.run(&["status"]);
    assert_eq!((status.code(), status.errors().as_str()), (0, ""), "{status:?}");
    assert!(status.text().contains("start one with `slipway up`"), "{status:?}");
    let message = refused(&project, &["show", "99"]);
    assert!(message.contains("there is no pull request #99: `slipway status` lists those that are open"), "{message}");
}

#[test]
fn a_cancelled_trial_stays_cancelled_when_the_others_are_rendered_again() {
    let project = started();
    let all = jobs(&project, "main");
    let opened = ask(&project, &["cancel", &all[0]]);
    assert_eq!(opened["plan"]["changes"][0]["stops"], serde_json::json!([all[0]]), "{opened}");
    ask(&project, &["merge", &number(&opened)]);
    assert_eq!(jobs(&project, "main"), all[1..]);
    pull(&project);
    let text = project.read(EXPERIMENTS);
    assert!(text.contains(&format!("\n  cancelled: [{}]\n", all[0])), "{text}");
    assert_eq!(project.run(&["check"]).code(), 0);
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
    // the last one needs no mention: without TrainJobs it is a draft
    ask(&project, &["merge", &number(&ask(&project, &["cancel", &all[1]]))]);
    pull(&project);
    assert_eq!(project.read(EXPERIMENTS), text);
    assert_eq!(project.run(&["check"]).code(), 0);
    // a change of the experiment gives its trials other names
    project.write(EXPERIMENTS, &text.replace("epochs: 3", "epochs: 2"));
    let warned = project.run(&["check"]);
    assert!(warned.errors().contains("[unknown-cancelled]"), "{warned:?}");
}

#[test]
fn one_that_is_closed_is_not_merged_and_can_be_proposed_again() {
    let project = Project::new();
    let first = number(&ask(&project, &["propose", EXPERIMENTS]));
    ask(&project, &["close", &first]);
    ask(&project, &["close", &format!("#{first}")]);
    assert!(refused(&project, &["merge", &first]).contains("is closed already"));
    let second = number(&ask(&project, &["propose", EXPERIMENTS]));
    assert_ne!(first, second);
    ask(&project, &["merge", &second]);
    assert!(refused(&project, &["close", &second]).contains("is merged: `slipway revert "));
    assert!(refused(&project, &["close", "x"]).contains("a pull request has a number, such as 7"));
}

#[test]
fn a_name_that_is_not_there_is_said_with_a_near_one() {
    let project = started();
    let message = refused(&project, &["cancel", "digit"]);
    assert!(message.contains("did you mean digits?"), "{message}");
    let message = refused(&project, &["cancel", "digits", "--environment", "moon"]);
    assert!(message.contains("unknown environment `moon`"), "{message}");
}

#[test]
fn whichever_way_it_was_merged_it_can_be_undone() {
    for method in ["merge", "squash", "rebase"] {
        let project = Project::new();
        let before = git(Path::new(&project.forge()), &["rev-parse", "main^{tree}"]);
        let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
        assert!(refused(&project, &["revert", &opened]).contains("is open"));
        // somebody adds a commit to the branch, so that a rebase makes two
        let branch = ask(&project, &["show", &opened])["branch"].as_str().unwrap().to_owned();
        project.git(&["fetch", "--quiet", &project.forge(), &branch]);
        project.git(&["checkout", "--quiet", "FETCH_HEAD"]);
        project.write("experiments/README.md", "what is tried here\n");
        project.git(&["add", "-A"]);
        project.git(&["commit", "--quiet", "-m", "Say what is tried"]);
        project.git(&["push", "--quiet", &project.forge(), &format!("HEAD:{branch}")]);
        project.git(&["checkout", "--quiet", "main"]);

        let merged = ask(&project, &["merge", &opened, "--method", method]);
        let parents = git(Path::new(&project.forge()), &["log", "-1", "--format=%P", "main"]);
        assert_eq!(parents.split(' ').count(), if method == "merge" { 2 } else { 1 }, "{method}");
        assert_eq!(merged["commit"].as_str().unwrap(), git(Path::new(&project.forge()), &["rev-parse", "main"]));
        assert_eq!(ask(&project, &["show", &opened])["state"], "merged");
        // something else goes on in between
        project.git(&["fetch", "--quiet", &project.forge(), "main"]);
        project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        let undone = ask(&project, &["revert", &opened]);
        assert_eq!(undone["plan"]["changes"][0]["stops"].as_array().unwrap().len(), 2, "{undone}");
        assert_eq!(number(&ask(&project, &["revert", &opened])), number(&undone), "{method}");
        ask(&project, &["merge", &number(&undone), "--method", method]);
        assert_eq!(git(Path::new(&project.forge()), &["rev-parse", "main^{tree}"]), before, "{method}");
        let nothing = ask(&project, &["revert", &opened]);
        assert!(nothing["pullRequest"].is_null(), "{method}: {nothing}");
    }
}

/// As on a web page: the branch `by-hand` with the experiment alone, and the first pull request.
fn edited_by_hand(project: &Project) {
    project.git(&["checkout", "--quiet", "-b", "by-hand"]);
    project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    project.commit("Two epochs");
    project.git(&["push", "--quiet", &project.forge(), "by-hand"]);
    project.open_by_hand("by-hand");
}

#[test]
fn what_was_edited_without_the_command_line_is_rendered_and_pushed() {
    let project = Project::new();
    let forge = project.forge();
    edited_by_hand(&project);
    let rendered = ask(&project, &["render", "--pull-request", "1"]);
    assert_eq!(rendered["written"].as_array().unwrap().len(), 2, "{rendered}");
    assert_eq!(jobs(&project, "by-hand").len(), 2);
    // the bare repository's reference of the pull request is still at the commit that it was opened with
    assert_eq!(ask(&project, &["report", "1"])["conclusion"], "success");
    let head = git(Path::new(&forge), &["rev-parse", "by-hand"]);
    let again = ask(&project, &["render", "--pull-request", "1"]);
    assert_eq!(again["written"], serde_json::json!([]), "{again}");
    assert_eq!(git(Path::new(&forge), &["rev-parse", "by-hand"]), head, "the second run changes nothing");
}

#[test]
fn two_proposals_of_one_experiment_both_end_well() {
    let project = started();
    pull(&project);
    let first = EXPERIMENT.replace("epochs: 3", "epochs: 2");
    let second = EXPERIMENT.replace("deadline: 30m", "deadline: 20m");
    assert!(first != second && second != EXPERIMENT, "{EXPERIMENT}");
    project.write(EXPERIMENTS, &first);
    let one = number(&ask(&project, &["propose", EXPERIMENTS]));
    project.write(EXPERIMENTS, &second);
    let two = number(&ask(&project, &["propose", EXPERIMENTS]));
    ask(&project, &["merge", &one]);
    let stale = ask(&project, &["report", &two, "--dry-run"]);
    assert_eq!(stale["conclusion"], "failure", "its TrainJobs are not what the merged experiment asks for: {stale}");
    assert!(refused(&project, &["merge", &two]).contains("is red"));
    let rendered = ask(&project, &["render", "--pull-request", &two]);
    assert_eq!(rendered["written"].as_array().unwrap().len(), 2, "{rendered}");
    assert_eq!(ask(&project, &["report", &two, "--dry-run"])["conclusion"], "success");
    ask(&project, &["merge", &two]);
    pull(&project);
    assert_eq!(project.run(&["check"]).code(), 0);
    assert_eq!(jobs(&project, "main").len(), 2);
    let text = project.read(EXPERIMENTS);
    assert!(text.contains("epochs: 2") && text.contains("deadline: 20m"), "{text}");
}

#[test]
fn a_draft_that_was_rendered_again_is_found_by_what_it_does() {
    let project = started();
    pull(&project);
    project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let draft = number(&ask(&project, &["propose", EXPERIMENTS, "--draft"]));
    project.write(EXPERIMENTS, &EXPERIMENT.replace("deadline: 30m", "deadline: 20m"));
    let other = number(&ask(&project, &["propose", EXPERIMENTS]));
    assert_ne!(other, draft);
    ask(&project, &["merge", &other]);
    ask(&project, &["render", "--pull-request", &draft]);
    pull(&project);
    let merged = project.read(EXPERIMENTS);
    project.write(EXPERIMENTS, &merged.replace("epochs: 3", "epochs: 2"));
    assert_eq!(number(&ask(&project, &["propose", EXPERIMENTS])), draft);
    assert_eq!(ask(&project, &["show", &draft])["isDraft"], false);
    // another change of the same experiment is another one
    project.write(EXPERIMENTS, &merged.replace("epochs: 3", "epochs: 1"));
    assert_ne!(number(&ask(&project, &["propose", EXPERIMENTS])), draft);
    ask(&project, &["merge", &draft]);
}

#[test]
fn a_cancelled_trial_does_not_start_again_from_a_folder_without_the_cancellation() {
    const MINE: &str = "experiments/mine.yaml";
    let project = Project::new();
    let forge = project.forge();
    // never committed here
    let text = EXPERIMENT.replace("name: digits", "name: mine");
    project.write(MINE, &text);
    let opened = ask(&project, &["propose", MINE]);
    let job = opened["plan"]["changes"][0]["starts"][0]["name"].as_str().unwrap().to_owned();
    ask(&project, &["merge", &number(&opened)]);
    ask(&project, &["merge", &number(&ask(&project, &["cancel", &job]))]);
    let cancelled = git(Path::new(&forge), &["show", &format!("main:{MINE}")]);
    assert!(cancelled.contains(&format!("cancelled: [{job}]")), "{cancelled}");

    let nothing = ask(&project, &["propose", MINE]);
    assert!(nothing["pullRequest"].is_null(), "{nothing}");
    project.write(MINE, &text.replace("epochs: 3", "epochs: 2"));
    let opened = number(&ask(&project, &["propose", MINE]));
    let proposed = git(Path::new(&forge), &["show", &format!("refs/pull/{opened}/head:{MINE}")]);
    assert_eq!(proposed, cancelled.replace("epochs: 3", "epochs: 2"));

    // a pull, as README.md says it
    project.git(&["fetch", "--quiet", &forge, "main"]);
    project.git(&["checkout", "--quiet", "FETCH_HEAD", "--", MINE]);
    project.git(&["merge", "--quiet", "--ff-only", "FETCH_HEAD"]);
    assert_eq!(project.read(MINE).trim_end(), cancelled);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_report_shows_what_changes_in_the_experiment_file() {
    let project = started();
    pull(&project);
    project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    ask(&project, &["report", &opened]);
    let report = ask(&project, &["show", &opened])["report"][0].as_str().unwrap().to_owned();
    assert!(report.contains("<details><summary>1 experiment file changed</summary>"), "{report}");
    assert!(report.contains("\n-  training: {epochs: 3,") && report.contains("\n+  training: {epochs: 2,"), "{report}");
}

#[test]
fn a_new_image_on_main_is_rendered_into_what_is_proposed_and_into_nothing_else() {
    let project = started();
    pull(&project);
    let running = jobs(&project, "main");
    project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    project.git(&["checkout", "--quiet", "--", "."]);
    let cluster = "clusters/local/cluster.yaml";
    let image = |text: &str| text.lines().find(|line| line.contains("trainerImage:")).unwrap().to_owned();
    let (before, digest) = (project.read(cluster), "f".repeat(64));
    let newer = format!("  trainerImage: registry.local/newer@sha256:{digest}");
    project.write(cluster, &before.replace(&image(&before), &newer));
    project.commit("A new image");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);

    assert_eq!(ask(&project, &["report", &opened, "--dry-run"])["conclusion"], "failure");
    let red = refused(&project, &["merge", &opened]);
    assert!(red.contains("is red") && red.contains("--force merges it as it is"), "{red}");
    ask(&project, &["render", "--pull-request", &opened]);
    assert_eq!(ask(&project, &["report", &opened, "--dry-run"])["conclusion"], "success");
    ask(&project, &["merge", &opened]);
    pull(&project);
    let started = jobs(&project, "main");
    assert!(started.iter().all(|job| !running.contains(job)), "{started:?}");
    assert_eq!(project.run(&["check"]).code(), 0);
}

#[test]
fn a_branch_is_rendered_by_its_name_unless_it_has_moved() {
    let project = Project::new();
    let forge = project.forge();
    edited_by_hand(&project);
    let head = project.git(&["rev-parse", "HEAD"]);
    let render = ["render", "--head", "anybody:by-hand", "--commit", &head];
    let rendered = ask(&project, &render);
    assert_eq!(rendered["written"].as_array().unwrap().len(), 2, "{rendered}");
    let moved = git(Path::new(&forge), &["rev-parse", "by-hand"]);
    // once more for the same commit: what is there now is somebody else's task
    assert_eq!(ask(&project, &render)["written"], serde_json::json!([]));
    // what its author must mend is no failure of a workflow
    project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", "epochs: three"));
    project.commit("A mistake");
    project.git(&["push", "--quiet", "--force", &forge, "by-hand"]);
    let wrong = project.git(&["rev-parse", "HEAD"]);
    let wrong = project.run(&["render", "--head", "anybody:by-hand", "--commit", &wrong, "--remote", &forge]);
    assert!(wrong.code() == 0 && wrong.errors().contains("epochs"), "{wrong:?}");
    project.git(&["push", "--quiet", "--force", &forge, &format!("{moved}:refs/heads/by-hand")]);
    ask(&project, &["close", "1"]);
    let closed = project.run(&["render", "--head", "anybody:by-hand", "--commit", &moved, "--remote", &forge]);
    assert!(closed.code() == 0 && closed.text().contains("nothing is done"), "{closed:?}");
    assert_eq!(project.run(&["render", "--head", "by-hand", "--commit", &head, "--remote", &forge]).code(), 3);
    assert_eq!(git(Path::new(&forge), &["rev-parse", "by-hand"]), moved);
}

#[test]
fn open_pull_requests_are_drafts_and_labelled_as_asked() {
    let project = Project::new();
    project.write(".github/CODEOWNERS", "/overlays/ @alice\n/datasets/ @carol\n");
    project.commit("Code owners");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    let asked = ["propose", EXPERIMENTS, "--reviewer", "bob", "--label", "urgent"];
    let opened = number(&ask(&project, &[&asked[..], &["--draft"]].concat()));
    let shown = ask(&project, &["show", &opened]);
    assert_eq!((&shown["isDraft"], &shown["labels"]), (&Value::Bool(true), &serde_json::json!(["train", "urgent"])));
    assert_eq!(shown["reviewers"], serde_json::json!([]), "nobody is asked to review a draft");
    assert!(refused(&project, &["merge", &opened]).contains("draft"));
    // ready, and so for the code owners too
    assert_eq!(number(&ask(&project, &asked)), opened);
    ask(&project, &["propose", EXPERIMENTS, "--reviewer", "octo/ml"]);
    let shown = ask(&project, &["show", &opened]);
    assert_eq!(shown["reviewers"], serde_json::json!(["bob", "alice", "octo/ml"]), "{shown}");
    let text = project.run(&["show", &opened, "--remote", &project.forge()]).text();
    assert!(text.contains("\nasked for a review: bob, alice, octo/ml\n"), "{text}");
    // nobody can approve anything in a bare repository, so no approval is missing
    ask(&project, &["report", &opened]);
    let report = ask(&project, &["show", &opened])["report"][0].as_str().unwrap().to_owned();
    assert!(report.contains("**Reviewed is what runs:**"), "{report}");
    // as many are asked when it is new
    let first = EXPERIMENT.replace("epochs: 3", "epochs: 2");
    project.write(EXPERIMENTS, &first);
    let second = number(&ask(&project, &asked));
    assert_eq!(ask(&project, &["show", &second])["reviewers"], serde_json::json!(["bob", "alice"]));
    ask(&project, &["merge", &opened]);
}

#[test]
fn a_report_is_written_once_and_shown() {
    let project = Project::new();
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    let first = ask(&project, &["report", &opened]);
    assert_eq!((&first["changed"], &first["conclusion"]), (&Value::Bool(true), &Value::from("success")), "{first}");
    let again = ask(&project, &["report", &opened]);
    assert_eq!(again["changed"], false, "{again}");
    let shown = ask(&project, &["show", &opened]);
    let report = shown["report"][0].as_str().unwrap();
    for part in ["2 TrainJobs", "CPU-hours", "1.00 EUR", "learningRate"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn a_description_is_shown_for_a_terminal_until_there_is_a_report() {
    let project = Project::new();
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    let body = ask(&project, &["show", &opened])["body"].as_str().unwrap().to_owned();
    assert!(body.contains("**") && body.contains("|---|"), "{body}");
    let text = project.run(&["show", &opened, "--remote", &project.forge()]).text();
    assert!(
        text.contains("CPU-hours") && text.contains(&format!("no report yet: `slipway report {opened}`")),
        "{text}"
    );
    for mark in ["**", "|---|", "<details>", "<summary>", "<code>"] {
        assert!(!text.contains(mark), "{mark}: {text}");
    }
}

#[test]
fn a_report_that_is_not_about_what_is_there_now_says_so() {
    let project = Project::new();
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    let outdated = || ask(&project, &["show", &opened])["outdated"].clone();
    assert!(outdated().is_null(), "there is none");
    ask(&project, &["report", &opened]);
    assert!(outdated().is_null(), "{}", outdated());
    let says = |words: &str| {
        let said = outdated();
        assert!(said.as_str().is_some_and(|said| said.contains(words)), "{words}: {said}");
        let text = project.run(&["show", &opened, "--remote", &project.forge()]).text();
        assert!(text.contains(words), "{words}: {text}");
    };
    let again = format!("`slipway report {opened}` writes a newer one");

    // main moves
    project.write("notes.txt", "of others");
    project.git(&["add", "notes.txt"]);
    project.git(&["commit", "--quiet", "-m", "Notes"]);
    let before = git(Path::new(&project.forge()), &["rev-parse", "main"]);
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    let now = project.git(&["rev-parse", "HEAD"]);
    says(&format!("this report is for main at {}, and main is at {} now; {again}", &before[..8], &now[..8]));
    ask(&project, &["report", &opened]);
    assert!(outdated().is_null(), "{}", outdated());
    assert_eq!(ask(&project, &["report", &opened])["changed"], false);

    // the branch moves
    let shown = ask(&project, &["show", &opened]);
    let (branch, head) = (shown["branch"].as_str().unwrap(), shown["head"].as_str().unwrap().to_owned());
    project.git(&["fetch", "--quiet", &project.forge(), branch]);
    project.git(&["checkout", "--quiet", "FETCH_HEAD"]);
    project.write("more.txt", "more");
    project.git(&["add", "more.txt"]);
    project.git(&["commit", "--quiet", "-m", "More"]);
    project.git(&["push", "--quiet", &project.forge(), &format!("HEAD:{branch}")]);
    let moved = project.git(&["rev-parse", "HEAD"]);
    project.git(&["checkout", "--quiet", "main"]);
    says(&format!("this report is for {}, and the branch is at {} now; {again}", &head[..8], &moved[..8]));

    ask(&project, &["report", &opened]);
    ask(&project, &["merge", &opened]);
    says(&format!("the plan from before the merge; `slipway report {opened}` writes what came of it"));
    ask(&project, &["report", &opened]);
    assert!(outdated().is_null(), "{}", outdated());
}

#[test]
fn a_conflict_is_resolved_by_the_commands_that_are_named_everywhere() {
    let project = started();
    pull(&project);
    let forge = project.forge();
    let mut opened = Vec::new();
    for epochs in ["epochs: 2", "epochs: 1"] {
        project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", epochs));
        opened.push(number(&ask(&project, &["propose", EXPERIMENTS])));
    }
    project.git(&["checkout", "--quiet", "--", "."]);
    let (one, two) = (&opened[0], &opened[1]);
    let branch = ask(&project, &["show", two])["branch"].as_str().unwrap().to_owned();
    ask(&project, &["merge", one]);

    let at = Path::new(&forge).canonicalize().unwrap().display().to_string();
    let commands = format!(
        "merge `main` into its branch: `git fetch {at} {branch}`, `git switch --detach FETCH_HEAD`, \
         `git pull --no-rebase -X find-renames=100% {at} main`; decide in the files, then \
         `git add --all`, `git commit`, `git push {at} HEAD:{branch}` and `slipway render --pull-request {two}`"
    );
    ask(&project, &["report", two]);
    let report = ask(&project, &["show", two])["report"][0].as_str().unwrap().to_owned();
    assert!(report.contains(&format!("a person decides: {commands}")), "{report}");
    let red = refused(&project, &["merge", two]);
    assert!(red.contains(&format!("`slipway show {two}` say what to do")) && !red.contains("--force"), "{red}");
    for arguments in [&["merge", two, "--force"][..], &["render", "--pull-request", two]] {
        let said = refused(&project, arguments);
        assert!(said.contains(&commands), "{arguments:?}: {said}");
    }

    project.git(&["fetch", "--quiet", &at, &branch]);
    project.git(&["switch", "--quiet", "--detach", "FETCH_HEAD"]);
    let identity = ["-c", "user.name=A Person", "-c", "user.email=a@example.org"];
    let arguments = ["pull", "--no-rebase", "-X", "find-renames=100%", &at, "main"];
    let pulled = Command::new("git").args(identity).args(arguments).current_dir(project.root()).output().unwrap();
    assert!(!pulled.status.success(), "there is a conflict");
    assert!(project.read(EXPERIMENTS).contains("<<<<<<<"));
    project.write(EXPERIMENTS, &EXPERIMENT.replace("epochs: 3", "epochs: 4"));
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "-m", "Decide"]);
    project.git(&["push", "--quiet", &at, &format!("HEAD:{branch}")]);
    project.git(&["switch", "--quiet", "main"]);
    ask(&project, &["render", "--pull-request", two]);
    ask(&project, &["merge", two]);
    pull(&project);
    assert!(project.read(EXPERIMENTS).contains("epochs: 4"));
    assert_eq!(project.run(&["check"]).code(), 0);
}

/// Each environment has an MLflow of its own, and a training manager that writes its own part of the comment.
#[test]
fn a_report_by_hand_keeps_what_the_comment_says_of_other_environments() {
    let project = Project::new();
    let staging = project.read("clusters/local/cluster.yaml").replace("name: local", "name: staging");
    project.write("clusters/staging/cluster.yaml", &staging);
    project.write("overlays/staging/server/models.yaml", "models: []\n");
    project.commit("another environment");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    project.write(EXPERIMENTS, &format!("{EXPERIMENT}  environments: [local, staging]\n"));
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    ask(&project, &["merge", &opened]);

    let message = refused(&project, &["report", &opened]);
    assert!(message.contains("say with --environment of which one your MLflow is (local, staging)"), "{message}");
    let message = refused(&project, &["report", &opened, "--environment", "moon"]);
    assert!(message.contains("#1 did nothing in moon; it did in: local, staging"), "{message}");
    let all = ask(&project, &["report", &opened, "--dry-run"]);
    assert_eq!(all["summary"], "4 trials waiting", "nothing is written, so all of them may be in it: {all}");
    let comment = || ask(&project, &["show", &opened])["report"][0].as_str().unwrap_or_default().to_owned();
    let says = |environment: &str| comment().contains(&format!("### Slipway in `{environment}`: 2 trials waiting"));
    ask(&project, &["report", &opened, "--environment", "staging"]);
    assert!(says("staging") && !says("local"), "{}", comment());
    ask(&project, &["report", &opened, "--environment", "local"]);
    assert!(says("staging") && says("local"), "{}", comment());
    let again = ask(&project, &["report", &opened, "--environment", "staging"]);
    assert_eq!(again["changed"], false, "{again}");
}

#[test]
fn the_same_again_is_the_same_pull_request_after_main_has_moved() {
    let project = started();
    pull(&project);
    let mut others = 0;
    // somebody else merges something that has nothing to do with it
    let mut moves = || {
        others += 1;
        project.write("notes.txt", &format!("{others} of others"));
        project.git(&["add", "notes.txt"]);
        project.git(&["commit", "--quiet", "-m", "Notes"]);
        project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    };
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let again: [&[&str]; 3] = [&["propose", EXPERIMENTS], &["cancel", "digits"], &["revert", "1"]];
    for arguments in again {
        let opened = number(&ask(&project, arguments));
        moves();
        assert_eq!(number(&ask(&project, arguments)), opened, "{arguments:?}");
    }
    assert_eq!(number(&ask(&project, &["propose", EXPERIMENTS])), "2");

    // another change of the same experiment is another one
    let opened = number(&ask(&project, &["propose", EXPERIMENTS]));
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 1"));
    let other = number(&ask(&project, &["propose", EXPERIMENTS]));
    assert_ne!(other, opened);

    // one that was closed is not taken again
    ask(&project, &["close", &other]);
    moves();
    let third = number(&ask(&project, &["propose", EXPERIMENTS]));
    assert_ne!(third, other);
}

#[test]
fn at_most_one_pull_request_pins_images_and_none_when_main_has_them() {
    let project = Project::new();
    let image = |digit: &str| format!("registry.example.org/acme/trainer@sha256:{}", digit.repeat(64));
    let pin = |digit: &str| ask(&project, &["image", "pin", "--open", &image(digit)])["pullRequest"].clone();
    let number = |pin: &Value| pin["number"].as_u64().unwrap_or_else(|| panic!("{pin}")).to_string();
    let first = pin("a");
    assert_eq!(project.git(&["status", "--porcelain"]), "", "a file here has changed");
    assert_eq!(pin("a"), first);
    let newer = pin("b");
    assert_eq!(newer["number"], first["number"]);
    assert_ne!(newer["commit"], first["commit"]);
    ask(&project, &["merge", &number(&first)]);
    let merged = git(Path::new(&project.forge()), &["show", "main:clusters/local/cluster.yaml"]);
    assert!(merged.contains(&image("b")), "{merged}");
    assert!(pin("b").is_null());

    // one that would bring others back is closed
    let other = number(&pin("c"));
    assert!(pin("b").is_null());
    let error = refused(&project, &["merge", &other]);
    assert!(error.contains("closed"), "{error}");
}
