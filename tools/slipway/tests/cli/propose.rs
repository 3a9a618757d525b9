//! `slipway propose` against a bare repository.

use std::path::Path;

use crate::project::{EXPERIMENT, Project, git};

fn files(project: &Project, revision: &str) -> Vec<String> {
    let listing = git(Path::new(&project.forge()), &["ls-tree", "-r", "--name-only", revision]);
    listing.lines().map(str::to_owned).collect()
}

#[test]
fn a_proposal_is_a_branch_with_the_experiment_and_its_jobs() {
    let project = Project::new();
    // neither committed nor staged, beside other unfinished work
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    project.write("notes.txt", "unfinished");
    project.write("experiments/broken.yaml", "not mine to mend");
    let before = project.git(&["status", "--porcelain"]);

    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &project.forge(), "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let opened = &ran.json()["pullRequest"];
    assert_eq!(opened["number"], 1);
    assert_eq!(project.git(&["status", "--porcelain"]), before);
    assert_eq!(project.git(&["branch", "--list"]).lines().count(), 1);

    let branch = opened["branch"].as_str().unwrap();
    let there = files(&project, branch);
    assert_eq!(there.iter().filter(|file| file.starts_with("overlays/local/training-jobs/digits-")).count(), 2);
    assert!(!there.iter().any(|file| file == "notes.txt" || file == "experiments/broken.yaml"), "{there:?}");
    let forge = project.forge();
    let log = git(Path::new(&forge), &["log", "--format=%H %s", "main..refs/pull/1/head"]);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "the experiment, then what is rendered from it: {log}");
    let job = there.iter().find(|file| file.contains("training-jobs/digits-")).unwrap();
    let text = git(Path::new(&forge), &["show", &format!("{branch}:{job}")]);
    assert!(text.contains(lines[1].split(' ').next().unwrap()), "it names the commit of its experiment: {text}");

    // the same again is the same pull request
    let again = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!(again.json()["pullRequest"]["number"], 1, "{again:?}");
}

#[test]
fn a_plan_is_shown_and_a_dry_run_opens_nothing() {
    let project = Project::new();
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &project.forge(), "--dry-run"]);
    assert_eq!(ran.code(), 0);
    for word in ["learningRate=0.001", "2 workers", "at most 2 of 4 CPU-hours", "1.00 EUR", "dry run"] {
        assert!(ran.text().contains(word), "{word}: {}", ran.text());
    }
    assert!(git(Path::new(&project.forge()), &["for-each-ref", "refs/pull"]).is_empty());
    let markdown = project.run(&["plan", "--markdown"]).text();
    assert!(markdown.contains("| starts | parameters |"), "{markdown}");
}

#[test]
fn what_is_merged_needs_no_proposal_and_what_is_gone_is_withdrawn() {
    let project = Project::new();
    let forge = project.forge();
    project.run(&["render"]);
    project.commit("rendered");
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    let nothing = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!((nothing.code(), nothing.json()["pullRequest"].is_null()), (0, true));

    std::fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()["plan"]["changes"][0]["stops"].as_array().unwrap().len(), 2);
    let there = files(&project, "refs/pull/1/head");
    assert!(!there.iter().any(|file| file.contains("digits")), "{there:?}");
}

#[test]
fn what_is_wrong_is_not_proposed() {
    let project = Project::new();
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("cpuHours: 4", "cpuHours: 1"));
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &project.forge()]);
    assert_eq!(ran.code(), 3);
    assert!(ran.errors().contains("experiments/digits.yaml:12:22"), "{}", ran.errors());
    assert!(git(Path::new(&project.forge()), &["for-each-ref", "refs/pull"]).is_empty());
    // a remote that does not exist, and a project without one
    assert_eq!(project.run(&["propose", "experiments/digits.yaml", "--remote", "/nowhere"]).code(), 3);
    assert_eq!(project.run(&["propose", "experiments/digits.yaml"]).code(), 3);
}

#[test]
fn a_project_in_a_folder_of_a_repository_is_proposed_there() {
    let project = Project::inside("mono/ml");
    let forge = project.forge();
    std::fs::write(project.top().join("mono/notes.txt"), "of others").unwrap();
    project.commit("others");
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    assert_eq!(project.run(&["check"]).code(), 0);
    assert_eq!(project.run(&["plan"]).code(), 0);
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));

    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()["plan"]["changes"][0]["starts"].as_array().unwrap().len(), 2);
    let there = files(&project, "refs/pull/1/head");
    let jobs = there.iter().filter(|file| file.starts_with("mono/ml/overlays/local/training-jobs/digits-"));
    assert_eq!(jobs.count(), 2, "{there:?}");
    assert!(there.iter().all(|file| file.starts_with("mono/")), "{there:?}");
    assert!(there.contains(&"mono/notes.txt".to_owned()), "{there:?}");
    let text = git(Path::new(&forge), &["show", "refs/pull/1/head:mono/ml/experiments/digits.yaml"]);
    assert!(text.contains("epochs: 2"), "{text}");

    // merged, nothing is left to do, and a new job names the commit of its experiment
    git(Path::new(&forge), &["update-ref", "refs/heads/main", "refs/pull/1/head"]);
    project.git(&["fetch", "--quiet", &forge, "main"]);
    project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
    let again = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!((again.code(), again.json()["pullRequest"].is_null()), (0, true), "{again:?}");
    project.git(&["rm", "--quiet", "-r", "overlays/local/training-jobs"]);
    project.commit("cancelled");
    project.run(&["render"]);
    let job = std::fs::read_to_string(project.root().join(&project.list("overlays/local/training-jobs")[0])).unwrap();
    assert!(job.contains(&project.git(&["rev-parse", "HEAD"])), "{job}");
}

#[test]
fn a_signed_proposal_or_none() {
    let project = Project::new();
    let forge = project.forge();
    project.git(&["config", "commit.gpgsign", "true"]);
    project.git(&["config", "gpg.program", "false"]);
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 5, "{ran:?}");
    assert!(ran.errors().contains("could not be signed"), "{}", ran.errors());
    assert!(git(Path::new(&forge), &["for-each-ref", "refs/pull", "refs/heads/slipway"]).is_empty());
}

#[test]
fn a_hook_that_proposes_leaves_its_own_commit_alone() {
    use std::os::unix::fs::PermissionsExt;

    let project = Project::new();
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let hook = project.root().join(".git/hooks/pre-commit");
    let program = env!("CARGO_BIN_EXE_slipway");
    let script =
        format!("#!/bin/sh\nexec '{program}' propose experiments/digits.yaml --remote '{}'\n", project.forge());
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    // `-a` gives the hook an index of its own by GIT_INDEX_FILE
    project.git(&["commit", "--quiet", "-a", "-m", "mine"]);
    assert_eq!(project.git(&["show", "--format=", "--name-only", "HEAD"]), "experiments/digits.yaml");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(git(Path::new(&project.forge()), &["for-each-ref", "refs/pull"]).lines().count(), 1);
}
