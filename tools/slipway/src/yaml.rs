//! Typed YAML with the place of a mistake, for the small files that have no parser of their own.

use serde::de::DeserializeOwned;
use slipway_experiment::Finding;

/// Reads a document.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Finding> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let whole = error.to_string();
        // the place has fields of its own
        let message = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
        Finding::new(file, line as usize, column as usize, "yaml", message)
    })
}
