//! Which items are kept, and which are set aside and why. Over records alone.

use std::collections::HashMap;
use std::path::Path;

use slipway_digest::Digest;
use slipway_experiment::{DatasetSpec, Pipeline, Publication, Source, Validate};

use crate::files::{Hashed, Made, Records, Spool, Spooled};
use crate::index::Items;
use crate::levels::Levels;
use crate::near::{Bits, NearDuplicates};
use crate::record::{Fault, Good, Item, Part, Payload, Reader, Writer};
use crate::report::Reason;
use crate::sort::Sorter;
use crate::split::{Assignments, Place};
use crate::{Error, Result};

/// The classes of a dataset, by what sources call them.
#[derive(Debug, Clone)]
pub(crate) struct Classes {
    pub(crate) names: Option<Vec<String>>,
    pub(crate) count: u32,
    numbers: HashMap<String, u16>,
    kind: LabelKind,
}

/// What the labels of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LabelKind {
    /// Numbers from 0, also if classes have names.
    Numbers,
    /// Names of classes, or their numbers.
    Names,
    /// Cells of a table: names, or numbers in any notation.
    Cells,
    /// Quantities: all items are of one class.
    Quantities,
}

impl Classes {
    pub(crate) fn of(spec: &DatasetSpec) -> Self {
        let (kind, first) = match (&spec.source, spec.source.columns(), spec.classes) {
            (_, Some(columns), Some(_)) => (LabelKind::Cells, columns.first_label),
            (_, Some(_), None) => (LabelKind::Quantities, 0),
            (Source::Images(_), None, _) => (LabelKind::Names, 0),
            (_, None, _) => (LabelKind::Numbers, 0),
        };
        // the digits of a package
        let count = if kind == LabelKind::Quantities { 1 } else { spec.classes.unwrap_or(10) };
        let mut numbers: HashMap<String, u16> = HashMap::new();
        for number in (0..count).filter_map(|number| u16::try_from(number).ok()) {
            numbers.insert((u32::from(number) + first).to_string(), number);
        }
        // a name that looks like a number is a name
        for (name, number) in spec.labels.iter().flatten().zip(0..) {
            numbers.insert(name.clone(), number);
        }
        Self { names: spec.labels.clone(), count, numbers, kind }
    }

    pub(crate) fn name(&self, class: u16) -> String {
        if self.kind == LabelKind::Quantities {
            return "all rows".to_owned();
        }
        let names = self.names.as_ref();
        names.and_then(|names| names.get(usize::from(class)).cloned()).unwrap_or_else(|| class.to_string())
    }

    /// The class of a label; `landed` is whether it is the folder of a landed image, which has a name, also beside a source of numbers.
    fn find(&self, label: &str, landed: bool) -> Option<u16> {
        match self.kind {
            LabelKind::Numbers if !landed => label.parse().ok().filter(|class| u32::from(*class) < self.count),
            LabelKind::Numbers | LabelKind::Names => self.numbers.get(label).copied(),
            LabelKind::Cells => self.numbers.get(label).copied().or_else(|| {
                // such as `1.0`
                let number: f64 = label.parse().ok()?;
                let is_whole = number.fract() == 0.0 && number.abs() < 1e9;
                self.numbers.get(&(number as i64).to_string()).copied().filter(|_| is_whole)
            }),
            LabelKind::Quantities => Some(0),
        }
    }
}

/// An item that may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) content: Digest,
    pub(crate) result: Digest,
    /// Its place in the index.
    pub(crate) ordinal: u64,
    pub(crate) class: u16,
    pub(crate) part: Part,
    pub(crate) hash: u64,
    pub(crate) levels: Levels,
    pub(crate) shape: [u32; 3],
    pub(crate) payload: Payload,
    /// Where it was before.
    pub(crate) before: Option<(Place, u16)>,
}

impl Candidate {
    fn new(item: &Item<'_>, good: &Good, class: u16, ordinal: u64) -> Self {
        let Good { content, result, levels, shape, payload, .. } = *good;
        // where no rule asks for the hash, nothing looks at it
        let hash = good.hash.unwrap_or_default();
        Self { content, result, ordinal, class, part: item.part, hash, levels, shape, payload, before: None }
    }

