//! Writing the file.

use std::fmt;

use crate::{Pin, Pins};

/// The file's text, which [`Pins::parse`] reads back.
impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# The versions in service. Written by `slipway promote`.\n")?;
        if self.pins.is_empty() {
            return f.write_str("models: []\n");
        }
        f.write_str("models:\n")?;
        for Pin { name, version, digest } in &self.pins {
            // the registry allows any name; a JSON string is also a YAML string
            let name = serde_json::Value::from(name.as_str());
            write!(f, "  - name: {name}\n    version: \"{version}\"\n    digest: {digest}\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use slipway_digest::Digest;

    use super::*;

    fn pin(name: &str, version: u64) -> Pin {
        Pin { name: name.to_owned(), version, digest: Digest::of(name) }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let pins = Pins::default().with(pin("mnist", 1)).with(pin("odd: \"name\"", 7)).with(pin("mnist", 2));
        assert_eq!(Pins::parse("models.yaml", &pins.to_string()).unwrap(), pins);
        assert_eq!(pins.iter().map(|pin| pin.version).collect::<Vec<_>>(), [2, 7]);
        assert_eq!(Pins::parse("models.yaml", &Pins::default().to_string()).unwrap(), Pins::default());
    }
}
