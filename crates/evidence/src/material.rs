//! The two datasets that are compared, and what is new between them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use slipway_dataset::{Dataset as Stored, Split, Store};
use slipway_digest::Digest;
use slipway_experiment::Dataset;
use slipway_pipeline::{Places, Report, arrivals, keep_only, result_of};

use crate::windows::newest;
use crate::{Error, Feed, Pictures, Result};

/// The most pictures of the reference.
const MOST_USUAL: usize = 10_000;
/// The most pictures that the version was trained on: as many as the study of docs/continuous-training.md has, and ten times the most features.
const MOST_TRAINED: usize = 5_000;
/// The most new pictures that are looked at, in whole windows: the newest ones. Which ones follows from how many there are, not from what they show, so the
/// promise of a detector on them holds. It is another detector than one that saw all: it does not know the share of an event in the window before its first
/// one, by which a bet may have cost more.
const MOST_NEW: usize = 100_000;

/// What the head is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The dataset that the version in service was trained on; without one, the one that is pinned.
    pub trained_on: Digest,
    /// The dataset that git pins: what is not in it would be new to a training.
    pub pinned: Option<Digest>,
}

/// Two datasets, and what is new between them.
#[derive(Clone, Debug)]
pub struct Material {
    /// The dataset's name.
    pub dataset: String,
    /// The names of the classes; empty if they are numbers.
    pub labels: Vec<String>,
    /// The number of classes.
    pub classes: usize,
    /// The head.
    pub head: Digest,
    /// The quality report of its build.
    pub report: Report,
    /// What it is compared with.
    pub basis: Basis,
    /// Items of the dataset that the version in service was trained on.
    pub known: usize,
    /// Those of them that it was not trained on: its validation and test split, at most 10,000.
    pub usual: Pictures,
    /// Some that it was trained on, at most 5,000: they say where its features lie.
    pub trained: Pictures,
    /// What is in the head and not in the other dataset, in the order of its arrival. Of more than 100,000 the newest.
    pub new: Pictures,
    /// How many came before those.
    pub earlier: usize,
    /// When the first item of the window before them arrived, if there was one.
    pub before: Option<i64>,
    /// The name of each new item.
    pub items: Vec<String>,
    /// When each arrived, in seconds since 1970; 0 if it is not from a landing prefix, or nobody knows. Those stand in front.
    pub times: Vec<i64>,
    /// Items of the head that git's digest does not have.
    pub unpinned: usize,
    /// What has landed last.
    pub feed: Feed,
}

impl Material {
    /// The name of a class.
    #[must_use]
    pub fn label(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

/// Reads the head and what it is compared with, through the cache; `None` if there is no head yet.
///
/// # Errors
/// [`Error::Unlike`]; if the store cannot be reached, or does not hold what the digests name.
pub async fn gather(declaration: &Dataset, basis: Basis, places: &Places, store: &Store) -> Result<Option<Material>> {
    let name = &declaration.name;
    let Some(seen) = store.head(name).await? else { return Ok(None) };
    let head = seen.head.manifest;
    let cache = evidence_cache(&places.sources.cache);
    let report = store.report(&head, &seen.head.report).await?;
    let report = serde_json::from_slice(&report)
        .map_err(|error| Error::Report { dataset: name.clone(), reason: error.to_string() })?;
    // one after the other, so that one dataset is in memory at a time
    let before = store.fetch(&basis.trained_on, &cache).await?;
    let before = computed(move || Before::of(&before)).await?;
    let pinned = match basis.pinned {
        Some(pinned) if pinned != basis.trained_on && pinned != head => {
            let stored = store.fetch(&pinned, &cache).await?;
            Some(computed(move || results(&stored)).await?)
        }
        _ => None,
    };
    let after = store.fetch(&head, &cache).await?;
    let mut arrived = HashMap::new();
    let all = arrivals(declaration, places, store).await?;
    let feed = Feed::of(&all);
    for arrival in all.images {
        // of two with the same content the first one counts
        arrived.entry(arrival.result).or_insert((arrival.at, arrival.item));
    }
    let labels = declaration.spec.labels.clone().unwrap_or_default();
    let name = name.clone();
    let comparison = Comparison { name, labels, report, basis, arrived, feed, before, pinned };
    computed(move || comparison.with(&after)).await?.map(Some)
}

/// Where in a cache the datasets are that are compared.
#[must_use]
pub fn evidence_cache(cache: &Path) -> PathBuf {
    cache.join("evidence")
}

/// Removes from the cache what belongs to none of these datasets, and what builds before the last one have left there. For a cache of the dataset alone, which
/// nobody else uses meanwhile.
///
/// # Errors
/// If the store cannot be reached, or the cache cannot be written.
pub async fn trim(declaration: &Dataset, kept: &[Digest], places: &Places, store: &Store) -> Result<()> {
    let mut keep = HashSet::new();
    for digest in kept {
        keep.insert(*digest);
        keep.extend(store.read_manifest(digest).await?.blobs().map(|(_, blob)| blob.digest));
    }
    keep_only(&evidence_cache(&places.sources.cache), &keep)?;
    Ok(slipway_pipeline::trim(declaration, places, store).await?)
}

/// Computes away from the tasks that share a thread.
pub(crate) async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)
}

