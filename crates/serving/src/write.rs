//! Writing the file.

use std::fmt;

use crate::{Challenger, Mode, Pin, Pins, Share};

/// The file's text, which [`Pins::parse`] reads back.
impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# The versions in service. Written by `slipway promote`.\n")?;
        if self.pins.is_empty() {
            return f.write_str("models: []\n");
        }
        f.write_str("models:\n")?;
        for Pin { name: of, version, digest } in &self.pins {
            // the registry allows any name; a JSON string is also a YAML string
            let name = serde_json::Value::from(of.as_str());
            write!(f, "  - name: {name}\n    version: \"{version}\"\n    digest: {digest}\n")?;
            if let Some(challenger) = self.challenger(of) {
                write_challenger(f, challenger)?;
            }
        }
        Ok(())
    }
}

fn write_challenger(f: &mut fmt::Formatter<'_>, challenger: &Challenger) -> fmt::Result {
    let Challenger { pin: Pin { version, digest, .. }, mode, share } = challenger;
    let mode_name = mode.as_str();
    write!(f, "    challenger:\n      version: \"{version}\"\n      digest: {digest}\n      mode: {mode_name}\n")?;
    if (*mode, *share) == (Mode::Shadow, Share::ALL) {
        return Ok(());
    }
    writeln!(f, "      share: {share}")
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

    #[test]
    fn challengers_are_read_back_and_leave_when_they_are_promoted() {
        let challenger = |name, version, mode, share| Challenger {
            pin: pin(name, version),
            mode,
            share: Share::new(share).unwrap(),
        };
        let named =
            |name: &str, version: u64| Pin { digest: Digest::of(format!("{name}{version}")), ..pin(name, version) };
        let of = |name, version, mode, share| Challenger {
            pin: named(name, version),
            ..challenger(name, version, mode, share)
        };
        let pins = Pins::default().with(named("mnist", 3)).with(named("wine", 1)).with(named("fog", 1));
        let pins =
            [of("mnist", 9, Mode::Shadow, 0.5), of("mnist", 4, Mode::Canary, 0.05), of("wine", 2, Mode::Shadow, 1.0)]
                .into_iter()
                .fold(pins, |pins, challenger| pins.with_challenger(challenger).unwrap());
        assert_eq!(Pins::parse("models.yaml", &pins.to_string()).unwrap(), pins, "{pins}");
        assert_eq!(pins.challenger("mnist"), Some(&of("mnist", 4, Mode::Canary, 0.05)));
        assert!(pins.to_string().contains("      mode: canary\n      share: 0.05\n"), "{pins}");
        // another version that is promoted has to stand the same trial; the challenger itself has passed it
        assert_eq!(pins.with(named("mnist", 5)).challengers().count(), 2);
        let promoted = pins.with(named("mnist", 4));
        assert_eq!((promoted.challenger("mnist"), promoted.challengers().count()), (None, 1));
        assert_eq!(pins.without_challenger("wine").challenger("wine"), None);
        // none of a model that is not in service, and none that is the version in service
        assert_eq!(pins.with_challenger(of("other", 1, Mode::Shadow, 1.0)), None);
        assert_eq!(pins.with_challenger(of("mnist", 3, Mode::Shadow, 1.0)), None);
    }
}
