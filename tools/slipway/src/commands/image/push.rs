//! `slipway image push`: into a registry, by digest.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use slipway_image::Predicate;
use slipway_oci::Layout;
use slipway_registry::Pushed;

use super::layout;
use super::{PlatformOptions, RegistryOptions, SourceOptions};
use crate::context::Context;
use crate::failure::Failure;
use crate::runtime::wait;

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Which images [default: all]
    names: Vec<String>,
    /// The registry and a path in it, such as ghcr.io/acme/slipway; each image's name is appended
    #[arg(long, value_name = "REGISTRY")]
    to: String,
    /// A tag to set when everything has arrived
    #[arg(long)]
    tag: Option<String>,
    /// Also write what `cosign attest` signs into this folder: NAME.cyclonedx.json and NAME.slsaprovenance1.json of each image
    #[arg(long, value_name = "DIR")]
    predicates: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    platforms: PlatformOptions,
    #[command(flatten)]
    sources: SourceOptions,
}

#[derive(Debug, Serialize)]
struct PushedImage {
    name: String,
    #[serde(flatten)]
    pushed: Pushed,
}

impl Push {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.predicates.is_some() && self.platforms.platforms.len() > 1 {
            let reason = "--predicates is about images of one platform: push each platform by itself";
            return Err(Failure::Input(format!("{reason}, then `slipway image index` makes one index of them")));
        }
        let all = slipway_image::named(&context.root, &self.names)?;
        let sources = self.sources.sources()?;
        let options = self.registry.options();
        let mut pushed = Vec::new();
        for declared in &all {
            let built = layout::build(declared, &self.platforms.platforms, &sources)?;
            let folder = layout::folder(declared, &sources);
            let attached = layout::write(&built, declared, &sources, &folder)?;
            let layout = Layout::open(&folder).map_err(slipway_image::Error::from)?;
            let name = declared.name();
            let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let to = format!("{}/{name}{tag}", self.to.trim_end_matches('/'));
            let progress = |line: &str| context.note(format!("{name} {line}"));
            let image = wait(slipway_registry::push(&layout, &to, &options, progress))?;
            if let Some(folder) = &self.predicates {
                write(&attached.predicates, name, folder)?;
            }
            context.say(&image.image);
            pushed.push(PushedImage { name: name.to_owned(), pushed: image });
        }
        match pushed.as_slice() {
            [one] if self.names.len() == 1 => context.json(one),
            all => context.json(&all),
        }
    }
}

/// Writes what is said of an image, a file for each type.
fn write(predicates: &[Predicate], name: &str, folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::Environment(format!("cannot write {path}: {error}"))
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    for Predicate { kind, content } in predicates {
        let file = folder.join(format!("{name}.{kind}.json"));
        std::fs::write(&file, content.to_string()).map_err(failed(&file))?;
    }
    Ok(())
}
