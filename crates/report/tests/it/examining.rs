//! What is said of changes in a repository.

use slipway_report::{
    About, Conclusion, Conflict, Document, Examination, Expectations, FIRST_LINES, Level, PastRun, compose, plan_report,
};

use crate::change::{CLUSTER, Change, EXPERIMENT, dataset};

fn about() -> About {
    About { number: Some(7), base_branch: "main".to_owned(), reviewers: vec!["org/ml".to_owned()], ..About::default() }
}

fn report(change: &Change, base: &str, head: &str) -> (Examination, Document) {
    let examination = Examination::of(&change.git, base, head, None).unwrap();
    let run = PastRun {
        job: String::new(),
        experiment: "digits".to_owned(),
        dataset_digest: String::new(),
        workers: 2,
        epochs: Some(3),
        seconds: 90.0,
    };
    let document = plan_report(&examination, &about(), &Expectations { runs: vec![run], ..Expectations::default() });
    assert!(document.first.lines().count() <= FIRST_LINES, "{}", document.first);
    (examination, document)
}

fn codes(examination: &Examination) -> Vec<&str> {
    examination.not_as_reviewed.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_change_says_what_it_starts_and_what_that_costs() {
    let change = Change::new();
    let head = change.rendered(&change.base);
    let (examination, document) = report(&change, &change.base, &head);
    assert!(!examination.is_refused(), "{examination:?}");
    assert_eq!(document.check.as_ref().unwrap().conclusion, Conclusion::Success);
    assert_eq!(document.summary, "starts 2 TrainJobs; at most 0.08 USD");
    let first = &document.first;
    assert!(first.starts_with("### Slipway: starts 2 TrainJobs\n"), "{first}");
    for line in [
        "| CPU-hours | 0.1 | 2 |",
        "| price | `less than 0.01 USD` | `0.08 USD` |",
        "- **Data:** `mnist` at `sha256:aaaaaaaaaaaaaaaa`",
        "- **Images:** `registry.local/slipway-trainer@sha256:1111111111111111`",
        "- **Missing for the merge:** an approval by `org/ml`",
    ] {
        assert!(first.lines().any(|found| found == line), "{line}\n{first}");
    }
    let publication = compose(&document, &head, None);
    assert_eq!(publication.parts.len(), 1);
    let text = &publication.parts[0];
    assert!(text.contains("<summary><code>local</code>: starts 2 TrainJobs</summary>"), "{text}");
    // the first lines have the beginning of each digest, the fold all of it
    let (data, image) = ("a".repeat(64), "1".repeat(64));
    for line in [
        format!("- data `mnist` at `sha256:{data}`\n"),
        format!("- image `registry.local/slipway-trainer@sha256:{image}`\n"),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(text.contains("**`digits`**: at most 2 of 4 CPU-hours, `0.08 USD`"), "{text}");
    assert!(text.contains("| `learningRate=0.003` | 2 | 0.05 | 1 | `0.04 USD` |"), "{text}");

    // what is merged already stays, and another change beside it is no difference
    let readme = change.commit(&head, &[("README.md", "x")]);
    let (examination, document) = report(&change, &head, &readme);
    assert_eq!(
        (examination.environments[0].stays, document.summary.as_str()),
        (2, "starts and stops no TrainJob, 2 stay")
    );
    let beside = change.commit(&change.base, &[("README.md", "x")]);
    let (examination, document) = report(&change, &head, &beside);
    assert!(!examination.is_refused());
    assert_eq!(document.summary, "starts and stops no TrainJob, 2 stay");
}

#[test]
fn another_image_of_a_trainer_is_shown_although_no_job_starts() {
    let change = Change::new();
    let [one, two, three] = ['1', '2', '3'].map(|digit| digit.to_string().repeat(64));
    let own = format!("  trainers:\n    wine: registry.local/wine@sha256:{two}\n  prices");
    let with_own = CLUSTER.replace("  prices", &own);
    let rendered = change.rendered(&change.base);
    let base = change.commit(&rendered, &[("clusters/local/cluster.yaml", &with_own)]);
    let newer = with_own.replace(&two, &three).replace(&one, &three);
    let head = change.commit(&base, &[("clusters/local/cluster.yaml", &newer)]);
    let examination = Examination::of(&change.git, &base, &head, None).unwrap();
    let document = plan_report(&examination, &about(), &Expectations::default());
    assert_eq!(document.summary, "changes 2 trainer images, 2 stay");
    assert_eq!(document.check.as_ref().unwrap().title.split(": ").last(), Some("changes 2 trainer images, 2 stay"));
    let image = |name: &str, digit: &str| format!("`registry.local/{name}@sha256:{}`", digit.repeat(16));
    let line = format!(
        "- **Images:** for jobs rendered from now on, the built-in trainer in `local` changes from {} to {}, trainer `wine` in `local` changes \
         from {} to {}",
        image("slipway-trainer", "1"),
        image("slipway-trainer", "3"),
        image("wine", "2"),
        image("wine", "3"),
    );
    assert!(document.first.lines().any(|found| found == line), "{line}\n{}", document.first);
    assert!(document.first.lines().count() <= FIRST_LINES, "{}", document.first);
    let text = &compose(&document, &head, None).parts[0];
    assert!(text.contains("<summary><code>local</code>: 2 stay, changes 2 trainer images</summary>"), "{text}");
    let whole = format!(
        "trainer `wine` in `local` changes from `registry.local/wine@sha256:{two}` to `registry.local/wine@sha256:{three}`"
    );
    assert!(text.contains(&whole), "{text}");
    // one that comes, and one that goes
    let (_, document) = report(&change, &rendered, &base);
    let comes = format!("trainer `wine` in `local` changes from no image to {}", image("wine", "2"));
    assert!(document.first.contains(&comes), "{}", document.first);
    let (_, document) = report(&change, &base, &change.commit(&base, &[("clusters/local/cluster.yaml", CLUSTER)]));
    assert!(document.first.contains(&format!("{} to no image", image("wine", "2"))), "{}", document.first);
}

#[test]
fn a_removed_file_stops_its_job() {
    let change = Change::new();
    let rendered = change.rendered(&change.base);
    let one = EXPERIMENT.replace("[0.001, 0.003]", "[0.001]");
    let head = change.rendered(&change.commit(&rendered, &[("experiments/digits.yaml", &one)]));
    let (examination, document) = report(&change, &rendered, &head);
    assert!(!examination.is_refused(), "{examination:?}");
    assert_eq!(document.summary, "stops 1 TrainJob, 1 stays");
}

#[test]
fn what_the_base_has_changed_meanwhile_is_red() {
    let change = Change::new();
    let head = change.rendered(&change.base);
    let base = change.commit(&change.base, &[("datasets/mnist.yaml", &dataset('b'))]);
    let (examination, document) = report(&change, &base, &head);
    assert_eq!(codes(&examination).len(), 3, "{examination:?}");
    assert_eq!(document.check.as_ref().unwrap().conclusion, Conclusion::Failure);
    assert!(document.first.contains("overlays/local/training-jobs/digits-"), "{}", document.first);
    assert!(document.first.contains("`slipway render --pull-request 7`"), "{}", document.first);
    assert!(document.check.as_ref().unwrap().annotations.iter().all(|annotation| annotation.level == Level::Failure));
    // of a fork, nothing here can push to its branch
    let fork = plan_report(&examination, &About { is_fork: true, ..about() }, &Expectations::default());
    assert!(!fork.first.contains("--pull-request") && fork.first.contains("merged with `main`"), "{}", fork.first);
    // rendered again on top of the base, it is as it should be
    let merged = change.rendered(&change.commit(&head, &[("datasets/mnist.yaml", &dataset('b'))]));
    let (examination, _) = report(&change, &base, &merged);
    assert!(!examination.is_refused(), "{examination:?}");
}

#[test]
fn another_image_in_a_rendered_file_is_red_whether_the_job_is_new_or_not() {
    let change = Change::new();
    let rendered = change.rendered(&change.base);
    let jobs = change.jobs(&rendered);
    let (path, text) = jobs.first_key_value().unwrap();
    let hostile = text.replace("registry.local/slipway-trainer@sha256:1", "registry.evil/miner@sha256:2");
    let head = change.commit(&rendered, &[(path, &hostile)]);
    for base in [&change.base, &rendered] {
        let (examination, document) = report(&change, base, &head);
        assert_eq!(codes(&examination), ["edited"], "{examination:?}");
        assert_eq!(document.check.as_ref().unwrap().conclusion, Conclusion::Failure);
    }
}

#[test]
fn a_mixture_that_nobody_has_seen_is_red() {
    let change = Change::new();
    let rendered = change.rendered(&change.base);
    let jobs = change.jobs(&rendered);
    let (path, text) = jobs.first_key_value().unwrap();
    let base = change.commit(&rendered, &[(path, &format!("# above\n{text}"))]);
    let head = change.commit(&rendered, &[(path, &format!("{text}# below\n"))]);
    let (examination, _) = report(&change, &base, &head);
    assert_eq!(codes(&examination), ["edited", "not-reviewed"], "{examination:?}");
}

#[test]
fn a_conflict_in_rendered_files_is_resolved_by_rendering() {
    let change = Change::new();
    let rendered = change.rendered(&change.base);
    let jobs = change.jobs(&rendered);
    let (path, text) = jobs.first_key_value().unwrap();
    let base = change.commit(&rendered, &[(path, &format!("# one\n{text}"))]);
    let head = change.commit(&rendered, &[(path, &format!("# two\n{text}"))]);
    let (examination, document) = report(&change, &base, &head);
    let files = Conflict::Files { files: vec![path.clone()], only_rendered: true };
    assert_eq!(examination.conflict, Some(files));
    assert!(document.first.starts_with("### Slipway: cannot be merged: 1 file conflicts with the base branch\n"));
    assert!(
        document.first.contains("; only rendered files do: `slipway render --pull-request 7` resolves it"),
        "{}",
        document.first
    );

    let base =
        change.commit(&change.base, &[("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 4"))]);
    let head =
        change.commit(&change.base, &[("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", "epochs: 5"))]);
    let (examination, document) = report(&change, &base, &head);
    assert!(matches!(examination.conflict, Some(Conflict::Files { only_rendered: false, .. })));
    let decided = "(`experiments/digits.yaml`); a person decides: merge `main` into the branch";
    assert!(document.first.contains(decided), "{}", document.first);
    let about = About { resolution: "`git pull`".to_owned(), ..about() };
    let first = plan_report(&examination, &about, &Expectations::default()).first;
    assert!(first.contains("(`experiments/digits.yaml`); a person decides: `git pull`"), "{first}");
}

