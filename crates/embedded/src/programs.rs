//! Where the programs are that the loop runs.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The programs that the loop runs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `slipway-trainer`
    pub trainer: PathBuf,
    /// `slipway-launch`
    pub launcher: PathBuf,
    /// `slipway-server`
    pub server: PathBuf,
    /// `slipway-manager`
    pub manager: PathBuf,
    /// `slipway-monitor`
    pub monitor: PathBuf,
    /// A Python interpreter that has MLflow and Streamlit.
    pub python: PathBuf,
    /// The folder that holds the page's `app.py`.
    pub demo_ui: PathBuf,
}

/// One of the programs, and how to get it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Such as "the trainer".
    pub what: &'static str,
    /// Where it is expected.
    pub path: PathBuf,
    /// What to do if it is not there.
    pub how: String,
    /// The environment variable that overrides the path.
    pub variable: &'static str,
}

impl Programs {
    /// Each where its environment variable says, otherwise where `make` puts it: the programs of this build where `make build` or
    /// `make install` puts them for this `executable`, Python in the cache folder, the page in the repository.
    pub fn find(executable: &Path, repository: &Path) -> Self {
        Self {
            trainer: path_from("SLIPWAY_TRAINER").unwrap_or_else(|| of_the_same_build(executable, "slipway-trainer")),
            launcher: path_from("SLIPWAY_LAUNCHER").unwrap_or_else(|| of_the_same_build(executable, "slipway-launch")),
            server: path_from("SLIPWAY_SERVER").unwrap_or_else(|| of_the_same_build(executable, "slipway-server")),
            manager: path_from("SLIPWAY_MANAGER").unwrap_or_else(|| of_the_same_build(executable, "slipway-manager")),
            monitor: path_from("SLIPWAY_MONITOR").unwrap_or_else(|| of_the_same_build(executable, "slipway-monitor")),
            python: path_from("SLIPWAY_PYTHON").unwrap_or_else(|| cache().join("venv/bin/python")),
            demo_ui: path_from("SLIPWAY_DEMO_UI").unwrap_or_else(|| repository.join("apps/demo-ui")),
        }
    }

    /// Every program, with how to get it.
    pub fn each(&self) -> [Program; 7] {
        let made = |what, path: &Path, target, variable| {
            let how = format!("run `{target}` in Slipway's own repository, or set {variable}");
            Program { what, path: path.to_owned(), how, variable }
        };
        [
            made("the trainer", &self.trainer, "make build", "SLIPWAY_TRAINER"),
            made("the launcher", &self.launcher, "make build", "SLIPWAY_LAUNCHER"),
            made("the model server", &self.server, "make build", "SLIPWAY_SERVER"),
            made("the training manager", &self.manager, "make build", "SLIPWAY_MANAGER"),
            made("the dataset monitor", &self.monitor, "make build", "SLIPWAY_MONITOR"),
            made("Python with MLflow and Streamlit", &self.python, "make setup", "SLIPWAY_PYTHON"),
            Program {
                what: "the demo page",
                path: self.demo_ui.join("app.py"),
                how: "set SLIPWAY_DEMO_UI to the folder apps/demo-ui of Slipway's own repository".to_owned(),
                variable: "SLIPWAY_DEMO_UI",
            },
        ]
    }

    /// Checks that every program exists.
    ///
    /// # Errors
    /// The first one that does not.
    pub fn check(&self) -> Result<()> {
        match self.each().into_iter().find(|program| !program.path.is_file()) {
            None => Ok(()),
            Some(Program { what, path, how, .. }) => Err(Error::NoProgram { what, path, how }),
        }
    }
}

/// A program that was compiled together with `executable`: in its folder after `make build`; in `libexec/slipway` beside its folder
/// `bin` after `make install`.
fn of_the_same_build(executable: &Path, name: &str) -> PathBuf {
    // A symbolic link to the program may be in another folder.
    let executable = executable.canonicalize().unwrap_or_else(|_| executable.to_owned());
    let folder = executable.parent().unwrap_or(Path::new("."));
    let beside = folder.join(name);
    let installed = folder.parent().unwrap_or(folder).join("libexec/slipway").join(name);
    if !beside.is_file() && installed.is_file() { installed } else { beside }
}

/// The path in an environment variable, made absolute; `None` if the variable is unset or empty.
fn path_from(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable).filter(|value| !value.is_empty())?);
    // Children start in other folders.
    Some(std::path::absolute(&path).unwrap_or(path))
}

/// `${XDG_CACHE_HOME:-~/.cache}/slipway`
fn cache() -> PathBuf {
    let base = path_from("XDG_CACHE_HOME").or_else(|| path_from("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(|| PathBuf::from(".cache")).join("slipway")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn programs_of_a_build_and_of_an_installation_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in
            ["release/slipway", "release/slipway-server", "usr/bin/slipway", "usr/libexec/slipway/slipway-server"]
        {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        }
        let found = |executable: &str| of_the_same_build(&root.join(executable), "slipway-server");
        assert_eq!(found("release/slipway"), root.join("release/slipway-server"));
        assert_eq!(found("usr/bin/slipway"), root.join("usr/libexec/slipway/slipway-server"));
        std::os::unix::fs::symlink(root.join("usr/bin/slipway"), root.join("linked")).unwrap();
        assert_eq!(found("linked"), root.join("usr/libexec/slipway/slipway-server"));
        fs::remove_dir_all(root.join("usr/libexec")).unwrap();
        assert_eq!(found("usr/bin/slipway"), root.join("usr/bin/slipway-server"), "where an error message points to");
    }
}
