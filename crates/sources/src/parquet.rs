//! Tables with types.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Encoding, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::record::Field;
use parquet::schema::types::Type;
use slipway_dataset::{Column, ColumnType};
use slipway_source::excerpt;

use crate::open::Plain;
use crate::table::{Cell, Row, Take};
use crate::{Error, Result};

/// The most rows that are held in memory until they are written.
const GROUP: usize = 1 << 16;

/// The names of the columns.
pub(crate) fn header(file: &Plain) -> Result<Vec<String>> {
    let reader = reader(file)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok(fields.iter().map(|field| field.name().to_owned()).collect())
}

/// Reads the named columns of each row. In memory is one page of each column.
pub(crate) fn each<E: From<Error>>(file: &Plain, columns: &[&str], take: Take<'_, E>) -> Result<(), E> {
    let reader = reader(file)?;
    let schema = reader.metadata().file_metadata().schema();
    let fields: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|field| columns.contains(&field.name())).cloned().collect();
    for field in &fields {
        let (what, help) = match kind(field) {
            Kind::Cells => continue,
            Kind::Nested => (
                "lists or maps".to_owned(),
                "give each of their values a column of its own, or take the column out of `features`",
            ),
            Kind::Other(what) => (what, "store it as a number or as a text"),
        };
        let message = format!("{}, column `{}` holds {what}", file.name, excerpt(field.name()));
        return Err(Error::problem(&file.field, "wrong-cell", message, help).into());
    }
    // rows come in the file's order of columns
    let order: Vec<usize> =
        columns.iter().filter_map(|column| fields.iter().position(|field| field.name() == *column)).collect();
    complete(&reader, file, columns)?;
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let projection = projection.map_err(|error| malformed(file, &error))?;
    let rows = unless_it_panics(file, || reader.get_row_iter(Some(projection)))?;
    let mut rows = rows.map_err(|error| malformed(file, &error))?;
    let mut cells = Vec::new();
    for number in 1_u64.. {
        let Some(row) = unless_it_panics(file, || rows.next())? else { break };
        let row = row.map_err(|error| malformed(file, &error))?;
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        cells.clear();
        cells.extend(order.iter().filter_map(|&index| fields.get(index).copied().map(cell)));
        take(Row { place: &format!("row {number}"), cells: Ok(&mut cells) })?;
    }
    Ok(())
}

/// Whether each column has as many values as there are rows, empty ones among them. Otherwise the library gives rows for ever that are empty.
fn complete(reader: &SerializedFileReader<File>, file: &Plain, columns: &[&str]) -> Result<()> {
    for group in reader.metadata().row_groups() {
        let rows = group.num_rows();
        for chunk in group.columns() {
            let is_used = matches!(chunk.column_path().parts(), [name] if columns.contains(&name.as_str()));
            if is_used && (rows < 0 || chunk.num_values() != rows) {
                let what = format!("{} values of a column in a group of {rows} rows", chunk.num_values());
                return Err(malformed(file, &ParquetError::General(what)));
            }
        }
    }
    Ok(())
}

/// What a column holds.
enum Kind {
    /// Numbers, texts or truth values.
    Cells,
    Nested,
    /// What this is called.
    Other(String),
}

/// Before a value is read: the library panics on types that it does not know, and on printing some dates and decimals.
fn kind(field: &Type) -> Kind {
    let info = field.get_basic_info();
    if !field.is_primitive() || !info.has_repetition() || info.repetition() == Repetition::REPEATED {
        return Kind::Nested;
    }
    let (physical, converted) = (field.get_physical_type(), info.converted_type());
    let known = match physical {
        Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE => true,
        Physical::INT32 => matches!(
            converted,
            ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
        ),
        Physical::INT64 => {
            matches!(converted, ConvertedType::NONE | ConvertedType::INT_64 | ConvertedType::UINT_64)
        }
        Physical::BYTE_ARRAY => matches!(
            converted,
            ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON | ConvertedType::BSON
        ),
        Physical::FIXED_LEN_BYTE_ARRAY => converted == ConvertedType::NONE,
        Physical::INT96 => false,
    };
    match known {
        true => Kind::Cells,
        false if converted == ConvertedType::NONE => Kind::Other(physical.to_string()),
        false => Kind::Other(converted.to_string()),
    }
}

