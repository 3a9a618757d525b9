//! What every command is given: where the project is, and how to print.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;
use crate::harmless::{harmless, harmless_json};
use crate::lookup;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person
    Text,
    /// One JSON value on standard output, also when the command fails
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
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
    /// Finds the project: `given`, or the nearest one from the current folder upwards.
    ///
    /// # Errors
    /// [`Failure::Input`] if there is none.
    pub(crate) fn new(given: Option<&Path>, output: Output) -> Result<Self, Failure> {
        Ok(Self { root: lookup::project(given)?, output })
    }

    /// For a command that needs no project: without one, its root is the current folder.
    pub(crate) fn anywhere(given: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let root = match (lookup::project(given), given) {
            (Ok(root), _) => root,
            (Err(failure), Some(_)) => return Err(failure),
            (Err(_), None) => lookup::here()?,
        };
        Ok(Self { root, output })
    }

    /// Prints the result for a person. As JSON, [`json`](Self::json) prints it instead.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if self.output == Output::Text {
            // A closed pipe (`slipway plan | head`) is the reader's choice, not a failure.
            let _ = writeln!(anstream::stdout().lock(), "{}", harmless(text.as_ref()));
        }
    }

    /// Prints what a long command is doing: with the result, or beside JSON on a terminal.
    pub(crate) fn progress(&self, text: impl AsRef<str>) {
        match self.output {
            Output::Text => self.say(text),
            Output::Json => self.note(text),
        }
    }

    /// Prints on standard error, if that is a terminal.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if std::io::stderr().is_terminal() {
            let _ = writeln!(anstream::stderr().lock(), "{}", harmless(text.as_ref()));
        }
    }

    /// Prints a warning on standard error.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        let _ = writeln!(anstream::stderr().lock(), "{}", harmless(&self.paint("33", text.as_ref())));
    }

    /// Prints the result as JSON if JSON was asked for.
    pub(crate) fn json(&self, result: &impl Serialize) -> Result<(), Failure> {
        if self.output == Output::Json {
            let text = serde_json::to_string_pretty(result).map_err(|error| Failure::Unexpected(error.to_string()))?;
            let _ = writeln!(std::io::stdout().lock(), "{}", harmless_json(&text));
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
