//! All steps, one after the other.

use std::path::PathBuf;

use slipway_dataset::{Digest, Head, Manifest, Moved, SeenHead, Store};
use slipway_experiment::{Dataset, Pipeline};

use crate::index::{self, Earlier, Kept};
use crate::levels::Levels;
use crate::moves::{Moves, Settled, settle};
use crate::publish::{Listing, Published, publish};
use crate::read::{ReadCounts, Readings, read};
use crate::report::{ClassReport, Counts, ReasonCount, Report, SetAsideReport, Short};
use crate::split::{self, Assignments, Place};
use crate::validate::{Candidate, Classes, Validated, validate};
use crate::{Error, Result};

/// How often a build starts again from a new head.
const ATTEMPTS: usize = 5;

/// Where files are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where sources are, and what was downloaded of them.
    pub sources: slipway_sources::Places,
    /// The unpacked package, if the source is one of npm.
    pub npm: Option<PathBuf>,
    /// An existing folder for temporary files, with room for what is new and for the splits that change.
    pub temporary: PathBuf,
}

impl Places {
    /// What was fetched from the store.
    pub(crate) fn cache(&self) -> PathBuf {
        self.sources.cache.join("pipeline")
    }
}

/// What a step came to, for whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Sources were read, and what was new of them transformed.
    Read {
        /// Files, objects and pairs of IDX files.
        units: u64,
        /// Images or rows in them.
        items: u64,
        /// Units that were read in this run.
        new_units: u64,
        /// Images or rows that were read in this run.
        new_items: u64,
        /// Their bytes.
        new_bytes: u64,
    },
    /// Items were validated.
    Validated {
        /// Those that stay.
        kept: u64,
        /// Those that do not, by reason.
        set_aside: Vec<ReasonCount>,
    },
    /// Items have places.
    Split {
        /// All of them.
        counts: Counts,
        /// Those that had none before.
        new: Counts,
    },
    /// The manifest is in the store.
    Published {
        /// Splits whose blobs were made; those of the others were there.
        made: Vec<String>,
        /// The bytes of those blobs.
        bytes: u64,
    },
    /// Somebody else has published meanwhile: everything but reading begins again.
    Overtaken,
}

/// A dataset that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The digest that pins it.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// What is said of the quality of its data.
    pub report: Report,
    /// The digest of the report.
    pub report_digest: Digest,
    /// Whether the head was moved; `false` if it was already this.
    pub moved: bool,
}

/// Builds a declared dataset and makes it the head of its name; `say` is told of each step.
///
/// # Errors
/// [`Error::Source`] if the sources do not fit the declaration, or validation asks for more than they have; nothing is published then.
/// [`Error::Overtaken`]; if the store cannot be reached or refuses, or a file of this machine cannot be read or written.
///
/// # Panics
/// If the declaration has no pipeline.
pub async fn build(declaration: &Dataset, places: &Places, store: &Store, mut say: impl FnMut(Step)) -> Result<Built> {
    let pipeline = declaration.spec.pipeline.as_ref().unwrap_or_else(|| unreachable!("it has a pipeline"));
    store.ensure_bucket().await?;
    let key = index::key(declaration, pipeline);
    let earlier = match index::earlier(declaration, pipeline, store, &places.cache()).await? {
        Some((kept, path)) => Some(Earlier::open(kept, &path)?),
        None => None,
    };
    let readings = read(declaration, pipeline, places, store, earlier).await?;
    let ReadCounts { units, items, new_units, new_items, new_bytes } = readings.counts;
    say(Step::Read { units, items, new_units, new_items, new_bytes });
    let classes = Classes::of(&declaration.spec);
    let building = Building { declaration, pipeline, places, store, key, readings, classes };
    for number in 0..ATTEMPTS {
        // whoever has overtaken this build may have kept more than it
        let is_first = number == 0;
        match building.attempt(is_first, &mut say).await {
            Ok(Some(built)) => return Ok(built),
            Ok(None) => say(Step::Overtaken),
            Err(error) => {
                if is_first && matches!(error, Error::Source(_)) {
                    // somebody will correct the data or the declaration, and then it is not read again
                    building.keep(Moves::new(&places.temporary)).await?;
                }
                return Err(error);
            }
        }
    }
    Err(Error::Overtaken(declaration.name.clone(), ATTEMPTS))
}

