//! `slipway dataset add` of each kind of source, from paths, addresses and an object store, into a real S3 endpoint.

use std::fs;
use std::io::Write;
use std::process::Command;

use slipway_dataset::idx::{write_images, write_labels};
use slipway_digest::Digest;
use slipway_object_store::serve;
use tokio::runtime::Runtime;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::project::{Project, Ran};

/// A project with a dataset store and a file server.
pub(crate) struct Place {
    pub(crate) project: Project,
    pub(crate) runtime: Runtime,
    pub(crate) s3: String,
    http: MockServer,
    pub(crate) cache: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let project = Project::new();
        let runtime = Runtime::new().unwrap();
        let objects = project.top().join("../s3");
        fs::create_dir(&objects).unwrap();
        let (s3, http) = runtime.block_on(async { (serve(&objects).await, MockServer::start().await) });
        Self { project, runtime, s3, http, cache: tempfile::tempdir().unwrap() }
    }

    fn serve(&self, name: &str, content: Vec<u8>) -> String {
        let answer = Mock::given(path(name)).respond_with(ResponseTemplate::new(200).set_body_bytes(content));
        self.runtime.block_on(self.http.register(answer));
        format!("{}{name}", self.http.uri())
    }

    pub(crate) fn declare(&self, spec: &str) {
        let head = "# mine\napiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: d}\nspec:\n";
        self.project.write("datasets/d.yaml", &format!("{head}{spec}"));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.project.run_with(arguments, |command| self.surround(command))
    }

    /// The environment in which the program finds the store.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", &self.s3)
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
            .env("XDG_CACHE_HOME", self.cache.path())
            .env_remove("SLIPWAY_DATASETS");
    }

    /// Adds the declared dataset: it is stored, pinned and complete, and adding it again changes nothing.
    fn add(&self) -> String {
        let added = self.run(&["dataset", "add", "datasets/d.yaml"]);
        assert_eq!(added.code(), 0, "{}", added.errors());
        assert!(added.text().contains("pinned in datasets/d.yaml"), "{}", added.text());
        let pinned = self.project.read("datasets/d.yaml");
        let again = self.run(&["-o", "json", "dataset", "add", "datasets/d.yaml"]);
        assert_eq!(again.code(), 0, "{}", again.errors());
        assert!(pinned.contains(&format!("digest: {}", again.json()["digest"].as_str().unwrap())), "{pinned}");
        assert_eq!(self.project.read("datasets/d.yaml"), pinned);
        let verified = self.run(&["dataset", "verify", "datasets/d.yaml"]);
        assert_eq!(verified.code(), 0, "{}", verified.errors());
        pinned
    }

    fn refused(&self) -> Vec<String> {
        let refused = self.run(&["-o", "json", "dataset", "add", "datasets/d.yaml"]);
        assert_eq!(refused.code(), 3, "{}", refused.errors());
        refused.findings()
    }
}

const SPLIT: &str = "  split: {train: 12, validation: 4, test: 4, seed: 0}\n";

fn table() -> String {
    let rows: String = (0..20).map(|n| format!("{n},{}\n", n % 2)).collect();
    format!("x,y\n{rows}")
}

fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in files {
        writer.start_file(name.as_str(), stored).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn four_idx_files_of_a_server_are_pinned_one_by_one() {
    let place = Place::new();
    let images = |count: usize| write_images(3, 3, &vec![5; count * 9]).unwrap();
    let labels = |count: u8| write_labels(&(0..count).map(|n| n % 2).collect::<Vec<_>>()).unwrap();
    let files = [("/a", images(20)), ("/b", labels(20)), ("/c", images(6)), ("/d", labels(6))];
    let [a, b, c, d] = files.clone().map(|(name, content)| place.serve(name, content));
    place.declare(&format!(
        "  source:\n    idx:\n      train: {{images: {a}, labels: {b}}} # the long part\n      test: {{images: {c}, labels: {d}}}\n  \
         labels: [even, odd]\n  split: {{validation: 4, seed: 0}}\n"
    ));
    let pinned = place.add();
    for (name, content) in files {
        let pin = format!("{{from: {}{name}, digest: {}}}", place.http.uri(), Digest::of(content));
        assert!(pinned.contains(&pin), "{pin}\n{pinned}");
    }
    assert!(pinned.starts_with("# mine\n") && pinned.contains("# the long part"), "{pinned}");

    // the file changes on the server: both digests are named, and nothing changes here
    place.runtime.block_on(place.http.reset());
    let changed = write_labels(&[1; 20]).unwrap();
    place.serve("/b", changed);
    fs::remove_dir_all(place.cache.path().join("slipway/sources")).unwrap();
    for (name, content) in [("/a", images(20)), ("/c", images(6)), ("/d", labels(6))] {
        place.serve(name, content);
    }
    let column = pinned.lines().nth(8).unwrap().rfind("sha256:").unwrap() + 1;
    assert_eq!(place.refused(), [format!("datasets/d.yaml:9:{column} digest-mismatch")]);
    assert_eq!(place.project.read("datasets/d.yaml"), pinned);
}

#[test]
fn folders_of_images_come_as_an_archive_or_as_they_are() {
    let place = Place::new();
    let pixel = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/files/pixel.png")).unwrap();
    let files: Vec<(String, Vec<u8>)> =
        (0..20).map(|n| (format!("pets/{}/{n}.png", ["cat", "dog"][n % 2]), pixel.clone())).collect();
    let address = place.serve("/pets.zip", zip(&files));
    place.declare(&format!(
        "  source: {{images: {{from: {{from: {address}, inside: pets}}}}}}\n  labels: [cat, dog]\n  shape: [1, 1]\n{SPLIT}"
    ));
    let of_archive = place.add();
    for (name, content) in &files {
        let file = place.project.root().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    place.declare(&format!("  source: {{images: {{from: pets}}}}\n{SPLIT}"));
    let of_folder = place.add();
    let digest = |text: &str| text.lines().find(|line| line.starts_with("  digest:")).unwrap().to_owned();
    assert_eq!(digest(&of_archive), digest(&of_folder));
    // a mistake is found at the field that declares otherwise
    place.declare(&format!("  source: {{images: {{from: pets}}}}\n  shape: [2, 2]\n{SPLIT}"));
    assert_eq!(place.refused(), ["datasets/d.yaml:7:10 wrong-shape"]);
}

#[test]
fn tables_come_from_paths_and_objects() {
    let place = Place::new();
    place.project.write("files/t.csv", &table());
    place.declare(&format!("  source: {{csv: {{from: files/t.csv, label: y}}}}\n  classes: 2\n{SPLIT}"));
    let pinned = place.add();
    assert!(pinned.contains(&format!("{{from: files/t.csv, digest: {}}}", Digest::of(table()))), "{pinned}");
    // as an object, and as a table of quantities
    let objects = place.project.top().join("../s3/raw");
    fs::create_dir(&objects).unwrap();
    fs::write(objects.join("t.csv"), table()).unwrap();
    place.declare(&format!("  source: {{csv: {{from: s3://raw/t.csv, label: y}}}}\n{SPLIT}"));
    assert!(place.add().contains("{from: s3://raw/t.csv, digest: sha256:"));
    // the file changes: an error, unless the change is wanted
    place.project.write("files/t.csv", &table().replace("19,1", "20,1"));
    place.project.write("datasets/d.yaml", &pinned);
    assert_eq!(place.refused().len(), 1);
    let repinned = place.run(&["dataset", "add", "--repin", "datasets/d.yaml"]);
    assert_eq!(repinned.code(), 0, "{}", repinned.errors());
    let text = place.project.read("datasets/d.yaml");
    assert!(text != pinned && text.len() == pinned.len(), "{text}");
    place.project.write("files/t.csv", &table().replace("7,1", "seven,1"));
    place.declare(&format!("  source: {{csv: {{from: files/t.csv, label: y}}}}\n  classes: 2\n{SPLIT}"));
    let refused = place.run(&["dataset", "add", "datasets/d.yaml"]);
    assert_eq!(refused.code(), 3);
    let errors = refused.errors();
    assert!(errors.contains("files/t.csv, line 9, column `x` holds `seven`, which is not a finite number"), "{errors}");
    assert!(errors.contains("datasets/d.yaml:6:"), "{errors}");
}

#[test]
fn a_parquet_file_is_stored() {
    let place = Place::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/sources/tests/it/files/pandas.parquet");
    place.declare(&format!(
        "  source:\n    parquet:\n      from: {file}\n      features: [age, city]\n      types: {{city: text}}\n      label: bought\n  \
         classes: 3\n{SPLIT}"
    ));
    assert!(place.add().contains(&format!("{{from: {file}, digest: sha256:")));
}

#[test]
fn a_server_that_is_down_or_has_nothing_is_told_apart() {
    let place = Place::new();
    place.declare(&format!("  source: {{csv: {{from: {}/none, label: y}}}}\n{SPLIT}", place.http.uri()));
    assert_eq!(place.refused(), ["datasets/d.yaml:6:24 not-found"]);
    place.declare(&format!("  source: {{csv: {{from: \"http://127.0.0.1:9/x\", label: y}}}}\n{SPLIT}"));
    let down = place.run(&["dataset", "add", "datasets/d.yaml"]);
    assert_eq!(down.code(), 6);
    assert!(down.errors().contains("cannot download http://127.0.0.1:9/x"), "{}", down.errors());
}

#[test]
fn the_built_in_trainer_is_given_no_table() {
    let project = Project::new();
    let digest = Digest::of("");
    let table = "source: {csv: {from: t.csv, label: y}}, split: {train: 8000, validation: 1, test: 1, seed: 0}";
    project.write(
        "datasets/ten.yaml",
        &format!("{{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {{name: ten}}, spec: {{digest: \"{digest}\", {table}}}}}"),
    );
    let checked = project.run(&["-o", "json", "check"]);
    assert_eq!(checked.code(), 3, "{}", checked.errors());
    assert_eq!(checked.findings(), ["experiments/digits.yaml:6:12 unfit-dataset"]);
}

#[test]
fn the_declarations_of_this_repository_that_need_no_network_are_added() {
    let place = Place::new();
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let files = place.project.root().join("datasets/files");
    fs::create_dir(&files).unwrap();
    for entry in fs::read_dir(format!("{repository}/datasets/files")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), files.join(entry.file_name())).unwrap();
    }
    for name in ["digits", "wine"] {
        let file = format!("datasets/{name}.yaml");
        let declared = fs::read_to_string(format!("{repository}/{file}")).unwrap();
        place.project.write(&file, &declared);
        let added = place.run(&["dataset", "add", &file]);
        assert_eq!(added.code(), 0, "{}", added.errors());
        assert_eq!(place.project.read(&file), declared, "it is pinned already");
    }
}

