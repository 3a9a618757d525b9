//! What is said of merged pull requests.

use slipway_experiment::Score;
use slipway_report::{
    ExperimentResults, FIRST_LINES, Hindrance, InService, ModelResult, Promotion, Ranking, Results, TrialResult,
    TrialState, Version, bars_and_line, compose, results_report,
};

fn trial(name: &str, rate: f64, accuracies: &[f64]) -> TrialResult {
    let curve = accuracies.iter().enumerate().map(|(epoch, accuracy)| ((epoch + 1) as f64, *accuracy)).collect();
    TrialResult {
        name: name.to_owned(),
        parameters: [("training.optimizer.learningRate".to_owned(), rate.into())].into(),
        state: TrialState::Finished,
        url: Some(format!("https://mlflow.example.org/#/experiments/1/runs/{name}")),
        epochs: Some((accuracies.len() as u32, 3)),
        metrics: [
            ("test_accuracy".to_owned(), accuracies.last().copied().unwrap_or_default()),
            ("seconds".to_owned(), 90.0),
        ]
        .into(),
        curves: [("validation_accuracy".to_owned(), curve)].into(),
        seconds: Some(90.0),
        cpu_hours: Some(0.05),
        planned_cpu_hours: 1.0,
        version: Some(3),
        ..TrialResult::default()
    }
}

fn version(number: u64, accuracy: f64, digest: &str) -> Version {
    let dataset_digest = format!("sha256:{}", digest.repeat(64));
    Version { number, score: Some(Score::accuracy(accuracy)), dataset_digest, ..Version::default() }
}

fn results() -> Results {
    let trials =
        vec![trial("digits-0a1b2c3d", 0.003, &[0.9, 0.95, 0.96]), trial("digits-1a2b3c4d", 0.001, &[0.92, 0.97, 0.98])];
    let model = ModelResult {
        model: "mnist".to_owned(),
        best: Some(version(4, 0.98, "a")),
        no_best: None,
        in_service: Some(version(2, 0.975, "a")),
        promotion: Some(Promotion { number: 12, url: Some("https://github.com/o/r/pull/12".to_owned()) }),
    };
    let (experiment, environment) = ("digits".to_owned(), "local".to_owned());
    let digits = ExperimentResults { experiment, environment, ranking: None, trials, model: Some(model) };
    Results { number: Some(7), commit: "1a2b3c4d".repeat(5), experiments: vec![digits], ..Results::default() }
}

#[test]
fn the_best_version_is_compared_on_the_same_data() {
    let document = results_report(&results());
    assert_eq!(document.summary, "2 trials finished; best accuracy 0.98");
    let best = "- **`mnist` version 4**, accuracy 0.98; in `local`: version 2 is in service with 0.975 on the same test data \
                (+0.5 percentage points); promotion [#12](https://github.com/o/r/pull/12)";
    assert!(document.first.lines().any(|line| line == best), "{}", document.first);
    assert!(document.first.contains("| CPU-hours | 0.1 | 2 |"), "{}", document.first);
    let text = compose(&document, "1a2b3c4d", None).parts.concat();
    // the best one first
    let row = "| [`digits-1a2b3c4d`](https://mlflow.example.org/#/experiments/1/runs/digits-1a2b3c4d) | ✓ finished | `learningRate=0.001` | \
               3 of 3 | 0.98 | 1 min 30 s | 0.05 | 1 | 3 |";
    let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("{line}\n{text}"));
    assert!(at(row) < at("digits-0a1b2c3d"));
    assert!(text.contains("x-axis \"learningRate\" [\"0.001\", \"0.003\"]"), "{text}");
    assert!(text.contains("`validation_accuracy` (🟦 `digits-1a2b3c4d`, 🟧 `digits-0a1b2c3d`):"), "{text}");
    assert!(text.contains("line [0.92, 0.97, 0.98]\n    line [0.9, 0.95, 0.96]"), "{text}");
}

