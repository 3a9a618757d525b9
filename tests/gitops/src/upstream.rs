//! Sources of Applications. An upstream repository is read from its Go module of the same version, which holds the same files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::charts;
use crate::program::{kustomize, run};
use crate::tree::repository;

/// The Go modules of the repositories that Applications name.
pub const MODULES: [(&str, &str); 4] = [
    ("https://github.com/argoproj/argo-cd.git", "github.com/argoproj/argo-cd/v3"),
    ("https://github.com/kubeflow/trainer.git", "github.com/kubeflow/trainer/v2"),
    ("https://github.com/kubernetes-sigs/gateway-api.git", "sigs.k8s.io/gateway-api"),
    ("https://github.com/kubernetes-sigs/jobset.git", "sigs.k8s.io/jobset"),
];

/// The objects of a source of an Application, as one text.
///
/// # Errors
/// When it does not build.
pub fn render(application: &str, namespace: &str, source: &Value) -> Result<String> {
    if source.get("chart").is_some() {
        return charts::render(application, namespace, source);
    }
    let text = |key: &str| source[key].as_str().with_context(|| format!("a source without {key}: {source}"));
    let (url, path) = (text("repoURL")?, text("path")?);
    let Some((_, module)) = MODULES.iter().find(|(known, _)| *known == url) else {
        let folder = repository().join(path);
        if source.get("directory").is_some() {
            return plain(&folder);
        }
        return kustomize(&folder);
    };
    with_options(&module_folder(module, text("targetRevision")?)?.join(path), source.get("kustomize"))
}

/// Where a Go module's files are, downloaded when they are not there.
///
/// # Errors
/// When the module or the version does not exist.
pub fn module_folder(module: &str, version: &str) -> Result<PathBuf> {
    let printed = run(
        Command::new("go")
            .args(["mod", "download", "-json", &format!("{module}@{version}")])
            .env("GOFLAGS", "-mod=mod"),
        "",
    )?;
    ensure!(printed.succeeded, "go mod download {module}@{version}: {}{}", printed.output, printed.errors);
    let answer: Value = serde_json::from_str(&printed.output)?;
    Ok(answer["Dir"].as_str().context("go named no folder")?.into())
}

/// Builds a folder with what `source.kustomize` changes, as Argo CD does.
fn with_options(folder: &Path, options: Option<&Value>) -> Result<String> {
    let Some(options) = options else { return kustomize(folder) };
    let around = tempfile::tempdir()?;
    let up = "../".repeat(around.path().canonicalize()?.components().count());
    let mut kustomization = json!({"resources": [format!("{up}{}", folder.canonicalize()?.display())]});
    for (key, value) in options.as_object().context("kustomize is not a map")? {
        kustomization[key] = match key.as_str() {
            "namespace" | "patches" => value.clone(),
            "images" => {
                value.as_array().context("images is not a list")?.iter().map(image).collect::<Result<Value>>()?
            }
            other => bail!("source.kustomize.{other} is not known to this test"),
        };
    }
    std::fs::write(around.path().join("kustomization.yaml"), kustomization.to_string())?;
    kustomize(around.path())
}

/// `NAME:TAG` or `NAME=NEW:TAG` in kustomize's words.
fn image(text: &Value) -> Result<Value> {
    let text = text.as_str().context("an image is not a text")?;
    let (target, tag) = text.rsplit_once(':').with_context(|| format!("{text} has no tag"))?;
    let (name, new) = target.split_once('=').unwrap_or((target, target));
    Ok(json!({"name": name, "newName": new, "newTag": tag}))
}

fn plain(folder: &Path) -> Result<String> {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            all.push_str("---\n");
            all.push_str(&std::fs::read_to_string(path)?);
        }
    }
    Ok(all)
}
