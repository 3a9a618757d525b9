//! `slipway image pin`: writes the digests of pushed images into the environments.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use slipway_digest::Digest;

use super::kustomize;
use crate::context::Context;
use crate::failure::Failure;
use crate::replace::replace;

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// A pushed image: <registry>/<repository>@sha256:…; the last part of the repository is the image's name
    #[arg(required = true, value_name = "IMAGE@DIGEST")]
    images: Vec<String>,
    /// Environments to write to [default: all]
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
}

/// An image with its digest.
struct Image<'a> {
    whole: &'a str,
    repository: &'a str,
    digest: &'a str,
    name: &'a str,
    /// Whether `trainers/<name>` of the project declares it.
    is_program: bool,
}

/// A file that names an image.
#[derive(Debug, Serialize)]
struct Pinned {
    image: String,
    file: String,
    changed: bool,
}

impl Pin {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut images: Vec<Image> = self.images.iter().map(|text| image(text)).collect::<Result<_, _>>()?;
        for image in &mut images {
            image.is_program = context.root.join("trainers").join(image.name).join("image.yaml").is_file();
        }
        let environments = self.environments(&context.root)?;
        let mut edits: Vec<(PathBuf, String, String)> = Vec::new();
        let mut pinned = Vec::new();
        for image in &images {
            let before = pinned.len();
            for environment in &environments {
                for path in files(&context.root, environment)? {
                    let edit = edits.iter().position(|(edited, ..)| *edited == path);
                    let old = match edit {
                        Some(edit) => edits[edit].2.clone(),
                        None => read(&path)?,
                    };
                    let shown = path.strip_prefix(&context.root).unwrap_or(&path).display().to_string();
                    let Some(new) = edited(&shown, &old, image)? else { continue };
                    pinned.push(Pinned { image: image.whole.to_owned(), file: shown, changed: new != old });
                    match edit {
                        Some(edit) => edits[edit].2 = new,
                        None => edits.push((path, old, new)),
                    }
                }
            }
            if pinned.len() == before {
                return Err(Failure::Input(format!(
                    "nothing in {} uses an image called {}: add `images:` with an entry `- name: {}` to clusters/<environment>/images/kustomization.yaml",
                    environments
                        .iter()
                        .map(|name| format!("clusters/{name}, overlays/{name}"))
                        .collect::<Vec<_>>()
                        .join(", "),
                    image.name,
                    image.name
                )));
            }
        }
        // nothing is written before every edit has succeeded
        for (path, old, new) in &edits {
            if old != new {
                replace(path, new.as_bytes())
                    .map_err(|error| Failure::Environment(format!("cannot write {}: {error}", path.display())))?;
            }
        }
        for one in &pinned {
            context.say(format!("{} {} {}", one.file, if one.changed { "→" } else { "has" }, one.image));
        }
        context.json(&pinned)
    }

    fn environments(&self, root: &Path) -> Result<Vec<String>, Failure> {
        let folder = root.join("overlays");
        let entries =
            std::fs::read_dir(&folder).map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
            if entry.path().is_dir() {
                all.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        all.sort();
        if self.environments.is_empty() {
            return Ok(all);
        }
        if let Some(unknown) = self.environments.iter().find(|name| !all.contains(name)) {
            return Err(Failure::Input(format!("unknown environment `{unknown}`; known: {}", all.join(", "))));
        }
        Ok(self.environments.clone())
    }
}

/// The file with the new digest; `None` if it does not name the image.
fn edited(file: &str, text: &str, image: &Image) -> Result<Option<String>, Failure> {
    if file.ends_with("/cluster.yaml") {
        return match image.name {
            "trainer" => Ok(trainer(text, image.whole)),
            name if image.is_program => {
                slipway_project::cluster::with_trainer(text, name, image.whole).map(Some).ok_or_else(|| {
                    let example = "write `trainers:` below trainerImage, with one line `name: image` for each program";
                    Failure::Input(format!("{file}: the image of {name} cannot be written into it: {example}"))
                })
            }
            _ => Ok(None),
        };
    }
    kustomize::pin(text, image.name, image.repository, image.digest)
        .map_err(|(line, message)| Failure::Input(format!("{file}:{line}: {message}")))
}

/// A cluster's file with a new `trainerImage`, which new TrainJobs are rendered with; `None` if it has no such key.
fn trainer(text: &str, image: &str) -> Option<String> {
    let mut found = false;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let inside = line.trim_start();
            let Some(value) = inside.strip_prefix("trainerImage:") else { return line.to_owned() };
            found = true;
            let comment = value.find(" #").map(|at| value[at..].trim_start()).map(|comment| format!("   {comment}"));
            let indent = &line[..line.len() - inside.len()];
            format!("{indent}trainerImage: {image}{}", comment.unwrap_or_default())
        })
        .collect();
    found.then(|| lines.join("\n") + "\n")
}

fn image(text: &str) -> Result<Image<'_>, Failure> {
    let invalid = |reason: &str| {
        Failure::Input(format!("{text:?} {reason}; an example is ghcr.io/acme/slipway/trainer@sha256:…"))
    };
    let (repository, digest) = text.split_once('@').ok_or_else(|| {
        invalid("has no digest, and a tag can point elsewhere tomorrow: use what `slipway image push` prints")
    })?;
    if digest.parse::<Digest>().is_err() {
        return Err(invalid("has a digest that is not sha256: and 64 hexadecimal digits"));
    }
    let name = repository.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == repository || name.contains(':') {
        return Err(invalid("is not a registry, a repository and a digest with no tag between them"));
    }
    Ok(Image { whole: text, repository, digest, name, is_program: false })
}

/// The files of an environment that may name an image.
fn files(root: &Path, environment: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let folders = ["clusters", "overlays"].map(|folder| root.join(folder).join(environment));
    let mut waiting: Vec<PathBuf> = folders.into_iter().filter(|folder| folder.is_dir()).collect();
    while let Some(folder) = waiting.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
        for entry in entries {
            let entry = entry.map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if matches!(entry.file_name().to_str(), Some("kustomization.yaml" | "kustomization.yml")) {
                found.push(path);
            }
        }
    }
    found.sort();
    let cluster = root.join(slipway_project::cluster::path(environment));
    if cluster.is_file() {
        found.push(cluster);
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_required() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let good = format!("ghcr.io/acme/trainer@{digest}");
        let found = image(&good).unwrap();
        assert_eq!((found.name, found.repository, found.digest), ("trainer", "ghcr.io/acme/trainer", digest.as_str()));
        for (text, message) in [
            ("ghcr.io/acme/trainer:1.0".to_owned(), "no digest"),
            (format!("ghcr.io/acme/trainer:1.0@{digest}"), "no tag"),
            (format!("trainer@{digest}"), "registry"),
            ("ghcr.io/acme/trainer@sha256:12".to_owned(), "64 hexadecimal"),
        ] {
            let error = image(&text).err().unwrap().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn the_trainer_of_a_cluster() {
        let text = "spec:\n  trainerImage: slipway/trainer:0.1.0   # of new jobs\n  maxTrials: 1\n";
        assert_eq!(trainer(text, "r/t@d").unwrap(), "spec:\n  trainerImage: r/t@d   # of new jobs\n  maxTrials: 1\n");
        assert_eq!(trainer("spec: {}\n", "r/t@d"), None);
    }
}
