//! Samples into the bytes of a file.

use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::schema::{properties, schema};
use crate::{Error, Result, Sample};

/// A file of these samples.
///
/// # Errors
/// [`Error::Unwritable`] when the library fails.
pub(crate) fn encode(samples: &[Sample]) -> Result<Vec<u8>> {
    write(samples).map_err(|error| Error::Unwritable { count: samples.len(), reason: error.to_string() })
}

fn write(samples: &[Sample]) -> ParquetResult<Vec<u8>> {
    let mut writer = SerializedFileWriter::new(Vec::new(), schema()?, properties())?;
    let mut group = writer.next_row_group()?;
    let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    column::<Int64Type>(&mut group, samples.iter().map(|sample| sample.time))?;
    column::<ByteArrayType>(&mut group, samples.iter().map(|sample| text(&sample.request_id)))?;
    column::<Int32Type>(&mut group, samples.iter().map(|sample| i32::try_from(sample.row).unwrap_or(i32::MAX)))?;
    column::<Int64Type>(&mut group, samples.iter().map(|sample| i64::try_from(sample.version).unwrap_or(i64::MAX)))?;
    column::<ByteArrayType>(&mut group, samples.iter().map(|sample| text(&sample.digest.to_string())))?;
    lists(&mut group, false, samples.iter().map(|sample| Some(sample.inputs.as_slice())))?;
    lists(&mut group, false, samples.iter().map(|sample| Some(sample.outputs.as_slice())))?;
    lists(&mut group, true, samples.iter().map(|sample| sample.features.as_deref()))?;
    group.close()?;
    writer.into_inner()
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: impl Iterator<Item = T::T>,
) -> ParquetResult<()> {
    let values: Vec<T::T> = values.collect();
    let mut column = group.next_column()?.ok_or_else(too_few)?;
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}

/// A column of lists. Its levels are those of the format: a repetition level of 0 begins a sample, and the definition level counts how
/// much of list and element is there.
fn lists<'a>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    optional: bool,
    samples: impl Iterator<Item = Option<&'a [f32]>>,
) -> ParquetResult<()> {
    let empty = i16::from(optional);
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for list in samples {
        match list {
            None => defined.push(0),
            Some([]) => defined.push(empty),
            Some(list) => {
                values.extend_from_slice(list);
                defined.resize(defined.len() + list.len(), empty + 1);
            }
        }
        repeated.push(0);
        repeated.resize(defined.len(), 1);
    }
    let mut column = group.next_column()?.ok_or_else(too_few)?;
    column.typed::<FloatType>().write_batch(&values, Some(&defined), Some(&repeated))?;
    column.close()
}

fn too_few() -> ParquetError {
    ParquetError::General("the schema has too few columns".to_owned())
}
