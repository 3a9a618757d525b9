//! What `spec.training` may say beyond the first fields: optimizers, schedules, augmentation, early stopping.

use rstest::rstest;
use slipway_experiment::{Augmentation, EarlyStopping, OptimizerName, Schedule, ScheduleName, Training, Trial, parse};

use crate::text::{MLP, dataset, experiment, with};

const SGD: &str = "optimizer: {name: sgd, learningRate: 0.1, momentum: 0.8, weightDecay: 0.0005}";
const EVERYTHING: &str = "seed: 7, schedule: {name: step, every: 4, factor: 0.5, warmupEpochs: 1}, \
                          augmentation: {shift: 2, rotation: 10}, earlyStopping: {patience: 3}";

fn everything() -> String {
    with(&with(MLP, "optimizer: {name: adam, learningRate: 0.001}", SGD), "seed: 7", EVERYTHING)
}

fn training(trial: &Trial) -> &Training {
    trial.work.built_in().expect("it has a model and a training").1
}

#[test]
fn every_setting_is_read_and_travels_in_the_trial() {
    let trial = experiment(&everything()).trials(&dataset()).remove(0);
    let training = training(&trial);
    assert_eq!(training.optimizer.name, OptimizerName::Sgd);
    assert_eq!((training.optimizer.momentum, training.optimizer.weight_decay), (Some(0.8), Some(0.0005)));
    let schedule = Schedule { name: ScheduleName::Step, warmup_epochs: Some(1), every: Some(4), factor: Some(0.5) };
    assert_eq!(training.schedule, Some(schedule));
    assert_eq!(training.augmentation, Some(Augmentation { shift: Some(2), rotation: Some(10.0) }));
    assert_eq!(training.early_stopping, Some(EarlyStopping { patience: 3 }));
    assert_eq!(Trial::from_json(&trial.to_json()).expect("a rendered trial"), trial);
}

#[test]
fn what_a_file_does_not_say_is_not_in_its_trial() {
    let json = experiment(MLP).trials(&dataset())[0].to_json();
    let training =
        r#""training":{"epochs":10,"batchSize":64,"optimizer":{"name":"adam","learningRate":0.001},"seed":7}"#;
    assert!(json.contains(training), "{json}");
}

// What is added to `spec.training`, and where the finding must be; then its code, part of the message, part of the help.
#[rstest]
#[case("schedule: {name: cosin}", "cosin}", "wrong-value", "schedule.name cannot be `cosin`", "did you mean `cosine`? allowed: constant, cosine, step")]
#[case("schedule: {warmupEpochs: 1}", "{warmup", "missing-field", "missing field `name` in spec.training.schedule", "add `name:`")]
#[case("schedule: {name: cosine, warmup: 1}", "warmup:", "unknown-field", "unknown field `warmup`", "did you mean `warmupEpochs`?")]
#[case("schedule: {name: cosine, warmupEpochs: 10}", "10}", "warmup-too-long", "a warm-up of 10 epochs leaves none of 10", "at most 9")]
#[case("schedule: {name: cosine, warmupEpochs: -1}", "-1}", "out-of-range", "warmupEpochs is -1", "from 0 to")]
#[case("schedule: {name: cosine, every: 2}", "2}", "without-effect", "every is a setting of the schedule step, and cosine has none", "remove `every`")]
#[case("schedule: {name: constant, factor: 0.5}", "0.5}", "without-effect", "and constant has none", "remove `factor`")]
#[case("schedule: {name: step, every: 2}", "step,", "missing-field", "the schedule step needs `factor`", "such as 0.1")]
#[case("schedule: {name: step, factor: 0.1}", "step,", "missing-field", "the schedule step needs `every`", "a number of epochs")]
#[case("schedule: {name: step, every: 0, factor: 0.1}", "0, factor", "out-of-range", "every is 0", "from 1 to")]
#[case("schedule: {name: step, every: 1, factor: 1}", "1}", "out-of-range", "factor is 1", "less than 1")]
#[case("augmentation: {}", "{}", "missing-field", "augmentation changes nothing", "`shift` in pixels or `rotation` in degrees")]
#[case("augmentation: {shift: 1.5}", "1.5", "wrong-type", "shift must be a whole number", "from 0 to 1024")]
#[case("augmentation: {rotation: 181}", "181", "out-of-range", "rotation is 181", "from 0 to 180")]
#[case("augmentation: {rotation: .nan}", ".nan", "out-of-range", "rotation is .nan", "from 0 to 180")]
#[case("augmentation: {flip: true}", "flip", "unknown-field", "unknown field `flip`", "allowed: shift, rotation")]
#[case("earlyStopping: {}", "{}", "missing-field", "missing field `patience`", "add `patience:`")]
#[case("earlyStopping: {patience: 0}", "0}", "out-of-range", "patience is 0", "from 1 to")]
#[case("earlyStopping: 3", "3", "wrong-type", "earlyStopping must be a map", "allowed fields: patience")]
#[case("momentum: 0.9", "momentum", "unknown-field", "unknown field `momentum` in spec.training", "did you mean `spec.training.optimizer.momentum`?")]
#[rustfmt::skip]
fn a_mistake_has_its_place(#[case] new: &str, #[case] at: &str, #[case] code: &str, #[case] message: &str, #[case] help: &str) {
    refused(&with(MLP, "seed: 7}", &format!("seed: 7, {new}}}")), new, at, code, message, help);
}

