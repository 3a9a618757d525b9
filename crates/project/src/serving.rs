//! `overlays/<env>/server/models.yaml`: the versions in service in an environment.

use slipway_serving::Pins;
use slipway_source::Finding;

use crate::tree::Tree;

/// The path of an environment's file.
#[must_use]
pub fn path(environment: &str) -> String {
    format!("overlays/{environment}/server/models.yaml")
}

/// Reads an environment's file. Without a file, no version is in service.
///
/// # Errors
/// The first mistake in the file.
pub fn read(tree: &Tree, environment: &str) -> Result<Pins, Finding> {
    let path = path(environment);
    let Some(text) = tree.text(&path) else { return Ok(Pins::default()) };
    Pins::parse(&path, &text)
}