    /// As bytes that sort by result, and of one result by who has precedence.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.digest(&self.result).u8(self.novelty()).u8(self.part as u8).digest(&self.content).u64(self.ordinal);
        to.u16(self.class).u64(self.hash).levels(self.levels);
        to.u32(self.shape[0]).u32(self.shape[1]).u8(self.shape[2] as u8).payload(self.payload);
        match self.before {
            Some((place, class)) => to.u8(1 + place as u8).u16(class),
            None => to.u8(0).u16(0),
        };
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut from = Reader { bytes };
        let mut read = || {
            let (result, _) = (from.digest()?, from.u8()?);
            let (part, content, ordinal) = (from.part()?, from.digest()?, from.u64()?);
            Some(Self {
                content,
                result,
                ordinal,
                class: from.u16()?,
                part,
                hash: from.u64()?,
                levels: from.levels()?,
                shape: [from.u32()?, from.u32()?, from.u8()?.into()],
                payload: from.payload()?,
                before: match (from.u8()?, from.u16()?) {
                    (0, _) => None,
                    (place, class) => Some((Place::of(place - 1)?, class)),
                },
            })
        };
        read().unwrap_or_else(|| unreachable!("a candidate is read as it was written"))
    }

    /// 0 if it was published with this class, 1 if it was with another one, 2 if it is new.
    fn novelty(&self) -> u8 {
        match self.before {
            Some((_, class)) if class == self.class => 0,
            Some(_) => 1,
            None => 2,
        }
    }
}

/// What validation came to.
#[derive(Debug)]
pub(crate) struct Validated {
    pub(crate) kept: Kept,
    /// Lines of JSON, see [`SetAside`](crate::SetAside).
    pub(crate) set_aside: Made,
    /// How many are set aside for each reason.
    pub(crate) reasons: Vec<(Reason, u64)>,
    /// The first ones.
    pub(crate) first: Vec<crate::SetAside>,
    pub(crate) items: u64,
}

/// How many set-aside items are listed in a report itself.
const FIRST: usize = 20;

/// Validates the items of an index. `before` are the assignments of the head.
pub(crate) fn validate(
    index: &Path,
    spec: &DatasetSpec,
    pipeline: &Pipeline,
    classes: &Classes,
    before: Option<&Assignments>,
    folder: &Path,
) -> Result<Validated> {
    let mut aside = Aside { sorter: Sorter::new(folder), writer: Writer::default(), others: Sorter::new(folder) };
    let mut sorter = Sorter::new(folder);
    let mut writer = Writer::default();
    let mut items = Items::open(index)?;
    let mut ordinal = 0;
    let rules = Rules { validate: &pipeline.validate, shape: shape(spec, pipeline) };
    while items.advance()? {
        let item = items.item()?;
        match rules.check(&item, classes) {
            Ok((good, class)) => {
                writer.clear();
                if before.is_some() {
                    // to look up where it was
                    writer.digest(&good.content);
                }
                Candidate::new(&item, good, class, ordinal).write(&mut writer);
                sorter.push(&writer.bytes)?;
            }
            Err((reason, detail)) => aside.add(ordinal, reason, &detail, None)?,
        }
        ordinal += 1;
    }
    let by_result = match before {
        Some(before) => with_assignments(sorter, before, folder)?,
        None => sorter,
    };
    let mut kept = unique(by_result, &mut aside, classes, folder)?;
    if let Some(distance) = pipeline.validate.near_duplicates {
        kept = distinct(kept, distance, ordinal, &mut aside, folder)?;
    }
    let AsideList { list, reasons, first } = aside.finish(index, folder)?;
    Ok(Validated { kept, set_aside: list, reasons, first, items: ordinal })
}

/// The shape that a result must have; 0 channels: any.
fn shape(spec: &DatasetSpec, pipeline: &Pipeline) -> Option<[u32; 3]> {
    match (pipeline.publish, spec.shape.as_deref()) {
        (Publication::Idx([height, width]), _) => Some([height, width, 1]),
        (Publication::Images, Some([height, width])) => Some([*height, *width, 0]),
        (Publication::Images, Some([height, width, channels])) => Some([*height, *width, *channels]),
        _ => None,
    }
}