/// The library panics on some damaged files. Where a panic aborts, as in the program for distribution, they end the program.
fn unless_it_panics<T>(file: &Plain, read: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| malformed(file, &ParquetError::General("a page is damaged".to_owned())))
}

fn cell(field: &Field) -> Cell {
    match field {
        Field::Null => Cell::Missing,
        Field::Bool(value) => Cell::Integer(i64::from(*value)),
        Field::Byte(value) => Cell::Integer(i64::from(*value)),
        Field::Short(value) => Cell::Integer(i64::from(*value)),
        Field::Int(value) => Cell::Integer(i64::from(*value)),
        Field::Long(value) => Cell::Integer(*value),
        Field::UByte(value) => Cell::Integer(i64::from(*value)),
        Field::UShort(value) => Cell::Integer(i64::from(*value)),
        Field::UInt(value) => Cell::Integer(i64::from(*value)),
        Field::ULong(value) => match i64::try_from(*value) {
            Ok(value) => Cell::Integer(value),
            Err(_) => Cell::Text(value.to_string()),
        },
        Field::Float16(value) => Cell::Number(f64::from(*value)),
        Field::Float(value) => Cell::Number(f64::from(*value)),
        // what pandas writes for a missing number
        Field::Double(value) if value.is_nan() => Cell::Missing,
        Field::Double(value) => Cell::Number(*value),
        Field::Str(text) => Cell::Text(text.clone()),
        Field::Bytes(bytes) => match bytes.as_utf8() {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Bytes(bytes.len()),
        },
        // `kind` knows none of these
        _ => Cell::Bytes(0),
    }
}

fn reader(file: &Plain) -> Result<SerializedFileReader<File>> {
    let opened = File::open(&file.path).map_err(|error| Error::file("read", &file.path, &error))?;
    let reader = unless_it_panics(file, || SerializedFileReader::new(opened))?;
    reader.map_err(|error| malformed(file, &error))
}

fn malformed(file: &Plain, error: &ParquetError) -> Error {
    // it may print all bytes of a text
    let reason: String = error.to_string().chars().take(300).collect();
    let message = format!("{} is not a complete Parquet file: {reason}", file.name);
    Error::problem(
        &file.field,
        "truncated",
        message,
        "download it again; if it is another kind of file, correct the source",
    )
}

/// A file that is being written. Plain and without compression, so that another release of the library writes the same bytes.
pub(crate) struct Writer<W: Write + Send> {
    place: PathBuf,
    writer: SerializedFileWriter<W>,
    columns: Vec<Values>,
    /// Rows that are held, and about how many bytes they have.
    rows: usize,
    bytes: usize,
    /// Rows of more bytes are not held any longer.
    most: usize,
}

impl<W: Write + Send> Writer<W> {
    /// `place` is for messages. A group of rows has at most 65,536 rows, and ends when they have `most` bytes.
    pub(crate) fn new(to: W, place: &Path, columns: &[Column], optional: bool, most: usize) -> Result<Self> {
        let last = columns.len().saturating_sub(1);
        let optional = |index: usize| optional && index != last;
        let fields: std::result::Result<Vec<_>, ParquetError> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let (physical, converted) = match column.kind {
                    ColumnType::Number => (Physical::DOUBLE, ConvertedType::NONE),
                    ColumnType::Integer => (Physical::INT64, ConvertedType::NONE),
                    ColumnType::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
                };
                let repetition = if optional(index) { Repetition::OPTIONAL } else { Repetition::REQUIRED };
                let field = Type::primitive_type_builder(&column.name, physical);
                field.with_converted_type(converted).with_repetition(repetition).build().map(Arc::new)
            })
            .collect();
        let schema = fields.and_then(|fields| Type::group_type_builder("schema").with_fields(fields).build());
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by("slipway".to_owned())
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .build();
        let unwritable = |error: ParquetError| cannot_write(place, error);
        let schema = Arc::new(schema.map_err(unwritable)?);
        let writer = SerializedFileWriter::new(to, schema, Arc::new(properties)).map_err(unwritable)?;
        let values = columns.iter().enumerate().map(|(index, column)| Values::new(column.kind, optional(index)));
        let columns = values.collect();
        Ok(Self { place: place.to_owned(), writer, columns, rows: 0, bytes: 0, most })
    }

    pub(crate) fn write(&mut self, cells: &[Cell]) -> Result<()> {
        for (values, cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += values.push(cell);
        }
        self.rows += 1;
        if self.rows == GROUP || self.bytes >= self.most { self.group() } else { Ok(()) }
    }

    /// Writes the rows that are held.
    fn group(&mut self) -> Result<()> {
        let written = write_group(&mut self.writer, &self.columns);
        written.map_err(|error| cannot_write(&self.place, error))?;
        self.columns.iter_mut().for_each(Values::clear);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<W> {
        if self.rows > 0 {
            self.group()?;
        }
        let place = self.place;
        // a full disk is said by its own error here
        self.writer.flush().map_err(|error| Error::file("write", &place, &error))?;
        self.writer.into_inner().map_err(|error| cannot_write(&place, error))
    }
}

fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    columns: &[Values],
) -> std::result::Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    let mut columns = columns.iter();
    while let Some(mut column) = group.next_column()? {
        if let Some(values) = columns.next() {
            values.write(&mut column)?;
        }
        column.close()?;
    }
    group.close().map(drop)
}

/// The values of a column, in the rows that are held.
struct Values {
    numbers: Numbers,
    /// Whether each row has a value, if one may be missing.
    there: Option<Vec<i16>>,
}

enum Numbers {
    Number(Vec<f64>),
    Integer(Vec<i64>),
    Text(Vec<ByteArray>),
}

impl Values {
    fn new(kind: ColumnType, optional: bool) -> Self {
        let numbers = match kind {
            ColumnType::Number => Numbers::Number(Vec::new()),
            ColumnType::Integer => Numbers::Integer(Vec::new()),
            ColumnType::Text => Numbers::Text(Vec::new()),
        };
        Self { numbers, there: optional.then(Vec::new) }
    }

    /// Gives about how many bytes it has.
    fn push(&mut self, cell: &Cell) -> usize {
        if let Some(there) = &mut self.there {
            there.push(i16::from(*cell != Cell::Missing));
            if *cell == Cell::Missing {
                return size_of::<i16>();
            }
        }
        match &mut self.numbers {
            Numbers::Number(values) => values.push(number(cell)),
            Numbers::Integer(values) => values.push(integer(cell)),
            Numbers::Text(values) => {
                let text = text(cell).into_bytes();
                let length = text.len();
                values.push(ByteArray::from(text));
                return size_of::<ByteArray>() + length;
            }
        }
        size_of::<f64>()
    }

    fn clear(&mut self) {
        self.there.iter_mut().for_each(Vec::clear);
        match &mut self.numbers {
            Numbers::Number(values) => values.clear(),
            Numbers::Integer(values) => values.clear(),
            Numbers::Text(values) => values.clear(),
        }
    }

    fn write(&self, column: &mut SerializedColumnWriter<'_>) -> std::result::Result<(), ParquetError> {
        let there = self.there.as_deref();
        match &self.numbers {
            Numbers::Number(values) => column.typed::<DoubleType>().write_batch(values, there, None)?,
            Numbers::Integer(values) => column.typed::<Int64Type>().write_batch(values, there, None)?,
            Numbers::Text(values) => column.typed::<ByteArrayType>().write_batch(values, there, None)?,
        };
        Ok(())
    }
}

// the cells were checked against their types before

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(number) => *number,
        Cell::Integer(number) => *number as f64,
        Cell::Text(text) => text.parse().unwrap_or(f64::NAN),
        Cell::Missing | Cell::Bytes(_) => f64::NAN,
    }
}

fn integer(cell: &Cell) -> i64 {
    match cell {
        Cell::Integer(number) => *number,
        Cell::Number(number) => *number as i64,
        Cell::Text(text) => text.parse().unwrap_or_default(),
        Cell::Missing | Cell::Bytes(_) => 0,
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Missing | Cell::Bytes(_) => String::new(),
    }
}

fn cannot_write(place: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::file("write", place, &cause),
            Err(cause) => Error::file("write", place, &std::io::Error::other(cause)),
        },
        error => Error::file("write", place, &std::io::Error::other(error)),
    }
}
