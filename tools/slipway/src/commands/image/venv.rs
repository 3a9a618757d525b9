//! `slipway image venv`: the Python packages of an image on this machine.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use slipway_image::{Cache, Declared};

use super::PythonOption;
use crate::cache;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Venv {
    /// The image
    #[arg(required_unless_present = "folder", conflicts_with = "folder")]
    name: Option<String>,
    /// The folder of an image.yaml that is not in this repository
    #[arg(long, value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// A symbolic link to make to the virtual environment; it replaces an earlier link
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
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
        let declared = self.declared(context)?;
        let folder = slipway_image::venv(&declared, &Cache::new(cache::folder()?), &self.python.path()?)?;
        if let Some(link) = &self.link {
            make_link(&folder, link)
                .map_err(|error| Failure::Unexpected(format!("making the link {}: {error}", link.display())))?;
        }
        let folder = folder.display().to_string();
        context.say(&folder);
        context.json(&Made { name: declared.name().to_owned(), folder })
    }

    fn declared(&self, context: &Context) -> Result<Declared, Failure> {
        if let Some(folder) = &self.folder {
            return Ok(slipway_image::declared_in(folder)?);
        }
        let mut found = slipway_image::named(&context.root, self.name.as_slice())?;
        found.pop().ok_or_else(|| Failure::Input("name an image, or give --folder".to_owned()))
    }
}

fn make_link(to: &Path, link: &Path) -> std::io::Result<()> {
    if link.is_symlink() {
        std::fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(to, link)
}
