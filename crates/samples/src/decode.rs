//! The bytes of a file into samples.

use bytes::Bytes;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use crate::Sample;
use crate::schema::difference;

/// Numbers of all samples of a file, at most.
const MOST: i64 = 1 << 26;
/// Samples of a file, at most: each takes memory whatever it holds.
const MOST_ROWS: i64 = 1 << 20;

/// Reads a file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode(bytes: Bytes) -> Result<Vec<Sample>, String> {
    let failed = |error: ParquetError| error.to_string();
    let reader = SerializedFileReader::new(bytes).map_err(failed)?;
    let metadata = reader.metadata();
    if let Some(difference) = difference(metadata.file_metadata().schema_descr()).map_err(failed)? {
        return Err(difference);
    }
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let numbers = columns.map(|column| column.num_values().max(0)).fold(0, i64::saturating_add);
    let rows = metadata.row_groups().iter().map(|group| group.num_rows().max(0)).fold(0, i64::saturating_add);
    within(rows, numbers)?;
    let mut samples = Vec::new();
    for at in 0..reader.num_row_groups() {
        read_group(&*reader.get_row_group(at).map_err(failed)?, &mut samples)?;
    }
    Ok(samples)
}

/// Whether a file may have so many samples and numbers.
fn within(rows: i64, numbers: i64) -> Result<(), String> {
    for (found, what, most) in [(rows, "rows", MOST_ROWS), (numbers, "numbers", MOST)] {
        if found > most {
            return Err(format!("it has {found} {what}; at most {most} are read"));
        }
    }
    Ok(())
}

fn read_group(group: &dyn RowGroupReader, samples: &mut Vec<Sample>) -> Result<(), String> {
    let rows = usize::try_from(group.metadata().num_rows()).map_err(|error| error.to_string())?;
    let times = column::<Int64Type>(group, 0, rows)?;
    let ids = column::<ByteArrayType>(group, 1, rows)?;
    let row = column::<Int32Type>(group, 2, rows)?;
    let versions = column::<Int64Type>(group, 3, rows)?;
    let digests = column::<ByteArrayType>(group, 4, rows)?;
    let mut inputs = lists(group, 5, rows, 0)?.into_iter();
    let mut outputs = lists(group, 6, rows, 0)?.into_iter();
    let mut features = lists(group, 7, rows, 1)?.into_iter();
    let list = |lists: &mut std::vec::IntoIter<Option<Vec<f32>>>| lists.next().flatten().unwrap_or_default();
    for at in 0..rows {
        samples.push(Sample {
            time: times[at],
            request_id: text(&ids[at])?.to_owned(),
            row: u32::try_from(row[at]).map_err(|_| format!("row {} of a request", row[at]))?,
            version: u64::try_from(versions[at]).map_err(|_| format!("version {}", versions[at]))?,
            digest: text(&digests[at])?.parse().map_err(|_| "a digest that is none".to_owned())?,
            inputs: list(&mut inputs),
            outputs: list(&mut outputs),
            features: features.next().flatten(),
        });
    }
    Ok(())
}

fn text(bytes: &ByteArray) -> Result<&str, String> {
    bytes.as_utf8().map_err(|error| error.to_string())
}

fn open<T: DataType>(group: &dyn RowGroupReader, at: usize) -> Result<ColumnReaderImpl<T>, String> {
    // the schema was compared, so the type is this one
    group.get_column_reader(at).map(get_typed_column_reader).map_err(|error| error.to_string())
}

fn column<T: DataType>(group: &dyn RowGroupReader, at: usize, rows: usize) -> Result<Vec<T::T>, String> {
    let mut values = Vec::new();
    let read = open::<T>(group, at)?.read_records(rows, None, None, &mut values);
    read.map_err(|error| error.to_string())?;
    complete(at, rows, values.len())?;
    Ok(values)
}

/// A column of lists, as their levels say. `empty` is the definition level of a list without elements; below it there is no list.
fn lists(group: &dyn RowGroupReader, at: usize, rows: usize, empty: i16) -> Result<Vec<Option<Vec<f32>>>, String> {
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    let read = open::<FloatType>(group, at)?.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values);
    read.map_err(|error| error.to_string())?;
    let mut values = values.into_iter();
    let mut lists: Vec<Option<Vec<f32>>> = Vec::with_capacity(rows.min(defined.len()));
    for (defined, repeated) in defined.into_iter().zip(repeated) {
        if repeated == 0 {
            lists.push((defined >= empty).then(Vec::new));
        }
        if defined > empty
            && let Some(value) = values.next()
            && let Some(Some(list)) = lists.last_mut()
        {
            list.push(value);
        }
    }
    complete(at, rows, lists.len())?;
    Ok(lists)
}

fn complete(at: usize, rows: usize, found: usize) -> Result<(), String> {
    if found == rows { Ok(()) } else { Err(format!("its column {} has {found} of {rows} rows", at + 1)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::encode;

    fn sample() -> impl Strategy<Value = Sample> {
        let numbers = || prop::collection::vec(-1e6_f32..1e6, 0..20);
        let features = prop::option::of(numbers());
        (0_i64..4_000_000_000_000, ".{0,12}", 0_u32..64, 1_u64..100, numbers(), numbers(), features).prop_map(
            |(time, id, row, version, inputs, outputs, features)| {
                let sample = Sample::new(time, &id, row, version, inputs, outputs);
                match features {
                    Some(features) => sample.with_features(features),
                    None => sample,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(samples in prop::collection::vec(sample(), 0..40)) {
            let read = decode(encode(&samples).unwrap().into()).unwrap();
            prop_assert!(read.iter().all(Sample::is_intact));
            prop_assert_eq!(read, samples);
        }
    }

    #[test]
    fn what_is_no_file_of_samples_is_refused_with_the_reason() {
        let good = encode(&[Sample::new(1, "a", 0, 3, vec![0.5; 300], vec![1.0])]).unwrap();
        for at in (0..good.len()).step_by(7) {
            // whatever is missing: an error, or samples, but no panic
            let _ = decode(good[..at].to_vec().into());
        }
        assert!(decode(Bytes::new()).is_err());
        assert!(decode(Bytes::from_static(b"PAR1PAR1")).is_err());
        let other = "message a { required int64 time; }";
        let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(other).unwrap());
        let writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, crate::schema::properties());
        let bytes = writer.unwrap().into_inner().unwrap();
        assert_eq!(decode(bytes.into()).unwrap_err(), "it has 1 columns instead of 8");
    }

    #[test]
    fn a_file_has_so_many_rows_and_numbers_at_most() {
        assert_eq!(within(1 << 20, 1 << 26), Ok(()));
        assert_eq!(within((1 << 20) + 1, 0).unwrap_err(), "it has 1048577 rows; at most 1048576 are read");
        assert_eq!(within(0, (1 << 26) + 1).unwrap_err(), "it has 67108865 numbers; at most 67108864 are read");
    }

    #[test]
    fn pictures_take_less_than_their_numbers() {
        let picture: Vec<f32> = (0..784).map(|at| ((at * 31) % 256) as f32 / 255.0).collect();
        let samples: Vec<Sample> =
            (0..100).map(|at| Sample::new(at, "", 0, 1, picture.clone(), vec![0.1; 10])).collect();
        let bytes = encode(&samples).unwrap().len();
        assert!(bytes < 100 * 784 * 2, "{bytes}");
    }
}