#[rstest]
#[case("{name: adam, learningRate: 0.001, momentum: 0.9}", "0.9", "without-effect", "momentum is a setting of sgd, and adam has none", "remove `momentum`")]
#[case("{name: adamw, learningRate: 0.001, momentum: 0}", "0}", "without-effect", "adamw has none", "`name: sgd`")]
#[case("{name: sgd, learningRate: 0.1, momentum: 1}", "1}", "out-of-range", "momentum is 1", "from 0 to less than 1")]
#[case("{name: sgd, learningRate: 0.1, weightDecay: 5}", "5}", "out-of-range", "weightDecay is 5", "from 0 to 1")]
#[case("{name: sgd, learningRate: 0.1, wd: 0.1}", "wd", "unknown-field", "unknown field `wd`", "did you mean `weightDecay`?")]
#[rustfmt::skip]
fn a_mistake_of_the_optimizer_has_its_place(#[case] new: &str, #[case] at: &str, #[case] code: &str, #[case] message: &str, #[case] help: &str) {
    refused(&with(MLP, "{name: adam, learningRate: 0.001}", new), new, at, code, message, help);
}

// What is swept, and where the finding must be; then its code and part of the message.
#[rstest]
#[case("training.optimizer.momentum: [0.8, 0.9]", "0.8", "without-effect", "adam has none")]
#[case("training.schedule.every: [1, 2]", "1, 2", "without-effect", "every is a setting of the schedule step, and constant has none")]
#[case("training.schedule.name: [cosine, step]", "step", "missing-field", "the schedule step needs")]
#[case("training.schedule.warmupEpochs: [0, 2, 10]", "10", "warmup-too-long", "a warm-up of 10 epochs leaves none of 10")]
#[case("training.augmentation.rotation: [0, 200]", "200", "out-of-range", "rotation is 200")]
#[case("training.earlyStopping.patience: [3, 3]", "3]", "sweep-duplicate", "3 twice")]
#[case("training.augmentation: [1]", "training.aug", "sweep-path", "there is no field `training.augmentation` to sweep")]
#[rustfmt::skip]
fn a_mistake_of_a_sweep_has_its_place(#[case] new: &str, #[case] at: &str, #[case] code: &str, #[case] message: &str) {
    refused(&with(MLP, "  workers", &format!("  sweep:\n    {new}\n  workers")), new, at, code, message, "");
}

/// The first finding must be at `at`, which is a part of `new`, which is a part of the text.
fn refused(text: &str, new: &str, at: &str, code: &str, message: &str, help: &str) {
    let offset = text.find(new).unwrap() + new.find(at).unwrap();
    let before = &text[..offset];
    let (line, column) = (before.lines().count(), before.lines().last().unwrap().chars().count() + 1);
    let found = parse("e.yaml", &with(text, "cpuHours: 2", "cpuHours: 9")).expect_err("the text should be refused");
    let finding = &found[0];
    assert_eq!((finding.line, finding.column, finding.code), (line, column, code), "{found:#?}");
    assert!(finding.message.contains(message), "{finding:#?}");
    assert!(finding.help.as_deref().unwrap_or_default().contains(help), "{finding:#?}");
}

#[test]
fn a_warm_up_must_be_shorter_than_every_swept_number_of_epochs() {
    let text = with(MLP, "seed: 7}", "seed: 7, schedule: {name: cosine, warmupEpochs: 5}}");
    let text = with(&text, "  workers", "  sweep:\n    training.epochs: [6, 5]\n  workers");
    let found = parse("e.yaml", &text).expect_err("five epochs of warm-up are all of five");
    assert_eq!(
        (found.len(), found[0].line, found[0].column, found[0].code),
        (1, 11, 26, "warmup-too-long"),
        "{found:#?}"
    );
}