#[test]
fn what_cannot_be_priced_or_read_says_so_and_is_not_nothing() {
    let change = Change::new();
    let head = change.rendered(&change.base);
    // the experiment is broken: its jobs start nevertheless
    let broken = change.commit(&head, &[("experiments/digits.yaml", "spec: [")]);
    let (examination, document) = report(&change, &change.base, &broken);
    assert!(examination.is_refused());
    assert!(
        document.first.contains("starts 2 TrainJobs") && document.first.contains("`0.08 USD`"),
        "{}",
        document.first
    );
    // the environment is unknown
    let unknown = change.commit(&head, &[("clusters/local/cluster.yaml", "")]);
    let nowhere = change.commit(&change.base, &[("clusters/local/cluster.yaml", "")]);
    let (_, document) = report(&change, &nowhere, &unknown);
    assert!(document.first.contains("⚠ no price"), "{}", document.first);
    assert!(document.first.contains("`local` has no prices: ``clusters/local/cluster.yaml:1:1:"), "{}", document.first);
    // what changes in the clusters is not known: nothing is wrong, and it is not green either
    let site = change.commit(&head, &[("overlays/local/site/kustomization.yaml", "resources: []\n")]);
    let (examination, document) = report(&change, &change.base, &site);
    assert!(!examination.is_refused(), "{examination:?}");
    let check = document.check.as_ref().unwrap();
    assert_eq!(check.conclusion, Conclusion::Neutral);
    assert_eq!(check.title, "starts 2 TrainJobs; not everything could be examined");
    for said in ["⚠ What changes in the clusters is not known: ", "kustomize was not found", "⚠ 1 place not checked"]
    {
        assert!(document.first.contains(said), "{said}: {}", document.first);
    }
    let text = &compose(&document, &site, None).parts[0];
    assert!(text.contains("⚠ 2 not examined"), "{text}");
    // a job that cannot be read
    let odd = change.commit(&change.base, &[("overlays/local/training-jobs/odd.yaml", "kind: Pod\n")]);
    let (examination, document) = report(&change, &change.base, &odd);
    assert!(examination.is_refused());
    assert!(document.first.contains("⚠ 1 TrainJob file cannot be read"), "{}", document.first);
    // an experiment that starts nothing
    let more = EXPERIMENT.replace("name: digits", "name: more");
    let draft = change.commit(&change.base, &[("experiments/more.yaml", &more)]);
    let (examination, document) = report(&change, &change.base, &draft);
    assert!(!examination.is_refused());
    let not_rendered = "`experiments/more.yaml` is not rendered in `local`, so merging does not start its 2 TrainJobs";
    let here = format!("{not_rendered}; to render it: `slipway render --pull-request 7`");
    assert!(document.first.contains(&here), "{}", document.first);
    let fork = plan_report(&examination, &About { is_fork: true, ..about() }, &Expectations::default());
    let there = format!("{not_rendered}; to render it: `slipway render`, merged with `main` and pushed to its branch");
    assert!(fork.first.contains(&there), "{}", fork.first);
    // no history
    let examination = Examination::of(&change.git, &change.base, &head, None).unwrap();
    let expectations =
        Expectations { unavailable: Some("MLflow does not answer".to_owned()), ..Expectations::default() };
    let document = plan_report(&examination, &about(), &expectations);
    assert!(document.first.contains("| CPU-hours | ⚠ no history | 2 |"), "{}", document.first);
    assert!(
        document.first.contains("⚠ No expected price for 2 TrainJobs: `MLflow does not answer`"),
        "{}",
        document.first
    );
}

