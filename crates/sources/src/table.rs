//! Tables: each row is an example.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use slipway_dataset::{Column, ColumnType, Format, LocalDataset, Splits, Table};
use slipway_experiment::{CellType, Columns, Files};
use slipway_source::{excerpt, suggestion};

use crate::classes::Classes;
use crate::fetch::Located;
use crate::make::Work;
use crate::open::{self, Plain};
use crate::{Error, Result, csv, parquet, splits};

/// The most bytes of a row of text.
pub(crate) const LONGEST_ROW: usize = 8 << 20;

/// How a table is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableForm {
    /// As text.
    Csv {
        /// What is between two cells.
        delimiter: u8,
        /// The names of the columns, if the first line does not say them.
        header: Option<Vec<String>>,
    },
    /// With types.
    Parquet,
}

/// What is in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Missing,
    /// Any text, also one that looks like a number.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number; one that was read may be infinite.
    Number(f64),
    /// So many bytes that are no text.
    Bytes(usize),
}

/// A row of a file.
#[derive(Debug)]
pub struct Row<'a> {
    /// Where it is, for messages: `line 7`, `row 7`.
    pub place: &'a str,
    /// Its cells in the order of the columns that were asked for; or why it has none.
    pub cells: Result<&'a mut Vec<Cell>, WrongRow>,
}

/// What is wrong with a row as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRow {
    /// After where it is: `has 3 cells, but there are 4 columns`.
    pub what: String,
    /// What to do.
    pub help: &'static str,
}

/// Called with each row.
pub(crate) type Take<'t, E> = &'t mut dyn FnMut(Row<'_>) -> Result<(), E>;

/// The columns to read, and how.
struct Reading<'a> {
    form: TableForm,
    kind: &'static str,
    columns: Vec<Column>,
    classes: Option<Classes<'a>>,
    missing: bool,
    field: String,
}

pub(crate) fn read(
    work: Work<'_>,
    form: TableForm,
    columns: &Columns,
    files: &Files<Vec<Located>>,
) -> Result<LocalDataset> {
    let open = |files: &Vec<Located>| {
        files.iter().map(|file| open::file(&work.unpacking, file)).collect::<Result<Vec<Plain>>>()
    };
    let parts: Vec<Vec<Plain>> = match files {
        Files::Whole(files) => vec![open(files)?],
        Files::Parts { train, validation: None, test } => vec![open(train)?, open(test)?],
        Files::Parts { train, validation: Some(validation), test } => {
            vec![open(train)?, open(validation)?, open(test)?]
        }
    };
    let field = format!("spec.source.{}", work.spec().source.kind());
    let classes = Classes::of(work.spec(), columns.first_label, &field);
    let columns_of = resolve(&form, &field, columns, classes.is_some(), &parts)?;
    let kind = work.spec().source.kind();
    let reading = Reading { form, kind, columns: columns_of, classes, missing: columns.missing, field: field.clone() };

    let labels: Vec<Vec<u32>> = parts.iter().map(|part| reading.labels(part)).collect::<Result<_>>()?;
    let places = places(&labels, work.spec().split)?;
    if let Some(classes) = &reading.classes {
        let train = labels.iter().zip(&places).flat_map(|(labels, places)| {
            labels.iter().zip(places).filter(|(_, place)| **place == Some(0)).map(|(label, _)| *label)
        });
        classes.complete(&labels.concat(), &train.collect::<Vec<_>>())?;
    }
    let files = reading.write(&parts, &places, work.output.path())?;
    let (name, labels) = (&work.declaration.name, work.spec().labels.clone());
    let classes = reading.classes.map(|classes| classes.count as usize);
    let Reading { mut columns, form, .. } = reading;
    let label = columns
        .pop()
        .ok_or_else(|| Error::problem(&field, "missing-column", "no column is named", "name at least one"))?;
    let made = LocalDataset::of_files(name, work.output, &files, |splits| {
        let table = Table { features: columns, label, classes, labels, splits };
        if matches!(form, TableForm::Parquet) { Format::Parquet(table) } else { Format::Csv(table) }
    });
    Ok(made?)
}