struct Rules<'a> {
    validate: &'a Validate,
    shape: Option<[u32; 3]>,
}

impl Rules<'_> {
    /// The item and its class, or why it is set aside.
    fn check<'i>(&self, item: &'i Item<'_>, classes: &Classes) -> Result<(&'i Good, u16), (Reason, String)> {
        let good = item.outcome.as_ref().map_err(|fault| match fault {
            Fault::WrongPlace => (Reason::WrongPlace, "an image is in a folder that is named by its label".to_owned()),
            Fault::NotAnImage => (Reason::NotAnImage, "it is neither a PNG nor a JPEG file".to_owned()),
            Fault::Unreadable(reason) => (Reason::Unreadable, reason.clone()),
            Fault::TooLarge(bytes) => (Reason::TooLarge, format!("{bytes} bytes")),
            Fault::Row(reason, detail) => (*reason, detail.clone()),
        })?;
        // an image that is a whole unit is in a folder, or has landed
        let class = classes.find(item.label, item.name.is_empty());
        let class = class.ok_or_else(|| (Reason::UnknownLabel, format!("its label is {:?}", item.label)))?;
        if let Some([least, most]) = self.validate.size
            && !(0..2).all(|side| (least[side]..=most[side]).contains(&good.read[side]))
        {
            return Err((Reason::WrongSize, format!("it has {} × {} pixels", good.read[0], good.read[1])));
        }
        if let Some([low, high]) = self.validate.range
            && !(low <= good.range[0] && good.range[1] <= high)
        {
            return Err((Reason::OutOfRange, format!("its levels are from {} to {}", good.range[0], good.range[1])));
        }
        if let Some([height, width, channels]) = self.shape
            && (good.shape[..2] != [height, width] || channels != 0 && good.shape[2] != channels)
        {
            let [height, width, channels] = good.shape;
            return Err((Reason::WrongShape, format!("its result has the shape [{height}, {width}, {channels}]")));
        }
        match self.validate.contrast {
            Some(least) if !good.levels.deviates(least) => {
                let deviation = good.levels.variance().sqrt();
                Err((Reason::LowContrast, format!("the standard deviation of its levels is {deviation:.1}")))
            }
            _ => Ok((good, class)),
        }
    }
}

/// Adds where each item was before, and sorts by result and by who has precedence.
fn with_assignments(by_content: Sorter, before: &Assignments, folder: &Path) -> Result<Sorter> {
    let mut by_result = Sorter::new(folder);
    let mut writer = Writer::default();
    let mut assigned = before.read()?;
    let mut sorted = by_content.sorted()?;
    while let Some(record) = sorted.next()? {
        let mut candidate = Candidate::read(&record[DIGEST..]);
        candidate.before = assigned.find(&candidate.content)?;
        candidate.write(writer.clear());
        by_result.push(&writer.bytes)?;
    }
    Ok(by_result)
}

/// The bytes of a digest.
const DIGEST: usize = 32;

/// One item of each result.
fn unique(by_result: Sorter, aside: &mut Aside, classes: &Classes, folder: &Path) -> Result<Kept> {
    let mut kept = Keeping::new(folder)?;
    let mut sorted = by_result.sorted()?;
    let mut first: Option<Candidate> = None;
    // the first other one with another class
    let mut conflict: Option<Candidate> = None;
    loop {
        let candidate = sorted.next()?.map(Candidate::read);
        if let (Some(first), Some(candidate)) = (&first, &candidate)
            && first.result == candidate.result
        {
            if first.class == candidate.class {
                aside.add(candidate.ordinal, Reason::Duplicate, "", Some((first.ordinal, None)))?;
            } else {
                aside.conflict(candidate, first, classes)?;
                conflict.get_or_insert(*candidate);
            }
            continue;
        }
        match (first.take(), conflict.take()) {
            (Some(first), Some(other)) if first.novelty() != 0 => aside.conflict(&first, &other, classes)?,
            (Some(first), _) => kept.add(&first)?,
            (None, _) => {}
        }
        match candidate {
            Some(candidate) => first = Some(candidate),
            None => return kept.finish(),
        }
    }
}

