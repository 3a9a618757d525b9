//! Units: what a source can say the version of without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use slipway_dataset::Store;
use slipway_experiment::{CsvSource, DatasetSpec, Files, IdxPair, Location, ParquetSource, Source, SourceFile};
use slipway_sources::fetch;

use crate::build::Places;
use crate::landing;
use crate::record::{Part, Reader, Writer};
use crate::sort::{Sorted, Sorter};
use crate::{Error, Result};

/// A unit of today's sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Where it is, unique in a dataset.
    pub(crate) name: String,
    /// Another one if its content may be another.
    pub(crate) version: String,
    /// When it landed, in seconds since 1970; 0 if it did not, or from a store that does not say it.
    pub(crate) at: i64,
    pub(crate) part: Part,
    pub(crate) kind: UnitKind,
}

/// How a unit is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnitKind {
    /// An object with one image.
    Object { bucket: String, key: String, size: u64, label: Option<String> },
    /// A file with one image.
    File { path: String, label: Option<String> },
    /// The `n`th pair of IDX files of the source.
    Idx(u32),
    /// The `n`th file of the source, an archive of images.
    Archive(u32),
    /// A package of npm.
    Npm,
    /// The `n`th file of the source, a table.
    Table(u32),
    /// An object with a table.
    LandedTable { bucket: String, key: String },
}

/// Units in the order of their names.
#[derive(Debug)]
pub(crate) struct Units {
    sorted: Sorted,
}

impl Units {
    pub(crate) fn next(&mut self) -> Result<Option<Unit>> {
        let Some(record) = self.sorted.next()? else { return Ok(None) };
        let unit = decode(record).unwrap_or_else(|| unreachable!("a unit is read as it was written"));
        Ok(Some(unit))
    }
}

/// Lists the units of a source and of its landing prefixes. Reads none, but files behind addresses that are not pinned are downloaded.
pub(crate) async fn list(spec: &DatasetSpec, places: &Places, store: &Store) -> Result<Units> {
    let mut list = List { sorter: Sorter::new(&places.temporary), writer: Writer::default() };
    match &spec.source {
        Source::Npm(source) => {
            let name = format!("npm:{}@{}", source.package, source.version);
            list.add(&Unit { name, version: source.version.clone(), at: 0, part: Part::Whole, kind: UnitKind::Npm })?;
        }
        Source::Idx(source) => {
            for (number, (part, pair)) in (0..).zip(parts(&source.files)) {
                let mut version = format!("first {}, transposed {}", source.first_label, source.transposed);
                for file in [&pair.images, &pair.labels] {
                    version = format!("{version}; {}", self::version(file, places, store).await?);
                }
                let name = name(&pair.images);
                list.add(&Unit { name, version, at: 0, part, kind: UnitKind::Idx(number) })?;
            }
        }
        Source::Images(source) => {
            let files =
                parts(&source.files).into_iter().flat_map(|(part, files)| files.iter().map(move |file| (part, file)));
            for (number, (part, file)) in (0..).zip(files) {
                match local_folder(file, places) {
                    Some(folder) => list.folder(&folder, &name(file), part)?,
                    None => {
                        let version = version(file, places, store).await?;
                        list.add(&Unit { name: name(file), version, at: 0, part, kind: UnitKind::Archive(number) })?;
                    }
                }
            }
        }
        Source::Csv(_) | Source::Parquet(_) => {
            for (number, (part, file)) in (0..).zip(tables(&spec.source)) {
                let version = version(file, places, store).await?;
                list.add(&Unit { name: name(file), version, at: 0, part, kind: UnitKind::Table(number) })?;
            }
        }
    }
    let holds_tables = spec.source.columns().is_some();
    if let Some(pipeline) = &spec.pipeline {
        for place in &pipeline.landing {
            let add = |Unit { name, version, at, part, kind }: Unit| {
                let kind = match kind {
                    UnitKind::Object { bucket, key, .. } if holds_tables => UnitKind::LandedTable { bucket, key },
                    kind => kind,
                };
                list.add(&Unit { name, version, at, part, kind })
            };
            landing::list(place, store, add).await?;
        }
    }
    Ok(Units { sorted: list.sorter.sorted()? })
}

