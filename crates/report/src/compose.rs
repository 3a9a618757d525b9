//! A report as the parts of a comment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_markdown::{characters, code, fenced, html_code, shortened};

use crate::document::{
    Block, Document, FIRST_CHARACTERS, FIRST_LINES, Object, Rows, Section, Subject, count, thousands,
};
use crate::earlier::{EARLIER, Plans};
use slipway_forge::{CheckRun, Publication};

/// The most characters of a part. GitHub accepts 65,536 in a comment, and what publishes it adds a line.
pub const PART_CHARACTERS: usize = 60_000;

/// The most parts.
pub const PARTS: usize = 3;

/// The most rows of a table: nobody reads more, and what is left out is counted.
const ROWS: usize = 200;

/// A table has at least so many characters, or what is left.
const TABLE: usize = 2_000;

/// Characters kept for the line that counts what a section leaves out.
const REST: usize = 400;

/// Characters kept for the line that counts sections, and for the line above a later part.
const LINES: usize = 600;

/// The most characters of a kind in a count.
const KIND: usize = 50;

/// A report in the parts of a comment, apart from the list of earlier plans, which is only known when it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Packed {
    /// The commit that it is about, 40 hex digits.
    pub head: String,
    /// The commit of the base branch that a plan was made on; `None` for results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What it is about.
    pub subject: Subject,
    /// One line of text for the list of earlier plans.
    pub summary: String,
    /// The parts.
    pub(crate) parts: Vec<String>,
    /// The check; `None` if there is none.
    pub check: Option<CheckRun>,
}

impl Packed {
    /// With the list of earlier plans from `previous`, the first part as it stands now.
    #[must_use]
    pub fn publication(mut self, previous: Option<&str>) -> Publication {
        let earlier = Plans::new(&self.head, self.subject, &self.summary, previous).on(self.base).text();
        if let Some(first) = self.parts.first_mut() {
            first.push_str(&earlier);
        }
        Publication { head: self.head, parts: self.parts, check: self.check }
    }

    /// Why this cannot have been packed here: it has more or longer parts. What reads a report from a file asks.
    #[must_use]
    pub fn excess(&self) -> Option<String> {
        let long = self.parts.iter().map(|part| characters(part)).find(|characters| *characters > PART_CHARACTERS);
        match long {
            Some(characters) => Some(format!("a part has {characters} characters, and {PART_CHARACTERS} are the most")),
            None if self.parts.len() > PARTS => {
                Some(format!("it has {} parts, and {PARTS} are the most", self.parts.len()))
            }
            None => None,
        }
    }
}

/// The same as [`pack`] and [`Packed::publication`] in one step.
#[must_use]
pub fn compose(document: &Document, head: &str, previous: Option<&str>) -> Publication {
    pack(document, head).publication(previous)
}

/// Packs a report into the parts of a comment.
///
/// At most [`PARTS`] parts of [`PART_CHARACTERS`] characters. The first lines are always complete. Of the sections, each gets its share of the
/// space, objects of rare kinds first; a fence or a row is never cut. An object whose diff does not fit is named with its number of lines,
/// and what is not even named is counted by kind.
#[must_use]
pub fn pack(document: &Document, head: &str) -> Packed {
    pack_into(document, head, [PART_CHARACTERS - EARLIER, PART_CHARACTERS, PART_CHARACTERS])
}

