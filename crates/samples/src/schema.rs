//! The columns of a file.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{SchemaDescriptor, TypePtr};

/// Lists are written as the format's specification names them, in three levels.
const SCHEMA: &str = "
message samples {
  required int64 time (TIMESTAMP(MILLIS, true));
  required binary request_id (UTF8);
  required int32 row;
  required int64 version;
  required binary digest (UTF8);
  required group inputs (LIST) { repeated group list { required float element; } }
  required group outputs (LIST) { repeated group list { required float element; } }
  optional group features (LIST) { repeated group list { required float element; } }
}";

/// The schema.
pub(crate) fn schema() -> Result<TypePtr> {
    parse_message_type(SCHEMA).map(Arc::new)
}

/// How files are written. Pixels have few different values, so dictionaries make files smaller than any other encoding does.
pub(crate) fn properties() -> WriterPropertiesPtr {
    let properties = WriterProperties::builder()
        .set_created_by("slipway".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    Arc::new(properties.build())
}

/// How a file's columns differ from these, if they do.
pub(crate) fn difference(found: &SchemaDescriptor) -> Result<Option<String>> {
    let expected = SchemaDescriptor::new(schema()?);
    if found.num_columns() != expected.num_columns() {
        return Ok(Some(format!("it has {} columns instead of {}", found.num_columns(), expected.num_columns())));
    }
    Ok(found.columns().iter().zip(expected.columns()).find_map(|(found, expected)| {
        let same = found.path() == expected.path()
            && found.physical_type() == expected.physical_type()
            && (found.max_def_level(), found.max_rep_level()) == (expected.max_def_level(), expected.max_rep_level());
        (!same).then(|| format!("its column `{}` is not `{}` as it is written here", found.path(), expected.path()))
    }))
}