/// The parts of a source.
pub(crate) fn parts<T>(files: &Files<T>) -> Vec<(Part, &T)> {
    match files {
        Files::Whole(whole) => vec![(Part::Whole, whole)],
        Files::Parts { train, validation, test } => {
            let validation = validation.as_ref().map(|validation| (Part::Validation, validation));
            [Some((Part::Train, train)), validation, Some((Part::Test, test))].into_iter().flatten().collect()
        }
    }
}

/// The pair of IDX files with a number, as [`list`] counts.
pub(crate) fn pair(files: &Files<IdxPair>, number: u32) -> Option<&IdxPair> {
    parts(files).get(number as usize).map(|(_, pair)| *pair)
}

/// The files of a source of tables, in the order in which [`list`] counts them.
pub(crate) fn tables(source: &Source) -> Vec<(Part, &SourceFile)> {
    let (Source::Csv(CsvSource { files, .. }) | Source::Parquet(ParquetSource { files, .. })) = source else {
        return Vec::new();
    };
    parts(files).into_iter().flat_map(|(part, files)| files.iter().map(move |file| (part, file))).collect()
}

fn name(file: &SourceFile) -> String {
    match &file.inside {
        Some(inside) => format!("{}/{inside}", file.from),
        None => file.from.to_string(),
    }
}

/// The declared folder, if it is one of this machine.
fn local_folder(file: &SourceFile, places: &Places) -> Option<PathBuf> {
    let Location::Path(path) = &file.from else { return None };
    let path = places.sources.project.join(path);
    // a folder with a digest is compared with that as a whole
    (file.digest.is_none() && path.is_dir()).then(|| match &file.inside {
        Some(inside) => path.join(inside),
        None => path,
    })
}

/// What changes when a file does.
async fn version(file: &SourceFile, places: &Places, store: &Store) -> Result<String> {
    let pinned = file.digest.map_or_else(String::new, |digest| format!("{digest} "));
    match &file.from {
        Location::Path(path) => {
            let path = places.sources.project.join(path);
            let missing = |error: &std::io::Error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    let message = format!("{} does not exist", path.display());
                    Error::problem(&file.field, "not-found", message, "paths start at the project's folder; correct it")
                }
                _ => Error::file("read", &path, error),
            };
            let metadata = path.metadata().map_err(|error| missing(&error))?;
            if metadata.is_dir() {
                // its files change without it
                return Ok(fetch(file, &places.sources, store).await?.digest.to_string());
            }
            Ok(format!("{pinned}{}", stamp(&metadata)))
        }
        _ if file.digest.is_some() => Ok(pinned),
        Location::S3 { bucket, key } => {
            let mut found = None;
            store
                .list(bucket, key, |object| {
                    if object.key == *key {
                        found = Some(format!("{} of {} bytes", object.version, object.size));
                    }
                    Ok::<_, slipway_dataset::Error>(())
                })
                .await?;
            found.ok_or_else(|| {
                let message = format!("{} does not exist", file.from);
                Error::problem(&file.field, "not-found", message, "correct the bucket and the key")
            })
        }
        Location::Http(_) => Ok(fetch(file, &places.sources, store).await?.digest.to_string()),
    }
}

/// Size, times and inode: another one after every change of a file.
fn stamp(metadata: &Metadata) -> String {
    let (size, inode) = (metadata.size(), metadata.ino());
    let (changed, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
    format!(
        "{size} bytes, inode {inode}, {}.{:09}, {changed}.{nanoseconds:09}",
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}

struct List {
    sorter: Sorter,
    writer: Writer,
}

impl List {
    fn add(&mut self, unit: &Unit) -> Result<()> {
        encode(unit, self.writer.clear());
        self.sorter.push(&self.writer.bytes)
    }

    /// The images of a folder, `<label>/<file>` or `<part>/<label>/<file>`.
    fn folder(&mut self, folder: &Path, name: &str, part: Part) -> Result<()> {
        each_image(folder, part, &mut |image: Image| {
            let Image { within, part, label, path } = image;
            let metadata = path.metadata().map_err(|error| Error::file("read", &path, &error))?;
            let path = path.to_string_lossy().into_owned();
            let (name, version) = (format!("{name}/{within}"), stamp(&metadata));
            self.add(&Unit { name, version, at: 0, part, kind: UnitKind::File { path, label } })
        })
    }
}

/// A file in a folder of images.
pub(crate) struct Image {
    /// Its path within the folder.
    pub(crate) within: String,
    pub(crate) part: Part,
    /// `None` if it is not where an image with a label is.
    pub(crate) label: Option<String>,
    pub(crate) path: PathBuf,
}

/// Calls `take` with every file of a folder, in no order. If it has `train` and `test`, and nothing else but something to validate with, those
/// are its parts.
pub(crate) fn each_image(folder: &Path, part: Part, take: &mut dyn FnMut(Image) -> Result<()>) -> Result<()> {
    let parts = if part == Part::Whole { parts_of(folder)? } else { Vec::new() };
    if parts.is_empty() {
        return below(folder, "", 0, part, take);
    }
    for (name, part) in parts {
        below(&folder.join(&name), &format!("{name}/"), 0, part, take)?;
    }
    Ok(())
}

fn parts_of(folder: &Path) -> Result<Vec<(String, Part)>> {
    let unreadable = |error: std::io::Error| Error::file("read", folder, &error);
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            "train" => parts.push((name, Part::Train)),
            "test" => parts.push((name, Part::Test)),
            "validation" | "valid" | "val" => parts.push((name, Part::Validation)),
            _ if is_of_a_desktop(&name) => {}
            _ => return Ok(Vec::new()),
        }
    }
    let has = |part| parts.iter().filter(|(_, other)| *other == part).count();
    let whole = has(Part::Train) == 1 && has(Part::Test) == 1 && has(Part::Validation) <= 1;
    Ok(if whole { parts } else { Vec::new() })
}