#[test]
fn charts_are_those_that_a_browser_draws() {
    let text = compose(&results_report(&results()), "1a2b3c4d", None).parts.concat();
    let chart = |rest: &str| format!("```mermaid\n{}```", rest.split("```").next().unwrap());
    let mut charts: Vec<String> = text.split("```mermaid\n").skip(1).map(chart).collect();
    let shares = [("zero", 0.5, 0.25), ("one", 0.3, 0.35), ("two", 0.2, 0.4)];
    let shares = shares.map(|(name, bar, line)| (name.to_owned(), bar, line));
    charts.push(bars_and_line("share of each class", "class", &shares).unwrap());
    let drawn = include_str!("charts.md");
    assert_eq!(
        charts.join("\n\n") + "\n",
        drawn,
        "charts.md has other charts: apps/demo-ui/tests/test_browser.py draws those"
    );
}

#[test]
fn a_merged_promotion_says_what_it_replaced_and_how_to_go_back() {
    let mut results = Results {
        number: Some(7),
        in_service: vec![InService {
            environment: "local".to_owned(),
            model: "mnist".to_owned(),
            before: Some(2),
            after: Some(4),
        }],
        ..Results::default()
    };
    let said = |results: &Results| results_report(results).first;
    let change = "- **In service:** version 4 of `mnist` instead of version 2 in `local`";
    let back = ". To go back, run `slipway revert 7`";
    let first = said(&results);
    assert!(first.starts_with("### Slipway: changed 1 version in service\n"), "{first}");
    assert!(first.lines().any(|line| line == format!("{change}{back}")), "{first}");
    let of_mnist = |version: Version| ("mnist".to_owned(), version);
    results.versions = vec![of_mnist(version(2, 0.975, "a")), of_mnist(version(4, 0.98, "a"))];
    let compared = "accuracy 0.98; version 2 was in service with 0.975 on the same test data (+0.5 percentage points)";
    let first = said(&results);
    assert!(first.lines().any(|line| line == format!("{change}: {compared}{back}")), "{first}");
    // one that the registry has no more
    results.versions.remove(0);
    let first = said(&results);
    assert!(first.contains("; ⚠ version 2 was in service, not comparable: "), "{first}");
    results.in_service[0].before = None;
    let first = said(&results);
    assert!(first.contains(&format!("where no version of it was: accuracy 0.98{back}")), "{first}");
}

#[test]
fn accuracies_on_other_data_are_not_compared() {
    let mut results = results();
    let mut service = |version: Option<Version>| {
        results.experiments[0].model.as_mut().unwrap().in_service = version;
        results.experiments[0].model.as_mut().unwrap().promotion = None;
        results_report(&results).first
    };
    let other = service(Some(version(2, 0.5, "b")));
    assert!(other.contains("⚠ version 2 is in service, not comparable: this one was tested on `sha256:aaaaaaaaaaaaaaaa`, that one on `sha256:bbbbbbbbbbbbbbbb`"), "{other}");
    let unknown = service(Some(Version { dataset_digest: String::new(), ..version(2, 0.5, "") }));
    assert!(unknown.contains("that one on data that is not known"), "{unknown}");
    let nothing = service(Some(Version { score: None, ..version(2, 0.0, "a") }));
    assert!(nothing.contains("⚠ version 2 is in service, not comparable: one of them has no number"), "{nothing}");
    assert!(service(None).contains("nothing is in service; `slipway promote mnist --version 4` puts it into service"));
    assert!(service(Some(version(4, 0.98, "a"))).contains("in `local`: version 4 is in service\n"));
    // what is not better on the same data is not recommended
    let promote = "`slipway promote mnist --version 4` puts it into service";
    for (accuracy, digest, is_said) in [(0.97, "a", true), (0.98, "a", false), (0.99, "a", false), (0.99, "b", true)] {
        let said = service(Some(version(2, accuracy, digest)));
        assert_eq!(said.contains(promote), is_said, "{accuracy} on {digest}: {said}");
    }
}

/// A version of a program whose gate requires this metric.
fn by(number: u64, metric: &str, value: f64, more_is_better: bool) -> Version {
    let score = Some(Score { metric: metric.to_owned(), value, more_is_better });
    Version { score, ..version(number, 0.0, "a") }
}

