//! Images of upstream components, assembled from built programs under the references that upstream's manifests name.

mod assemble;
mod debian;
mod error;
mod layer;
mod recipe;
mod registry;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use error::{Error, Result};
pub use registry::{add_to_registry, registry_storage};
use slipway_oci::{Descriptor, Layout, LayoutWriter, Manifest};

use crate::Cache;
use crate::build::{self, stamp};
use crate::file::at;
use crate::inputs::Inputs;
use crate::progress::Progress;
use assemble::NAME;
use recipe::{RECIPES, Recipe, Sources};

/// The annotation that says what an image was made from.
const INPUTS: &str = "dev.slipway.testbed.inputs";

/// A selection of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All images.
    All,
    /// The images of a node without any component: they hold no built program and none of Debian's packages.
    Node,
}

impl Which {
    fn holds(self, recipe: &Recipe) -> bool {
        self == Self::All || recipe.programs.is_empty() && !recipe.debian
    }
}

/// Assembles the images that are missing or out of date into the cache's layout. The programs must have been built.
///
/// # Errors
/// When a program or a package is missing, or the cache cannot be written.
pub fn assemble(cache: &Cache, which: Which, progress: &Progress) -> Result<()> {
    let layout = LayoutWriter::open(&cache.images())?;
    let have = entries(cache)?;
    let authority = authority(cache)?;
    let mlflow = mlflow_packages(cache)?;
    let debian_inputs = inputs(&[debian::SUITE, debian::PACKAGES, debian::USERS, &read(&authority)?]);
    let current = |recipe: &Recipe, inputs: &str| {
        recipe.references.iter().all(|reference| {
            have.iter()
                .any(|entry| entry.annotation(NAME) == Some(reference) && entry.annotation(INPUTS) == Some(inputs))
        })
    };
    let mut stale = Vec::new();
    for recipe in RECIPES.iter().filter(|recipe| which.holds(recipe)) {
        let inputs = recipe_inputs(cache, recipe, &debian_inputs, mlflow.as_ref())?;
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
    let sources = Sources {
        cache,
        pause: &pause,
        argocd: &argocd,
        applets: &applets,
        mlflow: mlflow.map(|mlflow| mlflow.folder),
    };

    let mut debian = debian_layer(cache, &have, &debian_inputs)?;
    let is_of =
        |entry: &Descriptor, recipe: &Recipe| recipe.references.iter().any(|name| entry.annotation(NAME) == Some(name));
    // entries that no longer have a recipe go; those that are made again below are added there
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
            layers.push(assemble::layer(&layout, |layer| write(layer, &sources))?);
        }
        let image = assemble::image(&layout, &(recipe.config)(), &layers)?;
        for reference in recipe.references {
            entries.push(assemble::named(&image, reference, &[(INPUTS, inputs), (DEBIAN, &debian_inputs)]));
        }
        step.done(&format!("{} MiB", layers.iter().map(|layer| layer.size).sum::<u64>() >> 20));
    }
    Ok(layout.finish(entries)?.remove_unreferenced()?)
}

/// The images in the cache's layout; none before the first ones are assembled.
fn entries(cache: &Cache) -> Result<Vec<Descriptor>> {
    let folder = cache.images();
    Ok(if Layout::exists(&folder) { Layout::open(&folder)?.manifests().to_vec() } else { Vec::new() })
}

/// The references of all images in the cache.
///
/// # Errors
/// When the cache's layout cannot be read.
pub fn references(cache: &Cache) -> Result<Vec<String>> {
    Ok(entries(cache)?.iter().filter_map(|entry| entry.annotation(NAME).map(str::to_owned)).collect())
}

/// The annotation that says what the Debian layer was made from: it is kept when only what is above it changes.
const DEBIAN: &str = "dev.slipway.testbed.debian";

/// The Debian layer of these inputs; `None` if the cache does not have it.
fn debian_layer(cache: &Cache, have: &[Descriptor], inputs: &str) -> Result<Option<Descriptor>> {
    let base = RECIPES.iter().find(|recipe| recipe.debian && recipe.layer.is_none());
    let name = base.map(|recipe| recipe.references[0]);
    let entry = have.iter().find(|entry| entry.annotation(NAME) == name && entry.annotation(DEBIAN) == Some(inputs));
    let Some(entry) = entry else { return Ok(None) };
    let manifest: Manifest = Layout::open(&cache.images())?.blobs().document(entry)?;
    Ok(manifest.layers.into_iter().next())
}

fn recipe_inputs(cache: &Cache, recipe: &Recipe, debian: &str, mlflow: Option<&Mlflow>) -> Result<String> {
    let mut parts = vec![recipe::SOURCE.to_owned(), include_str!("pause.c").to_owned(), recipe.name.to_owned()];
    if recipe.debian {
        parts.push(debian.to_owned());
    }
    for program in recipe.programs {
        parts.push(read(&stamp::path(&cache.program(program)))?);
    }
    if recipe.name == "mlflow" {
        parts.push(mlflow.map_or_else(String::new, |mlflow| mlflow.made_from.clone()));
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

/// The certificate of the authority that signs for the hosts that the mirror replaces; the git server makes it.
fn authority(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.authority();
    let certificate = folder.join("ca.crt");
    if !certificate.exists() {
        let program = cache.program("gitserve");
        run(
            Command::new(&program).arg("-make-authority").arg("-authority").arg(&folder),
            "build it with `testbed build gitserve`",
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

/// The names under which this machine's static busybox can be called.
fn applets() -> Result<Vec<String>> {
    let list = run(Command::new("/bin/busybox").arg("--list"), "apt-get install busybox-static")?;
    Ok(list.lines().filter(|applet| *applet != "busybox").map(str::to_owned).collect())
}

/// The Python packages that the loop on one machine uses, MLflow among them.
struct Mlflow {
    folder: PathBuf,
    /// What they were installed from.
    made_from: String,
}

/// `None` if this machine has no such packages for the image's Python.
fn mlflow_packages(cache: &Cache) -> Result<Option<Mlflow>> {
    let Some(venv) = cache.root().parent().map(|folder| folder.join("venv")) else { return Ok(None) };
    let folder = venv.join("lib/python3.11/site-packages");
    if !folder.join("mlflow").is_dir() {
        return Ok(None);
    }
    Ok(Some(Mlflow { folder, made_from: read(&venv.join("made-from"))? }))
}

fn run(command: &mut Command, hint: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |problem: String| Error::Command { command: name.clone(), problem, hint: hint.to_owned() };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("failed ({}): {}", output.status, errors.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path).map_err(at(path))?)
}
