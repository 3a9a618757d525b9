//! Tables as text.

use std::cell::Cell as Shared;
use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ReaderBuilder, StringRecord};
use slipway_dataset::Column;
use slipway_source::excerpt;

use crate::open::Plain;
use crate::table::{Cell, LONGEST_ROW, Row, Take, WrongRow};
use crate::{Error, Result};

/// Bytes that are read at once.
const AT_ONCE: usize = 1 << 16;

/// The names of the columns: `given`, or those of the first line.
pub(crate) fn header(file: &Plain, delimiter: u8, given: Option<&[String]>) -> Result<Vec<String>> {
    if let Some(given) = given {
        return Ok(given.to_vec());
    }
    let mut reader = reader(file, delimiter, true)?;
    let header = reader.csv.headers().map_err(|error| malformed(file, 1, &error))?;
    let mut seen = HashSet::new();
    if let Some(name) = header.iter().map(str::trim).find(|name| !seen.insert(*name)) {
        let message = format!("{} has the column `{}` twice", file.name, excerpt(name));
        return Err(Error::problem(
            &file.field,
            "wrong-layout",
            message,
            "rename one of them, or declare `header:` with the name of each column",
        ));
    }
    Ok(header.iter().map(|name| name.trim().to_owned()).collect())
}

/// Reads the named columns of each row. A cell without text is missing.
pub(crate) fn each<E: From<Error>>(
    file: &Plain,
    delimiter: u8,
    given: Option<&[String]>,
    columns: &[&str],
    take: Take<'_, E>,
) -> Result<(), E> {
    let names = header(file, delimiter, given)?;
    let indices: Vec<usize> =
        columns.iter().filter_map(|column| names.iter().position(|name| name == column)).collect();
    let mut reader = reader(file, delimiter, given.is_none())?;
    if given.is_none() {
        // so that the position is that of the first row
        reader.csv.headers().map_err(|error| malformed(file, 1, &error))?;
    }
    let mut record = StringRecord::new();
    let mut cells = Vec::new();
    loop {
        let line = reader.line();
        // what is read ahead belongs to later rows
        reader.left.set(LONGEST_ROW + AT_ONCE);
        match reader.csv.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // the next line may be right
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let what = "cannot be read as CSV: it is not UTF-8".to_owned();
                let wrong = WrongRow { what, help: "save it as CSV in UTF-8" };
                take(Row { place: &format!("line {line}"), cells: Err(wrong) })?;
                continue;
            }
            Err(error) => return Err(malformed(file, line, &error).into()),
        }
        let place = format!("line {line}");
        if record.len() != names.len() {
            let is_long = record.iter().any(|cell| cell.contains('\n'));
            let open = if is_long { "; it is longer than a line: is a quotation mark not closed?" } else { "" };
            let what = format!("has {} cells, but there are {} columns{open}", record.len(), names.len());
            let help = "correct the line; if another character is between the cells, declare `delimiter:`";
            take(Row { place: &place, cells: Err(WrongRow { what, help }) })?;
            continue;
        }
        cells.clear();
        cells.extend(indices.iter().map(|&index| match record[index].trim() {
            "" => Cell::Missing,
            text => Cell::Text(text.to_owned()),
        }));
        take(Row { place: &place, cells: Ok(&mut cells) })?;
    }
}

/// The lines of a file, none of which fills the memory.
struct Lines {
    csv: csv::Reader<Bounded>,
    /// Bytes that may be read before the next row ends.
    left: Rc<Shared<usize>>,
    /// Whether lines end with a carriage return and a line feed, as those of Excel do.
    has_carriage_returns: bool,
}

impl Lines {
    /// The line of the next row, if none before it is empty.
    fn line(&self) -> u64 {
        let position = self.csv.position();
        // a row ends at the carriage return, and its line at the line feed, which is read with the next row
        position.line() + u64::from(self.has_carriage_returns && position.byte() > 0)
    }
}

/// A file that fails after so many bytes.
struct Bounded {
    file: File,
    left: Rc<Shared<usize>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.left.set(self.left.get().checked_sub(count).ok_or(ErrorKind::FileTooLarge)?);
        Ok(count)
    }
}

fn reader(file: &Plain, delimiter: u8, has_header: bool) -> Result<Lines> {
    let unreadable = |error| Error::file("read", &file.path, &error);
    let mut opened = File::open(&file.path).map_err(unreadable)?;
    let has_carriage_returns = has_carriage_returns(&mut opened).map_err(unreadable)?;
    let left = Rc::new(Shared::new(LONGEST_ROW + AT_ONCE));
    let bounded = Bounded { file: opened, left: Rc::clone(&left) };
    let mut builder = ReaderBuilder::new();
    builder.delimiter(delimiter).has_headers(has_header).flexible(true).buffer_capacity(AT_ONCE);
    Ok(Lines { csv: builder.from_reader(bounded), left, has_carriage_returns })
}

/// Whether the first line ends with a carriage return and a line feed.
fn has_carriage_returns(file: &mut File) -> std::io::Result<bool> {
    let mut start = Vec::new();
    Read::by_ref(file).take(AT_ONCE as u64).read_to_end(&mut start)?;
    file.rewind()?;
    let end = start.iter().position(|byte| *byte == b'\n');
    Ok(end.is_some_and(|end| start[..end].ends_with(b"\r")))
}

/// A file that cannot be read any further. `line` is where the row begins.
fn malformed(file: &Plain, line: u64, error: &csv::Error) -> Error {
    let (reason, help) = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => ("it is not UTF-8".to_owned(), "save it as CSV in UTF-8"),
        csv::ErrorKind::Io(error) if error.kind() == ErrorKind::FileTooLarge => {
            let reason = format!("a row has more than {LONGEST_ROW} bytes");
            (reason, "is a quotation mark not closed, or is it another kind of file?")
        }
        csv::ErrorKind::Io(error) => return Error::file("read", &file.path, error),
        _ => (error.to_string(), "save it as CSV in UTF-8"),
    };
    let message = format!("{}, line {line} cannot be read as CSV: {reason}", file.name);
    Error::problem(&file.field, "wrong-layout", message, help)
}

/// A file that is being written: a header, `,` and line feeds.
pub(crate) struct Writer<W: Write> {
    place: PathBuf,
    writer: csv::Writer<W>,
}

impl<W: Write> Writer<W> {
    /// `place` is for messages.
    pub(crate) fn new(to: W, place: &Path, columns: &[Column]) -> Result<Self> {
        let mut writer = Self { place: place.to_owned(), writer: csv::Writer::from_writer(to) };
        writer.record(columns.iter().map(|column| column.name.clone()))?;
        Ok(writer)
    }

    fn record(&mut self, cells: impl Iterator<Item = String>) -> Result<()> {
        self.writer.write_record(cells).map_err(|error| Error::file("write", &self.place, &error.into()))
    }

    pub(crate) fn write(&mut self, cells: &[Cell]) -> Result<()> {
        self.record(cells.iter().map(|cell| match cell {
            // what is no text is never right
            Cell::Missing | Cell::Bytes(_) => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Integer(number) => number.to_string(),
            Cell::Number(number) => number.to_string(),
        }))
    }

    pub(crate) fn finish(self) -> Result<W> {
        let place = self.place;
        self.writer.into_inner().map_err(|error| Error::file("write", &place, error.error()))
    }
}
