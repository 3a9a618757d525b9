//! A project's folder with data in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use slipway_dataset::{Credentials, Store};
use slipway_experiment::parse_dataset;
use slipway_object_store::{KEYS, serve};
use slipway_sources::{Error, Limits, Made, Places, Problem, make};
use tempfile::TempDir;

pub(crate) struct Project {
    folder: TempDir,
    pub(crate) limits: Limits,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), limits: Limits::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Makes the dataset `d` of this specification, in YAML's flow style.
    pub(crate) async fn make(&self, spec: &str) -> Result<Made, Error> {
        let text =
            format!("{{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {{name: d}}, spec: {{{spec}}}}}");
        let declaration = parse_dataset("d.yaml", &text).unwrap_or_else(|findings| panic!("{text}\n{findings:?}"));
        let cache = self.path().join("cache");
        let places =
            Places { project: self.path().to_owned(), cache: cache.clone(), repin: false, limits: self.limits };
        let folders = || -> BTreeSet<_> {
            let entries = std::fs::read_dir(&cache).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name()).filter(|name| name != "sources").collect()
        };
        let before = folders();
        let made = make(&declaration, &places, &self.store().await).await;
        if made.is_err() {
            // nothing of a failure stays but whole downloads
            assert_eq!(folders(), before);
        }
        made
    }

    /// What is wrong with the data.
    pub(crate) async fn problem(&self, spec: &str) -> Problem {
        match self.make(spec).await {
            Err(Error::Problem(problem)) => *problem,
            other => panic!("{spec}: {other:?}"),
        }
    }

    /// Makes a dataset, stores it and gives its files, as a program gets them.
    pub(crate) async fn files(&self, spec: &str) -> BTreeMap<String, Vec<u8>> {
        let made = self.make(spec).await.unwrap();
        let store = self.store().await;
        let digest = store.push(&made.dataset).await.unwrap();
        assert_eq!(store.verify(&digest).await.unwrap(), *made.dataset.manifest());
        let unpacked = store.unpack(&digest, &self.path().join("unpacked")).await.unwrap();
        assert_eq!(store.unpack(&digest, &self.path().join("unpacked")).await.unwrap(), unpacked);
        let mut files = BTreeMap::new();
        let mut folders = vec![unpacked.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&unpacked.folder).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// A real S3 endpoint, s3s over the folder `s3`.
    async fn store(&self) -> Store {
        let folder = self.path().join("s3");
        std::fs::create_dir_all(&folder).unwrap();
        let url = serve(&folder).await;
        let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
        Store::new(&url, "datasets", keys, "us-east-1").unwrap()
    }
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A zip file.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::FileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar file. Names are written as they are, whatever they say.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}
