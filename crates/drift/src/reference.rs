//! What the data were like: a bounded summary of the reference, with the events that are watched and how probable each can be.

use serde::{Deserialize, Serialize};

use crate::bound::upper_bound;
use crate::classical::{PValue, Test, chi_square, kolmogorov_smirnov, stability_index, wasserstein};
use crate::{Error, Result};

/// Tails of a stream of numbers that are watched, as shares of the reference.
const TAILS: [f64; 4] = [0.005, 0.02, 0.1, 0.35];
/// The middle of a stream of numbers: more of it is a distribution that has shrunk.
const MIDDLE: (f64, f64) = (0.25, 0.75);
/// Values of the reference that are kept for comparisons.
const KEPT: usize = 2000;
/// Bins of the stability index of a stream of numbers.
const BINS: usize = 10;
/// Products of sample sizes up to which the exact p-value is computed: some milliseconds.
const EXACT: usize = 1_000_000;

/// What a stream holds: one value for each observation, NaN where it is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// Its name, such as `confidence`.
    pub name: String,
    /// The number of classes, if its values are the indices 0, 1, … of classes; none for numbers.
    pub classes: Option<usize>,
    /// Its share of the stakes and of the risk of the reference, relative to those of the others.
    pub weight: f64,
}

impl Stream {
    /// A stream of classes.
    #[must_use]
    pub fn classes(name: impl Into<String>, classes: usize, weight: f64) -> Self {
        Self { name: name.into(), classes: Some(classes), weight }
    }

    /// A stream of numbers.
    #[must_use]
    pub fn numbers(name: impl Into<String>, weight: f64) -> Self {
        Self { name: name.into(), classes: None, weight }
    }
}

/// What is watched for becoming more frequent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Region {
    /// The class.
    Is(usize),
    /// Any other class.
    IsNot(usize),
    /// Values below this one.
    Below(f64),
    /// Values above this one.
    Above(f64),
    /// Values above the first and below the second.
    Between(f64, f64),
}

impl Region {
    /// Whether a value is in it.
    #[must_use]
    pub fn has(&self, value: f64) -> bool {
        match *self {
            Self::Is(class) => value == class as f64,
            Self::IsNot(class) => value != class as f64,
            Self::Below(limit) => value < limit,
            Self::Above(limit) => value > limit,
            Self::Between(low, high) => value > low && value < high,
        }
    }
}

/// A region of a stream, how much of the reference is in it, and how probable it can be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// The region.
    pub region: Region,
    /// Its share of the reference.
    pub share: f64,
    /// Upper confidence bound of its probability.
    pub bound: f64,
}

/// The summary of one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The stream.
    #[serde(flatten)]
    pub stream: Stream,
    /// Observations of the reference that had a value.
    pub observations: usize,
    /// Regions that are watched.
    pub watched: Vec<Watched>,
    /// Observations of each class; empty for numbers.
    pub counts: Vec<u64>,
    /// A random sample of the numbers, in order; empty for classes.
    pub sample: Vec<f64>,
}

/// The classical comparison of a window with the reference, one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The stream's name.
    pub stream: String,
    /// Chi-square, for classes.
    pub chi_square: Option<Test>,
    /// Kolmogorov-Smirnov, for numbers; exact when the product of the sizes is at most a million.
    pub kolmogorov_smirnov: Option<Test>,
    /// Wasserstein's distance of order 1, for numbers, in their unit.
    pub wasserstein: Option<f64>,
    /// The population stability index, for numbers over the tenths of the reference.
    pub stability_index: Test,
}

/// What the data were like when all was well. It holds at most some tens of kilobytes a stream, however large the
/// data were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The risk that was taken: the probability that any bound is too low.
    pub risk: f64,
    /// Each stream.
    pub streams: Vec<Summary>,
}

impl Reference {
    /// Summarises observations, one row each with a value for each stream. They have to be independent draws of what is usual, and not
    /// those on which the network was trained, nor those from which a stream's own definition was computed.
    ///
    /// `risk` is the probability that the bound of any region is too low; 0.001 is a good choice, and much less costs little.
    ///
    /// # Errors
    /// When there are no streams or rows, a row does not fit, a class is unknown, a stream has no value, or a weight or the risk is out
    /// of range.
    pub fn new<R: AsRef<[f64]>>(streams: &[Stream], rows: &[R], risk: f64) -> Result<Self> {
        if !(risk > 0.0 && risk < 1.0) {
            return Err(Error::Range { what: "the risk of the reference", value: risk, allowed: "between 0 and 1" });
        }
        for stream in streams {
            if !(stream.weight > 0.0 && stream.weight.is_finite()) {
                return Err(Error::Range { what: "a weight", value: stream.weight, allowed: "positive" });
            }
        }
        let whole: f64 = streams.iter().map(|stream| stream.weight).sum();
        let columns = columns(streams.iter(), rows)?;
        let streams = streams
            .iter()
            .zip(columns)
            .map(|(stream, values)| Summary::new(stream.clone(), values, risk * stream.weight / whole))
            .collect::<Result<_>>()?;
        Ok(Self { risk, streams })
    }

    /// Compares a window with the reference by the classical statistics. Streams without a value in the window are left out.
    ///
    /// # Errors
    /// When a row does not fit, or a class is unknown.
    pub fn compare<R: AsRef<[f64]>>(&self, rows: &[R]) -> Result<Vec<Comparison>> {
        let columns = columns(self.streams.iter().map(|summary| &summary.stream), rows)?;
        let filled = self.streams.iter().zip(columns).filter(|(_, values)| !values.is_empty());
        filled.map(|(summary, values)| summary.compare(&values)).collect()
    }
}

