//! The model that a program made: found, checked, and made servable in the program's own Python.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use slipway_job::{Failure, Result};
use slipway_mlflow::{Client, LoggedModel, LoggedModelStatus, Run};

use crate::processes::Processes;
use crate::relay::last_lines;

/// What runs in the program's Python.
const SCRIPT: &str = include_str!("servable.py");
/// How long the check may take, loading included.
const CHECK: Duration = Duration::from_secs(15 * 60);
/// The files of a model that a program may leave in `SLIPWAY_OUTPUT`.
const FILES: [&str; 2] = ["model.ts", "model.pt2"];

/// What a program made.
#[derive(Debug)]
pub(crate) enum Found {
    /// A model that it logged to its run.
    Logged(LoggedModel),
    /// A file in its output folder.
    File(&'static str),
}

/// Finds the one model to register.
///
/// # Errors
/// [`Failure::Gate`] if there is none, or more than one.
pub(crate) async fn find(client: &Client, run: &Run, name: &str, output: &Path) -> Result<Found> {
    let mut logged = client.logged_models_of_run(run).await?;
    logged.retain(|model| model.status == LoggedModelStatus::Ready);
    let files: Vec<&'static str> = FILES.into_iter().filter(|file| output.join(file).is_file()).collect();
    choose(logged, &files, name).map_err(Failure::Gate)
}

/// The only model; of several, the only one with the name under which it is registered.
fn choose(mut logged: Vec<LoggedModel>, files: &[&'static str], name: &str) -> Result<Found, String> {
    if logged.len() + files.len() > 1 && logged.iter().filter(|model| model.name == name).count() == 1 {
        logged.retain(|model| model.name == name);
        return choose(logged, &[], name);
    }
    match (logged.len(), files) {
        (0, [file]) => Ok(Found::File(file)),
        (0, []) => Err(format!(
            "the program logged no model, so nothing is registered as `{name}`: log one, such as by \
             mlflow.pytorch.log_model(model, name=\"{name}\", signature=…), or write model.ts and signature.json to $SLIPWAY_OUTPUT"
        )),
        (1, []) => Ok(Found::Logged(logged.remove(0))),
        (_, files) => {
            let mut names: Vec<_> =
                logged.iter().map(|model| format!("`{}` ({})", model.name, model.model_id)).collect();
            names.extend(files.iter().map(|file| format!("$SLIPWAY_OUTPUT/{file}")));
            names.sort();
            Err(format!(
                "the program made {} models, so nobody knows which one to register: {}; log only one, or give one of them, and no other, the \
                 name `{name}`",
                names.len(),
                names.join(", ")
            ))
        }
    }
}

/// What the check found out.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Checked {
    #[serde(default)]
    pub(crate) flavor: String,
    /// What can serve it; `None` if nothing can.
    pub(crate) engine: Option<String>,
    /// Why nothing can serve it.
    pub(crate) unservable: Option<String>,
    /// Why it must not be registered.
    refused: Option<String>,
}

/// Where a program has run, and with what: the check of its model runs there as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workspace<'a> {
    /// The folder of the code.
    pub(crate) folder: &'a Path,
    pub(crate) command: &'a str,
    pub(crate) variables: &'a BTreeMap<OsString, OsString>,
    /// Where the program may have put files of a model.
    pub(crate) output: &'a Path,
}

/// Checks a model, and writes the folder `slipway/` into the folder `into` if a server can run it.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    pub(crate) client: &'a Client,
    pub(crate) processes: &'a Processes,
    pub(crate) workspace: Workspace<'a>,
    pub(crate) into: &'a Path,
    pub(crate) labels: Option<&'a [String]>,
}

