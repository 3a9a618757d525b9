//! `slipway render` and what `check` says of rendered files.

use crate::project::{EXPERIMENT, Project};

const JOBS: &str = "overlays/local/training-jobs";

#[test]
fn rendering_twice_is_rendering_once() {
    let project = Project::new();
    let ran = project.run(&["render", "-o", "json"]);
    let files = project.list(JOBS);
    assert_eq!((ran.code(), files.len(), ran.json()["written"].as_array().unwrap().len()), (0, 2, 2));
    let texts: Vec<_> = files.iter().map(|file| project.read(file)).collect();
    let blob = project.git(&["rev-parse", "HEAD:experiments/digits.yaml"]);
    assert!(texts.iter().all(|text| text.contains(&blob)), "they name the content of their experiment");

    project.commit("rendered");
    let again = project.run(&["render", "-o", "json"]);
    assert_eq!(again.json()["written"].as_array().unwrap().len(), 0);
    assert_eq!(files.iter().map(|file| project.read(file)).collect::<Vec<_>>(), texts, "image and content are kept");
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
    assert_eq!(project.run(&["check"]).code(), 0);
    assert!(project.run(&["plan"]).text().contains("nothing to do"));
}

#[test]
fn the_check_fails_exactly_if_rendering_would_write() {
    let project = Project::new();
    let ran = project.run(&["render", "--check"]);
    assert_eq!(ran.code(), 4);
    assert!(
        ran.errors().starts_with("experiments/digits.yaml:1:1: 2 TrainJobs are not rendered yet for local"),
        "{ran:?}"
    );
    assert!(project.list(JOBS).is_empty());
    assert_eq!(
        project.run(&["render", "--check", "-o", "json"]).findings(),
        ["experiments/digits.yaml:1:1 not-rendered"]
    );

    project.write("experiments/other.yaml", &EXPERIMENT.replace("name: digits", "name: other"));
    project.run(&["render", "experiments/other.yaml"]);
    assert_eq!(project.run(&["render", "--check", "experiments/other.yaml"]).code(), 0);
    assert_eq!(project.run(&["render", "--check", "experiments/digits.yaml"]).code(), 4);
    project.run(&["render"]);
    assert_eq!(project.run(&["render", "--check"]).code(), 0);

    // no experiment names this environment, so it has nothing to render
    project.write(
        "clusters/staging/cluster.yaml",
        &project.read("clusters/local/cluster.yaml").replace("name: local", "name: staging"),
    );
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
}

#[test]
fn a_file_edited_by_hand_is_named_with_its_difference_and_restored() {
    let project = Project::new();
    project.run(&["render"]);
    let file = project.list(JOBS).remove(0);
    let text = project.read(&file);
    project.write(&file, &text.replace("numNodes: 2", "numNodes: 8"));
    let ran = project.run(&["check"]);
    assert_eq!(ran.code(), 4);
    assert!(ran.errors().starts_with(&file), "{}", ran.errors());
    assert!(ran.errors().contains("-    numNodes: 2") && ran.errors().contains("+    numNodes: 8"), "{}", ran.errors());
    assert_eq!(project.run(&["render", "--check"]).code(), 4);
    assert_eq!(project.run(&["render"]).code(), 0);
    assert_eq!(project.read(&file), text);
}

#[test]
fn a_changed_experiment_replaces_its_jobs() {
    let project = Project::new();
    project.run(&["render"]);
    project.commit("rendered");
    let before = project.list(JOBS);
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("0.003", "0.01"));
    let found = project.run(&["check", "-o", "json"]);
    assert_eq!(found.code(), 4);
    let mut codes: Vec<_> =
        found.findings().iter().map(|finding| finding.rsplit(' ').next().unwrap().to_owned()).collect();
    codes.sort();
    assert_eq!(codes, ["not-rendered", "stale"]);

    let plan = project.run(&["plan", "-o", "json"]).json();
    let change = &plan["changes"][0];
    assert_eq!(
        (change["starts"].as_array().unwrap().len(), change["stops"].as_array().unwrap().len(), &change["stays"]),
        (1, 1, &1.into())
    );
    assert_eq!((change["cpuHours"].as_f64(), change["cost"].as_f64()), (Some(1.0), Some(0.5)));

    project.run(&["render"]);
    let after = project.list(JOBS);
    assert_eq!(before.iter().filter(|file| after.contains(file)).count(), 1);
    assert_eq!(project.run(&["check"]).code(), 0);
}

