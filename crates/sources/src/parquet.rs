//! Tables with types.

use std::fs::File;
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

use crate::open::Plain;
use crate::table::{Cell, Output, Row, Take};
use crate::{Error, Result};

/// Rows that are held in memory until they are written.
const GROUP: usize = 1 << 16;

/// The names of the columns.
pub(crate) fn header(file: &Plain) -> Result<Vec<String>> {
    let reader = reader(file)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok(fields.iter().map(|field| field.name().to_owned()).collect())
}

/// Reads the named columns of each row.
pub(crate) fn each(file: &Plain, columns: &[&str], take: Take<'_>) -> Result<()> {
    let reader = reader(file)?;
    let schema = reader.metadata().file_metadata().schema();
    let fields: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|field| columns.contains(&field.name())).cloned().collect();
    if let Some(nested) = fields.iter().find(|field| !field.is_primitive()) {
        let message = format!("{}, column `{}` holds lists or maps", file.name, nested.name());
        let help = "give each of their values a column of its own, or take the column out of `features`";
        return Err(Error::problem(&file.field, "wrong-cell", message, help));
    }
    // rows come in the file's order of columns
    let order: Vec<usize> =
        columns.iter().filter_map(|column| fields.iter().position(|field| field.name() == *column)).collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let projection = projection.map_err(|error| malformed(file, &error))?;
    let rows = reader.get_row_iter(Some(projection)).map_err(|error| malformed(file, &error))?;
    let mut cells = Vec::new();
    for (number, row) in (1_u64..).zip(rows) {
        let row = row.map_err(|error| malformed(file, &error))?;
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        cells.clear();
        for &index in &order {
            cells.push(cell(fields[index]).ok_or_else(|| {
                let message = format!("{}, row {number}, column {} holds {}", file.name, index + 1, fields[index]);
                Error::problem(&file.field, "wrong-cell", message, "store it as a number or as a text")
            })?);
        }
        take(Row { place: &format!("row {number}"), cells: &mut cells })?;
    }
    Ok(())
}

fn cell(field: &Field) -> Option<Cell> {
    Some(match field {
        Field::Null => Cell::Missing,
        Field::Bool(value) => Cell::Integer(i64::from(*value)),
        Field::Byte(value) => Cell::Integer(i64::from(*value)),
        Field::Short(value) => Cell::Integer(i64::from(*value)),
        Field::Int(value) => Cell::Integer(i64::from(*value)),
        Field::Long(value) => Cell::Integer(*value),
        Field::UByte(value) => Cell::Integer(i64::from(*value)),
        Field::UShort(value) => Cell::Integer(i64::from(*value)),
        Field::UInt(value) => Cell::Integer(i64::from(*value)),
        Field::ULong(value) => Cell::Integer(i64::try_from(*value).ok()?),
        Field::Float16(value) => Cell::Number(f64::from(*value)),
        Field::Float(value) => Cell::Number(f64::from(*value)),
        // what pandas writes for a missing number
        Field::Double(value) if value.is_nan() => Cell::Missing,
        Field::Double(value) => Cell::Number(*value),
        Field::Str(text) => Cell::Text(text.clone()),
        Field::Bytes(bytes) => Cell::Text(bytes.as_utf8().ok()?.to_owned()),
        _ => return None,
    })
}

fn reader(file: &Plain) -> Result<SerializedFileReader<File>> {
    let opened = File::open(&file.path).map_err(|error| Error::file("read", &file.path, &error))?;
    SerializedFileReader::new(opened).map_err(|error| malformed(file, &error))
}

fn malformed(file: &Plain, error: &ParquetError) -> Error {
    let message = format!("{} is not a complete Parquet file: {error}", file.name);
    Error::problem(
        &file.field,
        "truncated",
        message,
        "download it again; if it is another kind of file, correct the source",
    )
}

