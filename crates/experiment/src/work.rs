//! What a trial runs: the built-in trainer, or a program of one's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::template::substitute;
use crate::{Model, Parameter, Training};

/// What a trial runs. As JSON, its fields stand beside those of the trial: `model` and `training`, or `program`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Work {
    /// A program of one's own.
    #[serde(rename = "program")]
    Program(Program),
    /// The built-in trainer.
    #[serde(untagged)]
    BuiltIn {
        /// The network.
        model: Model,
        /// How it is trained.
        training: Training,
    },
}

/// A program of one's own: its code, how it is started, and its parameters.
///
/// In an experiment, `command` and `args` may hold `${name}`; in a trial the values of its parameters stand there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Shape")]
pub struct Program {
    /// Where the code is.
    #[serde(flatten)]
    pub code: Code,
    /// The program to start and its first arguments; not empty.
    pub command: Vec<String>,
    /// Arguments after those of the command.
    pub args: Vec<String>,
    /// The free parameters by name.
    pub parameters: BTreeMap<String, Parameter>,
}

/// Where the code of a program is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// In `trainers/<name>/` of the project.
    Trainer(String),
    /// In an image that was built elsewhere: `name@sha256:…`.
    Image(String),
}

/// A program as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    trainer: Option<String>,
    image: Option<String>,
    command: Vec<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
}

impl TryFrom<Shape> for Program {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<Self, Self::Error> {
        let Shape { trainer, image, command, args, parameters } = shape;
        let code = match (trainer, image) {
            (Some(name), None) => Code::Trainer(name),
            (None, Some(image)) => Code::Image(image),
            _ => return Err("program has `trainer` or `image`, one of the two"),
        };
        Ok(Self { code, command, args, parameters })
    }
}

impl Program {
    /// The trainer of the project that holds the code; `None` if the code is in an image that was built elsewhere.
    pub fn trainer(&self) -> Option<&str> {
        match &self.code {
            Code::Trainer(name) => Some(name),
            Code::Image(_) => None,
        }
    }

    /// Whether `${name}` is in the command or in the arguments.
    pub fn mentions(&self, name: &str) -> bool {
        let reference = crate::template::Part::Name(name);
        let texts = self.command.iter().chain(&self.args);
        texts.filter_map(|text| crate::template::parts(text).ok()).any(|parts| parts.contains(&reference))
    }

    /// The same with the values of its parameters in command and arguments.
    pub(crate) fn substituted(self) -> Self {
        let fill = |texts: &[String]| texts.iter().map(|text| substitute(text, &self.parameters)).collect();
        Self { command: fill(&self.command), args: fill(&self.args), ..self }
    }
}

impl Work {
    /// The program; `None` for the built-in trainer.
    pub fn program(&self) -> Option<&Program> {
        match self {
            Self::Program(program) => Some(program),
            Self::BuiltIn { .. } => None,
        }
    }

    /// The network and its training; `None` for a program of one's own.
    pub fn built_in(&self) -> Option<(&Model, &Training)> {
        match self {
            Self::Program(_) => None,
            Self::BuiltIn { model, training } => Some((model, training)),
        }
    }
}
