//! `slipway image build` and `slipway image verify`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use slipway_image::{Built, Declared, Sources};

use super::layout;
use super::{PlatformOptions, SourceOptions};
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Which images [default: all]
    names: Vec<String>,
    #[command(flatten)]
    platforms: PlatformOptions,
    /// Where to write: layout:DIR or tar:FILE [default: a layout in the cache]
    #[arg(long, value_name = "KIND:PATH")]
    to: Option<Target>,
    #[command(flatten)]
    sources: SourceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Which images [default: all]
    names: Vec<String>,
    /// The OCI layout to compare with; only for a single image [default: the one in the cache]
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceOptions,
}

/// The exit code when a rebuild differs; the same as for rendered files that are out of date.
const OUT_OF_DATE: u8 = 4;

/// Where an image is written.
#[derive(Clone, Debug)]
enum Target {
    Layout(PathBuf),
    Tar(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("layout", path)) if !path.is_empty() => Ok(Self::Layout(path.into())),
            Some(("tar", path)) if !path.is_empty() => Ok(Self::Tar(path.into())),
            _ => {
                Err("use layout:DIR (an OCI layout folder) or tar:FILE; for a registry, `slipway image push`"
                    .to_owned())
            }
        }
    }
}

impl Build {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let all = slipway_image::named(&context.root, &self.names)?;
        if self.to.is_some() && all.len() > 1 {
            return Err(Failure::Input("--to is for a single image: give its name".to_owned()));
        }
        let sources = self.sources.sources()?;
        let mut summaries = Vec::new();
        for declared in &all {
            let built = layout::build(declared, &self.platforms.platforms, &sources)?;
            let written = write(&built, declared, self.to.as_ref(), &sources)?;
            let summary = built.summary();
            context.say(format!(
                "{} {} {:.1} MB {} → {written}",
                summary.name,
                summary.digest,
                summary.size as f64 / 1e6,
                summary.platforms.join(","),
            ));
            summaries.push(summary);
        }
        match summaries.as_slice() {
            [one] if self.names.len() == 1 => context.json(one),
            all => context.json(&all),
        }
    }
}

/// Writes an image; returns where.
fn write(built: &Built, declared: &Declared, to: Option<&Target>, sources: &Sources) -> Result<String, Failure> {
    let folder = match to {
        Some(Target::Tar(file)) => {
            slipway_image::write_tar(built, &sources.cache, file)?;
            return Ok(file.display().to_string());
        }
        Some(Target::Layout(folder)) => folder.clone(),
        None => layout::folder(declared, sources),
    };
    layout::write(built, declared, sources, &folder)?;
    Ok(folder.display().to_string())
}

impl Verify {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let all = slipway_image::named(&context.root, &self.names)?;
        if self.layout.is_some() && all.len() != 1 {
            return Err(Failure::Input("--layout is for a single image: give its name".to_owned()));
        }
        let sources = self.sources.sources()?;
        let mut verdicts = Vec::new();
        for declared in &all {
            let folder = self.layout.clone().unwrap_or_else(|| layout::folder(declared, &sources));
            if !folder.is_dir() {
                let build = format!("slipway image build {}", declared.name());
                return Err(Failure::Input(format!("{} does not exist: run `{build}`", folder.display())));
            }
            let verdict = slipway_image::verify(declared, &sources, &folder)?;
            if verdict.same {
                context.say(format!("{} {} is the same as its rebuild", verdict.name, verdict.found));
            } else {
                let (name, found) = (&verdict.name, &verdict.found);
                context.say(format!("{name} {found} differs from its rebuild, {}:", verdict.rebuilt));
                for difference in &verdict.differences {
                    context.say(format!("  {difference}"));
                }
            }
            verdicts.push(verdict);
        }
        context.json(&verdicts)?;
        if verdicts.iter().all(|verdict| verdict.same) { Ok(()) } else { Err(Failure::Reported(OUT_OF_DATE)) }
    }
}
