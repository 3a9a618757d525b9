//! A report in a folder, from one job of a workflow to another.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use slipway_report::{Document, Packed, write_whole};

use crate::failure::Failure;

/// The report as it is published.
const PACKED: &str = "report.json";
/// Everything, for a person.
const WHOLE: &str = "report.md";
/// In place of both: why there is no report.
const NONE: &str = "no-report.txt";
/// The most bytes of a packed report: its parts in JSON, where a character can take six.
const MOST: u64 = 4 * 1024 * 1024;

/// Writes a report into a folder, which is made.
pub(super) fn write(folder: &Path, document: &Document, packed: &Packed) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::Environment(format!("cannot write a report to {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let json = serde_json::to_vec(packed).map_err(|error| Failure::Unexpected(error.to_string()))?;
    std::fs::write(folder.join(PACKED), json).map_err(failed)?;
    let mut whole = BufWriter::new(File::create(folder.join(WHOLE)).map_err(failed)?);
    write_whole(document, &mut whole).and_then(|()| whole.flush()).map_err(failed)
}

/// Writes into a folder, which is made, why there is no report.
pub(super) fn write_none(folder: &Path, why: &str) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join(NONE), why));
    written.map_err(|error| Failure::Environment(format!("cannot write to {}: {error}", folder.display())))
}

/// Reads the report of a folder; `None` if there was nothing to report on. It is data: what does not fit what [`write`] writes is refused.
pub(super) fn read(folder: &Path) -> Result<Option<Packed>, Failure> {
    if folder.join(NONE).is_file() {
        return Ok(None);
    }
    let file = folder.join(PACKED);
    let refused = |reason: String| {
        Failure::Input(format!("{} is not a report of `slipway report --to`: {reason}", file.display()))
    };
    let mut bytes = Vec::new();
    let opened = File::open(&file).map_err(|error| refused(error.to_string()))?;
    opened.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > MOST {
        return Err(refused(format!("it has more than {MOST} bytes")));
    }
    let packed: Packed = serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))?;
    match packed.excess() {
        Some(reason) => Err(refused(reason)),
        None => Ok(Some(packed)),
    }
}