/// The values of each stream, without those that are missing.
pub(crate) fn columns<'a, R: AsRef<[f64]>>(
    streams: impl ExactSizeIterator<Item = &'a Stream> + Clone,
    rows: &[R],
) -> Result<Vec<Vec<f64>>> {
    let mut columns = vec![Vec::with_capacity(rows.len()); streams.len()];
    for row in rows {
        let row = row.as_ref();
        check(streams.clone(), row)?;
        for (column, &value) in columns.iter_mut().zip(row) {
            if !value.is_nan() {
                column.push(value);
            }
        }
    }
    Ok(columns)
}

/// Fails if a row does not fit the streams.
pub(crate) fn check<'a>(streams: impl ExactSizeIterator<Item = &'a Stream>, row: &[f64]) -> Result<()> {
    if row.len() != streams.len() {
        return Err(Error::Row { found: row.len(), expected: streams.len() });
    }
    for (stream, &value) in streams.zip(row) {
        match stream.classes {
            _ if value.is_nan() => {}
            Some(classes) if value.fract() != 0.0 || !(0.0..classes as f64).contains(&value) => {
                return Err(Error::Class { stream: stream.name.clone(), value, last: classes.saturating_sub(1) });
            }
            None if value.is_infinite() => {
                return Err(Error::Range { what: "a value", value, allowed: "finite" });
            }
            _ => {}
        }
    }
    Ok(())
}

impl Summary {
    fn new(stream: Stream, mut values: Vec<f64>, risk: f64) -> Result<Self> {
        let observations = values.len();
        if observations == 0 {
            let what = format!("stream {} of the reference", stream.name);
            return Err(Error::TooFew { what, found: 0, needed: 1 });
        }
        let Some(classes) = stream.classes else {
            values.sort_unstable_by(f64::total_cmp);
            let watched = numbers(&values, risk);
            return Ok(Self { stream, observations, watched, counts: Vec::new(), sample: thin(&values) });
        };
        let counts = tally(&values, classes);
        let risk = risk / (2 * classes) as f64;
        let watched = counts
            .iter()
            .enumerate()
            .flat_map(|(class, &count)| {
                [(Region::Is(class), count), (Region::IsNot(class), observations as u64 - count)]
            })
            .map(|(region, count)| Watched {
                region,
                share: count as f64 / observations as f64,
                bound: upper_bound(count as usize, observations, risk),
            })
            .collect();
        Ok(Self { stream, observations, watched, counts, sample: Vec::new() })
    }

    fn compare(&self, values: &[f64]) -> Result<Comparison> {
        let stream = self.stream.name.clone();
        if let Some(classes) = self.stream.classes {
            let counts = tally(values, classes);
            return Ok(Comparison {
                stream,
                chi_square: Some(chi_square(&self.counts, &counts)?),
                kolmogorov_smirnov: None,
                wasserstein: None,
                stability_index: stability_index(&self.counts, &counts)?,
            });
        }
        let how = if self.sample.len() * values.len() <= EXACT { PValue::Exact } else { PValue::Limit };
        let cuts: Vec<f64> = (1..BINS).map(|tenth| self.sample[tenth * (self.sample.len() - 1) / BINS]).collect();
        let bins = |values: &[f64]| {
            let mut bins = vec![0; BINS];
            for &value in values {
                bins[cuts.partition_point(|&cut| cut < value)] += 1;
            }
            bins
        };
        Ok(Comparison {
            stream,
            chi_square: None,
            kolmogorov_smirnov: Some(kolmogorov_smirnov(&self.sample, values, how)?),
            wasserstein: Some(wasserstein(&self.sample, values)?),
            stability_index: stability_index(&bins(&self.sample), &bins(values))?,
        })
    }
}

fn tally(values: &[f64], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for &value in values {
        // checked to be a class
        counts[value as usize] += 1;
    }
    counts
}

/// The regions of a stream of numbers. They are cut at order statistics, so how probable each is has a known distribution, whatever that
/// of the values is: below the k-th smallest of n is at most a beta variable with parameters k and n + 1 - k, also with ties.
fn numbers(sorted: &[f64], risk: f64) -> Vec<Watched> {
    let n = sorted.len();
    let risk = risk / (2 * TAILS.len() + 1) as f64;
    let mut watched = Vec::with_capacity(2 * TAILS.len() + 1);
    let share = |region: &Region| sorted.iter().filter(|&&value| region.has(value)).count() as f64 / n as f64;
    for tail in TAILS {
        let rank = ((tail * n as f64).ceil() as usize).clamp(1, n);
        let bound = upper_bound(rank - 1, n, risk);
        for region in [Region::Below(sorted[rank - 1]), Region::Above(sorted[n - rank])] {
            watched.push(Watched { region, share: share(&region), bound });
        }
    }
    let (low, high) = ((MIDDLE.0 * n as f64) as usize, ((MIDDLE.1 * n as f64) as usize).min(n - 1));
    let region = Region::Between(sorted[low], sorted[high]);
    let bound = if high > low { upper_bound(high - low - 1, n, risk) } else { 1.0 };
    watched.push(Watched { region, share: share(&region), bound });
    watched
}

/// A random sample of the values, in order. The choice depends on nothing but their number, so the same data give the same summary.
fn thin(sorted: &[f64]) -> Vec<f64> {
    if sorted.len() <= KEPT {
        return sorted.to_vec();
    }
    // Selection sampling (Knuth, algorithm S), with the generator SplitMix64.
    let mut state = sorted.len() as u64;
    let mut chosen = Vec::with_capacity(KEPT);
    for (index, &value) in sorted.iter().enumerate() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let uniform = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        if uniform * ((sorted.len() - index) as f64) < (KEPT - chosen.len()) as f64 {
            chosen.push(value);
        }
    }
    chosen
}
