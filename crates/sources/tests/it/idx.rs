//! Sets of IDX files.

use slipway_dataset::idx::{read_images, read_labels, write_images, write_labels};
use slipway_dataset::{Format, Idx};

use crate::project::{Project, gzip, tar, zip};

/// 2 × 3 pixels; image n has n, n + 1, … in them.
fn images(count: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count).flat_map(|n| (0..6).map(move |pixel| n + pixel)).collect();
    write_images(2, 3, &pixels).unwrap()
}

fn labels(count: u8, first: u8) -> Vec<u8> {
    write_labels(&(0..count).map(|n| first + n % 3).collect::<Vec<_>>()).unwrap()
}

const SPLIT: &str = "split: {train: 20, validation: 5, test: 5, seed: 0}";

/// A project with `x` and `y`: images, and labels that start at `first`.
fn project(first: u8) -> Project {
    let project = Project::new();
    project.write("x", images(30));
    project.write("y", labels(30, first));
    project
}

#[tokio::test]
async fn a_pair_of_files_is_split() {
    let made = project(0)
        .make(&format!("source: {{idx: {{images: x, labels: y}}}}, labels: [a, b, c], {SPLIT}"))
        .await
        .unwrap();
    let Format::Idx(Idx { shape, classes, labels, .. }) = made.dataset.manifest().content.clone() else { panic!() };
    assert_eq!((shape, classes, labels.unwrap().concat()), ([2, 3], 3, "abc".to_owned()));
    assert_eq!(made.dataset.manifest().counts().parts().map(|(_, count)| *count).collect::<Vec<_>>(), [20, 5, 5]);
    let fields: Vec<&str> = made.files.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["spec.source.idx.images", "spec.source.idx.labels"]);
}

#[tokio::test]
async fn four_compressed_files_keep_their_test_set() {
    let project = Project::new();
    project.write("a.gz", gzip(&images(30)));
    project.write("data.tar.gz", gzip(&tar(&[("raw/b", &labels(30, 0)), ("raw/c.gz", &gzip(&images(9)))])));
    project.write("data.zip", zip(&[("d", &labels(9, 0))]));
    let files = project
        .files(
            "source: {idx: {train: {images: a.gz, labels: {from: data.tar.gz, inside: raw/b}}, \
             test: {images: {from: data.tar.gz, inside: raw/c.gz}, labels: {from: data.zip, inside: d}}}}, \
             classes: 3, shape: [2, 3], split: {validation: 6, seed: 0}",
        )
        .await;
    assert_eq!(files["test/images-idx3-ubyte"], images(9));
    assert_eq!(files["test/labels-idx1-ubyte"], labels(9, 0));
    assert_eq!(read_images("", &files["train/images-idx3-ubyte"]).unwrap().count, 24);
    let mut validation = read_labels("", &files["validation/labels-idx1-ubyte"]).unwrap();
    validation.sort_unstable();
    assert_eq!(validation, [0, 0, 1, 1, 2, 2], "each class in its proportion");
}

#[tokio::test]
async fn a_set_with_all_three_parts_is_taken_as_it_is() {
    let project = project(0);
    let pair = "{images: x, labels: y}";
    let files = project
        .files(&format!("source: {{idx: {{train: {pair}, validation: {pair}, test: {pair}}}}}, classes: 3"))
        .await;
    for part in ["train", "validation", "test"] {
        assert_eq!(files[&format!("{part}/images-idx3-ubyte")], images(30));
    }
}

#[tokio::test]
async fn labels_that_start_at_one_are_shifted_when_declared() {
    let project = project(1);
    let spec = |more: &str| format!("source: {{idx: {{images: x, labels: y{more}}}}}, classes: 3, {SPLIT}");
    let problem = project.problem(&spec("")).await;
    assert_eq!((problem.code, problem.field.as_str()), ("label-offset", "spec.source.idx"));
    assert_eq!(problem.message, "y, image 2, has the label 3, but 3 classes are declared: 0 to 2");
    assert_eq!(problem.help, "the labels run from 1 to 3: declare `firstLabel: 1`");
    let files = project.files(&spec(", firstLabel: 1")).await;
    let labels = read_labels("", &files["train/labels-idx1-ubyte"]).unwrap();
    assert!(labels.iter().all(|label| *label < 3) && labels.contains(&0));
    // a label below the first
    let problem = crate::idx::project(0).problem(&spec(", firstLabel: 1")).await;
    assert_eq!(
        (problem.code, problem.message.as_str()),
        ("label-offset", "y, image 0, has the label 0, but 3 classes are declared: 1 to 3")
    );
}

