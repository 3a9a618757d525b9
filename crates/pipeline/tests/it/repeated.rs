//! The same again: the same bytes, and nothing is read twice.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use slipway_dataset::{Digest, Stored};
use slipway_pipeline::{PlannedSource, Step, unneeded};

use crate::workshop::{New, Workshop, declaration, idx, items, levels, png};

const IDX: &str = "source: {idx: {images: files/x, labels: files/y}}, classes: 2, shape: [8, 8], \
    split: {validation: 0.1, test: 0.2, seed: 1}, pipeline: {read: {landing: ['s3://landing/in']}}";

fn idx_files(workshop: &Workshop, items: &[(Vec<u8>, u8)]) {
    let (x, y) = idx(items);
    workshop.write("files/x", x);
    workshop.write("files/y", y);
}

#[tokio::test]
async fn the_same_data_gives_the_same_bytes_everywhere_and_is_read_once() {
    let mut digests = Vec::new();
    for reversed in [false, true] {
        let workshop = Workshop::new().await;
        let mut all = items(0..100);
        let mut landed: Vec<u64> = (100..140).collect();
        if reversed {
            all.reverse();
            landed.reverse();
        }
        idx_files(&workshop, &all);
        for number in landed {
            workshop.land(&format!("in/{}/{number}.png", number % 2), png(&levels(number), 8));
        }
        workshop.land("in/0/100.json", "{}");
        let planned = workshop.plan(IDX).await;
        let source = |kind, units, new| PlannedSource { kind, units, new };
        assert_eq!(planned.sources, [source("pairs of IDX files", 1, 1), source("objects", 40, 40)]);
        assert_eq!((planned.head, workshop.whole_head().await), (None, None));

        let (built, new) = workshop.read(IDX).await;
        assert_eq!((new, built.moved, built.report.items), (New(41, 140), true, 140));
        assert_eq!((built.report.counts.train, built.report.counts.validation, built.report.counts.test), (98, 14, 28));
        assert_eq!(workshop.whole_head().await, Some(built.digest));
        let (again, steps) = workshop.steps(IDX).await.unwrap();
        assert_eq!(steps[0], Step::Read { units: 41, items: 140, new_units: 0, new_items: 0, new_bytes: 0 });
        assert!(steps.contains(&Step::Published { made: Vec::new(), bytes: 0 }), "{steps:?}");
        assert!(!again.moved);
        assert_eq!((again.digest, again.report_digest), (built.digest, built.report_digest));
        digests.push((built.digest, built.report_digest, workshop.items(&built.digest).await));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn only_what_is_new_is_read() {
    let workshop = Workshop::new().await;
    idx_files(&workshop, &items(0..60));
    let (_, new) = workshop.read(IDX).await;
    assert_eq!(new, New(1, 60));
    workshop.land("in/0/a.png", png(&levels(60), 8));
    workshop.land("in/1/c.png", png(&levels(61), 8));
    let planned = workshop.plan(IDX).await;
    assert_eq!(planned.sources.iter().map(|source| source.new).collect::<Vec<_>>(), [0, 2]);
    let (built, new) = workshop.read(IDX).await;
    assert_eq!((new, built.report.items), (New(2, 2), 62));
    // between the two, and one that changes
    workshop.land("in/0/b.png", png(&levels(62), 8));
    workshop.land("in/1/c.png", [png(&levels(63), 8), b"longer".to_vec()].concat());
    let (built, new) = workshop.read(IDX).await;
    assert_eq!((new, built.report.items), (New(2, 2), 63));
    // rules do not need the data, transforms do
    let rules = IDX.replace("pipeline: {", "pipeline: {validate: {contrast: 1, nearDuplicates: 0}, ");
    assert_eq!(workshop.read(&rules).await.1, New(0, 0));
    let transforms = IDX.replace("pipeline: {", "pipeline: {transform: [invert], ");
    assert_eq!(workshop.read(&transforms).await.1, New(4, 63));
    // what is gone is gone
    std::fs::remove_file(workshop.path().join("s3/landing/in/0/b.png")).unwrap();
    let (built, new) = workshop.read(IDX).await;
    assert_eq!((new, built.report.items), (New(0, 0), 62));
}

/// What is kept of earlier builds is a cache: without it, or without a part of it, everything is read again.
#[tokio::test]
async fn without_what_was_kept_the_result_is_the_same() {
    let workshop = Workshop::new().await;
    idx_files(&workshop, &items(0..40));
    let built = workshop.build(IDX).await;
    // all of it is in the store
    assert!(!workshop.path().join("cache").exists());
    let (again, new) = workshop.read(IDX).await;
    assert_eq!((again.digest, new), (built.digest, New(0, 0)));
    std::fs::remove_dir_all(workshop.path().join("s3/datasets/steps")).unwrap();
    let (again, new) = workshop.read(IDX).await;
    assert_eq!((again.digest, again.report_digest, new), (built.digest, built.report_digest, New(1, 40)));
    // the blobs are gone, and so are the packs
    std::fs::remove_dir_all(workshop.path().join("cache")).unwrap();
    let blobs = workshop.path().join("s3/datasets/blobs/sha256");
    let heads = std::fs::read_to_string(workshop.path().join("s3/datasets/heads/d.json")).unwrap();
    for entry in std::fs::read_dir(&blobs).unwrap() {
        let path = entry.unwrap().path();
        // without its assignments a head is nothing
        if !heads.contains(path.file_name().unwrap().to_str().unwrap()) {
            std::fs::remove_file(path).unwrap();
        }
    }
    let (again, new) = workshop.read(IDX).await;
    assert_eq!((again.digest, again.report_digest, new), (built.digest, built.report_digest, New(1, 40)));
    assert_eq!(workshop.whole_head().await, Some(built.digest));
}

/// How often the levels of an image are in the store.
fn copies(workshop: &Workshop, number: u64) -> usize {
    let blobs = std::fs::read_dir(workshop.path().join("s3/datasets/blobs/sha256")).unwrap();
    let contents = blobs.map(|blob| std::fs::read(blob.unwrap().path()).unwrap());
    contents.map(|content| content.windows(64).filter(|window| *window == levels(number)).count()).sum()
}

#[tokio::test]
async fn an_image_is_stored_once_whether_it_is_published_or_not() {
    let workshop = Workshop::new().await;
    // the same pixels with two labels
    let mut all = items(0..40);
    all.push((levels(7), 0));
    idx_files(&workshop, &all);
    let built = workshop.build(IDX).await;
    assert_eq!((built.report.counts.total(), built.report.set_aside.count), (39, 2));
    for number in 0..40 {
        // what is set aside is in a pack, once for each item, since another declaration may keep it
        assert_eq!(copies(&workshop, number), if number == 7 { 2 } else { 1 }, "{number}");
    }
    // all of it is found again where it is now: in the splits, and in the pack
    workshop.land("in/1/a.png", png(&levels(40), 8));
    let (grown, new) = workshop.read(IDX).await;
    assert_eq!((new, grown.report.counts.total()), (New(1, 1), 40));
    let published = workshop.items(&grown.digest).await;
    assert!(workshop.items(&built.digest).await.iter().all(|(item, place)| published.get(item) == Some(place)));
}

/// A build that publishes nothing keeps what it has read in packs. With difference hashes, and under its key, that is an index of an earlier release.
#[tokio::test]
async fn what_a_refused_build_or_an_earlier_release_has_read_is_published_by_the_next_build() {
    let workshop = Workshop::new().await;
    idx_files(&workshop, &items(0..40));
    let rules = "pipeline: {validate: {contrast: 127, setAside: 0.1, nearDuplicates: 0}, ";
    let strict = IDX.replace("pipeline: {", rules);
    assert_eq!(workshop.problem(&strict).await.code, "too-many-set-aside");
    assert_eq!((copies(&workshop, 0), workshop.whole_head().await), (1, None));
    let step = |form: u8| {
        let key = Digest::of(format!("slipway pipeline: read {form}\0d\0levels\0[]"));
        workshop.path().join("s3/datasets").join(Stored::Step(key).key())
    };
    std::fs::rename(step(2), step(1)).unwrap();
    let declared = [declaration(IDX)];
    // the step, its index and its pack are what the next build would use
    let found = unneeded(&declared, &workshop.store, Duration::ZERO, SystemTime::now()).await.unwrap();
    assert_eq!((found.objects.len(), found.needed), (0, 3), "{found:?}");
    let (built, new) = workshop.read(IDX).await;
    assert!(step(2).exists());
    assert_eq!(new, New(0, 0));
    // and after it nobody needs them
    let found = unneeded(&declared, &workshop.store, Duration::ZERO, SystemTime::now()).await.unwrap();
    assert_eq!(found.objects.len(), 3, "{found:?}");
    assert_eq!(workshop.read(IDX).await.1, New(0, 0));
    let other = Workshop::new().await;
    idx_files(&other, &items(0..40));
    assert_eq!(other.build(IDX).await.digest, built.digest);
}

/// They are made of the images in the store when a rule asks for them first.
#[tokio::test]
async fn difference_hashes_need_no_source() {
    // one pixel of an image is a shade brighter or darker
    let mut all = items(0..40);
    let mut near = levels(4);
    near[63] ^= 1;
    all.push((near, 0));
    let near_duplicates = |spec: &str| spec.replace("pipeline: {", "pipeline: {validate: {nearDuplicates: 2}, ");
    let idx_of = |workshop: &Workshop| idx_files(workshop, &all);
    let images_of = |workshop: &Workshop| {
        for (number, (levels, label)) in all.iter().enumerate() {
            workshop.write(&format!("files/all/{label}/{number}.png"), png(levels, 8));
        }
    };
    let images = "source: {images: {from: files/all}}, labels: ['0', '1'], split: {validation: 5, test: 8, seed: 0}, \
        pipeline: {publish: images}";
    let write_all: [&dyn Fn(&Workshop); 2] = [&idx_of, &images_of];
    for (spec, write) in [IDX, images].into_iter().zip(write_all) {
        let (asked, late) = (Workshop::new().await, Workshop::new().await);
        write(&asked);
        write(&late);
        let built = asked.build(&near_duplicates(spec)).await;
        assert_eq!(built.report.set_aside.reasons.len(), 1, "{:?}", built.report);
        assert_eq!(late.build(spec).await.report.set_aside.count, 0);
        let (again, new) = late.read(&near_duplicates(spec)).await;
        assert_eq!(new, New(0, 0));
        // also where both were published, the one with the smaller digest stays
        assert_eq!(late.set_aside(&again).await, asked.set_aside(&built).await);
    }
}

#[tokio::test]
async fn image_files_are_found_again_in_the_archives_of_the_splits() {
    let workshop = Workshop::new().await;
    // a name that does not fit into a header of tar
    let long = "l".repeat(120);
    let spec = format!(
        "source: {{images: {{from: files/all}}}}, labels: [even, {long}], split: {{validation: 2, test: 3, seed: 0}}, \
         pipeline: {{publish: images}}"
    );
    let mut files = BTreeSet::new();
    for number in 0..24 {
        let file = png(&levels(number), 8);
        let label = if number % 2 == 0 { "even" } else { &long };
        workshop.write(&format!("files/all/{label}/{number}.png"), &file);
        files.insert(file);
        if number >= 20 {
            let (built, new) = workshop.read(&spec).await;
            assert_eq!(new, if number == 20 { New(21, 21) } else { New(1, 1) });
            let unpacked = workshop.store.unpack(&built.digest, &workshop.path().join("unpacked")).await.unwrap();
            let mut published = BTreeSet::new();
            for split in ["train", "validation", "test"] {
                for label in ["even", &long] {
                    for file in std::fs::read_dir(unpacked.folder.join(split).join(label)).into_iter().flatten() {
                        published.insert(std::fs::read(file.unwrap().path()).unwrap());
                    }
                }
            }
            assert_eq!(published, files);
        }
    }
}

#[tokio::test]
async fn folders_archives_and_names_do_not_matter() {
    let spec = |from: &str| {
        format!(
            "source: {{images: {{from: {from}}}}}, labels: [even, odd], split: {{validation: 5, test: 8, seed: 0}}, \
             pipeline: {{publish: images}}"
        )
    };
    let label = |number: u64| if number.is_multiple_of(2) { "even" } else { "odd" };
    let first = Workshop::new().await;
    let mut archive = tar::Builder::new(Vec::new());
    for number in 0..50 {
        let file = png(&levels(number), 8);
        first.write(&format!("files/all/{}/{number}.png", label(number)), &file);
        let mut header = tar::Header::new_gnu();
        header.set_size(file.len() as u64);
        header.set_mode(0o644);
        let name = format!("{}/other-{}.png", label(number), 99 - number);
        archive.append_data(&mut header, name, file.as_slice()).unwrap();
    }
    first.write("files/all/.DS_Store", "");
    let (built, new) = first.read(&spec("files/all")).await;
    assert_eq!((new, built.manifest.format()), (New(50, 50), "images"));
    assert_eq!(first.read(&spec("files/all")).await.1, New(0, 0));
    let second = Workshop::new().await;
    second.write("files/all.tar", archive.into_inner().unwrap());
    let (packed, new) = second.read(&spec("files/all.tar")).await;
    assert_eq!((packed.digest, new), (built.digest, New(1, 50)));
    let counts = packed.manifest.counts();
    assert_eq!((counts.train, counts.validation, counts.test), (37, 5, 8));
    // as a program gets them
    let unpacked = second.store.unpack(&packed.digest, &second.path().join("unpacked")).await.unwrap();
    assert_eq!(std::fs::read_dir(unpacked.folder.join("test/even")).unwrap().count(), 4);
    assert_eq!(packed.manifest.shape(), [8, 8, 1]);
}