/// The same into parts of these sizes; of size 0 there is none. The list of earlier plans is not counted.
pub(crate) fn pack_into(document: &Document, head: &str, sizes: [usize; PARTS]) -> Packed {
    let first = first(document, FIRST_CHARACTERS.min(sizes[0]));
    let mut space = Space { left: sizes.map(|size| size.saturating_sub(LINES)) };
    space.left[0] = space.left[0].saturating_sub(characters(&first) + LINES);

    let mut needs: Vec<usize> = document.sections.iter().map(need).collect();
    share(&mut needs, space.total());
    let mut parts: [String; PARTS] = Default::default();
    let mut unopened = 0;
    for (section, share) in document.sections.iter().zip(needs) {
        let placed = place(section, share, &mut space);
        unopened += usize::from(placed.is_none());
        for (part, text) in
            parts.iter_mut().zip(placed.map(|placed| placed.texts(section, document)).into_iter().flatten())
        {
            part.push_str(&text);
        }
    }
    let count = parts.iter().rposition(|part| !part.is_empty()).map_or(1, |last| last + 1);
    let mut whole = Vec::with_capacity(count);
    for (index, part) in parts.into_iter().take(count).enumerate() {
        whole.push(match index {
            0 => {
                let left = match unopened {
                    0 => String::new(),
                    left => format!("… and {}: {}\n\n", self::count(left, "more section"), document.everything),
                };
                let of = if count > 1 { format!("*Part 1 of {count}.*\n\n") } else { String::new() };
                format!("{first}\n{part}{left}{of}")
            }
            index => format!("*Part {} of {count}, continued from above.*\n\n{part}", index + 1),
        });
    }
    let check = document.check.as_ref().map(|check| CheckRun {
        name: check.name.clone(),
        conclusion: check.conclusion,
        title: shortened(&check.title, 200),
        summary: format!("{first}\nThe comment at the pull request has the details.\n"),
        annotations: check.annotations.clone(),
    });
    let (head, subject, summary) = (head.to_owned(), document.subject, document.summary.clone());
    Packed { head, base: None, subject, summary, parts: whole, check }
}

/// The first lines, within their bounds whoever made the document.
fn first(document: &Document, characters: usize) -> String {
    let mut text = String::new();
    let mut left = characters;
    for line in document.first.lines().take(FIRST_LINES) {
        let Some(rest) = left.checked_sub(slipway_markdown::characters(line) + 1) else { break };
        left = rest;
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// How many characters each part still has.
struct Space {
    left: [usize; PARTS],
}

impl Space {
    fn total(&self) -> usize {
        self.left.iter().sum()
    }
}

/// At least as many characters as a section has, as far as it matters: bytes, which are never fewer, and no more than there are in all parts.
fn need(section: &Section) -> usize {
    let most = PARTS * PART_CHARACTERS;
    let mut need = section.title.len() + REST + FRAME;
    for block in &section.blocks {
        need += match block {
            Block::Text(text) => text.len() + 2,
            Block::Rows(rows) => {
                rows.head.len() * PARTS + rows.rows.iter().take(ROWS).map(|row| row.len() + 1).sum::<usize>() + LINES
            }
            Block::Object(object) => object.diff.len() + 8 * object.headline.len() + LINES,
        };
        if need >= most {
            return most;
        }
    }
    need
}

/// Turns what each section needs into what it gets: what is not needed by some is for the others.
fn share(needs: &mut [usize], total: usize) {
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|index| needs[*index]);
    let mut left = total;
    for (done, index) in order.into_iter().enumerate() {
        let fair = left / (needs.len() - done);
        needs[index] = needs[index].min(fair);
        left -= needs[index];
    }
}

/// Characters around a section in a part, besides its title.
const FRAME: usize = 80;

/// A section with what of it is in each part.
struct Placed<'a> {
    space: &'a mut Space,
    /// What of its share it still has.
    share: usize,
    /// What a new part costs: title and frame.
    opening: usize,
    parts: [Option<String>; PARTS],
    /// What is not there, by kind or noun.
    omitted: BTreeMap<&'a str, usize>,
}