#[test]
fn every_setting_can_be_swept_from_nothing() {
    for (axis, expected) in [
        ("training.optimizer.weightDecay: [0, 0.01]", r#""weightDecay":0.01"#),
        ("training.schedule.warmupEpochs: [0, 1]", r#""schedule":{"name":"constant","warmupEpochs":1}"#),
        ("training.schedule.name: [constant, cosine]", r#""schedule":{"name":"cosine"}"#),
        ("training.augmentation.shift: [0, 2]", r#""augmentation":{"shift":2}"#),
        ("training.augmentation.rotation: [0, 10]", r#""augmentation":{"rotation":10.0}"#),
        ("training.earlyStopping.patience: [1, 3]", r#""earlyStopping":{"patience":3}"#),
    ] {
        let text = with(MLP, "  workers", &format!("  sweep:\n    {axis}\n  workers"));
        let trials = experiment(&text).trials(&dataset());
        assert_eq!(trials.len(), 2, "{axis}");
        assert!(trials[1].to_json().contains(expected), "{axis}: {}", trials[1].to_json());
    }
}

#[test]
fn a_sweep_replaces_what_the_experiment_says() {
    let axes = "training.schedule.every: [2, 5]\n    training.schedule.factor: [0.1]\n    training.optimizer.momentum: [0, 0.5]";
    let text = with(&everything(), "  workers", &format!("  sweep:\n    {axes}\n  workers"));
    let trials = experiment(&with(&text, "cpuHours: 2", "cpuHours: 4")).trials(&dataset());
    let points: Vec<_> = trials
        .iter()
        .map(|trial| (training(trial).optimizer.momentum, training(trial).schedule.and_then(|schedule| schedule.every)))
        .collect();
    assert_eq!(points, [(Some(0.0), Some(2)), (Some(0.0), Some(5)), (Some(0.5), Some(2)), (Some(0.5), Some(5))]);
    assert!(trials.iter().all(|trial| training(trial).schedule.and_then(|schedule| schedule.factor) == Some(0.1)));
}

#[rstest]
#[case("\"name\":\"sgd\"", "\"name\":\"adam\"", "training.optimizer.momentum is 0.8")]
#[case("\"momentum\":0.8", "\"momentum\":1.0", "training.optimizer.momentum is 1")]
#[case("\"weightDecay\":0.0005", "\"weightDecay\":-1", "training.optimizer.weightDecay is -1")]
#[case(
    "\"name\":\"step\"",
    "\"name\":\"cosine\"",
    "training.schedule.every is 4, expected at least 1, and only with step"
)]
#[case("\"every\":4,", "", "training.schedule.every is absent")]
#[case("\"every\":4", "\"every\":0", "training.schedule.every is 0")]
#[case("\"factor\":0.5", "\"factor\":0", "training.schedule.factor is 0")]
#[case("\"warmupEpochs\":1", "\"warmupEpochs\":10", "training.schedule.warmupEpochs is 10")]
#[case("\"rotation\":10.0", "\"rotation\":1e9", "training.augmentation.rotation is 1000000000")]
#[case("\"patience\":3", "\"patience\":0", "training.earlyStopping.patience is 0")]
#[case("\"shift\":2", "\"shift\":-2", "invalid value")]
fn a_damaged_trial_is_refused(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    let json = experiment(&everything()).trials(&dataset())[0].to_json();
    let error = Trial::from_json(&with(&json, old, new)).expect_err("the trial should be refused");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn another_setting_is_another_job() {
    let name = |text: &str| experiment(text).trials(&dataset())[0].name.clone();
    let mut names: Vec<_> = [
        ("optimizer: {name: adam, learningRate: 0.001}", SGD),
        ("seed: 7", "seed: 7, schedule: {name: cosine}"),
        ("seed: 7", "seed: 7, schedule: {name: cosine, warmupEpochs: 1}"),
        ("seed: 7", "seed: 7, augmentation: {shift: 1}"),
        ("seed: 7", "seed: 7, augmentation: {rotation: 1}"),
        ("seed: 7", "seed: 7, earlyStopping: {patience: 1}"),
    ]
    .iter()
    .map(|(old, new)| name(&with(MLP, old, new)))
    .collect();
    names.push(name(MLP));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 7);
}