struct Building<'a> {
    declaration: &'a Dataset,
    pipeline: &'a Pipeline,
    places: &'a Places,
    store: &'a Store,
    /// Under which the store keeps what was read.
    key: Digest,
    readings: Readings,
    classes: Classes,
}

impl Building<'_> {
    /// From the head of now to a new one; `None` if somebody else has moved it meanwhile. The first attempt keeps what was read.
    async fn attempt(&self, is_first: bool, say: &mut impl FnMut(Step)) -> Result<Option<Built>> {
        let Self { declaration, pipeline, places, store, readings, classes, .. } = self;
        let (spec, folder) = (&declaration.spec, places.temporary.as_path());
        let seen = store.head(&declaration.name).await?;
        let before = match &seen {
            Some(seen) => Some(split::fetch(seen.head.assignments, store, &places.cache()).await?),
            None => None,
        };
        let before: Option<&Assignments> = before.as_ref();
        let validated = validate(readings.index.path(), spec, pipeline, classes, before, folder)?;
        let aside: u64 = validated.reasons.iter().map(|(_, count)| count).sum();
        let reasons: Vec<ReasonCount> =
            validated.reasons.iter().map(|&(reason, count)| ReasonCount { reason, count }).collect();
        say(Step::Validated { kept: validated.items - aside, set_aside: reasons.clone() });
        enough_is_kept(pipeline, &validated, aside)?;
        let mut listing = Listing::new(spec, pipeline.publish, classes, folder)?;
        let take = |place, candidate: &Candidate| listing.add(place, candidate);
        let chosen = split::split(&validated.kept, spec.split, classes, before, folder, take)?;
        let counts = Counts::from(sums(&chosen.counts));
        say(Step::Split { counts, new: chosen.new.into() });
        complete(&chosen.counts, classes, pipeline)?;
        let lists = listing.finish()?;
        let published = publish(&declaration.name, pipeline, &lists, classes, readings, places, store).await?;
        let Published { manifest, made, bytes, moves } = published;
        if is_first {
            self.keep(moves).await?;
        }
        let digest = Digest::of(manifest.canonical()?);
        let made = made.into_iter().map(|place: Place| place.name().to_owned()).collect();
        say(Step::Published { made, bytes });
        store.push_written(validated.set_aside.path(), validated.set_aside.blob).await?;
        store.push_written(chosen.assignments.path(), chosen.assignments.blob).await?;
        let mut all = Levels::default();
        lists.levels.iter().for_each(|levels| all.add(*levels));
        let class = |(class, (counts, levels)): (usize, (&[u64; 3], &Levels))| ClassReport {
            label: classes.name(class as u16),
            counts: (*counts).into(),
            mean: levels.any().map(Levels::mean),
            variance: levels.any().map(Levels::variance),
        };
        let short = |(place, declared, actual): &(Place, u64, u64)| Short {
            split: place.name().to_owned(),
            declared: *declared,
            actual: *actual,
        };
        let report = Report {
            dataset: declaration.name.clone(),
            manifest: digest,
            items: validated.items,
            counts,
            set_aside: SetAsideReport { count: aside, reasons, first: validated.first, list: validated.set_aside.blob },
            classes: chosen.counts.iter().zip(&lists.levels).enumerate().map(class).collect(),
            mean: all.any().map(Levels::mean),
            variance: all.any().map(Levels::variance),
            short: chosen.short.iter().map(short).collect(),
        };
        let mut json = serde_json::to_vec_pretty(&report).map_err(|error| Error::temporary(folder, &error.into()))?;
        json.push(b'\n');
        let report_digest = store.push_report(&digest, &json).await?;
        let head = Head { manifest: digest, report: report_digest, assignments: chosen.assignments.blob };
        let moved = match move_head(&declaration.name, seen.as_ref(), &head, store).await? {
            Some(moved) => moved,
            None => return Ok(None),
        };
        Ok(Some(Built { digest, manifest, report, report_digest, moved }))
    }

    /// Keeps what was read, so that it is not read again: the packs that are not published, the index, and what names them.
    async fn keep(&self, moves: Moves) -> Result<()> {
        let Self { key, store, readings, places, .. } = self;
        let Settled { index, packs, made } = settle(readings, moves, &places.temporary)?;
        for pack in &made {
            store.push_written(pack.path(), pack.blob).await?;
        }
        store.push_written(index.path(), index.blob).await?;
        let json = serde_json::to_vec(&Kept { index: index.blob, packs });
        let json = json.map_err(|error| Error::temporary(&places.temporary, &error.into()))?;
        // unchanged, it is not written again
        if store.step(key).await?.is_none_or(|there| there != json) {
            store.keep_step(key, &json).await?;
        }
        Ok(())
    }
}

