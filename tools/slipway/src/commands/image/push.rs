//! `slipway image push`: into a registry, by digest.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use slipway_registry::{Layout, Options, Pushed};

use super::build::{build, layout, write_layout};
use super::{From, Platforms};
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Which images [default: all]
    names: Vec<String>,
    /// Where to: a registry and a folder in it, such as ghcr.io/acme/slipway; each image's name is appended
    #[arg(long, value_name = "REGISTRY")]
    to: String,
    /// A tag that is set when all is there
    #[arg(long)]
    tag: Option<String>,
    /// Without TLS; on this machine it is never used
    #[arg(long)]
    plain_http: bool,
    /// Seconds that the registry may say nothing before an attempt is given up; there are five
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    #[command(flatten)]
    platforms: Platforms,
    #[command(flatten)]
    from: From,
}

#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    #[serde(flatten)]
    pushed: Pushed,
}

impl Push {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let all = slipway_image::named(&context.root, &self.names)?;
        let sources = self.from.sources()?;
        let silence = Duration::from_secs(self.timeout);
        let options = Options { silence, plain_http: self.plain_http, ..Options::default() };
        let runtime = runtime()?;
        let mut outcomes = Vec::new();
        for declared in &all {
            let built = build(declared, &self.platforms.platforms, &sources)?;
            let folder = layout(declared, &sources);
            write_layout(&built, declared, &sources, &folder)?;
            let name = declared.name();
            let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let to = format!("{}/{name}{tag}", self.to.trim_end_matches('/'));
            let tell = |line: &str| context.note(format!("{name} {line}"));
            let pushed = runtime.block_on(slipway_registry::push(&Layout::open(&folder)?, &to, &options, tell))?;
            context.say(&pushed.image);
            outcomes.push(Outcome { name: name.to_owned(), pushed });
        }
        match outcomes.as_slice() {
            [one] if self.names.len() == 1 => context.json(one),
            all => context.json(&all),
        }
    }
}

/// What talks to registries runs on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|error| Failure::Unexpected(format!("threads: {error}")))
}
