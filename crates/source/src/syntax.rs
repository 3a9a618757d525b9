//! What is wrong with text that is not YAML, and what to write instead.
//!
//! The parser says where it could not go on. The mistake is often before that place, so it is looked for in the lines above.

use std::collections::BTreeSet;

use granit_parser::{ErrorKind, ScanError};

use crate::{Malformed, Position, excerpt};

/// What stands at an error of the parser; `max_depth` is the deepest nesting that was allowed.
pub(crate) fn not_yaml(error: &ScanError, text: &str, max_depth: usize) -> Malformed {
    let at = Position::from(error.marker());
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return Malformed::too_deep(at, max_depth);
    }
    let malformed = |at, what: &str| Malformed::new(at, "yaml-syntax", format!("not valid YAML: {what}"));
    match Lines(text.lines().collect()).mistake(error.kind(), at) {
        Some(mistake) => malformed(mistake.at, &mistake.what).with_help(mistake.help),
        None => malformed(at, &error.info()),
    }
}

/// A mistake that people make.
struct Mistake {
    at: Position,
    what: String,
    help: String,
}

impl Mistake {
    fn new(at: Position, what: impl Into<String>, help: impl Into<String>) -> Option<Self> {
        Some(Self { at, what: what.into(), help: help.into() })
    }
}

