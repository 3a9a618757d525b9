//! Data that grows: what is in a split stays there.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::workshop::{Workshop, idx, items, levels, png};

type Items = BTreeMap<(Vec<u8>, u8), &'static str>;

/// How many of a class are in a split.
fn count(items: &Items, class: u8, split: &str) -> usize {
    items.iter().filter(|((_, label), place)| *label == class && **place == split).count()
}

#[tokio::test]
async fn whatever_is_added_what_is_in_a_split_stays_there_and_shares_are_exact() {
    let spec = |seed: u64| {
        format!(
            "source: {{idx: {{images: files/x, labels: files/y}}}}, classes: 2, shape: [8, 8], \
             split: {{validation: 0.1, test: 0.25, seed: {seed}}}, pipeline: {{read: {{landing: ['s3://landing/']}}}}"
        )
    };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(4));
    // how many of each class are added, with some that are there already; drawn outside of the runner, which knows no async
    let rounds = prop::collection::vec((1..40_u64, 0..30_u64, 0..5_u64), 3);
    let cases: Vec<_> = (0..4).map(|_| rounds.new_tree(&mut runner).unwrap().current()).collect();
    for (seed, rounds) in (0_u64..).zip(cases) {
        let workshop = Workshop::new().await;
        let (x, y) = idx(&items(0..30));
        workshop.write("files/x", x);
        workshop.write("files/y", y);
        let mut number = 30;
        let mut before: Items = workshop.items(&workshop.build(&spec(seed)).await.digest).await;
        for (even, odd, known) in rounds.clone() {
            for (class, count) in [(0, even), (1, odd)] {
                for _ in 0..count {
                    workshop.land(&format!("{class}/{number}.png"), png(&levels(2 * number + class), 8));
                    number += 1;
                }
            }
            for again in 0..known {
                workshop.land(&format!("{}/again-{again}.png", again % 2), png(&levels(again), 8));
            }
            let built = workshop.build(&spec(seed)).await;
            let after = workshop.items(&built.digest).await;
            for (item, place) in &before {
                assert_eq!(after.get(item), Some(place), "{rounds:?}");
            }
            for class in 0..2 {
                let all = after.keys().filter(|(_, label)| *label == class).count();
                let rounded = |share: f64| (all as f64 * share).round() as usize;
                assert_eq!(count(&after, class, "test"), rounded(0.25), "{rounds:?}");
                assert_eq!(count(&after, class, "validation"), rounded(0.1), "{rounds:?}");
            }
            before = after;
        }
    }
}

#[tokio::test]
async fn a_number_of_examples_is_kept_exactly() {
    let workshop = Workshop::new().await;
    let spec = "source: {idx: {images: files/x, labels: files/y}}, classes: 2, shape: [8, 8], \
        split: {validation: 7, test: 10, seed: 3}, pipeline: {}";
    let mut before = Items::new();
    for size in [40, 70, 71, 200] {
        let (x, y) = idx(&items(0..size));
        workshop.write("files/x", x);
        workshop.write("files/y", y);
        let built = workshop.build(spec).await;
        assert_eq!((built.report.counts.validation, built.report.counts.test), (7, 10));
        let after = workshop.items(&built.digest).await;
        assert!(before.iter().all(|(item, place)| after.get(item) == Some(place)));
        assert_eq!((count(&after, 0, "test"), count(&after, 1, "test")), (5, 5));
        before = after;
    }
    // more is declared: what trains does not become what tests
    let built = workshop.build(&spec.replace("test: 10", "test: 30")).await;
    assert_eq!((built.report.counts.test, &built.report.short[0].split), (10, &"test".to_owned()));
    assert_eq!((built.report.short[0].declared, built.report.short[0].actual), (30, 10));
}

/// A source that says what tests.
#[tokio::test]
async fn parts_of_a_source_stay_and_what_lands_trains() {
    let workshop = Workshop::new().await;
    let train = items(0..40);
    let mut test = items(40..60);
    // one that is in both may only test
    test.push((levels(0), 0));
    for (name, items) in [("train", &train), ("test", &test)] {
        let (x, y) = idx(items);
        workshop.write(&format!("files/{name}-x"), x);
        workshop.write(&format!("files/{name}-y"), y);
    }
    let spec = "source: {idx: {train: {images: files/train-x, labels: files/train-y}, \
        test: {images: files/test-x, labels: files/test-y}}}, classes: 2, shape: [8, 8], \
        split: {validation: 0.1, seed: 3}, pipeline: {read: {landing: ['s3://landing/']}}";
    for number in 60..80 {
        workshop.land(&format!("{}/{number}.png", number % 2), png(&levels(number), 8));
    }
    let built = workshop.build(spec).await;
    let items = workshop.items(&built.digest).await;
    // a tenth of each class of what does not test
    assert_eq!((built.report.counts.train, built.report.counts.validation, built.report.counts.test), (53, 6, 21));
    assert_eq!(items[&(levels(0), 0)], "test");
    assert!((40..60).all(|number| items[&(levels(number), (number % 2) as u8)] == "test"));
    let aside = workshop.set_aside(&built).await;
    assert_eq!((aside.len(), aside[0].item.as_str()), (1, "files/train-x, image 0"));
    let refused = workshop.problem(&spec.replace("seed: 3}, pipeline", "seed: 3}, digest: 'sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', pipeline").replace("classes: 2", "classes: 3")).await;
    assert_eq!((refused.code, refused.message.as_str()), ("empty-class", "no item has the class 2"));
}
