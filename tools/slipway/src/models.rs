//! `overlays/<env>/server/models.yaml`: the versions in service, pinned by content.

use serde::{Deserialize, Serialize};
use slipway_experiment::Finding;

use crate::tree::Tree;

/// What the server is told to serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Models {
    pub(crate) models: Vec<Pin>,
}

/// A version in service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    /// The registered model's name.
    pub(crate) name: String,
    /// Its version, such as `"3"`.
    pub(crate) version: String,
    /// `sha256:…` of its configuration and weights.
    pub(crate) digest: String,
}

/// Where an environment's file is.
pub(crate) fn path(environment: &str) -> String {
    format!("overlays/{environment}/server/models.yaml")
}

/// Reads an environment's file; one that is not there serves nothing.
pub(crate) fn read(tree: &Tree, environment: &str) -> Result<Models, Finding> {
    let path = path(environment);
    let Some(text) = tree.text(&path) else { return Ok(Models::default()) };
    let models: Models = crate::yaml::parse(&path, &text)?;
    for (index, pin) in models.models.iter().enumerate() {
        let refuse = |code, message: String, help: &str| Err(Finding::new(&path, 1, 1, code, message).with_help(help));
        let hex = pin.digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            let message = format!("the digest `{}` of {} is none", pin.digest, pin.name);
            return refuse("invalid-digest", message, "sha256: and 64 hexadecimal digits; `slipway promote` writes it");
        }
        if !pin.version.parse::<u64>().is_ok_and(|version| version > 0) {
            let message = format!("the version `{}` of {} is no number", pin.version, pin.name);
            return refuse(
                "wrong-value",
                message,
                "a version of the registry, such as \"3\"; `slipway promote` writes it",
            );
        }
        if models.models[..index].iter().any(|other| other.name == pin.name) {
            return refuse("duplicate-name", format!("{} is pinned twice", pin.name), "keep one of them");
        }
    }
    Ok(models)
}

impl Models {
    /// The version of a model that is in service.
    pub(crate) fn pin(&self, name: &str) -> Option<&Pin> {
        self.models.iter().find(|pin| pin.name == name)
    }

    /// The same with one model at another version.
    pub(crate) fn with(&self, new: Pin) -> Self {
        let mut models = self.clone();
        match models.models.iter_mut().find(|pin| pin.name == new.name) {
            Some(pin) => *pin = new,
            None => models.models.push(new),
        }
        models
    }

    /// The file's text.
    pub(crate) fn to_yaml(&self) -> String {
        let mut text = "# The versions in service. Written by `slipway promote`.\n".to_owned();
        if self.models.is_empty() {
            return text + "models: []\n";
        }
        text += "models:\n";
        for Pin { name, version, digest } in &self.models {
            // a name is whatever the registry allows: JSON's quoting is YAML's too
            let name = serde_json::Value::from(name.as_str());
            text += &format!("  - name: {name}\n    version: \"{version}\"\n    digest: {digest}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str, version: &str) -> Pin {
        Pin { name: name.to_owned(), version: version.to_owned(), digest: format!("sha256:{}", "a".repeat(64)) }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let models = Models::default().with(pin("mnist", "1")).with(pin("odd: \"name\"", "7")).with(pin("mnist", "2"));
        assert_eq!(models.models.len(), 2);
        let mut tree = Tree::default();
        tree.insert(&path("local"), models.to_yaml().into_bytes());
        assert_eq!(read(&tree, "local").unwrap(), models);
        assert_eq!(models.pin("mnist").unwrap().version, "2");
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for (text, code) in [
            ("models: [{name: a, version: \"1\", digest: sha256:12}]", "invalid-digest"),
            ("models: [{name: a, version: x, digest: D}]", "wrong-value"),
            ("models: [{name: a, version: \"1\", digest: D}, {name: a, version: \"1\", digest: D}]", "duplicate-name"),
            ("models: [{name: a}]", "yaml"),
        ] {
            let text = text.replace('D', &format!("sha256:{}", "a".repeat(64)));
            let mut tree = Tree::default();
            tree.insert(&path("local"), text.into_bytes());
            assert_eq!(read(&tree, "local").unwrap_err().code, code);
        }
    }
}