/// The lines of a text.
struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    /// The mistake behind an error; `None` if it is none of the usual ones.
    fn mistake(&self, kind: &ErrorKind, at: Position) -> Option<Mistake> {
        if let Some(conflict) = self.conflict() {
            return Some(conflict);
        }
        match kind {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart => self.tab(at.line),
            ErrorKind::SimpleKeyExpected => self.no_colon(at.line),
            ErrorKind::MappingValueNotAllowed => self.value_not_allowed(at),
            ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::ExpectedBlockSequenceEntry
            | ErrorKind::ExpectedDocumentStart => self.indentation(at),
            ErrorKind::BlockSequenceEntryNotAllowed => {
                let help = "write each item on a line of its own below the key, or the list as `[a, b]`";
                Mistake::new(at, "a list item is on the line of its key", help)
            }
            ErrorKind::UnclosedQuotedScalar => {
                let quote = self.character(at)?;
                Mistake::new(at, "a quote is never closed", format!("write {quote} at the end of the text"))
            }
            ErrorKind::InvalidTrailingDoubleQuotedScalar => self.after_quote(at, '"'),
            ErrorKind::InvalidTrailingSingleQuotedScalar => self.after_quote(at, '\''),
            ErrorKind::UnknownQuotedScalarEscape => {
                let what = "a backslash in this text begins none of YAML's escapes";
                Mistake::new(at, what, "write `\\\\` for a backslash, or put the text into single quotes")
            }
            ErrorKind::UnclosedFlowCollection { open } => unclosed(*open, at),
            ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
                let help = format!("close it with `{}` first", closing(*open));
                Mistake::new(at, format!("`{open}` is closed by `{close}`"), help)
            }
            ErrorKind::MisplacedFlowCollectionEnd => {
                let close = self.character(at)?;
                Mistake::new(at, format!("`{close}` closes nothing"), "remove it, or open the bracket before")
            }
            ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::InvalidColonPlacement => self.in_brackets(at),
            ErrorKind::FlowMappingValueAdjacentCollection => {
                Mistake::new(at, "there is no space after a colon", "write a space after it")
            }
            ErrorKind::UnexpectedCharacter { character: '>' | '|' } | ErrorKind::InvalidBlockScalarHeader => {
                let what = "a value that begins with > or | is a text over several lines";
                Mistake::new(at, what, "quote a value that starts with > or <, such as \">= 0.97\"")
            }
            ErrorKind::UnexpectedCharacter { character: character @ ('@' | '`' | '%') } => {
                Mistake::new(at, format!("a value may not begin with {character}"), "quote the value")
            }
            ErrorKind::CommentNotSeparated => Mistake::new(
                at,
                "there is no space before a comment",
                "write a space before #, or quote a text with it",
            ),
            _ => None,
        }
    }

    /// A line by its number; empty if there is none.
    fn line(&self, number: usize) -> &'a str {
        self.0.get(number.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn character(&self, at: Position) -> Option<char> {
        self.line(at.line).chars().nth(at.column.saturating_sub(1))
    }

    /// The lines above a line from the nearest on, with their numbers, without empty ones and comments.
    fn above(&self, number: usize) -> impl Iterator<Item = (usize, &'a str)> {
        (1..number).rev().map(move |number| (number, self.line(number))).filter(|(_, line)| !is_blank(line))
    }

    fn conflict(&self) -> Option<Mistake> {
        let begins = self.0.iter().position(|line| line.starts_with("<<<<<<< "))?;
        self.0[begins..].iter().find(|line| line.starts_with("======="))?;
        let help =
            "keep what is right of the two sides, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>";
        Mistake::new(Position { line: begins + 1, column: 1 }, "a conflict of a merge is not resolved", help)
    }

    /// The first line from a line on that is indented by a tab.
    fn tab(&self, from: usize) -> Option<Mistake> {
        let tab = |number: usize| {
            let line = self.line(number);
            let indentation = line.chars().take_while(|character| character.is_whitespace());
            let before = indentation.take_while(|character| *character != '\t').count();
            let found = !is_blank(line) && line.chars().nth(before) == Some('\t');
            found.then_some(Position { line: number, column: before + 1 })
        };
        let at = (from..=self.0.len()).find_map(tab)?;
        Mistake::new(at, "a tab indents this line", "indent it with spaces: YAML allows no tabs there")
    }

    /// A colon that cannot be one of a key: the line has another before it, or the line above is not complete.
    fn value_not_allowed(&self, at: Position) -> Option<Mistake> {
        let line = self.line(at.line);
        let before: String = line.chars().take(at.column.saturating_sub(1)).collect();
        if before.contains(": ") {
            let (key, value) = content(entry(line)).split_once(": ")?;
            let quote = if value.contains('"') { '\'' } else { '"' };
            let quoted = format!("{}: {quote}{}{quote}", excerpt(key), shown(value));
            let help = format!("write each key on a line of its own; if the value is a text, quote it: `{quoted}`");
            return Mistake::new(at, "a value has `: ` in it", help);
        }
        let (number, above) = self.above(at.line).next()?;
        if !has_key(entry(above)) {
            return self.no_colon(number);
        }
        self.too_deep(at.line, start(above))
    }

    /// A line that should be a key with its value.
    fn no_colon(&self, number: usize) -> Option<Mistake> {
        let line = self.line(number);
        let text = content(entry(line));
        let at = Position { line: number, column: start(line) + 1 };
        if text.is_empty() || has_key(text) {
            return None;
        }
        if let Some(item) = text.strip_prefix('-') {
            let help = format!("write `- {}`", excerpt(item.trim()));
            return Mistake::new(at, "there is no space after the dash of a list item", help);
        }
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (key, value, what) = if word.contains('：') {
            let (key, value) = text.split_once('：')?;
            (key, value, "the colon is a full-width one after")
        } else if word.contains(':') {
            let (key, value) = text.split_once(':')?;
            (key, value, "there is no space after the colon of")
        } else {
            let value = rest.trim_start().trim_start_matches('=');
            (word.trim_end_matches([';', ',', '=']), value, "there is no colon after")
        };
        let (key, value) = (excerpt(key.trim()), shown(value));
        let help = if value.is_empty() { format!("write `{key}:`") } else { format!("write `{key}: {value}`") };
        Mistake::new(at, format!("{what} the key `{key}`"), help)
    }

    /// A line that is indented further than its place allows, which is `level`.
    fn too_deep(&self, number: usize, level: usize) -> Option<Mistake> {
        let line = self.line(number);
        let (above, _) = self.above(number).next()?;
        let at = Position { line: number, column: indentation(line) + 1 };
        let what = format!("this line is indented as a part of line {above}, which has a value already");
        Mistake::new(at, what, format!("indent it by {}", spaces(level)))
    }

    /// A line whose indentation is none of those that are open, or that is something else than the lines it stands among.
    fn indentation(&self, at: Position) -> Option<Mistake> {
        let line = self.line(at.line);
        let (own, is_item) = (indentation(line), is_item(line));
        // the mistake is another one if the parser stopped within the line
        if at.column != own + 1 && !is_item {
            return None;
        }
        let at = Position { line: at.line, column: own + 1 };
        let (items, keys) = self.levels(at.line);
        if is_item && keys.contains(&own) {
            let help = "indent it as the items that it belongs to, or write their key in the line above";
            return Mistake::new(at, "a list item stands among the keys of a map", help);
        }
        if !is_item && items.contains(&own) {
            let help = "begin it with `- `, or indent it as the keys that it belongs to";
            return Mistake::new(at, "a key stands among the items of a list", help);
        }
        let levels: BTreeSet<usize> = if is_item { keys.union(&items).copied().collect() } else { keys };
        let below = levels.range(..own).next_back().copied();
        match (below, levels.range(own..).next().copied()) {
            (_, Some(level)) if level == own => None,
            (Some(below), Some(above)) => Mistake::new(
                at,
                format!("this line is indented by {}, as none above", spaces(own)),
                format!("indent it by {below} or {}, as the lines that it belongs to", spaces(above)),
            ),
            (None, Some(above)) => Mistake::new(
                at,
                format!("this line is indented by {}, as none above", spaces(own)),
                format!("indent it by {}, or the lines above by {}", spaces(above), spaces(own)),
            ),
            (Some(below), None) => self.too_deep(at.line, below),
            (None, None) => None,
        }
    }

    /// The indentations of the lists and of the maps that a line may go on with.
    fn levels(&self, number: usize) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let (mut items, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let mut lowest = usize::MAX;
        for (_, line) in self.above(number) {
            let (own, is_item) = (indentation(line), is_item(line));
            // a list may begin where its key does
            if own > lowest || (own == lowest && is_item) {
                continue;
            }
            lowest = own;
            if is_item {
                items.insert(own);
            }
            if has_key(entry(line)) {
                keys.insert(start(line));
            }
            if own == 0 && !is_item {
                break;
            }
        }
        (items, keys)
    }

    /// What follows a closing quote, unless that quote closes one of a line above.
    fn after_quote(&self, at: Position, quote: char) -> Option<Mistake> {
        let line = self.line(at.line);
        let before: String = line.chars().take(at.column.saturating_sub(1)).collect();
        let is_open = |line: &str| quotes(line, quote).len() % 2 == 1;
        if is_open(&before) {
            let (number, opens) = self.above(at.line).find(|(_, line)| is_open(line))?;
            let column = quotes(opens, quote).last()? + 1;
            let help = format!("write {quote} at the end of the text");
            return Mistake::new(Position { line: number, column }, "a quote is not closed in its line", help);
        }
        let inside = if quote == '"' { "`\\\"`" } else { "`''`" };
        let help = format!(
            "write the quotes around all of the value, and a quote inside as {inside}; values are separated by commas"
        );
        Mistake::new(at, "something follows a closing quote", help)
    }

    /// A place within brackets where neither a comma nor the closing bracket is.
    fn in_brackets(&self, at: Position) -> Option<Mistake> {
        let (open, opened) = self.open_bracket(at)?;
        let line = self.line(at.line);
        if opened.line < at.line && indentation(line) <= indentation(self.line(opened.line)) {
            return unclosed(open, opened);
        }
        let before: Vec<char> = line.chars().take(at.column.saturating_sub(1)).collect();
        let is_separator = |character: &char| matches!(character, '[' | '{' | ',');
        let entry = &before[before.iter().rposition(is_separator).map_or(0, |last| last + 1)..];
        let mut column = at.column;
        if self.character(at) == Some(':') {
            let entry: String = entry.iter().collect();
            if entry.split_once(": ").is_some_and(|(_, value)| !value.trim().contains(' ')) {
                return Mistake::new(
                    at,
                    "a value has `: ` in it",
                    "quote the value, or write a comma before the next key",
                );
            }
            // the colon is behind the key that has no comma before it
            column -= entry.trim_end().chars().rev().take_while(|character| !character.is_whitespace()).count();
        }
        let rest = line.chars().skip(column.saturating_sub(1));
        let word: String =
            rest.take_while(|character| !character.is_whitespace() && !",:]}".contains(*character)).collect();
        let help = format!(
            "write a comma between two entries, or `{}` to close the bracket of line {}",
            closing(open),
            opened.line
        );
        Mistake::new(
            Position { line: at.line, column },
            format!("a comma is missing before `{}`", excerpt(&word)),
            help,
        )
    }

    /// The innermost bracket that is open at a place.
    fn open_bracket(&self, at: Position) -> Option<(char, Position)> {
        let mut open = Vec::new();
        let mut quoted = None;
        for number in 1..=at.line {
            // the last character that is no space; none of them at the beginning of a line
            let mut last = '\n';
            let mut previous = ' ';
            for (index, character) in self.line(number).chars().enumerate() {
                let here = Position { line: number, column: index + 1 };
                if here == at {
                    break;
                }
                // a key or an indicator is before what begins here; in brackets each of them counts
                let begins = matches!(last, '\n' | ':' | '-' | '[' | '{' | ',');
                match (quoted, character) {
                    (Some(quote), character) if quote == character && !(quote == '"' && previous == '\\') => {
                        quoted = None
                    }
                    (Some(_), _) => {}
                    (None, '#') if previous.is_whitespace() => break,
                    (None, '"' | '\'') if begins => quoted = Some(character),
                    (None, '[' | '{') if begins || !open.is_empty() => open.push((character, here)),
                    (None, ']' | '}') => {
                        open.pop();
                    }
                    _ => {}
                }
                if !character.is_whitespace() {
                    last = character;
                }
                previous = character;
            }
        }
        open.pop()
    }
}

