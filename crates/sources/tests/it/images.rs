//! Folders of image files.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use slipway_dataset::{Format, ImageFolders};

use crate::project::{Project, gzip, tar, zip};

fn encode(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(width: u32, height: u32, grey: u8) -> Vec<u8> {
    encode(GrayImage::from_pixel(width, height, image::Luma([grey])).into(), ImageFormat::Png)
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encode(RgbImage::from_pixel(width, height, image::Rgb([9, 99, 200])).into(), ImageFormat::Jpeg)
}

/// Ten images of each of two labels, 4 × 3 pixels.
fn files(prefix: &str) -> Vec<(String, Vec<u8>)> {
    (0..20_u8).map(|n| (format!("{prefix}{}/{n}.png", ["cat", "dog"][usize::from(n % 2)]), png(4, 3, n))).collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect()
}

fn project() -> Project {
    let project = Project::new();
    for (name, content) in files("pets/") {
        project.write(&name, content);
    }
    project
}

const SPLIT: &str = "split: {train: 12, validation: 4, test: 4, seed: 0}";

#[tokio::test]
async fn a_folder_and_every_archive_of_it_are_the_same_dataset() {
    let project = project();
    project.write("pets/.DS_Store", "junk");
    project.write("pets/cat/Thumbs.db", "junk");
    project.write("a.zip", zip(&borrowed(&files("download/pets/"))));
    project.write("a.tar", tar(&borrowed(&files("./"))));
    project.write("a.tar.gz", gzip(&tar(&borrowed(&files("")))));
    let halves = files("");
    project.write("one.zip", zip(&borrowed(&halves[..7])));
    project.write("two.zip", zip(&borrowed(&halves[7..])));
    let mut digests = Vec::new();
    for from in ["pets", "{from: a.zip, inside: download/pets}", "a.tar", "a.tar.gz", "[one.zip, two.zip]"] {
        let made =
            project.make(&format!("source: {{images: {{from: {from}}}}}, shape: [3, 4], {SPLIT}")).await.unwrap();
        let Format::Images(ImageFolders { shape, labels, .. }) = &made.dataset.manifest().content else { panic!() };
        assert_eq!((shape, labels.join(" ")), (&Some([3, 4, 1]), "cat dog".to_owned()), "{from}");
        digests.push(made.dataset.digest());
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    let files = project.files(&format!("source: {{images: {{from: pets}}}}, labels: [dog, cat], {SPLIT}")).await;
    assert_eq!(files.len(), 21, "twenty images and dataset.json");
    let image = files.keys().find(|name| name.starts_with("train/cat/")).unwrap();
    let number: u8 = image.trim_start_matches("train/cat/").trim_end_matches(".png").parse().unwrap();
    assert_eq!(files[image], png(4, 3, number), "the file itself");
    let description = String::from_utf8(files["dataset.json"].clone()).unwrap();
    assert!(description.contains("\"images\""), "{description}");
}

#[tokio::test]
async fn folders_of_an_archive_may_be_the_splits() {
    let project = Project::new();
    let mut all = files("train/");
    all.extend(files("test/"));
    project.write("two.zip", zip(&borrowed(&all)));
    let files_of_two = project.files("source: {images: {from: two.zip}}, split: {validation: 4, seed: 0}").await;
    let count = |part: &str| files_of_two.keys().filter(|name| name.starts_with(part)).count();
    assert_eq!((count("train/"), count("validation/"), count("test/")), (16, 4, 20));
    all.extend(files("val/"));
    project.write("three.zip", zip(&borrowed(&all)));
    let made = project.make("source: {images: {from: three.zip}}").await.unwrap();
    assert_eq!(made.dataset.manifest().counts().parts().map(|(_, count)| *count).collect::<Vec<_>>(), [20, 20, 20]);
    // and each split may be declared by itself
    let parts = "train: {from: three.zip, inside: train}, test: {from: three.zip, inside: test}";
    let made =
        project.make(&format!("source: {{images: {{{parts}}}}}, split: {{validation: 2, seed: 0}}")).await.unwrap();
    assert_eq!(made.dataset.manifest().counts().train, 18);
    let problem = project.problem("source: {images: {from: two.zip}}").await;
    assert_eq!((problem.field.as_str(), problem.code), ("spec.split", "wrong-value"));
    let problem = project.problem(&format!("source: {{images: {{from: two.zip}}}}, {SPLIT}")).await;
    assert_eq!((problem.field.as_str(), problem.code), ("spec.split", "wrong-value"));
    let problem = project.problem("source: {images: {from: three.zip}}, split: {validation: 4, seed: 0}").await;
    assert_eq!((problem.field.as_str(), problem.code), ("spec.split", "wrong-value"));
}

#[tokio::test]
async fn images_of_mixed_size_need_no_shape() {
    let project = project();
    project.write("pets/dog/large.jpg", jpeg(8, 8));
    let spec = |more: &str| {
        format!("source: {{images: {{from: pets}}}}, {more} split: {{train: 12, validation: 4, test: 5, seed: 0}}")
    };
    let problem = project.problem(&spec("shape: [3, 4],")).await;
    assert_eq!((problem.field.as_str(), problem.code), ("spec.shape", "mixed-sizes"));
    assert!(
        problem.message.ends_with("pets/dog/large.jpg has the shape [8, 8], but [3, 4] is declared"),
        "{problem:?}"
    );
    assert!(problem.help.contains("leave `shape` out"), "{problem:?}");
    let made = project.make(&spec("")).await.unwrap();
    assert!(made.dataset.manifest().shape().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let project = project();
    project.write("nested/a/b/c.png", png(4, 3, 0));
    project.write("flat/c.png", png(4, 3, 0));
    project.write("bird/cat/2.png", png(4, 3, 0));
    project.write("gif/cat/1.gif", "GIF89a....");
    project.write("short/cat/1.png", &png(40, 30, 0)[..60]);
    project.write("empty/cat/.keep", "");
    for (from, rest, field, code, message) in [
        ("pets", "labels: [cat, bird]", "spec.labels", "unknown-label", "pets/dog is not a declared label"),
        ("pets", "labels: [cat, dog, bird]", "spec.labels", "empty-class", "no example has the class 2 (bird)"),
        ("pets", "shape: [4, 3]", "spec.shape", "wrong-shape", "has the shape [3, 4], but [4, 3] is declared"),
        ("pets", "shape: [3, 4, 3]", "spec.shape", "wrong-shape", "has the shape [3, 4, 1], but [3, 4, 3] is declared"),
        (
            "nested",
            "",
            "spec.source.images.from",
            "wrong-layout",
            "nested/a/b is a folder within the folder of a label",
        ),
        ("flat", "", "spec.source.images.from", "wrong-layout", "flat/c.png is not a folder of a label"),
        ("[pets, bird]", "", "spec.source.images.from.0", "duplicate-name", "have the same label and name"),
        ("pets/cat/0.png", "", "spec.source.images.from", "wrong-value", "is neither a folder nor an archive"),
        ("{from: pets, inside: cats}", "", "spec.source.images.from.inside", "not-found", "pets has no cats"),
        ("empty", "", "spec.split", "too-few-examples", "12 + 4 + 4 examples are requested, but there are 0"),
    ] {
        let rest = if rest.is_empty() { SPLIT.to_owned() } else { format!("{rest}, {SPLIT}") };
        let problem = project.problem(&format!("source: {{images: {{from: {from}}}}}, {rest}")).await;
        assert_eq!((problem.field.as_str(), problem.code), (field, code), "{problem:?}");
        assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem:?}");
    }
    for (folder, code, message) in
        [("gif", "wrong-file", "is neither a PNG nor a JPEG file"), ("short", "truncated", "1.png cannot be read")]
    {
        let three = format!("{{train: {folder}, validation: {folder}, test: {folder}}}");
        let problem = project.problem(&format!("source: {{images: {three}}}")).await;
        assert_eq!(problem.code, code, "{problem:?}");
        assert!(problem.message.contains(message), "{problem:?}");
    }
}