/// No two near-duplicates of one class. `items` is the number of all ordinals.
fn distinct(all: Kept, distance: u8, items: u64, aside: &mut Aside, folder: &Path) -> Result<Kept> {
    let mut by_rank = Sorter::new(folder);
    let mut writer = Writer::default();
    let mut candidates = all.candidates()?;
    while let Some(candidate) = candidates.next()? {
        let Candidate { class, content, ordinal, hash, .. } = candidate;
        writer.clear().u16(class).u8(candidate.before.is_none().into()).digest(&content).u64(ordinal).u64(hash);
        by_rank.push(&writer.bytes)?;
    }
    let mut ranked = Spool::new(folder)?;
    let mut near = NearDuplicates::new(distance, folder);
    let mut sorted = by_rank.sorted()?;
    while let Some(record) = sorted.next()? {
        let mut reader = Reader { bytes: record };
        let read = (reader.u16(), reader.u8(), reader.digest(), reader.u64(), reader.u64());
        let (Some(class), _, _, Some(ordinal), Some(hash)) = read else { continue };
        near.add(class, hash)?;
        ranked.record(&ordinal.to_be_bytes())?;
    }
    let ranked = ranked.finish()?;
    let mut near = near.find()?;
    // near-duplicates of an item come after it, but may be far away: they are joined by its rank
    let mut of = Sorter::new(folder);
    let mut dropped = Bits::new(items);
    let mut ordinals = ranked.records()?;
    let mut rank = 0_u64;
    while let Some(record) = ordinals.next()? {
        if let Some((other, bits)) = near.of(rank)? {
            let ordinal = (Reader { bytes: record }).u64().unwrap_or_default();
            dropped.set(ordinal);
            of.push(&writer.clear().u64(other).u64(ordinal).u8(bits).bytes)?;
        }
        rank += 1;
    }
    let mut of = of.sorted()?;
    ordinals.rewind()?;
    let mut at: Option<(u64, u64)> = None;
    let mut next_rank = 0;
    while let Some(record) = of.next()? {
        let mut reader = Reader { bytes: record };
        let (Some(other), Some(ordinal), Some(bits)) = (reader.u64(), reader.u64(), reader.u8()) else { break };
        while at.is_none_or(|(rank, _)| rank < other) {
            let Some(record) = ordinals.next()? else { break };
            at = Some((next_rank, (Reader { bytes: record }).u64().unwrap_or_default()));
            next_rank += 1;
        }
        if let Some((_, other)) = at {
            aside.add(ordinal, Reason::NearDuplicate, "", Some((other, Some(bits))))?;
        }
    }
    let mut kept = Keeping::new(folder)?;
    let mut candidates = all.candidates()?;
    while let Some(candidate) = candidates.next()? {
        if !dropped.has(candidate.ordinal) {
            kept.add(&candidate)?;
        }
    }
    kept.finish()
}

/// Candidates that are kept, one of each result, in the order of their results.
#[derive(Debug)]
pub(crate) struct Kept {
    records: Spooled,
    /// Whether one of them is from a part of its source.
    pub(crate) has_parts: bool,
}

impl Kept {
    pub(crate) fn candidates(&self) -> Result<Candidates> {
        Ok(Candidates { records: self.records.records()? })
    }
}

/// Candidates on their way into a file.
struct Keeping {
    file: Spool,
    writer: Writer,
    has_parts: bool,
}

impl Keeping {
    fn new(folder: &Path) -> Result<Self> {
        Ok(Self { file: Spool::new(folder)?, writer: Writer::default(), has_parts: false })
    }

    fn add(&mut self, candidate: &Candidate) -> Result<()> {
        self.has_parts |= candidate.part != Part::Whole;
        candidate.write(self.writer.clear());
        self.file.record(&self.writer.bytes)
    }

    fn finish(self) -> Result<Kept> {
        Ok(Kept { records: self.file.finish()?, has_parts: self.has_parts })
    }
}

