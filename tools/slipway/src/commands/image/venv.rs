//! `slipway image venv`: the Python packages of an image on this machine.

use clap::Args;
use serde::Serialize;
use slipway_image::Cache;

use super::PythonOption;
use crate::cache;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Venv {
    /// The image
    name: String,
    #[command(flatten)]
    python: PythonOption,
}

/// What `image venv` prints as JSON.
#[derive(Debug, Serialize)]
struct Made {
    name: String,
    folder: String,
}

impl Venv {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        for declared in slipway_image::named(&context.root, std::slice::from_ref(&self.name))? {
            let folder = slipway_image::venv(&declared, &Cache::new(cache::folder()?), &self.python.path()?)?;
            let folder = folder.display().to_string();
            context.say(&folder);
            context.json(&Made { name: self.name.clone(), folder })?;
        }
        Ok(())
    }
}
