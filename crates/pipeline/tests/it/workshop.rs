//! A project with sources, a store, and what was built there.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageFormat};
use slipway_dataset::idx::{write_images, write_labels};
use slipway_dataset::{Credentials, Digest, Store};
use slipway_experiment::{Dataset, parse_dataset};
use slipway_object_store::{KEYS, serve};
use slipway_pipeline::{Built, Error, Places, Planned, SetAside, Step, Temporary, build, plan};
use slipway_sources::{Limits, Problem};
use tempfile::TempDir;

pub(crate) struct Workshop {
    folder: TempDir,
    copies: usize,
    pub(crate) store: Store,
}

/// What is read in a run: units and images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct New(pub(crate) u64, pub(crate) u64);

impl Workshop {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("s3")).unwrap();
        let store = store(&serve(&folder.path().join("s3")).await);
        Self { folder, copies: 0, store }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// An object in the bucket `landing`.
    pub(crate) fn land(&self, key: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("s3/landing/{key}"), content);
    }

    pub(crate) fn places(&self, temporary: &Temporary) -> Places {
        let (project, cache) = (self.path().to_owned(), self.path().join("cache"));
        let sources = slipway_sources::Places { project, cache, repin: false, limits: Limits::default() };
        Places { sources, npm: None, temporary: temporary.path().to_owned() }
    }

    pub(crate) fn temporary(&self) -> Temporary {
        Temporary::new(&self.path().join("temporary")).unwrap()
    }

    /// Builds, and gives every step as well.
    pub(crate) async fn steps(&self, spec: &str) -> Result<(Built, Vec<Step>), Error> {
        let temporary = self.temporary();
        let mut steps = Vec::new();
        let built = build(&declaration(spec), &self.places(&temporary), &self.store, |step| steps.push(step)).await;
        Ok((built?, steps))
    }

    pub(crate) async fn build(&self, spec: &str) -> Built {
        self.steps(spec).await.unwrap().0
    }

    /// Builds; gives what was read in this run as well.
    pub(crate) async fn read(&self, spec: &str) -> (Built, New) {
        let (built, steps) = self.steps(spec).await.unwrap();
        let Step::Read { new_units, new_items, .. } = steps[0] else { panic!("{steps:?}") };
        (built, New(new_units, new_items))
    }

    pub(crate) async fn plan(&self, spec: &str) -> Planned {
        let temporary = self.temporary();
        plan(&declaration(spec), &self.places(&temporary), &self.store).await.unwrap()
    }

    pub(crate) async fn problem(&self, spec: &str) -> Problem {
        match self.steps(spec).await {
            Err(Error::Source(slipway_sources::Error::Problem(problem))) => *problem,
            other => panic!("{other:?}"),
        }
    }

    /// Every item that is set aside.
    pub(crate) async fn set_aside(&self, built: &Built) -> Vec<SetAside> {
        let list = built.report.set_aside.list;
        let path = self.store.fetch_file(list, &self.path().join("lists")).await.unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Each item of a dataset of IDX files: its pixels and its label, with its split.
    pub(crate) async fn items(&self, digest: &Digest) -> BTreeMap<(Vec<u8>, u8), &'static str> {
        let dataset = self.store.fetch(digest, &self.path().join("fetched")).await.unwrap();
        let size = dataset.shape[0] * dataset.shape[1];
        let mut items = BTreeMap::new();
        for (name, split) in [("train", &dataset.train), ("validation", &dataset.validation), ("test", &dataset.test)] {
            for (pixels, label) in split.images.chunks_exact(size).zip(&split.labels) {
                let before = items.insert((pixels.to_vec(), *label), name);
                assert_eq!(before, None, "an item is twice in {}", dataset.name);
            }
        }
        items
    }

    /// Whether the head and everything that it names is whole.
    pub(crate) async fn whole_head(&self) -> Option<Digest> {
        let seen = self.store.head("d").await.unwrap()?;
        let head = seen.head;
        self.store.verify(&head.manifest).await.unwrap();
        let report = self.store.report(&head.manifest, &head.report).await.unwrap();
        let report: slipway_pipeline::Report = serde_json::from_slice(&report).unwrap();
        assert_eq!(report.manifest, head.manifest);
        assert!(self.store.has(report.set_aside.list).await.unwrap());
        self.store.fetch_file(head.assignments, &self.path().join("lists")).await.unwrap();
        Some(head.manifest)
    }

    /// Goes on with a copy of the first store as it is now.
    pub(crate) async fn copy_store(&mut self) {
        self.copies += 1;
        let to = self.path().join(format!("copy-{}", self.copies));
        let mut folders = vec![PathBuf::new()];
        while let Some(within) = folders.pop() {
            std::fs::create_dir_all(to.join(&within)).unwrap();
            for entry in std::fs::read_dir(self.path().join("s3").join(&within)).unwrap() {
                let entry = entry.unwrap();
                let name = within.join(entry.file_name());
                if entry.path().is_dir() {
                    folders.push(name);
                } else {
                    // with its times, which are the versions of what has landed
                    let copied = to.join(name);
                    std::fs::copy(entry.path(), &copied).unwrap();
                    let times = std::fs::FileTimes::new().set_modified(entry.metadata().unwrap().modified().unwrap());
                    std::fs::File::options().write(true).open(copied).unwrap().set_times(times).unwrap();
                }
            }
        }
        self.store = store(&serve(&to).await);
    }
}

pub(crate) fn store(url: &str) -> Store {
    let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    Store::new(url, "datasets", keys, "us-east-1").unwrap()
}

/// The dataset `d` of a specification, in YAML's flow style.
pub(crate) fn declaration(spec: &str) -> Dataset {
    let text = format!("{{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {{name: d}}, spec: {{{spec}}}}}");
    parse_dataset("d.yaml", &text).unwrap_or_else(|findings| panic!("{text}\n{findings:?}"))
}

/// The same image for the same number: 8 × 8 levels, of many contrasts.
pub(crate) fn levels(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    (0..64).map(|_| random.u8(..)).collect()
}

/// Files of images and labels.
pub(crate) fn idx(items: &[(Vec<u8>, u8)]) -> (Vec<u8>, Vec<u8>) {
    let pixels = items.iter().flat_map(|(levels, _)| levels).copied().collect::<Vec<u8>>();
    let labels = items.iter().map(|(_, label)| *label).collect::<Vec<u8>>();
    (write_images(8, 8, &pixels).unwrap(), write_labels(&labels).unwrap())
}

/// Items of two classes.
pub(crate) fn items(numbers: std::ops::Range<u64>) -> Vec<(Vec<u8>, u8)> {
    numbers.map(|number| (levels(number), (number % 2) as u8)).collect()
}

/// A PNG file of square grey or coloured images.
pub(crate) fn png(levels: &[u8], side: u32) -> Vec<u8> {
    let color = if levels.len() as u32 == side * side { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, levels, side, side, color, ImageFormat::Png).unwrap();
    file.into_inner()
}
