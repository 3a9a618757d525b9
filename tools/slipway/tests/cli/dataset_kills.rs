//! `slipway dataset build`, killed at any moment: a dataset is never half published, and the next build completes it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rstest::rstest;
use slipway_dataset::idx::{write_images, write_labels};
use slipway_dataset::{Credentials, Digest, Head, Store};
use slipway_object_store::KEYS;

use crate::dataset::Place;

const BUILD: [&str; 3] = ["dataset", "build", "d"];

/// The same image for the same number.
fn levels(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    (0..64).map(|_| random.u8(..)).collect()
}

fn idx(images: u64) -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..images).flat_map(levels).collect();
    let labels: Vec<u8> = (0..images).map(|number| (number % 2) as u8).collect();
    (write_images(8, 8, &pixels).unwrap(), write_labels(&labels).unwrap())
}

/// Adds images to the source: everything of the one pair is new then, so that every step has something to do.
fn grow(place: &Place, images: u64) {
    let files = place.project.root().join("files");
    fs::create_dir_all(&files).unwrap();
    let (x, y) = idx(images);
    fs::write(files.join("x"), x).unwrap();
    fs::write(files.join("y"), y).unwrap();
}

fn store(place: &Place) -> Store {
    let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    Store::new(&place.s3, "datasets", keys, "us-east-1").unwrap()
}

/// The head, once every byte that it names was read and is as its digest says.
fn whole_head(place: &Place, store: &Store, folder: &Path) -> Option<Head> {
    place.runtime.block_on(async {
        let head = store.head("d").await.unwrap()?.head;
        let manifest = store.verify(&head.manifest).await.unwrap();
        assert_eq!(manifest.name, "d");
        let report = store.report(&head.manifest, &head.report).await.unwrap();
        let report: slipway_pipeline::Report = serde_json::from_slice(&report).unwrap();
        assert_eq!(report.manifest, head.manifest);
        store.fetch_file(report.set_aside.list, folder).await.unwrap();
        store.fetch_file(head.assignments, folder).await.unwrap();
        Some(head)
    })
}

/// Runs a build to its end.
fn build(place: &Place) -> Digest {
    let built = place.run(&["-o", "json", "dataset", "build", "d"]);
    assert_eq!(built.code(), 0, "{}", built.errors());
    built.json()["digest"].as_str().unwrap().parse().unwrap()
}

/// Runs a build to its end. Gives how long that took as well.
fn timed(place: &Place) -> (Digest, Duration) {
    let begun = Instant::now();
    (build(place), begun.elapsed())
}

/// Starts a build and kills it after a while. Gives whether it had not ended by then.
fn killed(place: &Place, after: Duration) -> bool {
    let mut command = place.project.command(&BUILD);
    place.surround(&mut command);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let was_killed = status.signal() == Some(9);
    assert!(was_killed || status.success(), "{status}");
    was_killed
}

#[rstest]
#[case::a_few(20)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100)]
fn a_build_that_is_killed_at_any_moment_has_published_nothing_or_everything(#[case] most: usize) {
    let place = Place::new();
    place.declare(
        "  source: {idx: {images: files/x, labels: files/y}}\n  classes: 2\n  shape: [8, 8]\n  \
         split: {validation: 0.1, test: 0.2, seed: 0}\n  pipeline: {validate: {nearDuplicates: 1}}\n",
    );
    let (store, lists) = (store(&place), tempfile::tempdir().unwrap());
    let mut images = 400;
    grow(&place, images);
    build(&place);
    images += 1;
    grow(&place, images);
    let mut long = timed(&place).1;
    let mut random = fastrand::Rng::new();
    let seed = random.get_seed();
    let (mut kills, mut published, mut rounds) = (0, 0, 0);
    while kills < most || published == 0 {
        rounds += 1;
        assert!(
            rounds < 20 * most,
            "seed {seed}: {kills} kills in {rounds} rounds, and {published} builds that published before"
        );
        let before = whole_head(&place, &store, lists.path()).unwrap();
        images += 1;
        grow(&place, images);
        // one after the other, so that what one left is there when the next one is killed
        for _ in 0..random.usize(1..=3) {
            kills += usize::from(killed(&place, long.mul_f64(random.f64() * 1.2)));
        }
        let after = whole_head(&place, &store, lists.path()).unwrap();
        // other tests make a build slower or faster, so its latest duration counts
        let (next, lasted) = timed(&place);
        long = lasted;
        assert_ne!(next, before.manifest, "seed {seed}: an image was added");
        assert!(after == before || after.manifest == next, "seed {seed}: {after:?} is neither {before:?} nor {next}");
        published += usize::from(after != before);
        assert_eq!(whole_head(&place, &store, lists.path()).unwrap().manifest, next, "seed {seed}");
    }
    // without a kill in between: the same
    let other = Place::new();
    other.project.write("datasets/d.yaml", &place.project.read("datasets/d.yaml"));
    let items = |place: &Place| {
        let store = self::store(place);
        let folder = place.cache.path().join("fetched");
        let dataset = place.runtime.block_on(async {
            let head = store.head("d").await.unwrap().unwrap().head;
            store.fetch(&head.manifest, &folder).await.unwrap()
        });
        let mut all: Vec<Vec<u8>> = [&dataset.train, &dataset.validation, &dataset.test]
            .into_iter()
            .flat_map(|split| split.images.chunks_exact(64).map(<[u8]>::to_vec))
            .collect();
        all.sort_unstable();
        all
    };
    grow(&other, images);
    build(&other);
    assert_eq!(items(&place), items(&other));
    // what the killed ones had on this machine is gone as well
    let left: Vec<String> = fs::read_dir(place.cache.path().join("slipway/pipeline"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("run-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
