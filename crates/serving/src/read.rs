//! Reading the file.

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use slipway_source::{Finding, typed};

use crate::{Pin, Pins};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    models: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    version: Spanned<String>,
    digest: Spanned<String>,
}

impl Pins {
    /// Reads the file's text; `file` is how findings name it.
    ///
    /// # Errors
    /// The first mistake, with its line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Finding> {
        let entries: File = typed(file, text)?;
        let invalid = |at: &Location, code, message: String, help: &str| {
            Finding::new(file, at.line() as usize, at.column() as usize, code, message).with_help(help)
        };
        let mut pins: Vec<Pin> = Vec::with_capacity(entries.models.len());
        for Entry { name, version, digest } in entries.models {
            if pins.iter().any(|pin| pin.name == name.value) {
                let message = format!("{} is pinned twice", name.value);
                return Err(invalid(&name.referenced, "duplicate-name", message, "keep one of them"));
            }
            let number = version.value.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(|| {
                let message = format!("the version `{}` of {} is not a version", version.value, name.value);
                let help = "a version of the registry, such as \"3\"; `slipway promote` writes it";
                invalid(&version.referenced, "wrong-value", message, help)
            })?;
            let content = digest.value.parse().map_err(|_| {
                let message = format!("`{}`, given as the digest of {}, is not a digest", digest.value, name.value);
                let help = "sha256: and 64 hexadecimal digits; `slipway promote` writes it";
                invalid(&digest.referenced, "invalid-digest", message, help)
            })?;
            pins.push(Pin { name: name.value, version: number, digest: content });
        }
        Ok(Self { pins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# comment\nmodels:\n  - name: mnist\n    version: \"3\"\n    digest: D\n";

    fn parse(text: &str) -> Result<Pins, Finding> {
        Pins::parse("models.yaml", &text.replace('D', &format!("sha256:{}", "a".repeat(64))))
    }

    #[test]
    fn pins_are_read() {
        assert_eq!(parse(GOOD).unwrap().get("mnist").unwrap().version, 3);
        assert_eq!(parse("models: []").unwrap(), Pins::default());
    }

    #[test]
    fn a_mistake_has_its_place() {
        for (text, line, column, code) in [
            (GOOD.replace('D', "sha256:../../etc"), 5, 13, "invalid-digest"),
            (GOOD.replace("\"3\"", "\"0\""), 4, 14, "wrong-value"),
            (GOOD.replace("\"3\"", "latest"), 4, 14, "wrong-value"),
            (GOOD.to_owned() + "  - {name: mnist, version: \"4\", digest: D}\n", 6, 12, "duplicate-name"),
            (GOOD.to_owned() + "    extra: 1\n", 6, 5, "yaml"),
        ] {
            let found = parse(&text).unwrap_err();
            assert_eq!((found.line, found.column, found.code), (line, column, code), "{text}\n{found}");
        }
        for text in ["", "models: {}", "models: [{name: a}]", &GOOD.replace("models:", "modles:")] {
            assert_eq!(parse(text).unwrap_err().code, "yaml", "{text}");
        }
    }
}
