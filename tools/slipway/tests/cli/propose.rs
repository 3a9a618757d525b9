//! `slipway propose` against a bare repository.

use std::path::Path;

use crate::deployed::Deployed;
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
    let log = git(Path::new(&forge), &["log", "--format=%s", "main..refs/pull/1/head"]);
    assert_eq!(log, "Train digits (2 TrainJobs)", "one commit with the pull request's title");
    let record = git(Path::new(&forge), &["show", "refs/slipway/pull/1"]);
    assert!(record.contains(&format!("\"title\": \"{log}\"")), "{record}");
    let job = there.iter().find(|file| file.contains("training-jobs/digits-")).unwrap();
    let text = git(Path::new(&forge), &["show", &format!("{branch}:{job}")]);
    let blob = git(Path::new(&forge), &["rev-parse", &format!("{branch}:experiments/digits.yaml")]);
    assert_eq!(text.matches(&blob).count(), 2, "annotation and variable name the content of its experiment: {text}");
    assert!(!text.contains("commit"), "{text}");

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

    // merged, nothing is left to do
    git(Path::new(&forge), &["update-ref", "refs/heads/main", "refs/pull/1/head"]);
    project.git(&["fetch", "--quiet", &forge, "main"]);
    project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
    let again = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!((again.code(), again.json()["pullRequest"].is_null()), (0, true), "{again:?}");
    let job = project.list("overlays/local/training-jobs")[0].rsplit('/').next().unwrap().replace(".yaml", "");
    let traced = project.run(&["trace", &job, "--remote", &forge, "-o", "json"]);
    assert_eq!(traced.code(), 0, "{traced:?}");
    assert_eq!(traced.json()["experiment"]["commit"]["id"], project.git(&["rev-parse", "HEAD"]));
    assert_eq!(traced.json()["experiment"]["commit"]["pullRequest"]["number"], 1);
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

