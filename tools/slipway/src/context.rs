//! What every command is given: where the project is, and how to print.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use slipway_git::Repository;

use crate::failure::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Text,
    /// One JSON value on standard output; everything else goes to standard error.
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// What every command is given.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The project's folder, absolute: the top of a repository, or a folder of one.
    pub(crate) root: PathBuf,
    /// How results are printed.
    pub(crate) output: Output,
}

impl Context {
    /// Finds the project: `given`, or the nearest folder from here up to the top of the repository that has `experiments/`.
    pub(crate) fn new(given: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let root = match given {
            Some(path) => given_folder(path)?,
            None => nearest()?,
        };
        Ok(Self { root, output })
    }

    /// Prints for a person: on standard output, or beside the JSON on standard error.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        // A closed pipe (`slipway plan | head`) is the reader's choice, not a failure.
        let _ = match self.output {
            Output::Text => writeln!(anstream::stdout().lock(), "{text}"),
            Output::Json => writeln!(anstream::stderr().lock(), "{text}"),
        };
    }

    /// Prints progress on standard error, if that is a terminal.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if std::io::stderr().is_terminal() {
            let _ = writeln!(anstream::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// Prints a warning on standard error.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        let _ = writeln!(anstream::stderr().lock(), "{}", self.paint("33", text.as_ref()));
    }

    /// Prints the result as JSON if JSON was asked for.
    pub(crate) fn json(&self, result: &impl Serialize) -> Result<(), Failure> {
        if self.output == Output::Json {
            let text = serde_json::to_string_pretty(result).map_err(|error| Failure::Unexpected(error.to_string()))?;
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
        Ok(())
    }

    /// Whether the result is printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// The text in a colour (an ANSI code such as `32`). The stream that it is printed on drops the colour if it shows none.
    pub(crate) fn paint(&self, code: &str, text: &str) -> String {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The folder that `--repo` names, which must be a project: in any other folder everything would be right, because there is nothing.
fn given_folder(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |reason: &dyn std::fmt::Display| Failure::Input(format!("--repo {}: {reason}", path.display()));
    let root = path.canonicalize().map_err(|error| wrong(&error))?;
    if !root.is_dir() {
        return Err(wrong(&"not a folder; name the folder of a Slipway project"));
    }
    if !root.join("experiments").is_dir() {
        return Err(wrong(&"not a Slipway project (no experiments/ folder); name the folder that has one"));
    }
    Ok(root)
}

/// The nearest folder with `experiments/`. A project does not reach into another repository, such as a submodule, so the search ends at
/// the top of the one that the current folder is in; outside of any repository it goes on to the root.
fn nearest() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::Unexpected(format!("current folder: {error}")))?;
    let top = Repository::open(&here).ok().map(|repository| repository.root().to_owned());
    let top = top.filter(|top| here.starts_with(top)).unwrap_or_else(|| PathBuf::from("/"));
    let mut folders = here.ancestors().take_while(|folder| folder.starts_with(&top));
    folders.find(|folder| folder.join("experiments").is_dir()).map(Path::to_path_buf).ok_or_else(|| {
        Failure::Input(format!(
            "no Slipway project in {} or above it, up to {} (no experiments/ folder): go into one, or name it with --repo",
            here.display(),
            top.display()
        ))
    })
}
