//! `slipway image index`: one index over the images that machines of several architectures have pushed.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use slipway_registry::{Error, Indexed};

use super::RegistryOptions;
use crate::context::Context;
use crate::failure::Failure;
use crate::runtime::wait;

#[derive(Debug, Args)]
pub(crate) struct Index {
    /// A pushed image: <registry>/<repository>@sha256:…, at least two for each repository, each of another platform
    #[arg(required = true, value_name = "IMAGE@DIGEST")]
    images: Vec<String>,
    /// A tag to set when the index has arrived
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    registry: RegistryOptions,
}

#[derive(Debug, Serialize)]
struct IndexedImage {
    name: String,
    #[serde(flatten)]
    indexed: Indexed,
}

impl Index {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut repositories: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for image in &self.images {
            let repository = image.split_once('@').map_or(image.as_str(), |(repository, _)| repository);
            repositories.entry(repository).or_default().push(image.clone());
        }
        let indexed = wait(async {
            let mut ready = Vec::new();
            // nothing is written before all images were read and verified
            for (repository, images) in &repositories {
                let combined = slipway_registry::combine(images, self.tag.as_deref(), &self.registry.options()).await?;
                ready.push((repository.rsplit('/').next().unwrap_or_default().to_owned(), combined));
            }
            let mut indexed = Vec::new();
            for (name, combined) in ready {
                let image = combined.push().await?;
                for (platform, digest) in &image.platforms {
                    context.note(format!("{name} {platform} {digest}"));
                }
                context.say(&image.image);
                indexed.push(IndexedImage { name, indexed: image });
            }
            Ok::<_, Error>(indexed)
        })?;
        context.json(&indexed)
    }
}
