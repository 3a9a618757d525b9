//! Tables: each row is an item. Its payload is its values, with their types, so that the same values are the same bytes whatever file they are from.

use slipway_dataset::{Column, ColumnType, FileBlob, Format, Splits, Table};
use slipway_digest::Digest;
use slipway_experiment::{CsvSource, DatasetSpec, Interval, Publication, Source};
use slipway_sources::{Cell, Plain, TableForm, TableWriter, WrongRow, rows, typed, typed_columns};

use crate::Result;
use crate::examine::{Examiner, Origin, fault};
use crate::levels::Levels;
use crate::output::Output;
use crate::record::{Fault, Good, Item, Kind, Reader, Writer};
use crate::report::Reason;
use crate::validate::Classes;

/// A row of more bytes is set aside.
const LARGEST: usize = 8 << 20;
/// A label of more bytes is no label.
const LONGEST_LABEL: usize = 1024;
/// Bytes of a group of rows in Parquet, which is held in memory until it is whole.
const GROUP: usize = 16 << 20;

/// What the rows of a dataset are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    form: TableForm,
    /// The features, then the label.
    columns: Vec<Column>,
    /// Of each column, which numbers it may hold.
    ranges: Vec<Option<Interval>>,
    /// Whether cells of features may be empty.
    missing: bool,
    /// Whether the label is a class; otherwise it is a quantity.
    has_classes: bool,
}

impl Layout {
    /// `None` if the source has images.
    pub(crate) fn of(spec: &DatasetSpec) -> Option<Self> {
        let declared = spec.source.columns()?;
        let form = match &spec.source {
            Source::Csv(CsvSource { delimiter, header, .. }) => {
                TableForm::Csv { delimiter: *delimiter, header: header.clone() }
            }
            _ => TableForm::Parquet,
        };
        // a pipeline has them declared
        let features = declared.features.as_deref().unwrap_or_default();
        let has_classes = spec.classes.is_some();
        let columns = typed_columns(declared, features, has_classes);
        let range = |column: &Column| spec.pipeline.as_ref()?.validate.ranges.get(&column.name).copied();
        let ranges = columns.iter().map(range).collect();
        Some(Self { form, columns, ranges, missing: declared.missing, has_classes })
    }

    /// What decides what is known of a row.
    pub(crate) fn key(&self) -> String {
        format!("{self:?}")
    }

    /// What decides the bytes that are published of rows, beside their values.
    pub(crate) fn published(&self) -> String {
        format!("{:?}\0{}", self.columns, self.missing)
    }

    /// Examines every row of a file; `take` gets what that came to.
    pub(crate) fn read(
        &self,
        file: &Plain,
        from: Origin<'_>,
        examiner: &mut Examiner,
        mut take: impl FnMut(&Item<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut values = Writer::default();
        rows(&self.form, file, &self.columns, &mut |row| {
            let from = Origin { name: row.place, ..from };
            let read = match row.cells {
                Ok(cells) => self.values(cells, values.clear()),
                Err(WrongRow { what, .. }) => Err((Reason::WrongLayout, format!("it {what}"))),
            };
            match read {
                Ok(label) => take(&good(Origin { label: &label, ..from }, &values.bytes, examiner)?),
                Err((reason, detail)) => take(&fault(from, Fault::Row(reason, detail))),
            }
        })
    }

    /// Writes the values of a row; gives its class as the source has it, or nothing if its label is a quantity. Otherwise why it is set aside.
    fn values(&self, cells: &[Cell], to: &mut Writer) -> Result<String, (Reason, String)> {
        let Some((label, features)) = cells.split_last().filter(|_| cells.len() == self.columns.len()) else {
            return Err((Reason::WrongLayout, format!("it has {} values", cells.len())));
        };
        for (index, cell) in features.iter().enumerate() {
            self.value(index, cell, self.missing, to)?;
        }
        if !self.has_classes {
            self.value(features.len(), label, false, to)?;
        }
        if to.bytes.len() > LARGEST {
            let detail = format!("its values have {} bytes; a row has at most {LARGEST}", to.bytes.len());
            return Err((Reason::TooLarge, detail));
        }
        if !self.has_classes {
            return Ok(String::new());
        }
        let wrong = |what: &str| (Reason::WrongCell, format!("column `{}` {what}", self.columns[features.len()].name));
        match typed(label, ColumnType::Text, false) {
            Ok(Cell::Text(label)) if label.len() <= LONGEST_LABEL => Ok(label),
            Ok(_) => Err(wrong("holds a long text, which is not a label")),
            Err(what) => Err(wrong(&what)),
        }
    }

    /// Writes the value of a cell.
    fn value(&self, index: usize, cell: &Cell, missing: bool, to: &mut Writer) -> Result<(), (Reason, String)> {
        let column = &self.columns[index];
        let cell = typed(cell, column.kind, missing)
            .map_err(|wrong| (Reason::WrongCell, format!("column `{}` {wrong}", column.name)))?;
        let number = match &cell {
            Cell::Integer(number) => Some(*number as f64),
            Cell::Number(number) => Some(*number),
            Cell::Missing | Cell::Text(_) | Cell::Bytes(_) => None,
        };
        if let (Some(number), Some(range)) = (number, self.ranges[index])
            && !range.contains(number)
        {
            let Interval { least, most } = range;
            let detail = format!("column `{}` holds {number}, which is not from {least} to {most}", column.name);
            return Err((Reason::OutOfRange, detail));
        }
        match &cell {
            Cell::Missing | Cell::Bytes(_) => to.u8(0),
            Cell::Number(number) => to.u8(1).u64(number.to_bits()),
            Cell::Integer(number) => to.u8(2).raw(&number.to_be_bytes()),
            Cell::Text(text) => to.u8(3).text(text),
        };
        Ok(())
    }

    /// A table of this layout that is written to `to`.
    pub(crate) fn writer(&self, form: Publication, to: Output) -> Result<TableWriter<Output>> {
        let place = to.folder().to_owned();
        Ok(match form {
            Publication::Parquet => TableWriter::parquet(to, &place, &self.columns, self.missing, GROUP)?,
            Publication::Csv | Publication::Idx(_) | Publication::Images => {
                TableWriter::csv(to, &place, &self.columns)?
            }
        })
    }

    /// Reads the values of a row that [`Layout::read`] has kept, and its class.
    pub(crate) fn cells(&self, values: &[u8], class: u16, cells: &mut Vec<Cell>) {
        cells.clear();
        let mut from = Reader { bytes: values };
        while let Some(cell) = value(&mut from) {
            cells.push(cell);
        }
        if self.has_classes {
            cells.push(Cell::Integer(class.into()));
        }
    }

    /// What a manifest says of it.
    pub(crate) fn content(&self, form: Publication, classes: &Classes, splits: Splits<FileBlob>) -> Format {
        let (features, label) = self.columns.split_at(self.columns.len().saturating_sub(1));
        let label = label.first().cloned().unwrap_or_else(|| unreachable!("a table has a label"));
        let count = self.has_classes.then_some(classes.count as usize);
        let labels = classes.names.clone();
        let table = Table { features: features.to_vec(), label, classes: count, labels, splits };
        if form == Publication::Parquet { Format::Parquet(table) } else { Format::Csv(table) }
    }
}

/// A row that can be used.
fn good<'a>(from: Origin<'a>, values: &[u8], examiner: &mut Examiner) -> Result<Item<'a>> {
    examiner.bytes += values.len() as u64;
    let content = Digest::of(values);
    let payload = examiner.keep(&content, values, Kind::Row)?;
    // what is known of images alone is nothing here
    let good = Good {
        content,
        result: content,
        read: [0; 2],
        range: [0; 2],
        shape: [0; 3],
        hash: None,
        levels: Levels::default(),
        payload,
    };
    let Origin { name, part, label } = from;
    Ok(Item { name, part, label, outcome: Ok(good) })
}