/// Puts as much of a section as fits into the parts; `None` if not even its title does.
fn place<'a>(section: &'a Section, share: usize, space: &'a mut Space) -> Option<Placed<'a>> {
    let opening = characters(&section.title) + FRAME;
    // of a section that is cut, the texts below a table, such as charts, are worth more than its last rows
    let is_cut = share < need(section);
    let size = |block: &Block| if let Block::Text(text) = block { text.len() + 2 } else { 0 };
    let mut below: usize = if is_cut { section.blocks.iter().map(size).sum() } else { 0 };
    let share = share.checked_sub(REST)?;
    let mut placed = Placed { space, share, opening, parts: [const { None }; PARTS], omitted: BTreeMap::new() };
    // what is left out is counted at the top
    let top = (0..PARTS).find(|part| placed.space.left[*part] >= opening + REST && placed.share >= opening)?;
    placed.space.left[top] -= REST;
    placed.open(top);

    let mut tables = section.blocks.iter().filter(|block| matches!(block, Block::Rows(_))).count();
    let objects =
        section.blocks.iter().filter_map(|block| if let Block::Object(object) = block { Some(object) } else { None });
    let objects: Vec<&Object> = objects.collect();
    // however much text there is, some objects are shown
    let kept = if objects.is_empty() { 0 } else { placed.share / 4 };
    for block in &section.blocks {
        let free = placed.share.saturating_sub(kept);
        below = below.saturating_sub(size(block));
        match block {
            Block::Text(text) => {
                let text = format!("{text}\n\n");
                if text.len() > 4 * free || characters(&text) > free || !placed.add(&text) {
                    *placed.omitted.entry("paragraph").or_default() += 1;
                }
            }
            Block::Rows(rows) => {
                // a text that does not fit into the part where the rows end opens another one
                let below = if below > 0 { below + opening } else { 0 };
                // later tables have their share as well, unless there are so many that none could show anything
                placed.add_rows(rows, (free / tables).max(TABLE).min(free - below.min(free / 2)));
                tables -= 1;
            }
            Block::Object(_) => {}
        }
    }
    placed.add_objects(&objects);
    Some(placed)
}

impl<'a> Placed<'a> {
    fn open(&mut self, part: usize) {
        self.space.left[part] -= self.opening;
        self.share -= self.opening;
        self.parts[part] = Some(String::new());
    }

    /// How much fits into a part.
    fn room(&self, part: usize) -> usize {
        let opening = if self.parts[part].is_some() { 0 } else { self.opening };
        self.space.left[part].min(self.share).saturating_sub(opening)
    }

    /// Adds a text to the first part that has room for all of it.
    fn add(&mut self, text: &str) -> bool {
        let size = characters(text);
        let Some(part) = (0..PARTS).find(|part| self.room(*part) >= size) else { return false };
        self.push(part, text, size);
        true
    }

    /// Adds a text to a part, and takes `size` characters for it.
    fn push(&mut self, part: usize, text: &str, size: usize) {
        if self.parts[part].is_none() {
            self.open(part);
        }
        self.space.left[part] -= size;
        self.share -= size;
        self.parts[part].get_or_insert_default().push_str(text);
    }

    /// Adds rows in at most `limit` characters, in as many parts as it takes, each with the head above them; what a new part costs is counted.
    fn add_rows(&mut self, rows: &'a Rows, mut limit: usize) {
        let (mut left, beyond) = rows.rows.split_at(rows.rows.len().min(ROWS));
        // the line that counts what is left out, and an empty one
        let end = characters(&rows.more(rows.rows.len())) + 2;
        let mut last = None;
        for part in 0..PARTS {
            let opening = if self.parts[part].is_some() { 0 } else { self.opening };
            let (room, allowed) = (self.room(part), limit.saturating_sub(opening));
            let Some(mut free) = room.min(allowed).checked_sub(characters(&rows.head) + end) else { continue };
            let mut text = rows.head.clone();
            let before = left.len();
            while let Some((row, rest)) = left.split_first() {
                let Some(less) = free.checked_sub(characters(row) + 1) else { break };
                (free, left) = (less, rest);
                text.push_str(row);
                text.push('\n');
            }
            if left.len() == before {
                continue;
            }
            let size = characters(&text) + end;
            if let Some(part) = last {
                self.close_rows(part, None);
            }
            self.push(part, &text, size);
            last = Some(part);
            if left.is_empty() || allowed <= room {
                break;
            }
            limit -= opening + size;
        }
        let omitted = left.len() + beyond.len();
        let more = Some(rows.more(omitted)).filter(|_| omitted > 0);
        match last {
            Some(part) => self.close_rows(part, more),
            None if omitted > 0 => *self.omitted.entry(&rows.noun).or_default() += omitted,
            None => {}
        }
    }

