//! What does not fit is set aside, with its name and the reason.

use slipway_pipeline::{Reason, SetAside};

use crate::workshop::{Workshop, idx, items, levels, png};

const IMAGES: &str =
    "source: {images: {from: files}}, labels: [cat, dog], split: {validation: 0.1, test: 0.1, seed: 0}, ";

/// Twenty images of each of two classes.
async fn pets() -> Workshop {
    let workshop = Workshop::new().await;
    for number in 0..40 {
        let label = ["cat", "dog"][number as usize % 2];
        workshop.write(&format!("files/{label}/{number}.png"), png(&levels(number), 8));
    }
    workshop
}

fn aside(item: &str, reason: Reason) -> SetAside {
    SetAside { item: item.to_owned(), reason, detail: None, of: None, distance: None }
}

/// Without what exactly is wrong.
fn plain(all: &[SetAside]) -> Vec<SetAside> {
    all.iter().map(|one| SetAside { detail: None, ..one.clone() }).collect()
}

#[tokio::test]
async fn each_kind_of_bad_file_is_named() {
    let workshop = pets().await;
    let whole = png(&levels(100), 8);
    workshop.write("files/cat/a-note.txt", "not an image");
    workshop.write("files/cat/b-cut.png", &whole[..whole.len() - 20]);
    workshop.write("files/cat/c-empty.png", "");
    workshop.write("files/cat/deep/er.png", &whole);
    workshop.write("files/cow/1.png", &whole);
    workshop.write("files/lost.png", &whole);
    workshop.write("files/dog/d-small.png", png(&[0, 200, 9, 77], 2));
    workshop.write("files/dog/e-bright.png", png(&[levels(101), vec![255; 0]].concat(), 8));
    workshop.write("files/dog/f-flat.png", png(&[100; 64], 8));
    let mut bright = levels(102).into_iter().map(|level| level.min(250)).collect::<Vec<u8>>();
    bright[5] = 255;
    workshop.write("files/dog/e-bright.png", png(&bright, 8));
    workshop.write("files/dog/g-again.png", png(&levels(1), 8));
    // the same pixels with another label: nobody knows which one is right, so that both are out
    workshop.write(
        "files/cat/h-both.png",
        png(&[levels(103), vec![]].concat().iter().map(|l| l / 2).collect::<Vec<_>>(), 8),
    );
    workshop.write("files/dog/h-both.png", png(&levels(103).iter().map(|l| l / 2).collect::<Vec<_>>(), 8));
    // all others are below 251
    for number in 0..40_u64 {
        let label = ["cat", "dog"][number as usize % 2];
        let dark: Vec<u8> = levels(number).iter().map(|level| (*level).min(250)).collect();
        workshop.write(&format!("files/{label}/{number}.png"), png(&dark, 8));
    }
    let dark: Vec<u8> = levels(1).iter().map(|level| (*level).min(250)).collect();
    workshop.write("files/dog/g-again.png", png(&dark, 8));
    let spec = format!(
        "{IMAGES} pipeline: {{validate: {{size: {{least: [4, 4]}}, range: [0, 250], contrast: 5}}, publish: images}}"
    );
    let built = workshop.build(&spec).await;
    let all = workshop.set_aside(&built).await;
    let of = |item: &str, reason, of: &str| SetAside { of: Some(of.to_owned()), ..aside(item, reason) };
    assert_eq!(
        plain(&all),
        [
            aside("files/cat/a-note.txt", Reason::NotAnImage),
            aside("files/cat/b-cut.png", Reason::Unreadable),
            aside("files/cat/c-empty.png", Reason::NotAnImage),
            aside("files/cat/deep/er.png", Reason::WrongPlace),
            of("files/cat/h-both.png", Reason::ConflictingLabel, "files/dog/h-both.png"),
            aside("files/cow/1.png", Reason::UnknownLabel),
            aside("files/dog/d-small.png", Reason::WrongSize),
            aside("files/dog/e-bright.png", Reason::OutOfRange),
            aside("files/dog/f-flat.png", Reason::LowContrast),
            of("files/dog/g-again.png", Reason::Duplicate, "files/dog/1.png"),
            of("files/dog/h-both.png", Reason::ConflictingLabel, "files/cat/h-both.png"),
            aside("files/lost.png", Reason::WrongPlace),
        ]
    );
    let detail = |item: &str| all.iter().find(|one| one.item == item).unwrap().detail.clone().unwrap();
    assert_eq!(detail("files/cow/1.png"), "its label is \"cow\"");
    assert_eq!(detail("files/dog/d-small.png"), "it has 2 × 2 pixels");
    assert_eq!(
        detail("files/dog/e-bright.png"),
        "its levels are from 0 to 255".replace("0 to", &format!("{} to", bright.iter().min().unwrap()))
    );
    assert_eq!(detail("files/dog/f-flat.png"), "the standard deviation of its levels is 0.0");
    assert_eq!(detail("files/cat/h-both.png"), "one is cat, the other dog");
    // nothing is dropped silently
    let report = &built.report;
    assert_eq!((report.items, report.counts.total(), report.set_aside.count), (52, 40, 12));
    assert_eq!(report.set_aside.first, all);
    let reasons: u64 = report.set_aside.reasons.iter().map(|reason| reason.count).sum();
    assert_eq!(reasons, 12);
    // a limit: nothing is published
    let refused = workshop.problem(&spec.replace("contrast: 5", "contrast: 5, setAside: 0.1")).await;
    assert_eq!((refused.code, refused.field.as_str()), ("too-many-set-aside", "spec.pipeline.validate.setAside"));
    assert!(
        refused.message.starts_with("12 of 52 items do not fit (2 wrong-place, 2 not-an-image,"),
        "{}",
        refused.message
    );
    assert_eq!(workshop.whole_head().await, Some(built.digest));
}