#[test]
fn jobs_without_an_experiment_are_found_and_removed() {
    let project = Project::new();
    project.run(&["render"]);
    std::fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    let found = project.run(&["check", "-o", "json"]);
    assert!(found.code() == 4 && found.findings().iter().all(|finding| finding.ends_with("orphan")), "{found:?}");
    assert_eq!(project.run(&["render"]).code(), 0);
    assert!(project.list(JOBS).is_empty());
}

#[test]
fn rendering_one_experiment_leaves_the_others() {
    let project = Project::new();
    project.write("experiments/other.yaml", &EXPERIMENT.replace("name: digits", "name: other"));
    project.run(&["render", "experiments/other.yaml"]);
    assert!(project.list(JOBS).iter().all(|file| file.contains("/other-")) && project.list(JOBS).len() == 2);
    // the first one is a draft, which is not a mistake
    let checked = project.run(&["check"]);
    assert_eq!(checked.code(), 0);
    assert!(checked.text().contains("experiments/digits.yaml has not started in local (2 TrainJobs)"), "{checked:?}");
    // a mistake in another file does not matter
    project.write("experiments/digits.yaml", "nonsense");
    assert_eq!(project.run(&["render", "experiments/other.yaml"]).code(), 0);
    assert_eq!(project.run(&["render"]).code(), 3);
}

#[test]
fn an_experiment_is_rendered_for_the_environments_that_it_names() {
    let project = Project::new();
    let cluster = project.read("clusters/local/cluster.yaml");
    let staging = cluster.replace("name: local", "name: staging").replace("trainer:0.1.0", "trainer:0.2.0");
    project.write("clusters/staging/cluster.yaml", &staging);
    project.write("overlays/staging/server/models.yaml", "models: []\n");
    project.write("experiments/digits.yaml", &format!("{EXPERIMENT}  environments: [local, staging]\n"));
    assert_eq!(project.run(&["render"]).code(), 0);
    let (here, there) = (project.list(JOBS), project.list("overlays/staging/training-jobs"));
    assert_eq!((here.len(), there.len()), (2, 2));
    let names =
        |files: &[String]| files.iter().map(|file| file.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&here), names(&there), "the same trials");
    assert!(project.read(&there[0]).contains("trainer:0.2.0"), "each environment has its own image");
    // an environment that is no longer named loses its jobs
    project.write("experiments/digits.yaml", &format!("{EXPERIMENT}  environments: [staging]\n"));
    assert_eq!(project.run(&["check"]).code(), 4);
    assert_eq!(project.run(&["render"]).code(), 0);
    assert_eq!((project.list(JOBS).len(), project.list("overlays/staging/training-jobs").len()), (0, 2));
    assert_eq!(project.run(&["check"]).code(), 0);
}

#[test]
fn a_job_keeps_the_content_that_it_names_once_it_is_committed() {
    let project = Project::new();
    let named = || {
        let text = project.read(&project.list(JOBS)[0]);
        text.lines()
            .find_map(|line| line.trim().strip_prefix("slipway.dev/experiment-blob: "))
            .unwrap()
            .replace('"', "")
    };
    let edit = |comment: &str| {
        project.write("experiments/digits.yaml", &format!("{EXPERIMENT}# {comment}\n"));
        assert_eq!(project.run(&["render"]).code(), 0);
        project.git(&["hash-object", "experiments/digits.yaml"])
    };
    // an uncommitted job names what the experiment holds now: a content that is never committed could not be traced
    for comment in ["one", "two"] {
        let blob = edit(comment);
        assert_eq!(named(), blob, "{comment}");
    }
    project.write("experiments/digits.yaml", &format!("{EXPERIMENT}# three\n"));
    assert_eq!((project.run(&["check"]).code(), project.run(&["render", "--check"]).code()), (4, 4));
    edit("two");
    project.commit("rendered");
    let committed = named();
    // the job may be running now
    let third = edit("three");
    assert_eq!(named(), committed);
    assert_ne!(third, committed);
    project.commit("another comment");
    assert_eq!(project.run(&["check"]).code(), 0);
}