    /// Ends the rows of a part, for which there is space already.
    fn close_rows(&mut self, part: usize, more: Option<String>) {
        let text = self.parts[part].get_or_insert_default();
        text.extend(more.map(|more| more + "\n"));
        text.push('\n');
    }

    /// Adds objects, those of the rarest kind first: a thousand jobs do not hide one deployment.
    fn add_objects(&mut self, objects: &[&'a Object]) {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for object in objects {
            *kinds.entry(&object.kind).or_default() += 1;
        }
        let mut order: Vec<(usize, &'a Object)> =
            objects.iter().map(|object| (kinds[object.kind.as_str()], *object)).collect();
        order.sort_by_key(|(count, _)| *count);
        // a third of the space is for names, so that a few long diffs do not take it all
        let names = if self.fits_all(objects) { 0 } else { self.share / 3 };
        // once a name does not fit, no later one is tried in its place: thousands would be
        let mut full = false;
        for (_, object) in order {
            let kept = self.share.saturating_sub(names);
            let shown = folded(object, kept.min(PART_CHARACTERS))
                .is_some_and(|text| characters(&text) <= kept && self.add(&text));
            if !shown && (full || !self.add(&named(object))) {
                full = true;
                *self.omitted.entry(&object.kind).or_default() += 1;
            }
        }
    }

    fn fits_all(&self, objects: &[&Object]) -> bool {
        let mut left = self.share;
        objects.iter().all(|object| {
            let size = object.diff.len() + 8 * object.headline.len() + LINES;
            left.checked_sub(size).inspect(|rest| left = *rest).is_some()
        })
    }

    /// The section as it stands in each part.
    fn texts(self, section: &Section, document: &Document) -> [String; PARTS] {
        let mut rest = rest(&self.omitted, &document.everything);
        let mut is_first = true;
        self.parts.map(|part| {
            let Some(part) = part else { return String::new() };
            let continued = if is_first { "" } else { " (continued)" };
            is_first = false;
            let rest = std::mem::take(&mut rest);
            format!("<details><summary>{}{continued}</summary>\n\n{rest}{part}</details>\n\n", section.title)
        })
    }
}

/// An object with its diff folded away; `None` if it has more than `most` characters.
fn folded(object: &Object, most: usize) -> Option<String> {
    // a character has at most four bytes: what is far too long is not looked at
    if object.diff.len() > 4 * most {
        return None;
    }
    Some(whole_object(object)).filter(|text| characters(text) <= most)
}

/// An object with its diff folded away.
pub(crate) fn whole_object(object: &Object) -> String {
    let headline = html_code(&shortened(&object.headline, 300));
    format!("<details><summary>{headline}</summary>\n\n{}</details>\n\n", fenced("diff", &object.diff))
}

/// An object by its name alone.
fn named(object: &Object) -> String {
    let lines = count(object.diff.lines().count(), "line");
    format!("- {}: {lines}, which do not fit here\n\n", code(&shortened(&object.headline, 300)))
}

/// The line that counts what a section leaves out, in at most [`REST`] characters; empty if nothing is.
fn rest(omitted: &BTreeMap<&str, usize>, everything: &str) -> String {
    if omitted.is_empty() {
        return String::new();
    }
    let counted: Vec<String> = omitted
        .iter()
        .map(|(kind, count)| format!("{} × {}", thousands(*count), code(&shortened(kind, KIND))))
        .collect();
    let line = |what: &str| format!("⚠ Left out, because it does not fit: {what}. {everything}\n\n");
    let all = line(&counted.join(", "));
    if characters(&all) <= REST {
        return all;
    }
    let (objects, kinds) = (omitted.values().sum::<usize>(), omitted.len());
    let few = line(&format!("{} objects of {} kinds", thousands(objects), thousands(kinds)));
    if characters(&few) <= REST { few } else { format!("⚠ {} objects do not fit.\n\n", thousands(objects)) }
}
