//! `slipway image pin`: pushed images, by digest, into the environments.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::kustomize;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// What was pushed: <registry>/<repository>@sha256:…; the last part of the repository is the image's name
    #[arg(required = true, value_name = "IMAGE@DIGEST")]
    images: Vec<String>,
    /// Which environments [default: all]
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
}

/// An image by digest.
struct Image<'a> {
    whole: &'a str,
    repository: &'a str,
    digest: &'a str,
    name: &'a str,
}

/// A file that says an image.
#[derive(Debug, Serialize)]
struct Pinned {
    image: String,
    file: String,
    changed: bool,
}

impl Pin {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let images: Vec<Image> = self.images.iter().map(|text| image(text)).collect::<Result<_, _>>()?;
        let environments = self.environments(&context.root)?;
        let mut edits: Vec<(PathBuf, String, String)> = Vec::new();
        let mut pinned = Vec::new();
        for image in &images {
            let before = pinned.len();
            for environment in &environments {
                for path in files(&context.root, environment)? {
                    let place = edits.iter().position(|(known, ..)| *known == path);
                    let old = match place {
                        Some(place) => edits[place].2.clone(),
                        None => read(&path)?,
                    };
                    let shown = path.strip_prefix(&context.root).unwrap_or(&path).display().to_string();
                    let Some(new) = edited(&shown, &old, image)? else { continue };
                    pinned.push(Pinned { image: image.whole.to_owned(), file: shown, changed: new != old });
                    match place {
                        Some(place) => edits[place].2 = new,
                        None => edits.push((path, old, new)),
                    }
                }
            }
            if pinned.len() == before {
                return Err(Failure::Input(format!(
                    "nothing in {} takes an image called {}: add `images: [{{name: {}}}]`, as lines of a list, to clusters/<environment>/images/kustomization.yaml",
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
        // every edit is known to be good before the first is written
        for (path, old, new) in &edits {
            if old != new {
                replace(path, new)?;
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
        let mut known: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        known.sort();
        if self.environments.is_empty() {
            return Ok(known);
        }
        if let Some(unknown) = self.environments.iter().find(|name| !known.contains(name)) {
            return Err(Failure::Input(format!("there is no environment {unknown}: {}", known.join(", "))));
        }
        Ok(self.environments.clone())
    }
}

/// The file with the image, or `None` when it does not speak of it.
fn edited(file: &str, text: &str, image: &Image) -> Result<Option<String>, Failure> {
    if file.ends_with("/cluster.yaml") {
        return Ok(if image.name == "trainer" { trainer(text, image.whole) } else { None });
    }
    kustomize::pin(text, image.name, image.repository, image.digest)
        .map_err(|(line, message)| Failure::Input(format!("{file}:{line}: {message}")))
}

/// The image that new TrainJobs are rendered with: `trainerImage` of a cluster.
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
    let wrong =
        |reason: &str| Failure::Input(format!("{text:?} {reason}, such as ghcr.io/acme/slipway/trainer@sha256:…"));
    let (repository, digest) = text.split_once('@').ok_or_else(|| {
        wrong("has no digest, and a tag can point elsewhere tomorrow: give what `slipway image push` printed")
    })?;
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(wrong("has a digest that is not sha256: and 64 hexadecimal digits"));
    }
    let name = repository.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == repository || name.contains(':') {
        return Err(wrong("is not a registry, a repository and a digest (and no tag between)"));
    }
    Ok(Image { whole: text, repository, digest, name })
}

/// The files of an environment that may say an image.
fn files(root: &Path, environment: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let places = ["clusters", "overlays"].map(|place| root.join(place).join(environment));
    let mut waiting: Vec<PathBuf> = places.into_iter().filter(|folder| folder.is_dir()).collect();
    while let Some(folder) = waiting.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if matches!(entry.file_name().to_str(), Some("kustomization.yaml" | "kustomization.yml")) {
                found.push(path);
            }
        }
    }
    found.sort();
    let cluster = root.join(crate::cluster::path(environment));
    if cluster.is_file() {
        found.push(cluster);
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("cannot read {}: {error}", path.display())))
}

/// Writes in one step: whole or not at all.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;

    let failed = |error: std::io::Error| Failure::Input(format!("cannot write {}: {error}", path.display()));
    let permissions = std::fs::metadata(path).map_err(failed)?.permissions();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    part.write_all(text.as_bytes()).map_err(failed)?;
    part.as_file().set_permissions(permissions).map_err(failed)?;
    part.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
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
