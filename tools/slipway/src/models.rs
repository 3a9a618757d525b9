//! `overlays/<env>/server/models.yaml`: the versions in service in an environment.

use slipway_source::Finding;
use slipway_serving::Pins;

use crate::tree::Tree;

/// Where an environment's file is.
pub(crate) fn path(environment: &str) -> String {
    format!("overlays/{environment}/server/models.yaml")
}

/// Reads an environment's file; without one nothing is in service.
pub(crate) fn read(tree: &Tree, environment: &str) -> Result<Pins, Finding> {
    let path = path(environment);
    let Some(text) = tree.text(&path) else { return Ok(Pins::default()) };
    Pins::parse(&text).map_err(|invalid| {
        let finding =
            Finding::new(&path, invalid.line as usize, invalid.column as usize, invalid.code, invalid.message);
        match invalid.help {
            Some(help) => finding.with_help(help),
            None => finding,
        }
    })
}
