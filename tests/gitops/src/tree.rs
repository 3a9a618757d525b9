//! The tree of this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::program::kustomize;
use crate::upstream;

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The environments: the folders of clusters/.
///
/// # Errors
/// When they cannot be listed.
pub fn environments() -> Result<Vec<String>> {
    Ok(folders(&repository().join("clusters"))?.iter().map(|path| name(path)).collect())
}

/// Every folder of an environment that kustomize builds: the cluster, its root, and its overlays.
///
/// # Errors
/// When they cannot be listed.
pub fn builds(environment: &str) -> Result<Vec<PathBuf>> {
    let cluster = repository().join("clusters").join(environment);
    let mut all = vec![cluster.clone(), cluster.join("root")];
    all.extend(
        folders(&repository().join("overlays").join(environment))?
            .into_iter()
            .filter(|folder| folder.join("kustomization.yaml").exists()),
    );
    Ok(all)
}

/// What an Application deploys.
#[derive(Debug)]
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// Its objects.
    pub objects: Vec<Value>,
}

/// What Argo CD deploys to an environment: each Application with its objects.
///
/// # Errors
/// When a source does not build.
pub fn deployed(environment: &str) -> Result<Vec<Deployed>> {
    let mut all = Vec::new();
    for application in documents(&kustomize(&repository().join("clusters").join(environment))?)? {
        if application["kind"] != "Application" {
            continue;
        }
        let name = application["metadata"]["name"].as_str().context("an Application without a name")?.to_owned();
        let spec = &application["spec"];
        let sources = spec["sources"].as_array().cloned().unwrap_or_else(|| vec![spec["source"].clone()]);
        let mut objects = Vec::new();
        let namespace = spec["destination"]["namespace"].as_str().unwrap_or_default();
        for source in sources {
            let text = upstream::render(&name, namespace, &source).with_context(|| format!("Application {name}"))?;
            objects.extend(documents(&text)?);
        }
        all.push(Deployed { name, objects });
    }
    Ok(all)
}

/// What an overlay is with more components of base/, such as `mlflow/login`. They come after its settings and images, which are not put into
/// them: what is judged of it may not depend on those.
///
/// # Errors
/// When it does not build.
pub fn with(environment: &str, overlay: &str, components: &[&str]) -> Result<Vec<Value>> {
    let components: Vec<String> = components.iter().map(|one| format!("base/{one}")).collect();
    built(&format!("overlays/{environment}/{overlay}"), &components)
}

/// What a folder of base/ is with a component of base/ and the settings of an environment, which are put into both: the component comes first, as it
/// does in an overlay where somebody switches it on.
///
/// # Errors
/// When it does not build.
pub fn with_settings(environment: &str, base: &str, component: &str) -> Result<Vec<Value>> {
    let components = [format!("base/{component}"), format!("clusters/{environment}/settings")];
    built(&format!("base/{base}"), &components)
}

/// What a folder of the repository is with other folders as its components.
fn built(folder: &str, components: &[String]) -> Result<Vec<Value>> {
    let around = tempfile::tempdir()?;
    let up = "../".repeat(around.path().canonicalize()?.components().count());
    let root = repository().canonicalize()?;
    let at = |folder: &str| format!("{up}{}", root.join(folder).display());
    let components: Vec<String> = components.iter().map(|one| at(one)).collect();
    let kustomization = json!({"resources": [at(folder)], "components": components});
    std::fs::write(around.path().join("kustomization.yaml"), kustomization.to_string())?;
    documents(&kustomize(around.path())?)
}

/// The documents of a text that kustomize printed.
///
/// # Errors
/// When it is no YAML.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    Ok(all)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
