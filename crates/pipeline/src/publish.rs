//! From places to a manifest in the store.

use std::path::Path;

use slipway_dataset::{Blob, Format, Idx, ImageFolders, Manifest, Splits, Store};
use slipway_experiment::{DatasetSpec, Pipeline, Publication};

use crate::build::Places;
use crate::levels::Levels;
use crate::output::{Blobs, Listed, SplitList};
use crate::pack::Packs;
use crate::read::Readings;
use crate::split::{Chosen, Place, placed};
use crate::table::Layout;
use crate::validate::Classes;
use crate::{Error, Result};

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

/// Writes the list of each split.
pub(crate) fn lists(
    chosen: &mut Chosen,
    spec: &DatasetSpec,
    form: Publication,
    classes: &Classes,
    folder: &Path,
) -> Result<Lists> {
    let layout = Layout::of(spec);
    let list = |place| SplitList::new(place, form, layout.as_ref(), folder);
    let mut lists = Place::ALL.map(list).into_iter().collect::<Result<Vec<_>>>()?;
    let mut levels = vec![Levels::default(); classes.count as usize];
    let mut shapes: Option<(bool, [u32; 3])> = None;
    while let Some(record) = chosen.placed.next()? {
        let (place, candidate) = placed(record);
        lists[place as usize].add(&candidate, classes)?;
        levels[usize::from(candidate.class)].add(candidate.levels);
        shapes = Some(match shapes {
            None => (true, candidate.shape),
            // images of one size are of the colours that the most colourful has
            Some((same, [height, width, channels])) => {
                let [other_height, other_width, other] = candidate.shape;
                (same && [height, width] == [other_height, other_width], [height, width, channels.max(other)])
            }
        });
    }
    let lists = lists.into_iter().map(SplitList::finish).collect::<Result<_>>()?;
    Ok(Lists { lists, levels, shape: shapes.filter(|(same, _)| *same).map(|(_, shape)| shape), layout })
}

/// What publishing came to.
pub(crate) struct Published {
    pub(crate) manifest: Manifest,
    /// Splits whose blobs were made in this run.
    pub(crate) made: Vec<Place>,
    /// The bytes of those blobs.
    pub(crate) bytes: u64,
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
    let mut blobs: Vec<(Blobs, u64)> = Vec::new();
    let (mut made_places, mut bytes) = (Vec::new(), 0);
    for list in &lists.lists {
        let known = known(list, store).await?;
        let ready = match known {
            Some(known) => known,
            None => {
                let packs = open(list, readings, places, store).await?;
                let (assembled, made) =
                    list.assemble(pipeline.publish, lists.layout.as_ref(), &packs, &places.temporary)?;
                for made in &made {
                    store.push_written(made.path(), made.blob).await?;
                    bytes += made.blob.size;
                }
                let json = serde_json::to_vec(&assembled);
                store
                    .keep_step(&list.key, &json.map_err(|error| Error::temporary(&places.temporary, &error.into()))?)
                    .await?;
                made_places.push(list.place);
                assembled
            }
        };
        blobs.push((ready, list.count));
    }
    let manifest = Manifest { name: name.to_owned(), content: content(pipeline, lists, classes, &blobs)? };
    store.push_manifest(&manifest).await?;
    Ok(Published { manifest, made: made_places, bytes })
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

/// Opens the packs that hold a list: those of this run are here, others are fetched.
async fn open(list: &Listed, readings: &Readings, places: &Places, store: &Store) -> Result<Packs> {
    let mut packs = Packs::default();
    for &number in &list.packs {
        let blob: Option<Blob> = readings.packs.get(number as usize).copied().flatten();
        let here = readings.made.iter().find(|made| Some(made.blob) == blob);
        match (here, blob) {
            (Some(made), _) => packs.open(number, made.path())?,
            (None, Some(blob)) => packs.open(number, &store.fetch_file(blob, &places.cache()).await?)?,
            (None, None) => {}
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
