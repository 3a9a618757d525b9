//! Tables as text.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};
use slipway_dataset::Column;

use crate::open::Plain;
use crate::table::{Cell, Output, Row, Take};
use crate::{Error, Result};

/// The names of the columns: `given`, or those of the first line.
pub(crate) fn header(file: &Plain, delimiter: u8, given: Option<&[String]>) -> Result<Vec<String>> {
    if let Some(given) = given {
        return Ok(given.to_vec());
    }
    let mut reader = reader(file, delimiter, true)?;
    let header = reader.headers().map_err(|error| malformed(file, &error))?;
    let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    if let Some((_, name)) = twice {
        let message = format!("{} has the column `{name}` twice", file.name);
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
pub(crate) fn each(
    file: &Plain,
    delimiter: u8,
    given: Option<&[String]>,
    columns: &[&str],
    take: Take<'_>,
) -> Result<()> {
    let names = header(file, delimiter, given)?;
    let indices: Vec<usize> =
        columns.iter().filter_map(|column| names.iter().position(|name| name == column)).collect();
    let mut reader = reader(file, delimiter, given.is_none())?;
    let mut record = StringRecord::new();
    let mut cells = Vec::new();
    while reader.read_record(&mut record).map_err(|error| malformed(file, &error))? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != names.len() {
            let message =
                format!("{}, line {line} has {} cells, but there are {} columns", file.name, record.len(), names.len());
            let help = "correct the line; if another character is between the cells, declare `delimiter:`";
            return Err(Error::problem(&file.field, "wrong-layout", message, help));
        }
        cells.clear();
        cells.extend(indices.iter().map(|&index| match record[index].trim() {
            "" => Cell::Missing,
            text => Cell::Text(text.to_owned()),
        }));
        take(Row { place: &format!("line {line}"), cells: &mut cells })?;
    }
    Ok(())
}

fn reader(file: &Plain, delimiter: u8, has_header: bool) -> Result<csv::Reader<File>> {
    let opened = File::open(&file.path).map_err(|error| Error::file("read", &file.path, &error))?;
    Ok(ReaderBuilder::new().delimiter(delimiter).has_headers(has_header).flexible(true).from_reader(opened))
}

fn malformed(file: &Plain, error: &csv::Error) -> Error {
    let place = error.position().map(|position| format!(", line {}", position.line())).unwrap_or_default();
    let reason = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    let message = format!("{}{place} cannot be read as CSV: {reason}", file.name);
    Error::problem(&file.field, "wrong-layout", message, "save it as CSV in UTF-8")
}

/// A file that is being written: a header, `,` and line feeds.
pub(crate) struct Writer {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
}

impl Writer {
    pub(crate) fn create(path: &Path, columns: &[Column]) -> Result<Self> {
        let file = File::create_new(path).map_err(|error| Error::file("write", path, &error))?;
        let mut writer = Self { path: path.to_owned(), writer: csv::Writer::from_writer(BufWriter::new(file)) };
        writer.record(columns.iter().map(|column| column.name.clone()))?;
        Ok(writer)
    }

    fn record(&mut self, cells: impl Iterator<Item = String>) -> Result<()> {
        self.writer.write_record(cells).map_err(|error| Error::file("write", &self.path, &error.into()))
    }
}

impl Output for Writer {
    fn write(&mut self, cells: &[Cell]) -> Result<()> {
        self.record(cells.iter().map(|cell| match cell {
            Cell::Missing => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Integer(number) => number.to_string(),
            Cell::Number(number) => number.to_string(),
        }))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.writer.flush().map_err(|error| Error::file("write", &self.path, &error))
    }
}