/// The columns that are used: the features, then the label.
fn resolve(
    form: &TableForm,
    field: &str,
    declared: &Columns,
    has_classes: bool,
    parts: &[Vec<Plain>],
) -> Result<Vec<Column>> {
    let mut known: Option<(Vec<String>, &str)> = None;
    for file in parts.iter().flatten() {
        let names = header(form, file)?;
        match &known {
            Some((first, name)) if *first != names => {
                let message = format!("{name} has the columns {}, but {} has {}", list(first), file.name, list(&names));
                return Err(Error::problem(
                    &file.field,
                    "missing-column",
                    message,
                    "all files of a table have the same columns in the same order",
                ));
            }
            Some(_) => {}
            None => known = Some((names, &file.name)),
        }
    }
    let (known, file) = known.unwrap_or_default();
    let find = |name: &String, at: &str| {
        if known.contains(name) {
            return Ok(name.clone());
        }
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("{file} has no column `{}`", excerpt(name));
        Err(Error::problem(&format!("{field}.{at}"), "missing-column", message, suggestion(name, "it has", &names)))
    };
    let label = find(&declared.label, "label")?;
    for name in declared.types.keys() {
        find(name, "types")?;
    }
    let features = match &declared.features {
        Some(features) => features.iter().map(|name| find(name, "features")).collect::<Result<Vec<_>>>()?,
        None => known.iter().filter(|name| **name != label).cloned().collect(),
    };
    if features.is_empty() {
        let message = format!("{file} has no column but the label");
        return Err(Error::problem(&format!("{field}.label"), "missing-column", message, "is the delimiter right?"));
    }
    Ok(typed_columns(declared, &features, has_classes))
}

/// The features, then the label, with their declared types.
#[must_use]
pub fn typed_columns(declared: &Columns, features: &[String], has_classes: bool) -> Vec<Column> {
    let of = |name: &String| match declared.types.get(name) {
        Some(CellType::Text) => ColumnType::Text,
        Some(CellType::Integer) => ColumnType::Integer,
        Some(CellType::Number) | None => ColumnType::Number,
    };
    let mut columns: Vec<Column> = features.iter().map(|name| Column { kind: of(name), name: name.clone() }).collect();
    let kind = if has_classes { ColumnType::Integer } else { of(&declared.label) };
    columns.push(Column { name: declared.label.clone(), kind });
    columns
}

/// The names of the columns of a file.
fn header(form: &TableForm, file: &Plain) -> Result<Vec<String>> {
    match form {
        TableForm::Csv { delimiter, header } => csv::header(file, *delimiter, header.as_deref()),
        TableForm::Parquet => parquet::header(file),
    }
}

fn each<E: From<Error>>(form: &TableForm, file: &Plain, names: &[&str], take: Take<'_, E>) -> Result<(), E> {
    match form {
        TableForm::Csv { delimiter, header } => csv::each(file, *delimiter, header.as_deref(), names, take),
        TableForm::Parquet => parquet::each(file, names, take),
    }
}

