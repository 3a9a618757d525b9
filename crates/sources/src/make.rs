//! Making a declared dataset.

use std::path::PathBuf;

use slipway_dataset::{LocalDataset, Store};
use slipway_digest::Digest;
use slipway_experiment::{Dataset, DatasetSpec, Files, IdxPair, Source, SourceFile};
use tempfile::TempDir;

use crate::archive::Limits;
use crate::fetch::{Fetched, fetch};
use crate::open::Unpacking;
use crate::{Error, Result, idx, images, table};

/// Where files are, and what is allowed.
#[derive(Debug, Clone)]
pub struct Places {
    /// The project's folder, at which paths start.
    pub project: PathBuf,
    /// A folder for downloads and for what is made, on a disk with room for both.
    pub cache: PathBuf,
    /// Whether files may differ from their pinned digests.
    pub repin: bool,
    /// How large archives may become.
    pub limits: Limits,
}

/// A dataset that was made, and the digests of the files that it was made of.
#[derive(Debug)]
pub struct Made {
    /// The dataset.
    pub dataset: LocalDataset,
    /// The digest of each file, with the field that declares the file.
    pub files: Vec<(String, Digest)>,
}

/// What a kind of source is read with.
pub(crate) struct Work<'a> {
    pub(crate) declaration: &'a Dataset,
    pub(crate) unpacking: Unpacking<'a>,
    /// Where the dataset's own files go.
    pub(crate) output: TempDir,
}

impl Work<'_> {
    pub(crate) fn spec(&self) -> &DatasetSpec {
        &self.declaration.spec
    }
}

/// Reads the files of a declared dataset, checks them and makes the dataset. Objects are read from the endpoint of `store`.
///
/// # Errors
/// [`Error::Problem`] if the files do not fit the declaration or each other; [`Error::Unreachable`] if a server does not answer;
/// [`Error::Dataset`] for the object store and the files of this machine, such as a full disk.
///
/// # Panics
/// If the source is `npm`, which is read by npm itself.
pub async fn make(declaration: &Dataset, places: &Places, store: &Store) -> Result<Made> {
    let mut fetched = Vec::new();
    for file in declaration.spec.source.files() {
        fetched.push(fetch(file, places, store).await?);
    }
    let files = fetched.iter().map(|file| (file.located.field.clone(), file.digest)).collect();
    let (declaration, places) = (declaration.clone(), places.clone());
    let read = tokio::task::spawn_blocking(move || read(&declaration, &places, &fetched));
    let dataset = read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    Ok(Made { dataset, files })
}

fn read(declaration: &Dataset, places: &Places, fetched: &[Fetched]) -> Result<LocalDataset> {
    let cannot = |error| Error::file("create a folder in", &places.cache, &error);
    std::fs::create_dir_all(&places.cache).map_err(cannot)?;
    let folder = || tempfile::Builder::new().prefix("dataset-").tempdir_in(&places.cache).map_err(cannot);
    let unpacked = folder()?;
    let work = Work {
        declaration,
        unpacking: Unpacking { limits: places.limits, folder: unpacked.path() },
        output: folder()?,
    };
    let find = |file: &SourceFile| {
        let found =
            fetched.iter().find(|fetched| fetched.located.field == file.field).map(|fetched| fetched.located.clone());
        found.unwrap_or_else(|| unreachable!("every file is fetched: {}", file.field))
    };
    let all = |files: &Vec<SourceFile>| files.iter().map(find).collect::<Vec<_>>();
    match &declaration.spec.source {
        Source::Npm(_) => unreachable!("npm reads its packages itself"),
        Source::Idx(source) => {
            let pair = |pair: &IdxPair| (find(&pair.images), find(&pair.labels));
            idx::read(&work, source, &map(&source.files, pair))
        }
        Source::Images(source) => images::read(work, &map(&source.files, all)),
        Source::Csv(source) => {
            let form = table::TableForm::Csv { delimiter: source.delimiter, header: source.header.clone() };
            table::read(work, form, &source.columns, &map(&source.files, all))
        }
        Source::Parquet(source) => {
            table::read(work, table::TableForm::Parquet, &source.columns, &map(&source.files, all))
        }
    }
}

fn map<T, U>(files: &Files<T>, of: impl Fn(&T) -> U) -> Files<U> {
    match files {
        Files::Whole(whole) => Files::Whole(of(whole)),
        Files::Parts { train, validation, test } => {
            Files::Parts { train: of(train), validation: validation.as_ref().map(&of), test: of(test) }
        }
    }
}
