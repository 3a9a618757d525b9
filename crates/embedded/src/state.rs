//! `state.json`: where the parts of a running loop are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::state_folder::{STATE, StateFolder};
use crate::{Error, Result, files};

/// Where the parts of a running loop are: `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that runs the loop.
    pub pid: u32,
    /// URL of the S3 endpoint.
    pub s3: String,
    /// URL of MLflow.
    pub mlflow: String,
    /// URL of the model server.
    pub server: String,
    /// URL of the training manager.
    pub manager: String,
    /// URL of the dataset monitor.
    #[serde(default)]
    pub monitor: String,
    /// URL of the page.
    pub page: String,
    /// The file by which clients of Kubernetes find the jobs: `KUBECONFIG=… kubectl get trainjobs`.
    pub kubeconfig: PathBuf,
    /// The bare repository.
    pub forge: PathBuf,
}

impl State {
    /// The loop that runs in a state folder; `None` if none is ready there, whatever a killed one left behind.
    ///
    /// # Errors
    /// When the folder or its `state.json` cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let holder = StateFolder::holder(folder)?;
        if !holder.is_some_and(|holder| holder.ready) {
            return Ok(None);
        }
        let path = folder.join(STATE);
        let text = files::read_if_there(&path)?;
        // A holder is ready only while the file is its own: the same one before and after the reading wrote what was read.
        let Some(text) = text.filter(|_| StateFolder::holder(folder).is_ok_and(|now| now == holder)) else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|error| Error::Malformed { path, reason: error.to_string() })
    }

    /// The loop that runs for a repository, with its state folder: that of `slipway up`, otherwise that of `slipway demo`.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn of_repository(repository: &Path) -> Result<Option<(PathBuf, Self)>> {
        for folder in StateFolder::of_repository(repository) {
            if let Some(state) = Self::read(&folder)? {
                return Ok(Some((folder, state)));
            }
        }
        Ok(None)
    }

    /// Writes it and marks the folder's holder as ready, so that [`State::read`] finds it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish(&self, folder: &StateFolder) -> Result<()> {
        let path = folder.path().join(STATE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
        files::write(&path, text.as_bytes())?;
        folder.set_ready(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let url = || "http://127.0.0.1:1".to_owned();
        State {
            pid: 7,
            s3: url(),
            mlflow: url(),
            server: url(),
            manager: url(),
            monitor: url(),
            page: url(),
            kubeconfig: PathBuf::from("/kubeconfig"),
            forge: PathBuf::from("/forge.git"),
        }
    }

    #[test]
    fn a_state_counts_only_while_its_loop_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateFolder::take(folder.path(), false).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        state().publish(&first).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), Some(state()));
        let refused = StateFolder::take(folder.path(), true).unwrap_err();
        assert!(matches!(refused, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{refused}");
        drop(first);
        assert!(folder.path().join(STATE).exists());
        assert_eq!(State::read(folder.path()).unwrap(), None, "a dead loop's state is not believed");
        let second = StateFolder::take(folder.path(), false).unwrap();
        assert!(!folder.path().join(STATE).exists());
        // As if the removal came only now: the new loop is not ready, so what the old one left is not its state.
        std::fs::write(folder.path().join(STATE), serde_json::to_string(&state()).unwrap()).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        state().publish(&second).unwrap();
        second.forget().unwrap();
        assert!(StateFolder::holder(folder.path()).unwrap().is_some_and(|holder| !holder.ready));
    }
}