fn value(from: &mut Reader<'_>) -> Option<Cell> {
    Some(match from.u8()? {
        0 => Cell::Missing,
        1 => Cell::Number(f64::from_bits(from.u64()?)),
        2 => Cell::Integer(i64::from_be_bytes(from.raw()?)),
        3 => Cell::Text(from.text()?.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use proptest::prelude::*;
    use slipway_experiment::parse_dataset;

    use super::*;

    fn layout(columns: &str) -> Layout {
        let text = format!(
            "{{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {{name: d}}, spec: {{source: {{csv: {{from: a, {columns}}}}}, \
             split: {{validation: 0.1, test: 0.1, seed: 0}}, pipeline: {{validate: {{ranges: {{x: [-10, 10]}}}}}}}}}}"
        );
        Layout::of(&parse_dataset("d.yaml", &text).unwrap().spec).unwrap()
    }

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Missing),
            ".{0,8}".prop_map(Cell::Text),
            any::<i64>().prop_map(Cell::Integer),
            any::<f64>().prop_map(Cell::Number),
            (0..9_usize).prop_map(Cell::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written_or_set_aside(cells in prop::collection::vec(cell(), 2..5)) {
            let layout = layout("features: [t, x], types: {t: text}, label: y, missing: allowed");
            let mut to = Writer::default();
            if layout.values(&cells, &mut to).is_ok() {
                let mut read = Vec::new();
                layout.cells(&to.bytes, 0, &mut read);
                prop_assert_eq!(read.len(), 3);
                // what was read is a row itself, of the same bytes
                let mut again = Writer::default();
                prop_assert!(layout.values(&read, &mut again).is_ok());
                prop_assert_eq!(again.bytes, to.bytes);
            }
        }
    }

    #[test]
    fn the_same_values_are_the_same_bytes() {
        let layout = layout("features: [x], label: y");
        let bytes = |x: Cell| {
            let mut to = Writer::default();
            layout.values(&[x, Cell::Text("1".to_owned())], &mut to).map(|_| to.bytes)
        };
        let text = |text: &str| bytes(Cell::Text(text.to_owned()));
        let half = text("0.5").unwrap();
        for same in [text("0.50"), text("5e-1"), bytes(Cell::Number(0.5))] {
            assert_eq!(same.unwrap(), half);
        }
        assert_eq!(text("-0").unwrap(), bytes(Cell::Integer(0)).unwrap());
        let wrong = |x: Cell| bytes(x).unwrap_err();
        assert_eq!(
            wrong(Cell::Integer(11)),
            (Reason::OutOfRange, "column `x` holds 11, which is not from -10 to 10".to_owned())
        );
        assert_eq!(wrong(Cell::Missing), (Reason::WrongCell, "column `x` is empty".to_owned()));
        assert_eq!(wrong(Cell::Number(f64::NAN)).0, Reason::WrongCell);
    }
}