#[test]
fn what_is_not_known_of_the_merge_is_a_warning_and_nothing_that_is_missing() {
    let change = Change::new();
    let head = change.rendered(&change.base);
    let examination = Examination::of(&change.git, &change.base, &head, None).unwrap();
    let unknown = "what the branch's rules require is not known: Field 'rules' doesn't exist on type 'Ref'";
    let about = About { unknown: vec![unknown.to_owned()], ..about() };
    let document = plan_report(&examination, &about, &Expectations::default());
    for line in [
        "- **Missing for the merge:** an approval by `org/ml`".to_owned(),
        format!("- ⚠ Missing for the merge: `{unknown}`"),
    ] {
        assert!(document.first.lines().any(|found| found == line), "{line}\n{}", document.first);
    }
}

#[test]
fn a_promotion_says_which_version_replaces_which() {
    let change = Change::new();
    let models = |version: u64| {
        format!("models:\n  - {{name: mnist, version: \"{version}\", digest: sha256:{}}}\n", "b".repeat(64))
    };
    let path = "overlays/local/server/models.yaml";
    let base = change.commit(&change.base, &[(path, &models(2))]);
    let head = change.commit(&base, &[(path, &models(4))]);
    let (_, document) = report(&change, &base, &head);
    assert_eq!(document.summary, "changes 1 version in service");
    assert!(
        document.first.contains("- **In service:** version 4 of `mnist` instead of version 2 in `local`"),
        "{}",
        document.first
    );
    let back = report(&change, &head, &change.commit(&head, &[(path, "")])).1;
    assert!(back.first.contains("`mnist` is no longer served in `local` (it was version 4)"), "{}", back.first);
}