/// What is set aside, with names.
struct AsideList {
    list: Made,
    reasons: Vec<(Reason, u64)>,
    first: Vec<crate::SetAside>,
}

/// What is set aside, before it has names.
struct Aside {
    /// By ordinal.
    sorter: Sorter,
    /// By the ordinal of the item that it is set aside for.
    others: Sorter,
    writer: Writer,
}

impl Aside {
    /// `of` is the ordinal of the item in whose favour it is set aside, and in how many bits it differs.
    fn add(&mut self, ordinal: u64, reason: Reason, detail: &str, of: Option<(u64, Option<u8>)>) -> Result<()> {
        self.writer.clear();
        if let Some((other, bits)) = of {
            self.writer.u64(other).u64(ordinal).u8(reason as u8).u8(bits.unwrap_or(u8::MAX)).text(detail);
            return self.others.push(&self.writer.bytes);
        }
        self.writer.u64(ordinal).u8(reason as u8).u8(u8::MAX).text(detail).text("");
        self.sorter.push(&self.writer.bytes)
    }

    fn conflict(&mut self, one: &Candidate, other: &Candidate, classes: &Classes) -> Result<()> {
        let detail = format!("one is {}, the other {}", classes.name(one.class), classes.name(other.class));
        self.add(one.ordinal, Reason::ConflictingLabel, &detail, Some((other.ordinal, None)))
    }

    /// The list with names, in the order of the index.
    fn finish(mut self, index: &Path, folder: &Path) -> Result<AsideList> {
        let mut names = Names::open(index)?;
        let mut others = std::mem::replace(&mut self.others, Sorter::new(folder)).sorted()?;
        while let Some(record) = others.next()? {
            let mut reader = Reader { bytes: record };
            let read = (reader.u64(), reader.u64(), reader.u8(), reader.u8(), reader.text());
            let (Some(other), Some(ordinal), Some(reason), Some(bits), Some(detail)) = read else { continue };
            let name = names.of(other)?;
            self.writer.clear().u64(ordinal).u8(reason).u8(bits).text(detail).text(name);
            self.sorter.push(&self.writer.bytes)?;
        }
        let mut names = Names::open(index)?;
        let mut sorted = self.sorter.sorted()?;
        let mut list = Hashed::new(folder)?;
        let mut counts = vec![0_u64; Reason::ALL.len()];
        let mut first = Vec::new();
        while let Some(record) = sorted.next()? {
            let mut reader = Reader { bytes: record };
            let read = (reader.u64(), reader.u8(), reader.u8(), reader.text(), reader.text());
            let (Some(ordinal), Some(reason), Some(bits), Some(detail), Some(of)) = read else { continue };
            let Some(reason) = Reason::ALL.get(usize::from(reason)).copied() else { continue };
            counts[reason as usize] += 1;
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let distance = (bits != u8::MAX).then_some(bits);
            let item = names.of(ordinal)?.to_owned();
            let line = crate::SetAside { item, reason, detail: some(detail), of: some(of), distance };
            let mut json = serde_json::to_vec(&line).map_err(|error| Error::temporary(folder, &error.into()))?;
            json.push(b'\n');
            list.write(&json)?;
            if first.len() < FIRST {
                first.push(line);
            }
        }
        let reasons = Reason::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        Ok(AsideList { list: list.finish()?, reasons, first })
    }
}

/// The names of items, asked for in their order.
struct Names {
    items: Items,
    next: u64,
    name: String,
}

impl Names {
    fn open(index: &Path) -> Result<Self> {
        Ok(Self { items: Items::open(index)?, next: 0, name: String::new() })
    }

    fn of(&mut self, ordinal: u64) -> Result<&str> {
        while self.next <= ordinal {
            if !self.items.advance()? {
                break;
            }
            if self.next == ordinal {
                self.name = self.items.name()?;
            }
            self.next += 1;
        }
        Ok(&self.name)
    }
}

/// Candidates of a file, one after the other.
pub(crate) struct Candidates {
    records: Records,
}

impl Candidates {
    pub(crate) fn next(&mut self) -> Result<Option<Candidate>> {
        Ok(self.records.next()?.map(Candidate::read))
    }
}
