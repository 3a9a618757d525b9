//! Images of upstream components, assembled from built programs under the references that upstream's manifests name.

mod debian;
mod error;
mod layer;
mod layout;
mod recipe;
mod registry;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use error::{Error, Result};
pub use registry::{add_to_registry, registry_storage};

use crate::Cache;
use crate::build::{self, stamp};
use crate::file::at;
use crate::inputs::Inputs;
use crate::progress::Progress;
use layout::{Descriptor, Layout, NAME};
use recipe::{RECIPES, Recipe, Sources};

/// The annotation that says what an image was made from.
const INPUTS: &str = "dev.slipway.testbed.inputs";

/// Which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that a node without any component runs: of no built program, and without Debian's packages.
    Node,
}

impl Which {
    fn holds(self, recipe: &Recipe) -> bool {
        self == Self::All || recipe.programs.is_empty() && !recipe.debian
    }
}

/// Assembles the images that are missing or out of date into the cache's layout; the programs are built already.
///
/// # Errors
/// A program or a package is missing, or the cache cannot be written.
pub fn assemble(cache: &Cache, which: Which, progress: &Progress) -> Result<()> {
    let layout = Layout::make(&cache.images())?;
    let have = layout.entries()?;
    let authority = authority(cache)?;
    let mlflow = mlflow_packages(cache);
    let debian_inputs = inputs(&[debian::SUITE, debian::PACKAGES, debian::USERS, &read(&authority)?]);
    let current = |recipe: &Recipe, inputs: &str| {
        recipe.references.iter().all(|reference| {
            have.iter()
                .any(|entry| entry.annotation(NAME) == Some(reference) && entry.annotation(INPUTS) == Some(inputs))
        })
    };
    let mut stale = Vec::new();
    for recipe in RECIPES.iter().filter(|recipe| which.holds(recipe)) {
        let inputs = recipe_inputs(cache, recipe, &debian_inputs, mlflow.as_deref())?;
        if !current(recipe, &inputs) {
            stale.push((recipe, inputs));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }

    let work = tempfile::tempdir().map_err(at(Path::new("/tmp")))?;
    let pause = compile_pause(work.path())?;
    let argocd = match which {
        Which::All => build::module_folder(cache, build::program("argocd")?, "github.com/argoproj/argo-cd/v3")?,
        Which::Node => PathBuf::new(),
    };
    let applets = applets()?;
    let sources = Sources { cache, pause: &pause, argocd: &argocd, applets: &applets, mlflow };

    let mut debian = debian_layer(&layout, &have, &debian_inputs)?;
    let is_of =
        |entry: &Descriptor, recipe: &Recipe| recipe.references.iter().any(|name| entry.annotation(NAME) == Some(name));
    // entries of no recipe any more go, those that are made anew come back
    let mut entries = have.clone();
    entries.retain(|entry| {
        RECIPES.iter().any(|recipe| is_of(entry, recipe)) && !stale.iter().any(|(recipe, _)| is_of(entry, recipe))
    });
    for (recipe, inputs) in &stale {
        let step = progress.step(&format!("image {}", recipe.references[0]));
        let mut layers = Vec::new();
        if recipe.debian {
            let layer = match debian.take() {
                Some(layer) => layer,
                None => debian::layer(cache, &layout, &authority, &step)?,
            };
            debian = Some(layer.clone());
            layers.push(layer);
        }
        if let Some(write) = recipe.layer {
            layers.push(layout.layer(|layer| write(layer, &sources))?);
        }
        let image = layout.image(&(recipe.config)(), &layers)?;
        for reference in recipe.references {
            entries.push(named(&image, reference, inputs, &debian_inputs));
        }
        step.done(&format!("{} MiB", layers.iter().map(|layer| layer.size).sum::<u64>() >> 20));
    }
    layout.keep(entries)
}

/// The references of all images that the cache has.
///
/// # Errors
/// The cache's layout cannot be read.
pub fn references(cache: &Cache) -> Result<Vec<String>> {
    let entries = Layout::at(&cache.images()).entries()?;
    Ok(entries.iter().filter_map(|entry| entry.annotation(NAME).map(str::to_owned)).collect())
}

/// An entry of the layout's index.
fn named(image: &Descriptor, reference: &str, inputs: &str, debian: &str) -> Descriptor {
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let annotations =
        [(NAME, reference), ("org.opencontainers.image.ref.name", tag), (INPUTS, inputs), (DEBIAN, debian)];
    let annotations: BTreeMap<_, _> = annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Descriptor { annotations: Some(annotations), ..image.clone() }
}

/// The annotation that says what the Debian layer was made from, so that it outlives changes of what stands on it.
const DEBIAN: &str = "dev.slipway.testbed.debian";

fn debian_layer(layout: &Layout, have: &[Descriptor], inputs: &str) -> Result<Option<Descriptor>> {
    let base = RECIPES.iter().find(|recipe| recipe.debian && recipe.layer.is_none());
    let name = base.map(|recipe| recipe.references[0]);
    let entry = have.iter().find(|entry| entry.annotation(NAME) == name && entry.annotation(DEBIAN) == Some(inputs));
    let Some(entry) = entry else { return Ok(None) };
    let manifest: layout::Manifest = layout.read(&entry.digest)?;
    Ok(manifest.layers.into_iter().next())
}

fn recipe_inputs(cache: &Cache, recipe: &Recipe, debian: &str, mlflow: Option<&Path>) -> Result<String> {
    let mut parts = vec![recipe::SOURCE.to_owned(), include_str!("pause.c").to_owned(), recipe.name.to_owned()];
    if recipe.debian {
        parts.push(debian.to_owned());
    }
    for program in recipe.programs {
        parts.push(read(&stamp::path(&cache.program(program)))?);
    }
    if recipe.name == "mlflow" {
        let lock = mlflow.and_then(|packages| fs::read_to_string(packages.join("../../../made-from")).ok());
        parts.push(lock.unwrap_or_default());
    }
    Ok(inputs(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn inputs(parts: &[&str]) -> String {
    let mut inputs = Inputs::default();
    for part in parts {
        inputs.part(part);
    }
    inputs.digest()
}

/// The certificate of the authority that stands in for other hosts; the git server makes it.
fn authority(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.authority();
    let certificate = folder.join("ca.crt");
    if !certificate.exists() {
        let program = cache.program("gitserve");
        run(
            Command::new(&program).arg("-make-authority").arg("-authority").arg(&folder),
            "build it: testbed build gitserve",
        )?;
    }
    Ok(certificate)
}

fn compile_pause(folder: &Path) -> Result<PathBuf> {
    let (source, program) = (folder.join("pause.c"), folder.join("pause"));
    fs::write(&source, include_str!("pause.c")).map_err(at(&source))?;
    run(
        Command::new("cc").args(["-Os", "-static", "-s", "-o"]).arg(&program).arg(&source),
        "apt-get install gcc libc6-dev",
    )?;
    Ok(program)
}

/// What this machine's static busybox can be called by.
fn applets() -> Result<Vec<String>> {
    let list = run(Command::new("/bin/busybox").arg("--list"), "apt-get install busybox-static")?;
    Ok(list.lines().filter(|applet| *applet != "busybox").map(str::to_owned).collect())
}

/// The Python packages that the loop on one machine uses, MLflow among them, if they are for the image's Python.
fn mlflow_packages(cache: &Cache) -> Option<PathBuf> {
    let packages = cache.root().parent()?.join("venv/lib/python3.11/site-packages");
    packages.join("mlflow").is_dir().then_some(packages)
}

fn run(command: &mut Command, hint: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |problem: String| Error::Command { command: name.clone(), problem, hint: hint.to_owned() };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("failed ({}): {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path).map_err(at(path))?)
}