#[test]
fn a_project_in_a_folder_has_its_remarks_at_the_top_of_the_repository() {
    let change = Change::new();
    let files = change.git.read_all(&change.base, &["clusters", "datasets", "experiments"]).unwrap();
    let mut moved: Vec<(String, String)> =
        files.into_iter().map(|(path, bytes)| (format!("mono/ml/{path}"), String::from_utf8(bytes).unwrap())).collect();
    let texts = |files: &[(String, String)]| -> Vec<(String, String)> { files.to_vec() };
    let commit = |on: &str, files: Vec<(String, String)>| {
        change.commit(on, &files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    let base = commit(&change.base, texts(&moved));
    let broken = moved.iter_mut().find(|(path, _)| path.ends_with("digits.yaml")).unwrap();
    broken.1 = broken.1.replace("epochs: 3", "epochs: 0");
    let head = commit(&base, moved);
    let git = change.git.clone().below("mono/ml");
    let examination = Examination::of(&git, &base, &head, None).unwrap();
    let document = plan_report(&examination, &about(), &Expectations::default());
    let annotation = &document.check.as_ref().unwrap().annotations[0];
    assert_eq!((annotation.file.as_str(), annotation.line), ("mono/ml/experiments/digits.yaml", 8), "{annotation:?}");
}

#[test]
fn a_sweep_without_a_bound_is_refused_before_it_is_rendered() {
    let change = Change::new();
    let list = |scale: f64| (1..=60).map(|n| (f64::from(n) * scale).to_string()).collect::<Vec<_>>().join(", ");
    let sweep = format!(
        "training.seed: [{0}]\n    training.epochs: [{0}]\n    model.dropout: [{1}]\n    training.optimizer.learningRate: [{1}]",
        list(1.0),
        list(0.01)
    );
    let experiment = EXPERIMENT.replace("training.optimizer.learningRate: [0.001, 0.003]", &sweep);
    let experiment = experiment.replace("cpuHours: 4", "cpuHours: 100000000");
    let cluster = CLUSTER.replace("  prices", "  maxTrials: 100000000\n  prices");
    let files = [("clusters/local/cluster.yaml", cluster.as_str()), ("experiments/digits.yaml", experiment.as_str())];
    let (examination, _) = report(&change, &change.base, &change.commit(&change.base, &files));
    assert_eq!(codes(&examination), ["too-many-trials"], "{examination:?}");
}