#[test]
fn a_content_that_the_experiment_never_had_is_found() {
    let project = Project::new();
    project.run(&["render"]);
    project.commit("rendered");
    project.write("experiments/digits.yaml", &format!("{EXPERIMENT}# a comment\n"));
    project.commit("a comment");
    assert_eq!(project.run(&["check"]).code(), 0, "the jobs name what the experiment held before");
    let url = format!("file://{}", project.root().display());
    let clone = project.root().join("../shallow");
    let check = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.arg("check").args(arguments).current_dir(&clone).output().unwrap()
    };
    crate::project::git(&project.root(), &["clone", "--quiet", "--depth=1", &url, &clone.display().to_string()]);
    let shallow = check(&[]);
    let text = String::from_utf8_lossy(&shallow.stderr).into_owned();
    assert!(shallow.status.success() && text.contains("git fetch --unshallow"), "{text}");
    assert_eq!(check(&["--complete"]).status.code(), Some(5));

    let file = project.list(JOBS).remove(0);
    let blob = project.git(&["rev-parse", "HEAD~1:experiments/digits.yaml"]);
    project.write(&file, &project.read(&file).replace(&blob, &"0".repeat(40)));
    let ran = project.run(&["check", "-o", "json"]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert_eq!(ran.findings(), [format!("{file}:10:5 unknown-content")]);
    assert!(ran.text().contains("no commit up to HEAD has experiments/digits.yaml with the content 0000"), "{ran:?}");
}

#[test]
fn a_new_job_with_another_image_is_found_by_what_it_is_merged_into() {
    let project = Project::new();
    project.git(&["checkout", "--quiet", "-b", "topic"]);
    project.run(&["render"]);
    let file = project.list(JOBS).remove(0);
    let good = project.read(&file);
    let line = good.lines().find(|line| line.trim_start().starts_with("image:")).unwrap();
    project.write(&file, &good.replace(line, &format!("{}: registry.evil/miner", line.split(':').next().unwrap())));
    project.commit("Train, with an image of my own");
    assert_eq!(project.run(&["check"]).code(), 0, "a committed job keeps its image");
    let ran = project.run(&["check", "--base", "main", "-o", "json"]);
    assert_eq!(ran.code(), 4, "{ran:?}");
    assert!(ran.findings()[0].starts_with(&file) && ran.findings()[0].ends_with("edited"), "{ran:?}");

    // as it renders to, it is right, also when main has gone on; and once main has it, another image is no reason to change it
    project.write(&file, &good);
    project.commit("As it renders to");
    project.git(&["checkout", "--quiet", "main"]);
    project.write("NOTES.md", "more\n");
    project.commit("Something else");
    project.git(&["checkout", "--quiet", "topic"]);
    assert_eq!(project.run(&["check", "--base", "main"]).code(), 0);
    let cluster = project.read("clusters/local/cluster.yaml");
    let image = cluster.lines().find(|line| line.contains("trainerImage:")).unwrap();
    let newer = format!("  trainerImage: registry.local/newer@sha256:{}", "f".repeat(64));
    project.write("clusters/local/cluster.yaml", &cluster.replace(image, &newer));
    project.commit("A new image");
    assert_eq!(project.run(&["check", "--base", "HEAD^"]).code(), 0);
    assert_eq!(project.run(&["check", "--base", "main"]).code(), 4, "for main, the jobs are new");
    assert_eq!(project.run(&["check", "--base", "nowhere"]).code(), 3);
}
