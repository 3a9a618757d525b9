//! `models.yaml`: the versions in service, pinned by content.

use std::path::Path;

use serde::Deserialize;

/// One version in service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The registered model's name.
    pub name: String,
    /// Its version, such as `"3"`.
    pub version: String,
    /// `sha256:…` of its configuration and weights.
    pub digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    models: Vec<Pin>,
}

/// Reads the file's text.
///
/// # Errors
/// What is wrong, with line and column where there are any.
pub fn parse(text: &str) -> Result<Vec<Pin>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    for (index, pin) in file.models.iter().enumerate() {
        if !is_digest(&pin.digest) {
            return Err(format!(
                "the digest of {} is `{}`; give sha256: and 64 hexadecimal digits",
                pin.name, pin.digest
            ));
        }
        if file.models[..index].iter().any(|other| other.name == pin.name) {
            return Err(format!("{} is there twice; a model has one version in service", pin.name));
        }
    }
    Ok(file.models)
}

/// The text of a file without models.
pub const NONE: &str = "models: []\n";

/// The file's text; none when it is not there.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("reading {}: {error}", path.display())),
    }
}

/// Whether a text is `sha256:` and 64 hexadecimal digits in lower case; it is then fit to name a folder.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pins_are_pins() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let good = format!("# comment\nmodels:\n  - name: mnist\n    version: \"3\"\n    digest: {digest}\n");
        assert_eq!(parse(&good).unwrap()[0].version, "3");
        assert_eq!(parse("models: []").unwrap(), []);
        for bad in [
            "",
            "models: {}",
            "models: [{name: a}]",
            "models: [{name: a, version: \"1\", digest: \"sha256:../../etc\"}]",
            &format!("models: [{{name: a, version: \"1\", digest: {digest}, extra: 1}}]"),
            &good.replace("models:", "modles:"),
            &format!("{good}  - {{name: mnist, version: \"4\", digest: {digest}}}\n"),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