#[test]
fn a_program_is_compared_by_the_metric_of_its_gate() {
    let mut results = results();
    let mut said = |best: Option<Version>, service: Version, no_best: Option<&str>| {
        let model = results.experiments[0].model.as_mut().unwrap();
        (model.best, model.in_service, model.no_best) = (best, Some(service), no_best.map(str::to_owned));
        results_report(&results).first
    };
    let better = said(Some(by(4, "f1", 0.93, true)), by(2, "f1", 0.9, true), None);
    let expected = "**`mnist` version 4**, `f1` 0.93; in `local`: version 2 is in service with 0.9 on the same test data (+0.03; more is better)";
    assert!(better.contains(expected), "{better}");
    let loss = said(Some(by(4, "loss", 0.25, false)), by(2, "loss", 0.5, false), None);
    assert!(loss.contains("version 2 is in service with 0.5 on the same test data (-0.25; less is better)"), "{loss}");
    let other = said(Some(by(4, "f1", 0.93, true)), version(2, 0.9, "a"), None);
    assert!(
        other.contains("⚠ version 2 is in service, not comparable: this one is judged by `f1`, that one by accuracy"),
        "{other}"
    );
    let nothing = said(None, version(2, 0.9, "a"), Some("no number"));
    assert!(
        nothing.contains("**`mnist`:** ⚠ none of its versions can be chosen, so none is proposed: `no number`"),
        "{nothing}"
    );
}

#[test]
fn trials_are_in_the_order_that_the_gate_says() {
    let mut results = results();
    results.experiments[0].ranking = Some(Ranking { metric: "loss".to_owned(), more_is_better: false });
    for (trial, loss) in results.experiments[0].trials.iter_mut().zip([0.1, 0.2]) {
        trial.metrics.insert("loss".to_owned(), loss);
    }
    let text = compose(&results_report(&results), "1a2b3c4d", None).parts.concat();
    assert!(text.find("[`digits-0a1b2c3d`]").unwrap() < text.find("[`digits-1a2b3c4d`]").unwrap(), "{text}");
    assert!(text.contains("Best `loss` by `training.optimizer.learningRate`"), "{text}");
}

