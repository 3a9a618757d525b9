//! Which versions come into service and leave it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use slipway_digest::Digest;
use slipway_markdown::{code, shortened};
use slipway_project::{Tree, serving};

use crate::comparison::{compared, compared_with_replaced, judged};
use crate::expectation::Expectations;
use crate::results::Version;
use crate::short::text;

/// A model whose version in service changes in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InService {
    /// The environment.
    pub environment: String,
    /// The registered model.
    pub model: String,
    /// The version before; `None` if none was in service.
    pub before: Option<u64>,
    /// The version after; `None` if none is in service any more.
    pub after: Option<u64>,
}

impl InService {
    /// What changes between two trees. A list with a mistake is a finding, and nothing here.
    #[must_use]
    pub fn all(before: &Tree, after: &Tree) -> Vec<Self> {
        let environments: BTreeSet<String> =
            [before, after].into_iter().flat_map(|tree| tree.folders_in("overlays")).collect();
        let mut changed = Vec::new();
        for environment in environments {
            let of = |tree: &Tree| -> BTreeMap<String, (u64, Digest)> {
                let pins = serving::read(tree, &environment).unwrap_or_default();
                pins.iter().map(|pin| (pin.name.clone(), (pin.version, pin.digest))).collect()
            };
            let (old, new) = (of(before), of(after));
            let models: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            changed.extend(models.into_iter().filter(|model| old.get(*model) != new.get(*model)).map(|model| Self {
                environment: environment.clone(),
                model: model.clone(),
                before: old.get(model).map(|(version, _)| *version),
                after: new.get(model).map(|(version, _)| *version),
            }));
        }
        changed
    }

    /// What changes and how good the versions are, within a line of Markdown.
    pub(crate) fn compared(&self, known: &Expectations) -> String {
        let line = self.line();
        let Some(after) = self.after else { return line };
        let version = |number: u64| known.versions.get(&(self.model.clone(), number));
        let Some(new) = version(after) else {
            let why = known.unavailable.as_deref().unwrap_or("the registry does not have it");
            return format!("{line} (⚠ how good it is is not known: {})", text(why));
        };
        match self.before {
            None => format!("{line}: {}", judged(new)),
            Some(before) => {
                let unknown = Version { number: before, ..Version::default() };
                format!("{line}: {}; {}", judged(new), compared(new, Some(version(before).unwrap_or(&unknown))))
            }
        }
    }

    /// What has changed by a merge, and how good the versions are as far as that is `known` by model, within a line of Markdown.
    pub(crate) fn replaced(&self, known: &[(String, Version)]) -> String {
        let line = self.line();
        let version = |number: u64| {
            let found = known.iter().find(|(model, version)| *model == self.model && version.number == number);
            found.map(|(_, version)| version)
        };
        match (self.after.and_then(version), self.before) {
            (None, _) => line,
            (Some(new), None) => format!("{line}: {}", judged(new)),
            (Some(new), Some(before)) => {
                let unknown = Version { number: before, ..Version::default() };
                let old = version(before).unwrap_or(&unknown);
                format!("{line}: {}; {}", judged(new), compared_with_replaced(new, old))
            }
        }
    }

    /// What changes, within a line of Markdown.
    pub(crate) fn line(&self) -> String {
        let [model, environment] = [&self.model, &self.environment].map(|name| code(&shortened(name, 60)));
        match (self.before, self.after) {
            (Some(before), Some(after)) => {
                format!("version {after} of {model} instead of version {before} in {environment}")
            }
            (None, Some(after)) => format!("version {after} of {model} in {environment}, where no version of it was"),
            (Some(before), None) => format!("{model} is no longer served in {environment} (it was version {before})"),
            (None, None) => format!("{model} is not served in {environment}"),
        }
    }
}