/// Whether the head was moved; `None` if somebody else moved it.
async fn move_head(name: &str, seen: Option<&SeenHead>, head: &Head, store: &Store) -> Result<Option<bool>> {
    if seen.is_some_and(|seen| seen.head == *head) {
        return Ok(Some(false));
    }
    Ok(match store.move_head(name, seen, head).await? {
        Moved::Moved => Some(true),
        Moved::Overtaken => None,
    })
}

fn sums(counts: &[[u64; 3]]) -> [u64; 3] {
    counts.iter().fold([0; 3], |sums, counts| [0, 1, 2].map(|place| sums[place] + counts[place]))
}

fn enough_is_kept(pipeline: &Pipeline, validated: &Validated, aside: u64) -> Result<()> {
    let Some(most) = pipeline.validate.set_aside else { return Ok(()) };
    if u128::from(aside) * 1_000_000 <= u128::from(most) * u128::from(validated.items) {
        return Ok(());
    }
    let reasons: Vec<String> =
        validated.reasons.iter().map(|(reason, count)| format!("{count} {}", reason.name())).collect();
    let first = validated.first.first().map_or_else(String::new, |first| format!("; the first is {}", first.item));
    let message = format!(
        "{aside} of {} items do not fit ({}), more than validate.setAside allows{first}",
        validated.items,
        reasons.join(", ")
    );
    let help = "correct or remove them, or allow more";
    Err(Error::problem("spec.pipeline.validate.setAside", "too-many-set-aside", message, help))
}

/// Whether each split and each class has items, and classes are balanced as declared.
fn complete(counts: &[[u64; 3]], classes: &Classes, pipeline: &Pipeline) -> Result<()> {
    let name = |class: usize| classes.name(class as u16);
    let empty: Vec<String> =
        (0..counts.len()).filter(|class| counts[*class].iter().sum::<u64>() == 0).map(name).collect();
    if !empty.is_empty() {
        let message = format!("no item has the class {}", empty.join(", "));
        let help = "take the class out of the declaration, or add items of it";
        return Err(Error::problem("spec", "empty-class", message, help));
    }
    if let Some(class) = (0..counts.len()).find(|class| counts[*class][Place::Train as usize] == 0) {
        let items: u64 = counts[class].iter().sum();
        let message = format!("class {} has {items} items, and the split leaves none to train on", name(class));
        let help = "add items of it, or make the other splits smaller";
        return Err(Error::problem("spec.split", "too-few-examples", message, help));
    }
    if let Some(place) = Place::ALL.into_iter().find(|place| sums(counts)[*place as usize] == 0) {
        let message = format!("the split {} has no items", place.name());
        return Err(Error::problem("spec.split", "too-few-examples", message, "add items, or make its share larger"));
    }
    let Some(least) = pipeline.validate.balance else { return Ok(()) };
    let sizes: Vec<u64> = counts.iter().map(|counts| counts.iter().sum()).collect();
    let by_size = |class: &usize| sizes[*class];
    let (Some(small), Some(large)) = ((0..sizes.len()).min_by_key(by_size), (0..sizes.len()).max_by_key(by_size))
    else {
        return Ok(());
    };
    if u128::from(sizes[small]) * 1_000_000 >= u128::from(least) * u128::from(sizes[large]) {
        return Ok(());
    }
    let message = format!(
        "class {} has {} items, and class {} has {}: less than validate.balance asks for",
        name(small),
        sizes[small],
        name(large),
        sizes[large]
    );
    Err(Error::problem("spec.pipeline.validate.balance", "unbalanced", message, "add items of it, or allow less"))
}