fn unclosed(open: char, at: Position) -> Option<Mistake> {
    let what = if open == '[' { "list" } else { "map" };
    Mistake::new(at, format!("`{open}` is never closed"), format!("write `{}` where the {what} ends", closing(open)))
}

fn closing(open: char) -> char {
    if open == '[' { ']' } else { '}' }
}

/// The indexes of the quotes in a line, in characters, without those that a backslash makes part of a text.
fn quotes(line: &str, quote: char) -> Vec<usize> {
    let mut previous = ' ';
    let mut found = Vec::new();
    for (index, character) in line.chars().enumerate() {
        if character == quote && !(quote == '"' && previous == '\\') {
            found.push(index);
        }
        previous = character;
    }
    found
}

fn is_blank(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with('#')
}

/// How many spaces a line begins with.
fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_item(line: &str) -> bool {
    let text = line.trim_start();
    text == "-" || text.starts_with("- ")
}

/// A line without its indentation and the dashes of lists.
fn entry(line: &str) -> &str {
    let mut text = line.trim_start();
    while let Some(item) = text.strip_prefix("- ") {
        text = item.trim_start();
    }
    text
}

/// How many characters are before a line's [`entry`].
fn start(line: &str) -> usize {
    line.chars().count() - entry(line).chars().count()
}

/// A text without a comment behind it.
fn content(text: &str) -> &str {
    text.split_once(" #").map_or(text, |(text, _)| text).trim()
}

/// Whether a text has a key.
fn has_key(text: &str) -> bool {
    let text = content(text);
    text.contains(": ") || text.ends_with(':')
}

/// A value within a line that is to be written. An address may have a login in it, and is left out.
fn shown(value: &str) -> String {
    if value.contains("//") { "…".to_owned() } else { excerpt(value.trim()) }
}

fn spaces(count: usize) -> String {
    if count == 1 { "1 space".to_owned() } else { format!("{count} spaces") }
}
