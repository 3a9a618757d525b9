//! `slipway image lock` and `slipway image list`.

use clap::Args;
use serde::Serialize;
use slipway_image::{Indexes, Platform};

use super::PythonOption;
use crate::context::Context;
use crate::failure::Failure;
use crate::replace::replace;

#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// Which images [default: all]
    names: Vec<String>,
    /// Platforms to lock for
    #[arg(long = "platform", value_delimiter = ',', default_values_t = Platform::ALL)]
    platforms: Vec<Platform>,
    #[command(flatten)]
    python: PythonOption,
}

/// A lock in the output of `image lock`.
#[derive(Debug, Serialize)]
struct Written {
    name: String,
    file: String,
    changed: bool,
}

/// An image in the output of `image list`.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    declaration: String,
    platforms: Vec<String>,
}

impl Lock {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let python = self.python.path()?;
        let mut indexes = Indexes::default();
        let mut changed = Vec::new();
        // all locks are resolved before the first is written
        for declared in slipway_image::named(&context.root, &self.names)? {
            let text = slipway_image::renew(&declared, &self.platforms, &mut indexes, &python)?.to_text()?;
            changed.push((declared, text));
        }
        let mut written = Vec::new();
        for (declared, text) in changed {
            let path = declared.lock_path();
            let same = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
            if !same {
                replace(&path, text.as_bytes())
                    .map_err(|error| Failure::Environment(format!("cannot write {}: {error}", path.display())))?;
            }
            let shown = path.strip_prefix(&context.root).unwrap_or(&path).display().to_string();
            context.say(format!("{shown} {}", if same { "is unchanged" } else { "written: commit it" }));
            written.push(Written { name: declared.name().to_owned(), file: shown, changed: !same });
        }
        context.json(&written)
    }
}

pub(super) fn list(context: &Context) -> Result<(), Failure> {
    let mut listed = Vec::new();
    for declared in slipway_image::declared(&context.root)? {
        let locked = slipway_image::locked_platforms(&declared)?;
        let platforms: Vec<String> = locked.iter().map(ToString::to_string).collect();
        let state = if platforms.is_empty() { "not locked".to_owned() } else { platforms.join(",") };
        let declaration = declared.folder.join("image.yaml").display().to_string();
        context.say(format!("{}  {state}  {declaration}", declared.name()));
        listed.push(Listed { name: declared.name().to_owned(), declaration, platforms });
    }
    context.json(&listed)
}
