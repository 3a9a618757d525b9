//! `slipway image push`: into a registry, by digest.

use clap::Args;
use serde::Serialize;
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
        let all = slipway_image::named(&context.root, &self.names)?;
        let sources = self.sources.sources()?;
        let options = self.registry.options();
        let mut pushed = Vec::new();
        for declared in &all {
            let built = layout::build(declared, &self.platforms.platforms, &sources)?;
            let folder = layout::folder(declared, &sources);
            layout::write(&built, declared, &sources, &folder)?;
            let layout = Layout::open(&folder).map_err(slipway_image::Error::from)?;
            let name = declared.name();
            let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let to = format!("{}/{name}{tag}", self.to.trim_end_matches('/'));
            let progress = |line: &str| context.note(format!("{name} {line}"));
            let image = wait(slipway_registry::push(&layout, &to, &options, progress))?;
            context.say(&image.image);
            pushed.push(PushedImage { name: name.to_owned(), pushed: image });
        }
        match pushed.as_slice() {
            [one] if self.names.len() == 1 => context.json(one),
            all => context.json(&all),
        }
    }
}