#[test]
fn a_pipeline_is_planned_built_and_pinned() {
    let place = Place::new();
    let images = |count: u64| -> Vec<u8> { (0..count * 64).map(|place| (place * place % 251) as u8).collect() };
    let labels: Vec<u8> = (0..60).map(|n| n % 2).collect();
    let files = place.project.root().join("files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("x"), write_images(8, 8, &images(60)).unwrap()).unwrap();
    fs::write(files.join("y"), write_labels(&labels).unwrap()).unwrap();
    place.declare(
        "  source: {idx: {images: files/x, labels: files/y}}\n  classes: 2\n  shape: [8, 8]\n  \
         split: {validation: 0.1, test: 0.2, seed: 0}\n  pipeline: {read: {landing: [s3://landing/x]}}\n",
    );
    // not what `add` is for
    assert!(place.refused()[0].starts_with("datasets/d.yaml:10:13 wrong-value"), "{:?}", place.refused());
    let planned = place.run(&["dataset", "build", "d", "--plan"]);
    assert_eq!(planned.code(), 0, "{}", planned.errors());
    assert!(
        planned.text().contains("read       1 pairs of IDX files, 1 of them for the first time"),
        "{}",
        planned.text()
    );
    let built = place.run(&["dataset", "build", "d"]);
    assert_eq!(built.code(), 0, "{}", built.errors());
    for line in [
        "read       60 items of 1 sources: 60 of 1 new ones were read",
        "validate   60 fit, 0 are set aside",
        "split      train 42, validation 6, test 12: 60 have a place for the first time",
        "publish    train, validation, test",
        "is the head now",
        "`slipway dataset build d --pin` writes this one",
    ] {
        assert!(built.text().contains(line), "{line}\n{}", built.text());
    }
    // something lands: a new image, and one that is none
    let landing = place.project.top().join("../s3/landing/x/1");
    fs::create_dir_all(&landing).unwrap();
    fs::write(landing.join("a.png"), "not an image").unwrap();
    let again = place.run(&["-o", "json", "dataset", "build", "datasets/d.yaml", "--pin"]);
    assert_eq!(again.code(), 0, "{}", again.errors());
    let json = again.json();
    assert_eq!((json["read"].as_u64(), json["items"].as_u64(), json["test"].as_u64()), (Some(1), Some(61), Some(12)));
    assert_eq!(json["setAside"]["first"][0]["item"], "s3://landing/x/1/a.png");
    assert_eq!(json["setAside"]["first"][0]["reason"], "not-an-image");
    assert_eq!((json["moved"].as_bool(), json["pinned"].as_bool()), (Some(true), Some(true)));
    let digest = format!("digest: {}", json["digest"].as_str().unwrap());
    assert!(place.project.read("datasets/d.yaml").contains(&digest));
    let verified = place.run(&["dataset", "verify", "datasets/d.yaml"]);
    assert_eq!(verified.code(), 0, "{}", verified.errors());
    // a limit that is crossed is a finding at its line
    let strict =
        place.project.read("datasets/d.yaml").replace("pipeline: {", "pipeline: {validate: {setAside: 0.01}, ");
    place.project.write("datasets/d.yaml", &strict);
    let refused = place.run(&["-o", "json", "dataset", "build", "d"]);
    assert_eq!((refused.code(), refused.findings().len()), (3, 1));
    assert!(refused.findings()[0].contains("too-many-set-aside"), "{:?}", refused.findings());
    assert_eq!(place.run(&["check"]).code(), 0);
}

/// A picture of 8 × 8 levels, another one for each number: bright on the left for even ones, otherwise on the right, or paper and ink exchanged.
fn sides(number: u64, is_inverted: bool) -> Vec<u8> {
    let level = |place: u64| -> u8 {
        let chance =
            (number * 64 + place).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let is_bright = (place % 8 < 4) == number.is_multiple_of(2);
        let level = (chance >> 33) % 60 + if is_bright { 180 } else { 0 };
        if is_inverted { 255 - level as u8 } else { level as u8 }
    };
    (0..64).map(level).collect()
}

#[test]
fn drift_sends_nobody_to_a_build_of_what_has_no_pipeline() {
    let place = Place::new();
    let found = place.run(&["drift", "ten"]);
    assert_eq!(found.code(), 0, "{found:?}");
    assert!(found.text().contains("it has no pipeline, so nothing arrives that could have changed"), "{found:?}");
    let spec = "  source: {idx: {images: files/x, labels: files/y}}\n  classes: 2\n  shape: [8, 8]\n  \
                split: {validation: 0.25, test: 0.25, seed: 0}\n  pipeline: {read: {landing: [s3://landing/x/]}}\n";
    place.declare(spec);
    // what has one is not added
    let verified = place.run(&["dataset", "verify", "d"]);
    assert!(verified.code() == 3 && verified.errors().contains("`slipway dataset build d --pin`"), "{verified:?}");
    place.declare(&format!("{spec}  digest: sha256:{}\n", "a".repeat(64)));
    let found = place.run(&["drift", "d"]);
    assert!(found.text().contains("no build has published it yet: `slipway dataset build` does"), "{found:?}");
}

#[test]
fn drift_says_what_a_monitor_that_is_switched_off_would_do() {
    let place = Place::new();
    let files = place.project.root().join("files");
    fs::create_dir_all(&files).unwrap();
    let levels: Vec<u8> = (0..800).flat_map(|number| sides(number, false)).collect();
    let labels: Vec<u8> = (0..800_u32).map(|number| (number % 2) as u8).collect();
    fs::write(files.join("x"), write_images(8, 8, &levels).unwrap()).unwrap();
    fs::write(files.join("y"), write_labels(&labels).unwrap()).unwrap();
    place.declare(
        "  source: {idx: {images: files/x, labels: files/y}}\n  classes: 2\n  shape: [8, 8]\n  \
         split: {validation: 0.25, test: 0.25, seed: 0}\n  pipeline: {read: {landing: [s3://landing/x/]}}\n  monitor: {enabled: false}\n",
    );
    let built = place.run(&["dataset", "build", "d", "--pin"]);
    assert_eq!(built.code(), 0, "{}", built.errors());
    for number in 0..200 {
        let folder = place.project.top().join(format!("../s3/landing/x/{}", number % 2));
        fs::create_dir_all(&folder).unwrap();
        let file = fs::File::create(folder.join(format!("{number}.png"))).unwrap();
        let encoder = image::codecs::png::PngEncoder::new(file);
        let levels = sides(10_000 + number, true);
        image::ImageEncoder::write_image(encoder, &levels, 8, 8, image::ExtendedColorType::L8).unwrap();
    }
    // what has landed is not in the head yet
    let before = place.run(&["-o", "json", "drift", "d"]);
    assert_eq!(before.code(), 0, "{}", before.errors());
    let json = before.json();
    assert_eq!((json[0]["dataset"].as_str(), json[0]["evidence"]["new"].as_u64()), (Some("d"), Some(0)));
    assert_eq!(json[0]["decision"]["action"], "nothing");
    let built = place.run(&["dataset", "build", "d"]);
    assert_eq!(built.code(), 0, "{}", built.errors());
    let after = place.run(&["-o", "json", "drift", "d"]);
    assert_eq!(after.code(), 0, "{}", after.errors());
    let json = after.json();
    let found = &json[0];
    let (evidence, decision) = (&found["evidence"], &found["decision"]);
    assert_eq!((evidence["new"].as_u64(), evidence["feed"]["aside"].as_u64()), (Some(200), Some(0)), "{found}");
    assert!(evidence["change"]["alarm"].is_object(), "{found}");
    assert_eq!((decision["action"].as_str(), decision["by"].as_str()), (Some("heldBack"), Some("switch")), "{found}");
    let shown = place.run(&["drift", "d"]);
    assert!(shown.text().contains("the monitor does  nothing: the issue is held back"), "{}", shown.text());
}
