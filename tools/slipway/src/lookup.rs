//! Where the project is.

use std::path::{Path, PathBuf};

use slipway_git::Repository;

use crate::failure::Failure;

/// The folder that makes its parent a project.
const EXPERIMENTS: &str = "experiments";
/// How far below the current folder a project is looked for, to name it in the message that there is none here.
const DEPTH: usize = 3;
/// How many folders are read for that.
const FOLDERS: usize = 2000;
/// How many projects the message names.
const NAMED: usize = 3;

/// The project in `given`, or the nearest one from the current folder up to the top of the repository.
pub(crate) fn project(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(path) => named(path),
        None => nearest(&here()?),
    }
}

/// Whether a folder is a project.
pub(crate) fn is_project(folder: &Path) -> bool {
    folder.join(EXPERIMENTS).is_dir()
}

/// The current folder.
pub(crate) fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::Unexpected(format!("the current folder cannot be read: {error}")))
}

fn named(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display();
    let root = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::Input(format!("--repo {shown}: this folder does not exist")),
        _ => Failure::Input(format!("--repo {shown}: {error}")),
    })?;
    if is_project(&root) {
        return Ok(root);
    }
    if !root.is_dir() {
        return Err(Failure::Input(format!("--repo {shown}: not a folder; name the folder of a Slipway project")));
    }
    Err(Failure::Input(format!(
        "--repo {shown}: no Slipway project, since it has no folder experiments/{}",
        below(&root, path)
    )))
}

/// A project does not reach into another repository, such as a submodule, so the search ends at the top of the one that `folder` is in;
/// outside of any repository it goes on to the root.
fn nearest(folder: &Path) -> Result<PathBuf, Failure> {
    let top = Repository::open(folder).ok().map(|repository| repository.root().to_owned());
    let top = top.filter(|top| folder.starts_with(top));
    let inside = |one: &&Path| top.as_ref().is_none_or(|top| one.starts_with(top));
    if let Some(found) = folder.ancestors().take_while(inside).find(|one| is_project(one)) {
        return Ok(found.to_owned());
    }
    let shown = folder.display();
    let searched = match &top {
        Some(top) if top == folder => format!("{shown} has no folder experiments/"),
        Some(top) => {
            format!(
                "neither {shown} nor a folder above it, up to the top of its repository ({}), has a folder experiments/",
                top.display()
            )
        }
        None => format!("neither {shown} nor a folder above it has a folder experiments/"),
    };
    Err(Failure::Input(format!("no Slipway project here: {searched}{}", below(folder, Path::new("")))))
}

/// What to do: the projects below a folder, if there are any. `shown` is how a person names the folder.
fn below(folder: &Path, shown: &Path) -> String {
    let mut found = Vec::new();
    let mut waiting = std::collections::VecDeque::from([(folder.to_owned(), 0)]);
    let mut read = 0;
    while let Some((one, depth)) = waiting.pop_front() {
        if is_project(&one) {
            found.push(shown.join(one.strip_prefix(folder).unwrap_or(&one)).display().to_string());
            continue;
        }
        read += 1;
        if depth == DEPTH || read > FOLDERS || found.len() > NAMED {
            continue;
        }
        // what cannot be read cannot be named
        let mut folders: Vec<PathBuf> = std::fs::read_dir(&one)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter(|entry| !matches!(entry.file_name().to_str(), None | Some("target" | "node_modules")))
            .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
            .map(|entry| entry.path())
            .collect();
        folders.sort();
        waiting.extend(folders.into_iter().map(|folder| (folder, depth + 1)));
    }
    match found.as_slice() {
        [] if shown.as_os_str().is_empty() => "; go to a project, or name it with --repo DIR".to_owned(),
        [] => "; name a folder that has one".to_owned(),
        [one] => format!("; there is a project in {one}/: go there, or name it with --repo {one}"),
        several => {
            let more = if several.len() > NAMED { ", …" } else { "" };
            let names: Vec<String> = several.iter().take(NAMED).map(|one| format!("{one}/")).collect();
            format!(
                "; there are projects in {}{more}: go to one, or name it with --repo {}",
                names.join(", "),
                several[0]
            )
        }
    }
}