#[tokio::test]
async fn transposed_images_are_turned() {
    let project = project(0);
    let spec =
        |more: &str| format!("source: {{idx: {{images: x, labels: y{more}}}}}, classes: 3, shape: [3, 2], {SPLIT}");
    let problem = project.problem(&spec("")).await;
    assert_eq!((problem.code, problem.field.as_str()), ("wrong-shape", "spec.shape"));
    assert_eq!(problem.message, "x has images of [2, 3] pixels, but [3, 2] is declared");
    let files = project.files(&spec(", orientation: transposed")).await;
    let images = read_images("", &files["train/images-idx3-ubyte"]).unwrap();
    assert_eq!((images.height, images.width), (3, 2));
    let first = images.pixels[0];
    assert_eq!(images.pixels[..6], [0, 3, 1, 4, 2, 5].map(|pixel| first + pixel));
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let project = project(0);
    project.write("nine", labels(9, 0));
    project.write("short", &images(30)[..100]);
    let compressed = gzip(&images(30));
    project.write("short.gz", &compressed[..compressed.len() - 9]);
    project.write("page", "\n<!DOCTYPE html><html>Sign in</html>");
    project.write("data.zip", zip(&[("raw/images", &images(30))]));
    let all = SPLIT;
    for (files, rest, field, code, message) in [
        (
            "images: x, labels: nine",
            all,
            "spec.source.idx.labels",
            "wrong-count",
            "x has 30 images, but nine has 9 labels",
        ),
        (
            "images: short, labels: y",
            all,
            "spec.source.idx.images",
            "truncated",
            "short is not a complete IDX file: it is truncated",
        ),
        (
            "images: short.gz, labels: y",
            all,
            "spec.source.idx.images",
            "truncated",
            "short.gz is not a complete gzip file",
        ),
        (
            "images: y, labels: y",
            all,
            "spec.source.idx.images",
            "truncated",
            "begins with 0x00000801 instead of 0x00000803",
        ),
        (
            "images: page, labels: y",
            all,
            "spec.source.idx.images",
            "web-page",
            "page is a web page, not the file itself",
        ),
        ("images: none, labels: y", all, "spec.source.idx.images", "not-found", "none does not exist"),
        ("images: data.zip, labels: y", all, "spec.source.idx.images", "missing-field", "data.zip is an archive"),
        (
            "images: {from: data.zip, inside: raw/image}, labels: y",
            all,
            "spec.source.idx.images.inside",
            "not-found",
            "data.zip has no raw/image",
        ),
        (
            "images: x, labels: y",
            "split: {train: 30, validation: 5, test: 5, seed: 0}",
            "spec.split",
            "too-few-examples",
            "30 + 5 + 5 examples are requested, but there are 30",
        ),
        (
            "images: x, labels: y",
            "split: {train: 1, validation: 14, test: 15, seed: 0}",
            "spec.split",
            "too-few-examples",
            "has 10 examples, and the split leaves none to train on",
        ),
    ] {
        let problem = project.problem(&format!("source: {{idx: {{{files}}}}}, classes: 3, {rest}")).await;
        assert_eq!((problem.field.as_str(), problem.code), (field, code), "{problem:?}");
        assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem:?}");
    }
    let problem =
        project.problem(&format!("source: {{idx: {{images: x, labels: y}}}}, labels: [a, b, c, d], {all}")).await;
    assert_eq!(
        (problem.field.as_str(), problem.code, problem.message.as_str()),
        ("spec.labels", "empty-class", "no example has the class 3 (d)")
    );
    let problem = project.problem(&format!("source: {{idx: {{images: x, labels: y}}}}, labels: [a, b], {all}")).await;
    assert_eq!((problem.field.as_str(), problem.code), ("spec.labels", "unknown-label"));
    let inside = project
        .problem(&format!(
            "source: {{idx: {{images: {{from: data.zip, inside: raw/image}}, labels: y}}}}, classes: 3, {all}"
        ))
        .await;
    assert!(inside.help.contains("did you mean `raw/images`?"), "{inside:?}");
}