fn below(
    folder: &Path,
    within: &str,
    depth: usize,
    part: Part,
    take: &mut dyn FnMut(Image) -> Result<()>,
) -> Result<()> {
    let unreadable = |error: std::io::Error| Error::file("read", folder, &error);
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_of_a_desktop(&name) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            below(&path, &format!("{within}{name}/"), depth + 1, part, take)?;
            continue;
        }
        let label = (depth == 1).then(|| folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        take(Image { within: format!("{within}{name}"), part, label, path })?;
    }
    Ok(())
}

/// What desktops leave behind.
fn is_of_a_desktop(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "__MACOSX" | "Thumbs.db" | "desktop.ini")
}

/// The name first, and a byte that no name has: records sort as names do.
fn encode(unit: &Unit, to: &mut Writer) {
    to.raw(unit.name.replace('\0', "\u{fffd}").as_bytes()).u8(0).text(&unit.version);
    to.u64(unit.at.max(0).unsigned_abs()).u8(unit.part as u8);
    let label = match &unit.kind {
        UnitKind::Object { bucket, key, size, label } => {
            to.u8(0).text(bucket).text(key).u64(*size);
            label
        }
        UnitKind::File { path, label } => {
            to.u8(1).text(path);
            label
        }
        UnitKind::Idx(number) => {
            to.u8(2).u32(*number);
            return;
        }
        UnitKind::Archive(number) => {
            to.u8(3).u32(*number);
            return;
        }
        UnitKind::Npm => {
            to.u8(4);
            return;
        }
        UnitKind::Table(number) => {
            to.u8(5).u32(*number);
            return;
        }
        UnitKind::LandedTable { bucket, key } => {
            to.u8(6).text(bucket).text(key);
            return;
        }
    };
    to.u8(label.is_some().into()).text(label.as_deref().unwrap_or_default());
}

fn decode(record: &[u8]) -> Option<Unit> {
    let end = record.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&record[..end]).ok()?.to_owned();
    let mut from = Reader { bytes: &record[end + 1..] };
    let (version, at) = (from.text()?.to_owned(), i64::try_from(from.u64()?).ok()?);
    let part = from.part()?;
    let label = |from: &mut Reader<'_>| {
        let (has_label, label) = (from.u8()? == 1, from.text()?);
        Some(has_label.then(|| label.to_owned()))
    };
    let kind = match from.u8()? {
        0 => UnitKind::Object {
            bucket: from.text()?.to_owned(),
            key: from.text()?.to_owned(),
            size: from.u64()?,
            label: label(&mut from)?,
        },
        1 => UnitKind::File { path: from.text()?.to_owned(), label: label(&mut from)? },
        2 => UnitKind::Idx(from.u32()?),
        3 => UnitKind::Archive(from.u32()?),
        4 => UnitKind::Npm,
        5 => UnitKind::Table(from.u32()?),
        6 => UnitKind::LandedTable { bucket: from.text()?.to_owned(), key: from.text()?.to_owned() },
        _ => return None,
    };
    Some(Unit { name, version, at, part, kind })
}
