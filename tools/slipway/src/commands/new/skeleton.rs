//! A program to start from: an experiment, the code in `trainers/<name>/`, and the image's line in the environment.

use std::collections::BTreeMap;

use slipway_project::{Project, Tree, cluster, trainer_folder};

use crate::context::Context;
use crate::failure::Failure;

/// The environment of an experiment that names none.
const ENVIRONMENT: &str = "local";

/// The files of `trainers/<name>/`. `TRAINER` in them stands for its name.
const CODE: [(&str, &str); 2] = [
    (".gitignore", include_str!("../../../templates/program/gitignore")),
    ("train.py", include_str!("../../../templates/program/train.py")),
];

/// The packages and the image are those of an example, whose locks are tested. They hold neither its name nor its place.
const LOCKS: [(&str, &str); 2] = [
    ("image.lock", include_str!("../../../../../trainers/wine/image.lock")),
    ("requirements.lock", include_str!("../../../../../trainers/wine/requirements.lock")),
];
const DECLARATIONS: [(&str, &str); 2] = [
    ("image.yaml", include_str!("../../../../../trainers/wine/image.yaml")),
    ("requirements.in", include_str!("../../../../../trainers/wine/requirements.in")),
];

/// An example's declaration for another trainer, in a project that need not be a clone of this repository.
fn declaration(text: &str, trainer: &str) -> String {
    let text = text.replace("wine", trainer).replace(" -c ../../tools/setup/requirements.lock", "");
    text.lines().filter(|line| !line.starts_with("# yaml-language-server")).map(|line| format!("{line}\n")).collect()
}

const EXPERIMENT: &str = include_str!("../../../templates/program/experiment.yaml");

/// What is written for a program besides the experiment.
pub(super) struct Skeleton {
    trainer: String,
    /// Whether the trainer was there before.
    exists: bool,
    /// New and changed files by path.
    files: BTreeMap<String, String>,
}

impl Skeleton {
    /// The files for a trainer of this name: its code, if there is none yet, and its image in the environment `local`, if it has none there.
    pub(super) fn new(tree: &Tree, project: &Project, trainer: &str) -> Result<Self, Failure> {
        if !is_name(trainer) {
            return Err(Failure::Input(format!(
                "--program {trainer}: a trainer is named by lower-case letters, digits and `-`, starting with a letter, not ending in `-`, \
                 at most 63 characters"
            )));
        }
        let folder = trainer_folder(trainer);
        let exists = tree.files_in(&folder).next().is_some();
        let mut files = BTreeMap::new();
        if !exists {
            files.extend(CODE.map(|(name, text)| (format!("{folder}/{name}"), text.replace("TRAINER", trainer))));
            files.extend(LOCKS.map(|(name, text)| (format!("{folder}/{name}"), text.to_owned())));
            files.extend(DECLARATIONS.map(|(name, text)| (format!("{folder}/{name}"), declaration(text, trainer))));
        }
        if let Some(environment) = project.environments.get(ENVIRONMENT)
            && !environment.cluster.trainers.contains_key(trainer)
        {
            let path = cluster::path(ENVIRONMENT);
            let image = image(&environment.cluster.trainer_image, trainer);
            let text = tree.text(&path).unwrap_or_default();
            let text = cluster::with_trainer(&text, trainer, &image).ok_or_else(|| {
                Failure::Input(format!(
                    "add `trainers: {{{trainer}: {image}}}` below `spec` of {path}, then run this again"
                ))
            })?;
            files.insert(path, text);
        }
        Ok(Self { trainer: trainer.to_owned(), exists, files })
    }

    /// The experiment that runs it.
    pub(super) fn experiment(&self, name: &str, dataset: &str) -> String {
        EXPERIMENT.replace("EXPERIMENT", name).replace("DATASET", dataset).replace("TRAINER", &self.trainer)
    }

    /// The new and changed files with their contents.
    pub(super) fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Says that new code reads other files than the dataset has.
    pub(super) fn warn_of_other_files(&self, context: &Context, dataset: &str) {
        if !self.exists {
            let folder = trainer_folder(&self.trainer);
            context.warn(format!(
                "warning: {folder}/train.py reads images in IDX files, and {dataset} has other files: change `split()` and `network()` there"
            ));
        }
    }

    /// Says what was written and what to do next.
    pub(super) fn say(&self, context: &Context, files: &[String]) {
        for file in files {
            context.say(context.paint("32", &format!("+ {file}")));
        }
        let experiment = &files[0];
        let folder = trainer_folder(&self.trainer);
        let code = if self.exists { format!("{folder} is as it was") } else { format!("the program is in {folder}") };
        context.say(format!("{code}; next: edit it, `slipway plan {experiment}`, `slipway propose {experiment}`"));
    }
}

/// The image that a trainer gets beside the built-in one: the same repository and tag with another name.
fn image(built_in: &str, trainer: &str) -> String {
    let (folder, name) = built_in.rsplit_once('/').unwrap_or(("", built_in));
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let tag = name.split_once(':').map_or("latest", |(_, tag)| tag);
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}{trainer}:{tag}")
}

/// Whether a text is an RFC 1035 label.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.ends_with('-')
        && text.len() <= 63
}

#[cfg(test)]
mod tests {
    use super::image;

    #[test]
    fn a_trainer_has_its_image_beside_the_built_in_one() {
        assert_eq!(image("localhost:5001/slipway/trainer:0.1.0", "cnn"), "localhost:5001/slipway/cnn:0.1.0");
        assert_eq!(image("r/trainer:1@sha256:00", "cnn"), "r/cnn:1");
        assert_eq!(image("trainer", "cnn"), "cnn:latest");
    }
}
