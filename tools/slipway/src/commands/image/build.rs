//! `slipway image build` and `slipway image verify`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use slipway_image::{Base, Built, Declared, Platform, Sources};

use super::{From, Platforms};
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Which images [default: all]
    names: Vec<String>,
    #[command(flatten)]
    platforms: Platforms,
    /// Where to: layout:DIR or tar:FILE [default: layout: of a folder in the cache]
    #[arg(long, value_name = "KIND:PATH")]
    to: Option<Target>,
    #[command(flatten)]
    from: From,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Which images [default: all]
    names: Vec<String>,
    /// The OCI layout to compare with, of one image [default: the cache's]
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    #[command(flatten)]
    from: From,
}

/// The exit code when a rebuild differs, as for rendered files that are not what their sources give.
const OUT_OF_DATE: u8 = 4;

/// Where an image is written to.
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
                Err("give layout:DIR (an OCI layout folder) or tar:FILE; `slipway image push` takes a registry"
                    .to_owned())
            }
        }
    }
}

impl Build {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let all = slipway_image::named(&context.root, &self.names)?;
        if self.to.is_some() && all.len() > 1 {
            return Err(Failure::Input("--to takes one image: name it".to_owned()));
        }
        let sources = self.from.sources()?;
        let mut summaries = Vec::new();
        for declared in &all {
            let built = build(declared, &self.platforms.platforms, &sources)?;
            let place = write(&built, declared, self.to.as_ref(), &sources)?;
            let summary = built.summary();
            context.say(format!(
                "{} {} {:.1} MB {} → {place}",
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

/// Builds an image; the image that it starts from is fetched when it is not in the cache.
pub(super) fn build(declared: &Declared, platforms: &[Platform], sources: &Sources) -> Result<Built, Failure> {
    if let Base::Oci(reference) = &declared.image.spec.base {
        let folder = slipway_image::base_folder(&sources.cache, reference);
        if !folder.join("index.json").is_file() {
            let options = slipway_registry::Options::default();
            let pull = slipway_registry::pull(reference, &[], &folder, &options);
            super::push::runtime()?.block_on(pull)?;
        }
    }
    Ok(slipway_image::build(declared, platforms, sources, false)?)
}

/// The layout folder of an image in the cache.
pub(super) fn layout(declared: &Declared, sources: &Sources) -> PathBuf {
    sources.cache.root().join("images").join(declared.name())
}

fn write(built: &Built, declared: &Declared, to: Option<&Target>, sources: &Sources) -> Result<String, Failure> {
    let folder = match to {
        Some(Target::Tar(file)) => {
            slipway_image::write_tar(built, &sources.cache, file)?;
            return Ok(file.display().to_string());
        }
        Some(Target::Layout(folder)) => folder.clone(),
        None => layout(declared, sources),
    };
    write_layout(built, declared, sources, &folder)?;
    Ok(folder.display().to_string())
}

/// Writes the layout with SBOM and provenance.
pub(super) fn write_layout(
    built: &Built,
    declared: &Declared,
    sources: &Sources,
    folder: &Path,
) -> Result<(), Failure> {
    let attached = slipway_image::attach(declared, built, sources)?;
    Ok(slipway_image::write_folder(built, &attached, &sources.cache, folder)?)
}

impl Verify {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let all = slipway_image::named(&context.root, &self.names)?;
        if self.layout.is_some() && all.len() != 1 {
            return Err(Failure::Input("--layout is of one image: name it".to_owned()));
        }
        let sources = self.from.sources()?;
        let mut verdicts = Vec::new();
        for declared in &all {
            let folder = self.layout.clone().unwrap_or_else(|| layout(declared, &sources));
            if !folder.is_dir() {
                let build = format!("slipway image build {}", declared.name());
                return Err(Failure::Input(format!("{} is not there: run `{build}`", folder.display())));
            }
            let verdict = slipway_image::verify(declared, &sources, &folder)?;
            if verdict.same {
                context.say(format!("{} {} is what a rebuild gives", verdict.name, verdict.found));
            } else {
                let (name, found) = (&verdict.name, &verdict.found);
                context.say(format!("{name} {found} is not what a rebuild gives ({}):", verdict.rebuilt));
                for difference in &verdict.differences {
                    context.say(format!("  {difference}"));
                }
            }
            verdicts.push(verdict);
        }
        context.json(&verdicts)?;
        if verdicts.iter().all(|verdict| verdict.same) { Ok(()) } else { Err(Failure::Said(OUT_OF_DATE)) }
    }
}