#[test]
fn the_best_of_all_are_drawn_and_what_has_no_number_is_named() {
    let mut results = results();
    let trials = &mut results.experiments[0].trials;
    for index in 0..38 {
        let mut more = trial(&format!("digits-more-{index}"), 0.01, &[0.5, 0.6]);
        // histories are asked for of the best dozen
        if index > 9 {
            more.curves.clear();
        }
        more.metrics.insert("validation_accuracy".to_owned(), 0.6);
        trials.push(more);
    }
    trials[0].curves.insert("validation_accuracy".to_owned(), vec![(0.0, f64::NAN), (1.0, f64::NAN)]);
    let text = compose(&results_report(&results), "1a2b3c4d", None).parts.concat();
    let line =
        text.lines().find(|line| line.starts_with("`validation_accuracy`, the best 5 of 39 (🟦 `digits-1a2b3c4d`"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.ends_with("; ⚠ without a number that can be drawn: `digits-0a1b2c3d`):"), "{line}");
    assert_eq!(text.matches("    line [").count(), 5, "{text}");
}

#[test]
fn what_has_no_room_is_counted_and_what_is_not_known_has_a_mark() {
    let mut results = results();
    let trials = &mut results.experiments[0].trials;
    (trials[0].seconds, trials[0].cpu_hours) = (None, None);
    for index in 0..9 {
        trials[1].metrics.insert(format!("m{index}"), 0.5);
        trials[0].parameters.insert(format!("p{index}"), index.into());
        trials[1].parameters.insert(format!("p{index}"), (2 * index + 1).into());
    }
    trials.push(TrialResult { name: "later".to_owned(), ..TrialResult::default() });
    let text = compose(&results_report(&results), "1a2b3c4d", None).parts.concat();
    assert!(text.contains("6 more metrics, not shown here: `m3`, `m4`, `m5`, `m6` and 2 more"), "{text}");
    assert!(
        text.contains("4 more parameters, not drawn here: `p6`, `p7`, `p8`, `training.optimizer.learningRate`"),
        "{text}"
    );
    let row = |name: &str| text.lines().find(|line| line.contains(name) && line.starts_with('|')).unwrap().to_owned();
    assert!(row("digits-0a1b2c3d").contains("| ⚠ | ⚠ | 1 |"), "{text}");
    assert!(row("`later`").ends_with("|  |  | 0 |  |"), "{text}");
}

#[test]
fn what_is_not_known_is_said() {
    let mut results = results();
    let trials = &mut results.experiments[0].trials;
    trials[0] =
        TrialResult { state: TrialState::Failed("out of memory".to_owned()), cpu_hours: None, ..trials[0].clone() };
    for index in 0..20 {
        trials.push(TrialResult { name: format!("waiting-{index}"), ..TrialResult::default() });
        trials.push(TrialResult {
            name: format!("failed-{index}"),
            state: TrialState::Failed("x".to_owned()),
            ..TrialResult::default()
        });
    }
    let more = results.experiments[0].clone();
    results.experiments.extend(vec![more; 5]);
    results.unknown = vec!["MLflow does not answer".to_owned(); 3];
    results.experiments[0].trials[0].planned_gpu_hours = 1.0;
    let first = results_report(&results).first;
    assert!(first.lines().count() <= FIRST_LINES, "{first}");
    assert!(first.starts_with("### Slipway: 252 trials: 6 finished, 126 failed, 120 waiting\n"), "{first}");
    assert!(first.contains("| CPU-hours | ⚠ 0.3 by 6 of 252 |"), "{first}");
    assert!(
        first.contains("- ⚠ Not everything is known: `MLflow does not answer`, and 2 more reasons, below"),
        "{first}"
    );
    let nothing = results_report(&Results::default()).first;
    assert_eq!(nothing, "### Slipway: no trial started\n\n");
}

#[test]
fn what_cannot_start_is_said_first_with_the_reason_and_what_to_do() {
    let mut results = results();
    let hindered = |name: &str, reason: &str| TrialResult {
        name: name.to_owned(),
        state: TrialState::Waiting(Some(Hindrance { reason: reason.to_owned(), advice: "ask for less".to_owned() })),
        ..TrialResult::default()
    };
    results.experiments[0].trials.push(hindered("digits-2a", "no node has room | @octo"));
    let document = results_report(&results);
    let line = "- ⚠ `digits-2a` has not started: `no node has room | @octo`. `ask for less`";
    assert!(document.first.lines().any(|one| one == line), "{}", document.first);
    assert!(document.first.starts_with("### Slipway: 3 trials: 2 finished, 1 waiting\n"), "{}", document.first);
    let text = compose(&document, "1a2b3c4d", None).parts.concat();
    let cell = "| ⚠ not started: <code>no node has room &#124; &#64;<wbr>octo</code>. `ask for less` |";
    assert!(text.contains(cell), "{text}");
    // the same reason once, and the most common one first
    for index in 0..50 {
        results.experiments[0].trials.push(hindered(&format!("digits-{index}"), "the quota is used up"));
    }
    let failed = TrialState::Failed("out of memory".to_owned());
    results.experiments[0].trials.push(TrialResult { state: failed, ..TrialResult::default() });
    let first = results_report(&results).first;
    let lines: Vec<&str> = first.lines().filter(|line| line.contains('⚠')).collect();
    assert!(
        lines[1].starts_with("- ⚠ 50 trials have not started: `the quota is used up`. For each: `ask for less`"),
        "{first}"
    );
    assert!(lines[2].starts_with("- ⚠ `digits-2a` has not started"), "{first}");
    assert_eq!(lines[3], "- ⚠ 1 more trial waiting or failed, below");
    assert!(first.lines().count() <= FIRST_LINES, "{first}");
}
