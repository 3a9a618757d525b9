//! From places to a manifest in the store.

use std::collections::BTreeSet;
use std::path::Path;

use slipway_dataset::{Format, Idx, ImageFolders, Manifest, Splits, Store};
use slipway_experiment::{DatasetSpec, Pipeline, Publication};

use crate::build::Places;
use crate::levels::Levels;
use crate::moves::Moves;
use crate::output::{Blobs, Listed, SplitList, assemble};
use crate::pack::Packs;
use crate::read::Readings;
use crate::split::Place;
use crate::table::Layout;
use crate::validate::{Candidate, Classes};
use crate::{Error, Result};

/// The lists of all splits on their way.
pub(crate) struct Listing {
    lists: Vec<SplitList>,
    labels: Vec<String>,
    levels: Vec<Levels>,
    /// Whether all shapes so far are of one size, and that.
    shape: Option<(bool, [u32; 3])>,
    /// Of tables.
    layout: Option<Layout>,
}

/// The lists of all splits, and what was seen while they were written.
pub(crate) struct Lists {
    pub(crate) lists: Vec<Listed>,
    /// Of each class.
    pub(crate) levels: Vec<Levels>,
    /// The shape of every item, if it is the same.
    shape: Option<[u32; 3]>,
    /// Of tables.
    layout: Option<Layout>,
}

impl Listing {
    pub(crate) fn new(spec: &DatasetSpec, form: Publication, classes: &Classes, folder: &Path) -> Result<Self> {
        let layout = Layout::of(spec);
        let list = |place| SplitList::new(place, form, layout.as_ref(), folder);
        Ok(Self {
            lists: Place::ALL.into_iter().map(list).collect::<Result<_>>()?,
            labels: (0..classes.count).map(|class| classes.name(class as u16)).collect(),
            levels: vec![Levels::default(); classes.count as usize],
            shape: None,
            layout,
        })
    }