/// A file that is being written. Plain and without compression, so that another release of the library writes the same bytes.
pub(crate) struct Writer {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    optional: bool,
    rows: Vec<Vec<Cell>>,
}

impl Writer {
    pub(crate) fn create(path: &Path, columns: &[Column], optional: bool) -> Result<Self> {
        let file = File::create_new(path).map_err(|error| Error::file("write", path, &error))?;
        let last = columns.len().saturating_sub(1);
        let fields: std::result::Result<Vec<_>, ParquetError> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let (physical, converted) = match column.kind {
                    ColumnType::Number => (Physical::DOUBLE, ConvertedType::NONE),
                    ColumnType::Integer => (Physical::INT64, ConvertedType::NONE),
                    ColumnType::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
                };
                let repetition = if optional && index != last { Repetition::OPTIONAL } else { Repetition::REQUIRED };
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
        let unwritable = |error: ParquetError| cannot_write(path, error);
        let schema = Arc::new(schema.map_err(unwritable)?);
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(unwritable)?;
        Ok(Self { path: path.to_owned(), writer, columns: columns.to_vec(), optional, rows: Vec::new() })
    }

    /// Writes the rows that are held.
    fn group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let last = self.columns.len().saturating_sub(1);
        let write = || -> std::result::Result<(), ParquetError> {
            let mut group = self.writer.next_row_group()?;
            let mut index = 0;
            while let Some(mut column) = group.next_column()? {
                let optional = self.optional && index != last;
                let cells: Vec<&Cell> = rows.iter().map(|row| &row[index]).collect();
                write_column(&mut column, self.columns[index].kind, &cells, optional)?;
                column.close()?;
                index += 1;
            }
            group.close().map(drop)
        };
        let mut write = write;
        write().map_err(|error| cannot_write(&self.path, error))
    }
}

fn write_column(
    column: &mut SerializedColumnWriter<'_>,
    kind: ColumnType,
    cells: &[&Cell],
    optional: bool,
) -> std::result::Result<(), ParquetError> {
    let levels: Option<Vec<i16>> =
        optional.then(|| cells.iter().map(|cell| i16::from(**cell != Cell::Missing)).collect());
    let levels = levels.as_deref();
    let there = cells.iter().filter(|cell| ***cell != Cell::Missing);
    match kind {
        ColumnType::Number => {
            let values: Vec<f64> = there.map(|cell| number(cell)).collect();
            column.typed::<DoubleType>().write_batch(&values, levels, None)?;
        }
        ColumnType::Integer => {
            let values: Vec<i64> = there.map(|cell| integer(cell)).collect();
            column.typed::<Int64Type>().write_batch(&values, levels, None)?;
        }
        ColumnType::Text => {
            let values: Vec<ByteArray> = there.map(|cell| ByteArray::from(text(cell).into_bytes())).collect();
            column.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
        }
    }
    Ok(())
}

// the cells were checked against their types before

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(number) => *number,
        Cell::Integer(number) => *number as f64,
        Cell::Text(text) => text.parse().unwrap_or(f64::NAN),
        Cell::Missing => f64::NAN,
    }
}

fn integer(cell: &Cell) -> i64 {
    match cell {
        Cell::Integer(number) => *number,
        Cell::Number(number) => *number as i64,
        Cell::Text(text) => text.parse().unwrap_or_default(),
        Cell::Missing => 0,
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Missing => String::new(),
    }
}

fn cannot_write(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::file("write", path, &cause),
            Err(cause) => Error::file("write", path, &std::io::Error::other(cause)),
        },
        error => Error::file("write", path, &std::io::Error::other(error)),
    }
}

impl Output for Writer {
    fn write(&mut self, cells: &[Cell]) -> Result<()> {
        self.rows.push(cells.to_vec());
        if self.rows.len() == GROUP { self.group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        let path = self.path;
        self.writer.close().map_err(|error| cannot_write(&path, error))?;
        Ok(())
    }
}