/// Calls `take` with each row of a file that has these columns, and maybe more. In memory is one row of a CSV file, and one page of each column of a
/// Parquet file.
///
/// # Errors
/// [`Error::Problem`] if a column is missing or the file cannot be read any further: rows before that were given to `take`. Those of `take`.
pub fn rows<E: From<Error>>(
    form: &TableForm,
    file: &Plain,
    columns: &[Column],
    take: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let known = header(form, file)?;
    if let Some(Column { name, .. }) = columns.iter().find(|column| !known.contains(&column.name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("{} has no column `{}`", file.name, excerpt(name));
        let help = suggestion(name, "it has", &known);
        return Err(Error::problem(&file.field, "missing-column", message, help).into());
    }
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    each(form, file, &names, take)
}

fn list(names: &[String]) -> String {
    const MOST: usize = 10;
    let shown = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

/// For each row of each part: 0 to train on, 1 to validate with, 2 to test with; `None` if it is left out.
fn places(labels: &[Vec<u32>], declared: Option<slipway_experiment::Split>) -> Result<Vec<Vec<Option<u8>>>> {
    let placed = |count: usize, parts: &[(u8, &[usize])]| {
        let mut places = vec![None; count];
        for (place, indices) in parts {
            indices.iter().for_each(|&index| places[index] = Some(*place));
        }
        places
    };
    let whole = |labels: &Vec<u32>, place| vec![Some(place); labels.len()];
    match labels {
        [all] => {
            let Splits { train, validation, test } = splits::all(all, declared)?;
            Ok(vec![placed(all.len(), &[(0, &train), (1, &validation), (2, &test)])])
        }
        [train, test] => {
            let (stays, taken) = splits::cut(train, declared)?;
            Ok(vec![placed(train.len(), &[(0, &stays), (1, &taken)]), whole(test, 2)])
        }
        parts => Ok(parts.iter().zip(0..).map(|(labels, place)| whole(labels, place)).collect()),
    }
}

impl Reading<'_> {
    fn each(&self, file: &Plain, take: Take<'_, Error>) -> Result<()> {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        each(&self.form, file, &names, take)
    }

    /// The class of each row, 0 if the label is a quantity. Every cell is checked.
    fn labels(&self, files: &[Plain]) -> Result<Vec<u32>> {
        let mut labels = Vec::new();
        for file in files {
            let (mut numbers, mut places) = (Vec::new(), Vec::new());
            self.each(file, &mut |row| {
                let place = row.place.to_owned();
                let label = self.check(file, &place, whole(file, row)?)?;
                if let (Some(_), Cell::Integer(number)) = (&self.classes, label) {
                    numbers.push(number);
                    // of later ones, the first that is wrong is rarely asked for: they are counted
                    if places.len() < 1000 {
                        places.push(place);
                    }
                }
                if self.classes.is_none() {
                    labels.push(0);
                }
                Ok(())
            })?;
            if let Some(classes) = &self.classes {
                let place = |index: usize| places.get(index).cloned().unwrap_or_else(|| format!("row {}", index + 1));
                labels.extend(classes.numbered(&numbers, |index| format!("{}, {},", file.name, place(index)))?);
            }
        }
        Ok(labels)
    }

    /// Checks the cells of a row against the types of their columns; gives the label, of a class its number in the source.
    fn check(&self, file: &Plain, place: &str, cells: &[Cell]) -> Result<Cell> {
        let Some((label, features)) = cells.split_last() else { return Ok(Cell::Missing) };
        for (cell, column) in features.iter().zip(&self.columns) {
            if let Err(wrong) = typed(cell, column.kind, self.missing) {
                return Err(self.wrong_cell(file, place, column, &wrong));
            }
        }
        let column = &self.columns[self.columns.len() - 1];
        let fit = match (&self.classes, label) {
            (Some(classes), Cell::Text(text)) => match class(classes, text) {
                Some(number) => return Ok(Cell::Integer(number)),
                None => Err(format!("holds `{}`, which is not a declared label", excerpt(text))),
            },
            (Some(_), Cell::Number(number)) if number.fract() == 0.0 && number.abs() < 1e9 => {
                return Ok(Cell::Integer(*number as i64));
            }
            _ => typed(label, column.kind, false),
        };
        match fit {
            Ok(_) => Ok(label.clone()),
            Err(wrong) => Err(self.wrong_cell(file, place, column, &wrong)),
        }
    }

    fn wrong_cell(&self, file: &Plain, place: &str, column: &Column, wrong: &str) -> Error {
        let message = format!("{}, {place}, column `{}` {wrong}", file.name, excerpt(&column.name));
        let is_label = self.columns.last() == Some(column);
        let help = if is_label {
            "correct it, or declare `labels:` with the name of each class; a quantity needs neither `labels:` nor `classes:`"
        } else if wrong == EMPTY {
            "fill it in, take the column out of `features`, or declare `missing: allowed`"
        } else {
            "correct it, take the column out of `features`, or declare its type: `types: {name: text}`"
        };
        Error::problem(&self.field, "wrong-cell", message, help)
    }

    /// Writes the rows of each split, in the order of the source.
    fn write(
        &self,
        parts: &[Vec<Plain>],
        places: &[Vec<Option<u8>>],
        folder: &Path,
    ) -> Result<Splits<(PathBuf, usize)>> {
        let mut outputs = Vec::new();
        for name in ["train", "validation", "test"] {
            let path = folder.join(format!("{name}.{}", self.kind));
            let file = File::create_new(&path).map_err(|error| Error::file("write", &path, &error))?;
            let file = BufWriter::new(file);
            let output = match self.form {
                TableForm::Csv { .. } => TableWriter::csv(file, &path, &self.columns)?,
                // grouped by their number alone: what is pinned stays the same bytes
                TableForm::Parquet => TableWriter::parquet(file, &path, &self.columns, self.missing, usize::MAX)?,
            };
            outputs.push((path, output, 0));
        }
        for (files, places) in parts.iter().zip(places) {
            let mut places = places.iter();
            for file in files {
                self.each(file, &mut |row| {
                    let place = row.place.to_owned();
                    let cells = whole(file, row)?;
                    let label = self.check(file, &place, cells)?;
                    let Some(Some(place)) = places.next() else { return Ok(()) };
                    if let (Some(last), Some(classes), Cell::Integer(number)) = (cells.last_mut(), &self.classes, label)
                    {
                        *last = Cell::Integer(classes.of_number(number));
                    }
                    let (_, output, count) = &mut outputs[usize::from(*place)];
                    *count += 1;
                    output.write(cells)
                })?;
            }
        }
        let mut written = Vec::new();
        for (path, output, count) in outputs {
            let flushed = output.finish()?.flush();
            flushed.map_err(|error| Error::file("write", &path, &error))?;
            written.push((path, count));
        }
        let mut written = written.into_iter();
        let mut next = || written.next().unwrap_or_default();
        Ok(Splits { train: next(), validation: next(), test: next() })
    }
}

/// The cells of a row that has them; otherwise what is wrong with it.
fn whole<'a>(file: &Plain, row: Row<'a>) -> Result<&'a mut Vec<Cell>> {
    row.cells.map_err(|WrongRow { what, help }| {
        Error::problem(&file.field, "wrong-layout", format!("{}, {} {what}", file.name, row.place), help)
    })
}

