//! Tables as text.

use std::cell::Cell as Shared;
use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ReaderBuilder, StringRecord};
use slipway_dataset::Column;
use slipway_source::excerpt;

use crate::open::Plain;
use crate::table::{Cell, LONGEST_ROW, Row, Take, WrongRow};
use crate::{Error, Result};

/// The names of the columns: `given`, or those of the first line.
pub(crate) fn header(file: &Plain, delimiter: u8, given: Option<&[String]>) -> Result<Vec<String>> {
    if let Some(given) = given {
        return Ok(given.to_vec());
    }
    let mut reader = reader(file, delimiter, true)?;
    let header = reader.csv.headers().map_err(|error| malformed(file, 1, &error))?;
    let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let twice = {
        let mut seen = HashSet::new();
        names.iter().find(|name| !seen.insert(name.as_str()))
    };
    if let Some(name) = twice {
        let message = format!("{} has the column `{}` twice", file.name, excerpt(name));
        return Err(Error::problem(
            &file.field,
            "wrong-layout",
            message,
            "rename one of them, or declare `header:` with the name of each column",
        ));
    }
    Ok(names)
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
        let line = reader.csv.position().line();
        reader.left.set(LONGEST_ROW);
        match reader.csv.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // the next line may be right
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let line = error.position().map_or(line, csv::Position::line);
                let what = "cannot be read as CSV: it is not UTF-8".to_owned();
                let wrong = WrongRow { what, help: "save it as CSV in UTF-8" };
                take(Row { place: &format!("line {line}"), cells: Err(wrong) })?;
                continue;
            }
            Err(error) => return Err(malformed(file, line, &error).into()),
        }
        let line = record.position().map_or(line, csv::Position::line);
        let place = format!("line {line}");
        if record.len() != names.len() {
            let lines = reader.csv.position().line() - line;
            let open = if lines > 1 { "; it is longer than a line: is a quotation mark not closed?" } else { "" };
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
    let opened = File::open(&file.path).map_err(|error| Error::file("read", &file.path, &error))?;
    let left = Rc::new(Shared::new(LONGEST_ROW));
    let bounded = Bounded { file: opened, left: Rc::clone(&left) };
    let csv = ReaderBuilder::new().delimiter(delimiter).has_headers(has_header).flexible(true).from_reader(bounded);
    Ok(Lines { csv, left })
}

/// A file that cannot be read any further. `line` is where the row begins.
fn malformed(file: &Plain, line: u64, error: &csv::Error) -> Error {
    let line = error.position().map_or(line, csv::Position::line);
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