#[tokio::test]
async fn near_duplicates_are_set_aside_and_the_published_one_stays() {
    let workshop = pets().await;
    let spec = |near: &str| format!("{IMAGES} pipeline: {{validate: {{{near}}}, publish: images}}");
    let first = workshop.build(&spec("nearDuplicates: 4")).await;
    assert_eq!(first.report.counts.total(), 40);
    // one level more in two places, under names that come before the others
    let mut like = levels(6);
    like[10] ^= 1;
    like[50] ^= 1;
    workshop.write("files/cat/0-like.png", png(&like, 8));
    // another class: that is for a person to see
    let mut other = levels(7);
    other[3] ^= 1;
    workshop.write("files/cat/0-other.png", png(&other, 8));
    let built = workshop.build(&spec("nearDuplicates: 4")).await;
    let all = workshop.set_aside(&built).await;
    let expected = SetAside {
        of: Some("files/cat/6.png".to_owned()),
        distance: all.first().and_then(|one| one.distance),
        ..aside("files/cat/0-like.png", Reason::NearDuplicate)
    };
    assert_eq!(all, [expected]);
    assert!(all[0].distance.unwrap() <= 4);
    assert_eq!(workshop.build(&spec("")).await.report.counts.total(), 42);
}

/// What was published is not driven out by something that has just landed.
#[tokio::test]
async fn a_wrong_label_that_lands_does_not_remove_what_is_there() {
    let workshop = pets().await;
    let spec = format!("{IMAGES} pipeline: {{read: {{landing: ['s3://landing/x']}}, publish: images}}");
    let first = workshop.build(&spec).await;
    workshop.land("x/dog/0.png", png(&levels(0), 8));
    let built = workshop.build(&spec).await;
    assert_eq!(built.digest, first.digest);
    let all = workshop.set_aside(&built).await;
    assert_eq!(all[0].of.as_deref(), Some("files/cat/0.png"));
    assert_eq!(
        (all.len(), all[0].reason, all[0].item.as_str()),
        (1, Reason::ConflictingLabel, "s3://landing/x/dog/0.png")
    );
    // the report is another one, and so the head moves
    assert!(built.moved && built.report_digest != first.report_digest);
}

