//! What nothing needs is found and removed; everything else stays.

use std::time::{Duration, SystemTime};

use slipway_dataset::Stored;
use slipway_pipeline::{Error, remove, unneeded};

use crate::workshop::{New, Workshop, declaration, idx, items, levels, png};

const SPEC: &str = "source: {idx: {images: files/x, labels: files/y}}, classes: 2, shape: [8, 8], \
    split: {validation: 0.1, test: 0.2, seed: 1}, pipeline: {read: {landing: ['s3://landing/']}}";

fn source(workshop: &Workshop, count: u64) {
    let (x, y) = idx(&items(0..count));
    workshop.write("files/x", x);
    workshop.write("files/y", y);
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

#[tokio::test]
async fn what_a_later_build_left_behind_goes_and_the_next_one_reads_nothing_again() {
    let workshop = Workshop::new().await;
    source(&workshop, 40);
    let first = workshop.build(SPEC).await;
    source(&workshop, 60);
    workshop.land("0/a.png", png(&levels(1000), 8));
    let second = workshop.build(SPEC).await;
    // what is kept of other transforms is of no declaration
    let inverted = SPEC.replace("pipeline: {", "pipeline: {transform: [invert], ");
    let third = workshop.build(&inverted).await;
    let last = workshop.build(SPEC).await;
    assert_eq!(last.digest, second.digest);

    let declared = [declaration(SPEC)];
    let young = unneeded(&declared, &workshop.store, Duration::from_secs(7200), later()).await.unwrap();
    assert!(young.objects.is_empty() && young.young > 0, "{young:?}");
    let found = unneeded(&declared, &workshop.store, Duration::from_secs(60), later()).await.unwrap();
    assert_eq!(found.objects.len() as u64, young.young);
    let reports: Vec<_> = found
        .objects
        .iter()
        .filter_map(|object| match &object.stored {
            Stored::Report { manifest, .. } => Some(*manifest),
            _ => None,
        })
        .collect();
    assert!(reports.contains(&first.digest) && reports.contains(&third.digest) && !reports.contains(&last.digest));
    // the index and the assignments of the first build, and the index of the inverted images; images are in splits, which stay
    let blobs = found.objects.iter().filter(|object| matches!(object.stored, Stored::Blob(_))).count();
    assert_eq!(blobs, 3, "{found:?}");

    remove(&found, &workshop.store).await.unwrap();
    let again = unneeded(&declared, &workshop.store, Duration::ZERO, later()).await.unwrap();
    assert_eq!((again.objects.len(), again.young, again.needed), (0, 0, found.needed));
    // every manifest is whole, those of the past too
    for digest in [first.digest, second.digest, third.digest] {
        workshop.store.verify(&digest).await.unwrap();
    }
    assert_eq!(workshop.whole_head().await, Some(last.digest));
    let (next, new) = workshop.read(SPEC).await;
    assert_eq!((next.digest, next.moved, new), (last.digest, false, New(0, 0)));
    // what was removed is made again, to the same bytes
    assert_eq!(workshop.build(&inverted).await.digest, third.digest);
}

#[tokio::test]
async fn the_reports_of_what_a_declaration_pins_stay() {
    let workshop = Workshop::new().await;
    source(&workshop, 40);
    let first = workshop.build(SPEC).await;
    source(&workshop, 60);
    workshop.build(SPEC).await;
    let pinned = format!("{SPEC}, digest: '{}'", first.digest);
    let found = unneeded(&[declaration(&pinned)], &workshop.store, Duration::ZERO, later()).await.unwrap();
    remove(&found, &workshop.store).await.unwrap();
    workshop.store.report(&first.digest, &first.report_digest).await.unwrap();
    workshop.set_aside(&first).await;
}

#[tokio::test]
async fn nothing_is_removed_if_a_head_moves_or_is_damaged() {
    let workshop = Workshop::new().await;
    source(&workshop, 40);
    workshop.build(SPEC).await;
    source(&workshop, 60);
    workshop.build(SPEC).await;
    let found = unneeded(&[declaration(SPEC)], &workshop.store, Duration::ZERO, later()).await.unwrap();
    assert!(!found.objects.is_empty());
    source(&workshop, 80);
    let moved = workshop.build(SPEC).await;
    assert_eq!(remove(&found, &workshop.store).await, Err(Error::Overtaken("d".to_owned(), 1)));
    assert_eq!(workshop.read(SPEC).await.0.digest, moved.digest);
    let key = Stored::Manifest(moved.digest).key();
    workshop.write(&format!("s3/datasets/{key}"), "{}");
    assert!(unneeded(&[declaration(SPEC)], &workshop.store, Duration::ZERO, later()).await.is_err());
}