    /// The next item in the order of results.
    pub(crate) fn add(&mut self, place: Place, candidate: &Candidate) -> Result<()> {
        let class = usize::from(candidate.class);
        self.lists[place as usize].add(candidate, &self.labels[class])?;
        self.levels[class].add(candidate.levels);
        self.shape = Some(match self.shape {
            None => (true, candidate.shape),
            // images of one size are of the colours that the most colourful has
            Some((same, [height, width, channels])) => {
                let [other_height, other_width, other] = candidate.shape;
                (same && [height, width] == [other_height, other_width], [height, width, channels.max(other)])
            }
        });
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Lists> {
        let lists = self.lists.into_iter().map(SplitList::finish).collect::<Result<_>>()?;
        let shape = self.shape.filter(|(same, _)| *same).map(|(_, shape)| shape);
        Ok(Lists { lists, levels: self.levels, shape, layout: self.layout })
    }
}

/// What publishing came to.
pub(crate) struct Published {
    pub(crate) manifest: Manifest,
    /// Splits whose blobs were made in this run.
    pub(crate) made: Vec<Place>,
    /// The bytes of those blobs.
    pub(crate) bytes: u64,
    /// Where the items of those splits are in them.
    pub(crate) moves: Moves,
}

/// Stores the blobs of all splits and the manifest. Blobs of lists that were published before are not made again.
pub(crate) async fn publish(
    name: &str,
    pipeline: &Pipeline,
    lists: &Lists,
    classes: &Classes,
    readings: &Readings,
    places: &Places,
    store: &Store,
) -> Result<Published> {
    let (mut made_places, mut bytes) = (Vec::new(), 0);
    let mut moves = Moves::new(&places.temporary);
    let mut ready: Vec<Option<Blobs>> = Vec::new();
    for list in &lists.lists {
        ready.push(known(list, store).await?);
    }
    let missing: Vec<usize> = (0..ready.len()).filter(|number| ready[*number].is_none()).collect();
    // image files are in the order of their labels first, and of a table much is in memory
    let at_once = if matches!(pipeline.publish, Publication::Idx(_)) { Place::ALL.len() } else { 1 };
    for numbers in missing.chunks(at_once) {
        let some: Vec<&Listed> = numbers.iter().map(|number| &lists.lists[*number]).collect();
        let assembled = {
            let mut packs = open(&some, readings, places, store).await?;
            let layout = lists.layout.as_ref();
            assemble(&some, pipeline.publish, layout, &mut packs, &mut moves, &places.temporary)?
        };
        for (number, (blobs, made)) in numbers.iter().zip(assembled) {
            let list = &lists.lists[*number];
            for made in &made {
                store.push_written(made.path(), made.blob).await?;
                bytes += made.blob.size;
            }
            let json = serde_json::to_vec(&blobs);
            store
                .keep_step(&list.key, &json.map_err(|error| Error::temporary(&places.temporary, &error.into()))?)
                .await?;
            made_places.push(list.place);
            ready[*number] = Some(blobs);
        }
    }
    // all are ready now
    let counts = lists.lists.iter().map(|list| list.count);
    let blobs: Vec<(Blobs, u64)> = ready.into_iter().flatten().zip(counts).collect();
    let manifest = Manifest { name: name.to_owned(), content: content(pipeline, lists, classes, &blobs)? };
    store.push_manifest(&manifest).await?;
    Ok(Published { manifest, made: made_places, bytes, moves })
}

/// The blobs of a list, if the store has them.
async fn known(list: &Listed, store: &Store) -> Result<Option<Blobs>> {
    let Some(kept) = store.step(&list.key).await? else { return Ok(None) };
    let Ok(blobs) = serde_json::from_slice::<Blobs>(&kept) else { return Ok(None) };
    for blob in blobs.each() {
        if !store.has(blob).await? {
            return Ok(None);
        }
    }
    Ok(Some(blobs))
}

/// Opens the packs that hold some lists: what was read in this run is here, others are fetched.
async fn open(lists: &[&Listed], readings: &Readings, places: &Places, store: &Store) -> Result<Packs> {
    let mut packs = Packs::default();
    let numbers: BTreeSet<u32> = lists.iter().flat_map(|list| list.packs.iter().copied()).collect();
    for number in numbers {
        match readings.packs.get(number as usize) {
            Some(Some(blob)) => packs.open(number, &store.fetch_file(*blob, &places.cache()).await?)?,
            // reading from it says that it is not there
            Some(None) => {}
            None => packs.open(number, readings.payloads.path())?,
        }
    }
    Ok(packs)
}

fn content(pipeline: &Pipeline, lists: &Lists, classes: &Classes, blobs: &[(Blobs, u64)]) -> Result<Format> {
    let wrong = || {
        let message = "what the store keeps of a split is of another form";
        Error::problem("spec.pipeline", "wrong-value", message, "remove s3://…/steps/ from the dataset store")
    };
    let [train, validation, test] = [0, 1, 2].map(|place| blobs[place]);
    match (pipeline.publish, &lists.layout) {
        (form, Some(layout)) => {
            let of = |(blobs, count): (Blobs, u64)| blobs.table(count).ok_or_else(wrong);
            let splits = Splits { train: of(train)?, validation: of(validation)?, test: of(test)? };
            Ok(layout.content(form, classes, splits))
        }
        (Publication::Idx([height, width]), None) => {
            let of = |(blobs, count): (Blobs, u64)| blobs.idx(count).ok_or_else(wrong);
            let splits = Splits { train: of(train)?, validation: of(validation)?, test: of(test)? };
            let (shape, labels) = ([height as usize, width as usize], classes.names.clone());
            Ok(Format::Idx(Idx { shape, classes: classes.count as usize, labels, splits }))
        }
        // tables have a layout
        (Publication::Images | Publication::Csv | Publication::Parquet, None) => {
            let of = |(blobs, count): (Blobs, u64)| blobs.archive(count).ok_or_else(wrong);
            let splits = Splits { train: of(train)?, validation: of(validation)?, test: of(test)? };
            let labels = (0..classes.count).map(|class| classes.name(class as u16)).collect();
            let shape = lists.shape.map(|shape| shape.map(|size| size as usize));
            Ok(Format::Images(ImageFolders { shape, labels, splits }))
        }
    }
}