#[tokio::test]
async fn classes_are_described_and_balanced_as_declared() {
    let workshop = Workshop::new().await;
    let mut all = items(0..30);
    all.retain(|(_, label)| *label == 0);
    all.push((vec![10; 64], 1));
    all.extend((0..3_u8).map(|n| ([vec![20 + n; 32], vec![40 + n; 32]].concat(), 1)));
    let (x, y) = idx(&all);
    workshop.write("files/x", x);
    workshop.write("files/y", y);
    let spec = "source: {idx: {images: files/x, labels: files/y}}, labels: [many, few], shape: [8, 8], \
        split: {validation: 0.1, test: 0.1, seed: 0}, pipeline: {validate: {balance: 0.2}}";
    let built = workshop.build(spec).await;
    let few = &built.report.classes[1];
    assert_eq!((few.label.as_str(), few.counts.total()), ("few", 4));
    // (10 + 30 + 31 + 32) / 4, and Σx²/n - mean² of 64 × 10, 32 × 20, 32 × 40, …
    assert_eq!(few.mean, Some(25.75));
    let squares = [100.0, (400.0 + 1600.0) / 2.0, (441.0 + 1681.0) / 2.0, (484.0 + 1764.0) / 2.0];
    let variance = few.variance.unwrap();
    assert!((variance - (squares.iter().sum::<f64>() / 4.0 - 25.75 * 25.75)).abs() < 1e-9, "{variance}");
    let refused = workshop.problem(&spec.replace("0.2}", "0.3}")).await;
    assert_eq!(refused.code, "unbalanced");
    assert_eq!(refused.message, "class few has 4 items, and class many has 15: less than validate.balance asks for");
}

#[tokio::test]
async fn images_become_what_is_declared() {
    let workshop = Workshop::new().await;
    for number in 0..20_u64 {
        let colours: Vec<u8> =
            levels(number).iter().chain(&levels(number + 100)).chain(&levels(number + 200)).copied().collect();
        workshop.write(&format!("files/{}/{number}.png", ["cat", "dog"][number as usize % 2]), png(&colours, 8));
        // as what a page sends: another size, and already grey
        let large: Vec<u8> = (0..256).map(|place| (place * 7 * number % 255) as u8).collect();
        workshop.land(&format!("cat/{number}.png"), png(&large, 16));
    }
    let spec = format!(
        "{IMAGES} pipeline: {{read: {{landing: ['s3://landing']}}, transform: [grey, {{resize: [4, 6]}}, {{normalize: [10, 200]}}, invert], publish: idx}}"
    );
    let built = workshop.build(&spec).await;
    assert_eq!((built.manifest.format(), built.manifest.shape()), ("idx", vec![4, 6]));
    assert_eq!(built.manifest.labels(), Some(&["cat".to_owned(), "dog".to_owned()][..]));
    let dataset = workshop.store.fetch(&built.digest, &workshop.path().join("fetched")).await.unwrap();
    assert_eq!((dataset.shape, dataset.train.count as u64), ([4, 6], built.report.counts.train));
    // without the resize nothing has the declared shape
    let shape = spec.replace("labels:", "shape: [5, 5], labels:").replace("{resize: [4, 6]}, ", "");
    assert_eq!(workshop.problem(&shape).await.code, "empty-class");
}

#[tokio::test]
async fn a_declared_file_that_is_broken_stops_the_build() {
    let workshop = Workshop::new().await;
    let (x, y) = idx(&items(0..20));
    let spec = "source: {idx: {images: files/x, labels: files/y}}, classes: 2, shape: [8, 8], \
        split: {validation: 0.1, test: 0.1, seed: 0}, pipeline: {}";
    for (images, labels, code, text) in [
        (&x[..x.len() - 1], &y[..], "truncated", "files/x is not a complete IDX file: it ends early"),
        (&[&x[..], b"x"].concat()[..], &y[..], "truncated", "it is longer than its header says"),
        (&y[..], &y[..], "truncated", "0x00000801 instead of 0x00000803"),
        (&x[..], &idx(&items(0..19)).1[..], "wrong-count", "files/x has 20 images, but files/y has 19 labels"),
    ] {
        workshop.write("files/x", images);
        workshop.write("files/y", labels);
        let problem = workshop.problem(spec).await;
        assert_eq!(problem.code, code);
        assert!(problem.message.contains(text), "{}", problem.message);
    }
    std::fs::remove_file(workshop.path().join("files/y")).unwrap();
    assert_eq!(workshop.problem(spec).await.code, "not-found");
    assert_eq!(workshop.whole_head().await, None);
}
