//! The programs that render what is deployed: kustomize and helm.

use std::path::{Path, PathBuf};

use slipway_deployment::{HOW_TO_GET_HELM, HOW_TO_GET_KUSTOMIZE, Helm, Kustomize};

use crate::cache;
use crate::failure::Failure;

/// Which kustomize to run.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct KustomizeArgs {
    /// The kustomize program [default: the one that `make setup` built, otherwise kustomize or kubectl on the PATH]
    #[arg(long, env = "SLIPWAY_KUSTOMIZE", hide_env_values = true, value_name = "PROGRAM")]
    kustomize: Option<PathBuf>,
}

impl KustomizeArgs {
    /// The program, or `None` if none was named and none was found.
    pub(crate) fn find(&self) -> Result<Option<Kustomize>, Failure> {
        let names = ["kustomize", "kubectl"];
        find("kustomize", self.kustomize.as_deref(), &names, HOW_TO_GET_KUSTOMIZE, Kustomize::find)
    }

    /// The program. Fails with how to get it if it was not found.
    pub(crate) fn need(&self) -> Result<Kustomize, Failure> {
        self.find()?.ok_or_else(|| {
            Failure::Environment(format!(
                "kustomize is needed and was not found; how to get it: {HOW_TO_GET_KUSTOMIZE}"
            ))
        })
    }
}

/// Which helm to run.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct HelmArgs {
    /// The helm program [default: the one that `make setup` built, otherwise helm on the PATH]
    #[arg(long, env = "SLIPWAY_HELM", hide_env_values = true, value_name = "PROGRAM")]
    helm: Option<PathBuf>,
}

impl HelmArgs {
    /// The program, or `None` if none was named and none was found.
    pub(crate) fn find(&self) -> Result<Option<Helm>, Failure> {
        find("helm", self.helm.as_deref(), &["helm"], HOW_TO_GET_HELM, Helm::find)
    }
}

/// The program that was given by its option, otherwise the pinned one, otherwise the first of `names` on the PATH.
fn find<T>(
    name: &str,
    given: Option<&Path>,
    names: &[&str],
    how: &str,
    at: impl Fn(&Path, &Path) -> Option<T>,
) -> Result<Option<T>, Failure> {
    let cache = cache::folder()?;
    if let Some(given) = given {
        return at(given, &cache).map(Some).ok_or_else(|| {
            let given = given.display();
            Failure::Environment(format!("--{name} {given}: this program does not exist; how to get it: {how}"))
        });
    }
    // The pinned one first: then everybody renders the same, and the same as CI.
    let pinned = cache.join("tools/bin").join(name);
    Ok(at(&pinned, &cache).or_else(|| names.iter().find_map(|name| at(Path::new(name), &cache))))
}