/// The head of a pull request, and its branch.
fn head(project: &Project, number: u64) -> (String, String) {
    let forge = project.forge();
    let record = git(Path::new(&forge), &["show", &format!("refs/slipway/pull/{number}")]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    (
        git(Path::new(&forge), &["rev-parse", &format!("refs/pull/{number}/head")]),
        record["branch"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn proposing_again_takes_the_branch_that_is_there() {
    let project = Project::new();
    let forge = project.forge();
    let forge_git = |arguments: &[&str]| git(Path::new(&forge), arguments);
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let propose = || {
        // another second and another person: the commit would not be the same
        let ran =
            project.run_with(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"], |command| {
                command.env("GIT_AUTHOR_NAME", "Another").env("GIT_AUTHOR_EMAIL", "b@example.org");
            });
        assert_eq!(ran.code(), 0, "{ran:?}");
        ran.json()["pullRequest"]["number"].as_u64().unwrap()
    };
    let first = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(first.code(), 0, "{first:?}");
    let opened = head(&project, 1);

    // pushed, but the pull request could not be opened
    forge_git(&["update-ref", "-d", "refs/slipway/pull/1"]);
    forge_git(&["update-ref", "-d", "refs/pull/1/head"]);
    assert_eq!(propose(), 1);
    assert_eq!(head(&project, 1), opened);

    // closed without a merge
    let record = forge_git(&["show", "refs/slipway/pull/1"]).replace("\"open\"", "\"closed\"");
    project.write("record", &record);
    let blob = forge_git(&["hash-object", "-w", &project.root().join("record").display().to_string()]);
    forge_git(&["update-ref", "refs/slipway/pull/1", &blob]);
    assert_eq!(propose(), 2);
    assert_eq!(head(&project, 2), opened);
    assert_eq!(propose(), 2, "it is open");

    // somebody else's commit on the branch is not proposed, nor lost
    let (commit, branch) = opened;
    let tree = forge_git(&["rev-parse", "main^{tree}"]);
    let theirs = forge_git(&["commit-tree", &tree, "-p", &commit, "-m", "theirs"]);
    forge_git(&["update-ref", &format!("refs/heads/{branch}"), &theirs]);
    forge_git(&["update-ref", "refs/slipway/pull/2", &blob]);
    assert_eq!(propose(), 3);
    assert_eq!(head(&project, 3).1, format!("{branch}-2"));
    assert_eq!(forge_git(&["rev-parse", &branch]), theirs);
}

#[test]
fn a_signature_that_is_asked_for_is_not_left_out_because_a_branch_is_there() {
    let project = Project::new();
    let forge = project.forge();
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let propose = || project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(propose().code(), 0);
    for name in ["refs/slipway/pull/1", "refs/pull/1/head"] {
        git(Path::new(&forge), &["update-ref", "-d", name]);
    }
    let key = project.root().join("../key").display().to_string();
    let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status();
    assert!(made.unwrap().success());
    for (name, value) in [("commit.gpgsign", "true"), ("gpg.format", "ssh"), ("user.signingkey", &key)] {
        project.git(&["config", name, value]);
    }
    assert_eq!(propose().code(), 0);
    let (commit, branch) = head(&project, 1);
    assert!(branch.ends_with("-2"), "{branch}");
    let object = git(Path::new(&forge), &["cat-file", "commit", &commit]);
    assert!(object.contains("gpgsig -----BEGIN SSH SIGNATURE-----"), "{object}");
}

#[test]
fn a_default_branch_of_any_name_is_proposed_to() {
    let project = Project::new();
    let forge = project.forge();
    git(Path::new(&forge), &["branch", "--move", "main", "trunk"]);
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let record = git(Path::new(&forge), &["show", "refs/slipway/pull/1"]);
    assert!(record.contains("\"base\": \"trunk\""), "{record}");
    assert_eq!(git(Path::new(&forge), &["rev-parse", "refs/pull/1/head^"]), project.git(&["rev-parse", "HEAD"]));
}

#[test]
fn a_relative_remote_begins_where_git_and_a_person_say() {
    let project = Project::inside("mono/ml");
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    // git's own: from the top of the work tree
    project.git(&["remote", "add", "origin", "../forge.git"]);
    for arguments in [
        &["propose", "experiments/digits.yaml", "-o", "json"][..],
        // a person's: from the current folder
        &["propose", "experiments/digits.yaml", "--remote", "../../../forge.git", "-o", "json"],
    ] {
        let ran = project.run(arguments);
        assert_eq!(ran.code(), 0, "{ran:?}");
        assert_eq!(ran.json()["pullRequest"]["number"], 1);
        assert_eq!(ran.errors(), "", "the JSON says all of it");
    }
    let wrong = project.run(&["propose", "experiments/digits.yaml", "--remote", "nosuch"]);
    assert_eq!(wrong.code(), 3);
    assert!(wrong.errors().contains("no git remote `nosuch`") && wrong.errors().contains("are: origin"), "{wrong:?}");
}

#[test]
fn a_shallow_clone_proposes_the_same_bytes() {
    let project = Project::new();
    let forge = project.forge();
    project.write("notes.txt", "later");
    project.commit("later");
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    let clone = project.root().join("../shallow");
    let url = format!("file://{forge}");
    git(&project.root(), &["clone", "--quiet", "--depth=1", &url, &clone.display().to_string()]);
    let jobs = |number: u64| {
        let listing = git(
            Path::new(&forge),
            &["ls-tree", "-r", &format!("refs/pull/{number}/head"), "overlays/local/training-jobs"],
        );
        assert_eq!(listing.lines().count(), 2);
        listing
    };
    // the experiment is on main already, and not rendered
    assert_eq!(project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]).code(), 0);
    let expected = jobs(1);
    for name in ["refs/slipway/pull/1", "refs/pull/1/head"] {
        git(Path::new(&forge), &["update-ref", "-d", name]);
    }
    git(
        Path::new(&forge),
        &[
            "update-ref",
            "-d",
            &format!(
                "refs/heads/{}",
                git(Path::new(&forge), &["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/slipway"])
            ),
        ],
    );
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["propose", "experiments/digits.yaml", "--remote", &url])
        .current_dir(&clone)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(jobs(1), expected);
}

