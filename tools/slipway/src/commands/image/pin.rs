//! `slipway image pin`: writes the digests of pushed images into the environments, here or in a pull request.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use slipway_digest::Digest;
use slipway_project::{Changes, Tree};
use slipway_proposal::Pinning;

use super::kustomize;
use crate::context::Context;
use crate::failure::Failure;
use crate::opening::OpeningArgs;
use crate::pull_request::{PullRequestReport, is_open};
use crate::remote::ForgeArgs;
use crate::replace::replace;

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// A pushed image: <registry>/<repository>@sha256:…; the last part of the repository is the image's name
    #[arg(required = true, value_name = "IMAGE@DIGEST")]
    images: Vec<String>,
    /// Environments to write to [default: all]
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    /// Open the pull request that pins them on top of the default branch, bring it up to date, or close it; no file here changes
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    forge: ForgeArgs,
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

/// What `--open` has done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proposed {
    pinned: Vec<Pinned>,
    /// `None` if the default branch has these images already.
    pull_request: Option<PullRequestReport>,
}

impl Pin {
    pub(super) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let images: Vec<Image> = self.images.iter().map(|text| image(text)).collect::<Result<_, _>>()?;
        if self.open {
            return self.propose(context, images).await;
        }
        let (changes, pinned) = self.pinned(&Tree::of_work_tree(&context.root)?, images)?;
        for (file, content) in changes.iter().filter_map(|(file, content)| Some((file, content.as_deref()?))) {
            replace(&context.root.join(file), content)
                .map_err(|error| Failure::Environment(format!("cannot write {file}: {error}")))?;
        }
        say(context, &pinned);
        context.json(&pinned)
    }

    /// Pins them in a pull request.
    async fn propose(&self, context: &Context, images: Vec<Image<'_>>) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let pinning = Pinning::fetch(&git, &remote).await?;
        let (changes, pinned) = self.pinned(pinning.tree(), images)?;
        let opened = pinning.open(&git, &remote, &changes, self.opening.opening()).await?;
        say(context, &pinned);
        match &opened {
            Some(opened) => context.say(is_open(opened)),
            None => context.say("the default branch has these images already, so no pull request is open for them"),
        }
        context.json(&Proposed { pinned, pull_request: opened.map(Into::into) })
    }

    /// The files of a project that change, and all that name one of the images. Nothing is changed unless every edit succeeds.
    fn pinned(&self, tree: &Tree, mut images: Vec<Image<'_>>) -> Result<(Changes, Vec<Pinned>), Failure> {
        for image in &mut images {
            image.is_program = tree.bytes(&format!("trainers/{}/image.yaml", image.name)).is_some();
        }
        let environments = self.environments(tree)?;
        let mut edited_files: BTreeMap<String, String> = BTreeMap::new();
        let mut pinned = Vec::new();
        for image in &images {
            let before = pinned.len();
            for file in environments.iter().flat_map(|environment| files(tree, environment)) {
                let old = match edited_files.get(&file) {
                    Some(text) => text.clone(),
                    None => read(tree, &file)?,
                };
                let Some(new) = edited(&file, &old, image)? else { continue };
                pinned.push(Pinned { image: image.whole.to_owned(), file: file.clone(), changed: new != old });
                edited_files.insert(file, new);
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
        let mut changes = Changes::new();
        for (file, text) in edited_files {
            if tree.bytes(&file) != Some(text.as_bytes()) {
                changes.insert(file, Some(text.into_bytes()));
            }
        }
        Ok((changes, pinned))
    }

    fn environments(&self, tree: &Tree) -> Result<Vec<String>, Failure> {
        let all = tree.folders_in("overlays");
        if self.environments.is_empty() {
            return Ok(all);
        }
        if let Some(unknown) = self.environments.iter().find(|name| !all.contains(name)) {
            return Err(Failure::Input(format!("unknown environment `{unknown}`; known: {}", all.join(", "))));
        }
        Ok(self.environments.clone())
    }
}

fn say(context: &Context, pinned: &[Pinned]) {
    for one in pinned {
        context.say(format!("{} {} {}", one.file, if one.changed { "→" } else { "has" }, one.image));
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
fn files(tree: &Tree, environment: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for folder in ["clusters", "overlays"].map(|folder| format!("{folder}/{environment}")) {
        let named = |path: &&str| matches!(path.rsplit('/').next(), Some("kustomization.yaml" | "kustomization.yml"));
        found.extend(tree.files_in(&folder).filter(named).map(str::to_owned));
    }
    found.sort();
    let cluster = slipway_project::cluster::path(environment);
    if tree.bytes(&cluster).is_some() {
        found.push(cluster);
    }
    found
}

fn read(tree: &Tree, file: &str) -> Result<String, Failure> {
    let bytes = tree.bytes(file).unwrap_or_default();
    String::from_utf8(bytes.to_vec()).map_err(|_| Failure::Input(format!("cannot read {file}: it is not UTF-8")))
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