impl Check<'_> {
    /// # Errors
    /// [`Failure::Gate`] if the model must not be registered.
    pub(crate) async fn run(&self, found: &Found) -> Result<Checked> {
        let file = |action: &str, path: &Path, error: std::io::Error| {
            Failure::Unexpected(format!("cannot {action} {}: {error}", path.display()))
        };
        let Workspace { folder, command: name, variables, output } = self.workspace;
        let mut task = serde_json::json!({"into": self.into, "program": folder, "labels": self.labels});
        match found {
            Found::Logged(model) => task["model"] = self.download(model).await?.to_string_lossy().into(),
            Found::File(made) => {
                task["output"] = output.to_string_lossy().into();
                task["file"] = (*made).into();
            }
        }
        let script = self.into.join("servable.py");
        std::fs::write(&script, SCRIPT).map_err(|error| file("write", &script, error))?;
        let python = interpreter(name, folder, variables.get(OsStr::new("PATH"))).ok_or_else(|| {
            Failure::Gate("there is no `python3` on the PATH of the program, so its model cannot be checked: add Python with MLflow to the image".to_owned())
        })?;
        let mut command = Command::new(&python);
        command.arg("-I").arg(&script).arg(task.to_string()).current_dir(folder).env_clear().envs(variables);
        command.env("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").env("CUDA_VISIBLE_DEVICES", "");
        // it must not write to the run
        command.env_remove("MLFLOW_RUN_ID");
        let Some(ended) = self.processes.run(&mut command, Some(CHECK)).await? else {
            let minutes = CHECK.as_secs() / 60;
            return Err(Failure::Gate(format!(
                "checking the model took longer than {minutes} minutes, so nothing is registered"
            )));
        };
        let result = self.into.join("result.json");
        let text = match std::fs::read(&result) {
            Ok(text) if ended.status.success() => text,
            _ => {
                return Err(Failure::Gate(format!(
                    "the model cannot be checked, so nothing is registered: {} {}; its last lines:\n{}",
                    python.display(),
                    ended.status,
                    last_lines(&ended.errors, 6)
                )));
            }
        };
        let checked: Checked = serde_json::from_slice(&text)
            .map_err(|error| Failure::Unexpected(format!("{}: {error}", result.display())))?;
        match &checked.refused {
            Some(reason) => Err(Failure::Gate(format!("{reason}; nothing is registered"))),
            None => Ok(checked),
        }
    }

    /// The files of a logged model. The library takes a folder, and a program's own environment need not hold the login that this one has.
    async fn download(&self, model: &LoggedModel) -> Result<PathBuf> {
        let folder = self.into.join("logged");
        for artifact in self.client.list_artifacts(&model.artifact_uri).await? {
            let to = folder.join(&artifact.path);
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|error| Failure::Unexpected(format!("cannot create {}: {error}", parent.display())))?;
            }
            self.client.download_artifact(&model.artifact_uri, &artifact.path, artifact.size, &to).await?;
        }
        Ok(folder)
    }
}

/// The program's Python: the one that its command names, or the first on its PATH.
fn interpreter(command: &str, folder: &Path, path: Option<&OsString>) -> Option<PathBuf> {
    let is_python = Path::new(command).file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    if is_python && command.contains('/') {
        return Some(folder.join(command)).filter(|path| path.is_file());
    }
    let own = is_python.then_some(command);
    let names = own.into_iter().chain(["python3", "python"]);
    let folders: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    names.flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn logged(names: &[&str]) -> Vec<LoggedModel> {
        let model = |(n, name): (usize, &&str)| {
            serde_json::from_value(serde_json::json!({
                "model_id": format!("m-{n}"), "name": name, "artifact_uri": "mlflow-artifacts:/1", "status": "LOGGED_MODEL_READY",
            }))
            .unwrap()
        };
        names.iter().enumerate().map(model).collect()
    }

    #[test]
    fn one_model_is_registered() {
        let chosen = |names: &[&str], files: &[&'static str]| match choose(logged(names), files, "fashion") {
            Ok(Found::Logged(model)) => model.model_id,
            Ok(Found::File(file)) => file.to_owned(),
            Err(reason) => reason,
        };
        assert_eq!(chosen(&["model"], &[]), "m-0");
        assert_eq!(chosen(&[], &["model.ts"]), "model.ts");
        assert_eq!(chosen(&["model", "fashion"], &[]), "m-1");
        assert_eq!(chosen(&["fashion"], &["model.ts"]), "m-0");
        assert!(chosen(&[], &[]).contains("logged no model"));
        let several = chosen(&["a", "b"], &["model.ts"]);
        assert!(
            several.contains("3 models") && several.contains("$SLIPWAY_OUTPUT/model.ts, `a` (m-0), `b` (m-1)"),
            "{several}"
        );
        assert!(chosen(&["fashion", "fashion"], &[]).contains("2 models"));
    }

    #[test]
    fn the_programs_own_python_checks_its_model() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/python3.12", "a/python", "b/python3", "code/venv/bin/python"] {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let path = std::env::join_paths([folder.path().join("a"), folder.path().join("b")]).unwrap();
        for (command, expected) in [
            ("python", "a/python"),
            ("python3.12", "a/python3.12"),
            ("torchrun", "b/python3"),
            ("./venv/bin/python", "code/./venv/bin/python"),
        ] {
            let found = interpreter(command, &folder.path().join("code"), Some(&path));
            assert_eq!(found, Some(folder.path().join(expected)), "{command}");
        }
        assert_eq!(interpreter("./train.sh", folder.path(), None), None);
    }
}