#[test]
fn line_ends_of_windows_are_no_difference() {
    let project = Project::new();
    let forge = project.forge();
    assert_eq!(project.run(&["render"]).code(), 0);
    project.commit("rendered");
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    let clone = project.root().join("../windows");
    let clone_path = clone.display().to_string();
    git(&project.root(), &["clone", "--quiet", "--config=core.autocrlf=true", &forge, &clone_path]);
    let experiment = clone.join("experiments/digits.yaml");
    assert!(std::fs::read_to_string(&experiment).unwrap().contains("\r\n"));
    for arguments in [&["check"][..], &["render", "--check"]] {
        let ran = run_in(&clone, arguments);
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    let nothing = run_in(&clone, &["propose", "experiments/digits.yaml", "--remote", &forge, "-o", "json"]);
    let nothing: serde_json::Value = serde_json::from_slice(&nothing.stdout).unwrap();
    assert!(nothing["pullRequest"].is_null(), "{nothing}");

    std::fs::write(&experiment, EXPERIMENT.replace("epochs: 3", "epochs: 2").replace('\n', "\r\n")).unwrap();
    let ran = run_in(&clone, &["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let changed =
        git(Path::new(&forge), &["diff", "--numstat", "main", "refs/pull/1/head", "--", "experiments", "datasets"]);
    assert_eq!(changed, "1\t1\texperiments/digits.yaml");
    let blob = git(Path::new(&forge), &["rev-parse", "refs/pull/1/head:experiments/digits.yaml"]);
    let job =
        files(&project, "refs/pull/1/head").into_iter().find(|file| file.contains("training-jobs/digits-")).unwrap();
    let text = git(Path::new(&forge), &["show", &format!("refs/pull/1/head:{job}")]);
    assert!(text.contains(&blob) && !text.contains('\r'), "{text}");
}

fn run_in(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(arguments).current_dir(folder).env_remove("SLIPWAY_REMOTE").output().unwrap()
}

/// Makes the experiment one of 300 trials, on the forge too.
fn with_hundreds(project: &Project) {
    let forge = project.forge();
    let cluster = project.read("clusters/local/cluster.yaml").replace("maxTrials: 100", "maxTrials: 1000");
    project.write("clusters/local/cluster.yaml", &cluster);
    project.commit("more trials");
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    let seeds = (1..=300).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    let text =
        EXPERIMENT.replace("training.optimizer.learningRate: [0.001, 0.003]", &format!("training.seed: [{seeds}]"));
    project.write("experiments/digits.yaml", &text.replace("cpuHours: 4", "cpuHours: 300"));
}

/// The body of the first pull request.
fn body(forge: &str) -> String {
    let record = git(Path::new(forge), &["show", "refs/slipway/pull/1"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    record["body"].as_str().unwrap().to_owned()
}

#[test]
fn a_sweep_of_hundreds_has_a_body_that_github_takes() {
    let project = Project::new();
    with_hundreds(&project);
    let forge = project.forge();
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let body = body(&forge);
    assert!(body.chars().count() <= 65_536);
    assert!(body.starts_with("**Starts 300 TrainJobs; at most 300 CPU-hours, `150.00 EUR`**\n"), "{body}");
    assert!(body.contains("and 250 more"), "{body}");
}

#[test]
fn counts_price_and_warnings_stand_first_in_the_body_of_hundreds() {
    let deployed = Deployed::new();
    let project = &deployed.project;
    let mut resources = vec!["namespaces.yaml".to_owned(), "web.yaml".to_owned(), "jobs.yaml".to_owned()];
    project.write(
        "clusters/local/jobs.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: jobs, namespace: argocd}\nspec:\n  project: root\n  \
         source: {repoURL: https://example.org/this.git, targetRevision: main, path: overlays/local/training-jobs, directory: {include: '*.yaml'}}\n  \
         destination: {server: https://kubernetes.default.svc, namespace: training}\n",
    );
    project.write("overlays/local/training-jobs/README.md", "The jobs.\n");
    for index in 0..40 {
        let file = format!("set-{index}.yaml");
        let set = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: set-{index}, namespace: argocd}}\nspec:\n  \
             generators: [{{clusters: {{}}}}]\n  template: {{metadata: {{name: x}}, spec: {{project: root}}}}\n"
        );
        project.write(&format!("clusters/local/{file}"), &set);
        resources.push(file);
    }
    project.write("clusters/local/kustomization.yaml", &format!("resources: [{}]\n", resources.join(", ")));
    with_hundreds(project);
    let forge = project.forge();
    let ran = deployed.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let body = body(&forge);
    assert!(body.chars().count() <= 65_536, "{}", body.chars().count());
    let places = [
        "**Starts 300 TrainJobs; at most 300 CPU-hours, `150.00 EUR`**\n",
        "**Objects in the clusters: 300 added, 0 changed, 0 removed**\n",
        "\nNot read here, and so not compared:\n\n- ``clusters/local/set-0.yaml:",
        "- … and 30 more\n",
        "| starts | parameters |",
        "| … and 250 more |",
        "What changes in <code>experiments/digits&#46;yaml</code>",
        "## What changes in the clusters",
        "<details><summary><code>",
        "more `TrainJobs`: `slipway diff` shows everything",
    ]
    .map(|part| body.find(part).unwrap_or_else(|| panic!("{part} is not in {body}")));
    assert!(places[0] == 0 && places.is_sorted(), "{places:?}: {body}");
    assert_eq!(body.matches("are not followed").count(), 10, "{body}");
}

#[test]
fn what_git_ignores_is_neither_proposed_nor_withdrawn() {
    let project = Project::new();
    let forge = project.forge();
    project.write("experiments/mine.yaml", &EXPERIMENT.replace("name: digits", "name: mine"));
    // on the remote's main it is there, and here it is ignored
    project.commit("mine");
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    project.git(&["reset", "--quiet", "HEAD~1"]);
    project.write(".gitignore", "mine.yaml\n");
    for arguments in [&["propose", "experiments/mine.yaml", "--remote", &forge][..], &["plan", "experiments/mine.yaml"]]
    {
        let ran = project.run(arguments);
        assert_eq!(ran.code(), 3, "{ran:?}");
        assert!(ran.errors().contains("git ignores experiments/mine.yaml"), "{ran:?}");
        assert!(ran.errors().contains("git check-ignore -v experiments/mine.yaml"), "{ran:?}");
    }
    assert!(git(Path::new(&forge), &["for-each-ref", "refs/pull"]).is_empty());
}

/// Changes a file on the forge's main, as if another person's pull request were merged.
fn others_merge(project: &Project, path: &str, text: Option<&str>) {
    let desk = project.root().join("../desk");
    if !desk.exists() {
        git(&project.root(), &["clone", "--quiet", &project.forge(), &desk.display().to_string()]);
    }
    git(&desk, &["pull", "--quiet", "--ff-only"]);
    match text {
        Some(text) => std::fs::write(desk.join(path), text).unwrap(),
        None => std::fs::remove_file(desk.join(path)).unwrap(),
    }
    git(&desk, &["add", "--all"]);
    git(&desk, &["commit", "--quiet", "-m", "theirs"]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:main"]);
}

#[test]
fn what_others_have_merged_stays_though_it_was_not_pulled() {
    let project = Project::new();
    let forge = project.forge();
    others_merge(&project, "experiments/digits.yaml", Some(&EXPERIMENT.replace("epochs: 3", "epochs: 2")));
    let propose =
        |more: &[&str]| project.run(&[&["propose", "experiments/digits.yaml", "--remote", &forge][..], more].concat());
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("deadline: 30m", "deadline: 20m"));
    let dry = propose(&["--dry-run"]);
    assert_eq!(dry.code(), 0, "{dry:?}");
    assert!(
        dry.errors().contains("it has changed on main since your last pull") && dry.errors().contains("[not-pulled]"),
        "{dry:?}"
    );
    let ran = propose(&["-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let text = git(Path::new(&forge), &["show", "refs/pull/1/head:experiments/digits.yaml"]);
    assert!(text.contains("epochs: 2") && text.contains("deadline: 20m"), "{text}");
    let changed = git(Path::new(&forge), &["diff", "--numstat", "main", "refs/pull/1/head", "--", "experiments"]);
    assert_eq!(changed, "1\t1\texperiments/digits.yaml");
    // what is shown is the merged experiment
    let there = files(&project, "refs/pull/1/head");
    let json = ran.json();
    let starts = json["plan"]["changes"][0]["starts"].as_array().unwrap();
    assert_eq!(starts.len(), 2, "{json}");
    for start in starts {
        let name = start["name"].as_str().unwrap();
        assert!(there.contains(&format!("overlays/local/training-jobs/{name}.yaml")), "{name}: {there:?}");
        assert!(dry.text().contains(name), "{name}: {dry:?}");
    }
    // and so is its own difference
    let body = body(&forge);
    assert!(body.contains("What changes in <code>experiments/digits&#46;yaml</code>"), "{body}");
    assert!(
        body.contains("\n-  budget: {cpuHours: 4, deadline: 30m}\n+  budget: {cpuHours: 4, deadline: 20m}\n"),
        "{body}"
    );
    assert!(!body.contains("\n-  training:"), "{body}");
}

#[test]
fn a_file_that_was_not_changed_here_is_as_it_is_on_main() {
    let project = Project::new();
    let forge = project.forge();
    let theirs = EXPERIMENT.replace("epochs: 3", "epochs: 2");
    others_merge(&project, "experiments/digits.yaml", Some(&theirs));
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert!(ran.errors().contains("it stays as it is on main"), "{ran:?}");
    let changed = git(Path::new(&forge), &["diff", "--name-only", "main", "refs/pull/1/head", "--", "experiments"]);
    assert_eq!(changed, "", "only its jobs are proposed");
    // a dataset that others have pinned anew stays, too
    let dataset = project.read("datasets/ten.yaml").replace(&"a".repeat(64), &"b".repeat(64));
    others_merge(&project, "datasets/ten.yaml", Some(&dataset));
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("deadline: 30m", "deadline: 20m"));
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(git(Path::new(&forge), &["show", "refs/pull/2/head:datasets/ten.yaml"]), dataset.trim_end());
}

#[test]
fn the_same_line_is_a_persons_decision() {
    let project = Project::new();
    let forge = project.forge();
    others_merge(&project, "experiments/digits.yaml", Some(&EXPERIMENT.replace("epochs: 3", "epochs: 2")));
    let mine = EXPERIMENT.replace("epochs: 3", "epochs: 4");
    project.write("experiments/digits.yaml", &mine);
    let propose = || project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    let refused = propose();
    assert_eq!(refused.code(), 3, "{refused:?}");
    let there = Path::new(&forge).canonicalize().unwrap();
    let remedy = format!("git pull --no-rebase --no-edit {} main", there.display());
    for part in ["experiments/digits.yaml is not proposed", "both changed the same lines", &remedy] {
        assert!(refused.errors().contains(part), "{part}: {refused:?}");
    }
    assert!(git(Path::new(&forge), &["for-each-ref", "refs/pull"]).is_empty());

    // what it says to do
    project.git(&["add", "experiments/digits.yaml"]);
    project.git(&["commit", "--quiet", "-m", "mine", "experiments/digits.yaml"]);
    let pulled = std::process::Command::new("git")
        .args(["-C", &project.root().display().to_string(), "pull", "--no-rebase", "--no-edit", &forge, "main"])
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .output()
        .unwrap();
    assert!(!pulled.status.success() && project.read("experiments/digits.yaml").contains("<<<<<<<"), "{pulled:?}");
    project.write("experiments/digits.yaml", &mine);
    project.commit("decided");
    let ran = propose();
    assert_eq!(ran.code(), 0, "{ran:?}");
    let text = git(Path::new(&forge), &["show", "refs/pull/1/head:experiments/digits.yaml"]);
    assert!(text.contains("epochs: 4"), "{text}");
}

#[test]
fn what_was_removed_on_one_side_and_changed_on_the_other_is_a_persons_decision() {
    let project = Project::new();
    let forge = project.forge();
    let propose = || project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    others_merge(&project, "experiments/digits.yaml", Some(&EXPERIMENT.replace("epochs: 3", "epochs: 2")));
    std::fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    let refused = propose();
    assert!(refused.code() == 3 && refused.errors().contains("it was removed here, and changed there"), "{refused:?}");
    others_merge(&project, "experiments/digits.yaml", None);
    for text in [EXPERIMENT.to_owned(), EXPERIMENT.replace("epochs: 3", "epochs: 4")] {
        project.write("experiments/digits.yaml", &text);
        let refused = propose();
        assert!(refused.code() == 3 && refused.errors().contains("it was removed there"), "{refused:?}");
    }
    assert!(git(Path::new(&forge), &["for-each-ref", "refs/pull"]).is_empty());
}

#[test]
fn commits_of_another_history_undo_nothing() {
    let project = Project::new();
    let forge = project.forge();
    project.git(&["checkout", "--quiet", "--orphan", "another"]);
    project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 2"));
    project.commit("another first");
    let refused = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    assert!(refused.code() == 3 && refused.errors().contains("have none in common"), "{refused:?}");
    // a new file takes nothing from anybody
    project.write("experiments/mine.yaml", &EXPERIMENT.replace("name: digits", "name: mine"));
    let ran = project.run(&["propose", "experiments/mine.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
}

#[test]
fn a_withdrawal_is_called_one_and_a_second_run_says_what_it_found() {
    let project = Project::new();
    let forge = project.forge();
    std::fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    let propose = || project.run(&["propose", "experiments/digits.yaml", "--remote", &forge]);
    let first = propose();
    assert_eq!(first.code(), 0, "{first:?}");
    assert!(first.text().contains("withdraws digits, and starts and stops no TrainJob\n"), "{first:?}");
    assert!(!first.text().contains("nothing to do") && !first.text().contains("open already"), "{first:?}");
    assert!(
        first.text().contains("next: `slipway show 1` shows its report; `slipway merge 1` merges it\n"),
        "{first:?}"
    );
    assert_eq!(git(Path::new(&forge), &["log", "-1", "--format=%s", "refs/pull/1/head"]), "Withdraw digits");
    assert!(body(&forge).starts_with("**Withdraws digits, and starts and stops no TrainJob**\n"), "{}", body(&forge));
    let second = propose();
    assert!(second.text().contains("it was open already, with the same change"), "{second:?}");
}

#[test]
fn a_label_is_one_that_github_can_have() {
    let project = Project::new();
    let forge = project.forge();
    for label in ["a,b", " ", "two\nlines", &"x".repeat(51)] {
        let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "--label", label]);
        assert!(ran.code() == 2 && ran.errors().contains("a label has 1 to 50 characters and no comma"), "{ran:?}");
    }
    let ran = project.run(&["propose", "experiments/digits.yaml", "--remote", &forge, "--label", "good first issue"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let shown = project.run(&["show", "1", "--remote", &forge]);
    assert!(shown.text().contains("\nlabels: train, good first issue\n"), "{shown:?}");
}
