//! Which versions come into service and leave it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use slipway_markdown::code;
use slipway_project::{Tree, serving};

/// A model whose version in service changes in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The environment.
    pub environment: String,
    /// The registered model.
    pub model: String,
    /// The version before; `None` if none was in service.
    pub before: Option<u64>,
    /// The version after; `None` if none is in service any more.
    pub after: Option<u64>,
}

impl Served {
    /// What changes between two trees. A list with a mistake has a finding, and nothing here.
    #[must_use]
    pub fn all(before: &Tree, after: &Tree) -> Vec<Self> {
        let mut environments: BTreeSet<String> = before.folders_in("overlays").into_iter().collect();
        environments.extend(after.folders_in("overlays"));
        let mut all = Vec::new();
        for environment in environments {
            let (Ok(old), Ok(new)) = (serving::read(before, &environment), serving::read(after, &environment)) else {
                continue;
            };
            let models: BTreeSet<&str> = old.iter().chain(new.iter()).map(|pin| pin.name.as_str()).collect();
            for model in models {
                let (before, after) = (old.get(model), new.get(model));
                if before != after {
                    let [before, after] = [before, after].map(|pin| pin.map(|pin| pin.version));
                    all.push(Self { environment: environment.clone(), model: model.to_owned(), before, after });
                }
            }
        }
        all
    }

    /// What happens when it is merged, in one line of Markdown.
    pub(crate) fn planned(&self) -> String {
        let (model, environment) = (code(&self.model), code(&self.environment));
        match (self.before, self.after) {
            (None, Some(after)) => format!("Serves {model} version {after} in {environment}, where nothing was served"),
            (Some(before), Some(after)) => {
                format!("Serves {model} version {after} in {environment}; now it is version {before}")
            }
            (Some(before), None) => format!("Stops serving {model} version {before} in {environment}"),
            (None, None) => String::new(),
        }
    }

    /// What has happened, and how to take it back, in one line of Markdown.
    pub(crate) fn done(&self, number: Option<u64>) -> String {
        let (model, environment) = (code(&self.model), code(&self.environment));
        let what = match (self.before, self.after) {
            (None, Some(after)) => {
                format!("{model} version {after} is in service in {environment}, where nothing was served")
            }
            (Some(before), Some(after)) => {
                format!("{model} version {after} replaced version {before} in {environment}")
            }
            (Some(before), None) => format!("{model} version {before} is no longer in service in {environment}"),
            (None, None) => String::new(),
        };
        match number {
            Some(number) => format!("{what}. To go back, press *Revert* or run `slipway revert {number}`"),
            None => what,
        }
    }
}
