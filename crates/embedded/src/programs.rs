//! Where the programs are that the loop runs.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The programs that the loop runs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `slipway-trainer`
    pub trainer: PathBuf,
    /// `slipway-server`
    pub server: PathBuf,
    /// Python with MLflow and Streamlit.
    pub python: PathBuf,
    /// The folder that holds the page's `app.py`.
    pub demo_ui: PathBuf,
}

/// One of them: what it is, where, and how one gets it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Such as "the trainer".
    pub what: &'static str,
    /// Where it is looked for.
    pub path: PathBuf,
    /// The make target that makes it.
    pub target: &'static str,
    /// The environment variable that overrides the path.
    pub variable: &'static str,
}

impl Programs {
    /// Each where its environment variable says, or where `make` puts it: the trainer and the server beside `executable`,
    /// Python in the cache folder, the page in the repository.
    pub fn find(executable: &Path, repository: &Path) -> Self {
        let beside = executable.parent().unwrap_or(Path::new("."));
        Self {
            trainer: given("SLIPWAY_TRAINER").unwrap_or_else(|| beside.join("slipway-trainer")),
            server: given("SLIPWAY_SERVER").unwrap_or_else(|| beside.join("slipway-server")),
            python: given("SLIPWAY_PYTHON").unwrap_or_else(|| cache().join("venv/bin/python")),
            demo_ui: given("SLIPWAY_DEMO_UI").unwrap_or_else(|| repository.join("apps/demo-ui")),
        }
    }

    /// Every program with the way to get it.
    pub fn each(&self) -> [Program; 4] {
        let program = |what, path: &Path, target, variable| Program { what, path: path.to_owned(), target, variable };
        [
            program("the trainer", &self.trainer, "make build", "SLIPWAY_TRAINER"),
            program("the model server", &self.server, "make build", "SLIPWAY_SERVER"),
            program("Python with MLflow and Streamlit", &self.python, "make setup", "SLIPWAY_PYTHON"),
            program("the demo page", &self.demo_ui.join("app.py"), "git checkout apps/demo-ui", "SLIPWAY_DEMO_UI"),
        ]
    }

    /// # Errors
    /// The first program that is not there.
    pub fn check(&self) -> Result<()> {
        match self.each().into_iter().find(|program| !program.path.is_file()) {
            None => Ok(()),
            Some(Program { what, path, target, variable }) => Err(Error::NoProgram { what, path, target, variable }),
        }
    }
}

fn given(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable).filter(|value| !value.is_empty())?);
    // Children start in other folders.
    Some(std::path::absolute(&path).unwrap_or(path))
}

/// `${XDG_CACHE_HOME:-~/.cache}/slipway`
fn cache() -> PathBuf {
    let base = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(|| PathBuf::from(".cache")).join("slipway")
}
