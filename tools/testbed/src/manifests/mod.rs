//! Manifests of the components, rendered from upstream's own (from their Go modules) and the testbed's small changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::file::at;
use crate::inputs::Inputs;
use crate::progress::Progress;
use crate::{Cache, build};

/// A component that can be applied to a cluster.
#[derive(Debug)]
pub struct Component {
    /// Its folder in the testbed's `manifests/`; rendered, it is `NAME.crds.yaml` and `NAME.yaml` in the cache.
    pub name: &'static str,
}

/// Every component, in the order in which they are applied.
pub const COMPONENTS: &[Component] = &[
    Component { name: "node" },
    Component { name: "dns" },
    Component { name: "storage" },
    Component { name: "jobset" },
    Component { name: "trainer" },
    Component { name: "argocd" },
    Component { name: "gateway" },
    Component { name: "minio" },
    Component { name: "mlflow" },
];

/// Upstream's manifests: name in the cache, program whose module pins the version, module, folder in the module.
const UPSTREAM: &[(&str, &str, &str, &str)] = &[
    ("jobset", "jobset", "sigs.k8s.io/jobset", "config"),
    ("trainer", "jobset", "github.com/kubeflow/trainer/v2", "manifests"),
    ("gateway-api", "traefik", "sigs.k8s.io/gateway-api", "config/crd"),
    ("argocd", "argocd", "github.com/argoproj/argo-cd/v3", "manifests"),
];

/// Why manifests could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] crate::file::Error),
    /// kustomize failed.
    #[error("kustomize build {}: {output}", folder.display())]
    Kustomize {
        /// The folder to build.
        folder: PathBuf,
        /// What it printed.
        output: String,
    },
    /// A module of upstream.
    #[error(transparent)]
    Build(#[from] build::Error),
}

type Result<T> = std::result::Result<T, Error>;

/// Renders the manifests if a pinned version or a manifest of the testbed has changed.
///
/// # Errors
/// kustomize is not built, a module cannot be downloaded, or a manifest is wrong.
pub fn render(cache: &Cache, progress: &Progress) -> Result<()> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let stamp = cache.manifests().join("stamp");
    let key = key(&own)?;
    if fs::read_to_string(&stamp).is_ok_and(|written| written == key) {
        return Ok(());
    }
    let step = progress.step("manifests");
    clear(&cache.manifests())?;
    clear(&cache.upstream())?;
    for (name, program, module, folder) in UPSTREAM {
        step.now(name);
        let from = build::module_folder(cache, build::program(program)?, module)?.join(folder);
        copy(&from, &cache.upstream().join(name))?;
    }
    copy(&own, &cache.manifests())?;
    for component in COMPONENTS {
        step.now(component.name);
        let rendered = kustomize(cache, &cache.manifests().join(component.name))?;
        let (crds, rest) = split(&rendered);
        for (suffix, content) in [(".crds.yaml", crds), (".yaml", rest)] {
            if !content.is_empty() {
                write(&cache.manifests().join(format!("{}{suffix}", component.name)), &content)?;
            }
        }
    }
    write(&stamp, &key)?;
    step.done(&format!("{} components", COMPONENTS.len()));
    Ok(())
}

/// Separates custom resource definitions, which must be established before the rest is applied, from the rest.
fn split(rendered: &str) -> (String, String) {
    let (mut crds, mut rest) = (String::new(), String::new());
    for document in rendered.split("\n---\n") {
        let is_crd = document.lines().any(|line| line == "kind: CustomResourceDefinition");
        let to = if is_crd { &mut crds } else { &mut rest };
        to.push_str("---\n");
        to.push_str(document.trim_end());
        to.push('\n');
    }
    (crds, rest)
}

fn kustomize(cache: &Cache, folder: &Path) -> Result<String> {
    let program = cache.program("kustomize");
    let output = Command::new(&program).arg("build").arg(folder).output();
    let output = output.map_err(at(&program))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Kustomize { folder: folder.to_owned(), output: errors });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A digest of everything that the manifests are built from.
fn key(own: &Path) -> Result<String> {
    let mut inputs = Inputs::default();
    inputs.part(include_str!("mod.rs")).tree(own).map_err(at(own))?;
    for module in ["controllers", "traefik", "argocd", "kustomize"] {
        let pins = build::modules().join(module).join("go.sum");
        inputs.tree(&pins).map_err(at(&pins))?;
    }
    Ok(inputs.digest())
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(folder)(error).into()),
        _ => {}
    }
    Ok(fs::create_dir_all(folder).map_err(at(folder))?)
}

/// Copies the content without the permissions, since what Go has unpacked is read only.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let path = entry.map_err(at(from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            let content = fs::read(&path).map_err(at(&path))?;
            fs::write(&target, content).map_err(at(&target))?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &str) -> Result<()> {
    Ok(fs::write(path, content).map_err(at(path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_separated() {
        let rendered =
            "apiVersion: v1\nkind: Namespace\n---\nkind: CustomResourceDefinition\nspec: {}\n---\nkind: Service\n";
        let (crds, rest) = split(rendered);
        assert_eq!(crds, "---\nkind: CustomResourceDefinition\nspec: {}\n");
        assert_eq!(rest, "---\napiVersion: v1\nkind: Namespace\n---\nkind: Service\n");
    }

    #[test]
    fn every_component_has_manifests() {
        for component in COMPONENTS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(component.name);
            assert!(folder.join("kustomization.yaml").is_file(), "{}", component.name);
        }
    }
}
