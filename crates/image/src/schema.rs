//! The schema of declarations, for editors: `crates/image/schema.json`.

use crate::declaration::Image;
use crate::error::{Error, Result};

/// The schema's text, as it is committed.
///
/// # Errors
/// When the schema cannot be serialised, which does not happen.
pub fn schema_text() -> Result<String> {
    let schema = schemars::schema_for!(Image);
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Error::malformed("the schema", error))?;
    Ok(text + "\n")
}
