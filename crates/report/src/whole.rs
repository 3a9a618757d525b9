//! A report as one file, with everything in it.

use std::io;

use crate::compose::whole_object;
use crate::document::{Block, Document};

/// Writes everything as Markdown, without a limit.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(document: &Document, to: &mut impl io::Write) -> io::Result<()> {
    writeln!(to, "{}", document.first)?;
    for section in &document.sections {
        write!(to, "<details><summary>{}</summary>\n\n", section.title)?;
        for block in &section.blocks {
            match block {
                Block::Text(text) => write!(to, "{text}\n\n")?,
                Block::Rows(rows) => {
                    to.write_all(rows.head.as_bytes())?;
                    for row in &rows.rows {
                        writeln!(to, "{row}")?;
                    }
                    writeln!(to)?;
                }
                Block::Object(object) => to.write_all(whole_object(object).as_bytes())?,
            }
        }
        write!(to, "</details>\n\n")?;
    }
    Ok(())
}
