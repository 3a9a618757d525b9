//! YAML read by serde, for small files whose first mistake is enough.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_saphyr::{DefaultMessageFormatter, Localizer, Location};

use crate::read::syntax;
use crate::{Finding, Malformed};

/// Reads a document into a type; `file` is named in the finding.
///
/// # Errors
/// The first mistake, with the code `yaml`.
pub fn typed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Finding> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        if let Some(malformed) = syntax(text) {
            return Malformed { code: "yaml", ..malformed }.in_file(file);
        }
        let (line, column) = error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
        let message = error.render_with_formatter(&DefaultMessageFormatter.with_localizer(&WithoutLocation));
        Finding::new(file, line, column, "yaml", message)
    })
}

/// Messages without the location, which a finding has in fields of its own.
struct WithoutLocation;

impl Localizer for WithoutLocation {
    fn attach_location<'a>(&self, message: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        message
    }
}
