//! The kustomize program that a command uses.

use std::path::{Path, PathBuf};

use slipway_deployment::{HOW_TO_GET_KUSTOMIZE, Kustomize};

use crate::cache;
use crate::failure::Failure;

/// Which program to run.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct KustomizeArgs {
    /// The kustomize program [default: the one that `make setup` built, otherwise kustomize or kubectl on the PATH]
    #[arg(long, env = "SLIPWAY_KUSTOMIZE", hide_env_values = true, value_name = "PROGRAM")]
    kustomize: Option<PathBuf>,
}

impl KustomizeArgs {
    /// The program, or `None` if none was named and none was found.
    pub(crate) fn find(&self) -> Result<Option<Kustomize>, Failure> {
        let cache = cache::folder()?;
        if let Some(given) = &self.kustomize {
            let found = Kustomize::find(given, &cache);
            return found.map(Some).ok_or_else(|| {
                Failure::Environment(format!(
                    "--kustomize {}: this program does not exist; how to get it: {HOW_TO_GET_KUSTOMIZE}",
                    given.display()
                ))
            });
        }
        // The pinned one first: then everybody builds the same, and the same as CI.
        let pinned = cache.join("tools/bin/kustomize");
        let names = [pinned.as_path(), Path::new("kustomize"), Path::new("kubectl")];
        Ok(names.into_iter().find_map(|name| Kustomize::find(name, &cache)))
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