/// A table that is being written.
pub struct TableWriter<W: Write + Send>(Writing<W>);

enum Writing<W: Write + Send> {
    Csv(Box<csv::Writer<W>>),
    Parquet(Box<parquet::Writer<W>>),
}

impl<W: Write + Send> TableWriter<W> {
    /// A table as text, with a header, `,` and line feeds; `place` is for messages.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn csv(to: W, place: &Path, columns: &[Column]) -> Result<Self> {
        csv::Writer::new(to, place, columns).map(|writer| Self(Writing::Csv(Box::new(writer))))
    }

    /// A table with types. If `missing`, cells of all columns but the last may be empty. Rows are held in memory until they have `most` bytes or are
    /// 65,536: a group of rows.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn parquet(to: W, place: &Path, columns: &[Column], missing: bool, most: usize) -> Result<Self> {
        let writer = parquet::Writer::new(to, place, columns, missing, most)?;
        Ok(Self(Writing::Parquet(Box::new(writer))))
    }

    /// Writes a row: a cell of each column, as [`typed`] gives it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, cells: &[Cell]) -> Result<()> {
        match &mut self.0 {
            Writing::Csv(writer) => writer.write(cells),
            Writing::Parquet(writer) => writer.write(cells),
        }
    }

    /// Ends the table; gives what it was written to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<W> {
        match self.0 {
            Writing::Csv(writer) => writer.finish(),
            Writing::Parquet(writer) => writer.finish(),
        }
    }
}

/// The number of a label as the source counts, also of one that is named.
fn class(classes: &Classes<'_>, text: &str) -> Option<i64> {
    if let Some(class) = classes.named(text) {
        return Some(classes.number_of(class));
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 1e9).then_some(number as i64)
}

const EMPTY: &str = "is empty";

/// The cell as its column's type has it.
///
/// # Errors
/// What is wrong with it, after its column's name: `is empty`.
pub fn typed(cell: &Cell, kind: ColumnType, missing: bool) -> Result<Cell, String> {
    let text = match cell {
        Cell::Missing if missing => return Ok(Cell::Missing),
        Cell::Missing => return Err(EMPTY.to_owned()),
        Cell::Bytes(count) => return Err(format!("holds {count} bytes that are no text")),
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
    };
    let typed = match kind {
        ColumnType::Text => return Ok(Cell::Text(text)),
        ColumnType::Integer => text.parse().ok().map(Cell::Integer),
        // `+ 0.0` makes -0 the same value as 0
        ColumnType::Number => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| Cell::Number(number + 0.0))
        }
    };
    let expected = if kind == ColumnType::Integer { "a whole number" } else { "a finite number" };
    typed.ok_or_else(|| format!("holds `{}`, which is not {expected}", excerpt(&text)))
}