/// What is needed of the dataset that the version in service was trained on.
pub(crate) struct Before {
    pub(crate) shape: [usize; 2],
    pub(crate) classes: usize,
    pub(crate) known: HashSet<Digest>,
    /// What it was not trained on.
    pub(crate) usual: Pictures,
    /// What it was trained on.
    pub(crate) trained: Pictures,
}

impl Before {
    pub(crate) fn of(dataset: &Stored) -> Self {
        let (shape, classes) = (dataset.shape, dataset.classes);
        Self {
            shape,
            classes,
            known: results(dataset),
            usual: some(shape, &[&dataset.validation, &dataset.test], MOST_USUAL),
            trained: some(shape, &[&dataset.train], MOST_TRAINED),
        }
    }
}

struct Comparison {
    name: String,
    labels: Vec<String>,
    report: Report,
    basis: Basis,
    arrived: HashMap<Digest, (i64, String)>,
    feed: Feed,
    before: Before,
    pinned: Option<HashSet<Digest>>,
}

impl Comparison {
    fn with(mut self, after: &Stored) -> Result<Material> {
        let dataset = || self.name.clone();
        let before = &self.before;
        if before.shape != after.shape {
            let size = |[height, width]: [usize; 2]| format!("of {height} × {width} pixels");
            let (now, before) = (size(after.shape), size(before.shape));
            return Err(Error::Unlike { dataset: dataset(), what: "pictures", now, before });
        }
        if before.classes != after.classes {
            let (now, before) = (after.classes.to_string(), before.classes.to_string());
            return Err(Error::Unlike { dataset: dataset(), what: "classes", now, before });
        }
        let mut new: Vec<(i64, String, Digest, &[u8], u8)> = Vec::new();
        for (result, levels, label) in each(after) {
            if !before.known.contains(&result) {
                let item = || format!("{} {}", self.name, &result.hex()[..12]);
                let (at, item) = self.arrived.remove(&result).unwrap_or_else(|| (0, item()));
                new.push((at, item, result, levels, label));
            }
        }
        let unpinned = match (&self.pinned, self.basis.pinned) {
            (Some(pinned), _) => each(after).filter(|(result, ..)| !pinned.contains(result)).count(),
            (None, Some(pinned)) if pinned == after.digest => 0,
            (None, Some(_)) => new.len(),
            (None, None) => after.train.count + after.validation.count + after.test.count,
        };
        // of one second by what they hold: by their names, an upload of many would be sorted by class
        new.sort_unstable_by_key(|(at, _, result, ..)| (*at, *result));
        let untimed = new.partition_point(|(at, ..)| *at <= 0);
        let arrived: Vec<i64> = new[untimed..].iter().map(|(at, ..)| *at).collect();
        let (begin, earlier_window) = newest(&arrived, MOST_NEW);
        // what has no time goes first
        let earlier = if begin > 0 { untimed + begin } else { new.len().saturating_sub(MOST_NEW) };
        let new = new.split_off(earlier);
        let mut pictures = Pictures::new(after.shape);
        let (mut items, mut times) = (Vec::with_capacity(new.len()), Vec::with_capacity(new.len()));
        for (at, item, _, levels, label) in new {
            pictures.push(levels, Some(label));
            items.push(item);
            times.push(at);
        }
        Ok(Material {
            dataset: self.name,
            labels: self.labels,
            classes: after.classes,
            head: after.digest,
            report: self.report,
            basis: self.basis,
            known: self.before.known.len(),
            usual: self.before.usual,
            trained: self.before.trained,
            new: pictures,
            earlier,
            before: earlier_window,
            items,
            times,
            unpinned,
            feed: self.feed,
        })
    }
}

/// Pictures of splits. Of many, those with the smallest digests: any choice that does not look at what they show is as good as a random one.
fn some(shape: [usize; 2], splits: &[&Split], most: usize) -> Pictures {
    let mut all: Vec<(Digest, &[u8], u8)> = splits.iter().flat_map(|split| of(shape, split)).collect();
    all.sort_unstable_by_key(|(result, ..)| *result);
    let mut pictures = Pictures::new(shape);
    for (_, levels, label) in all.into_iter().take(most) {
        pictures.push(levels, Some(label));
    }
    pictures
}

/// The names of a dataset's items.
pub(crate) fn results(dataset: &Stored) -> HashSet<Digest> {
    each(dataset).map(|(result, ..)| result).collect()
}

fn each(dataset: &Stored) -> impl Iterator<Item = (Digest, &[u8], u8)> {
    [&dataset.train, &dataset.validation, &dataset.test].into_iter().flat_map(|split| of(dataset.shape, split))
}

/// The items of a split: name, levels and label of each.
pub(crate) fn of([height, width]: [usize; 2], split: &Split) -> impl Iterator<Item = (Digest, &[u8], u8)> {
    let size = (height * width).max(1);
    // sizes of IDX files are 32 bits
    let (height, width) = (height as u32, width as u32);
    let each = split.images.chunks_exact(size).zip(&split.labels);
    each.map(move |(levels, label)| (result_of(height, width, levels), levels, *label))
}
