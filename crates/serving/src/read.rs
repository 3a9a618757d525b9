//! Reading the file.

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use slipway_source::{Finding, typed};

use crate::{Challenger, Mode, Pin, Pins, Share};

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
    #[serde(default)]
    challenger: Option<Challenging>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Challenging {
    version: Spanned<String>,
    digest: Spanned<String>,
    mode: Spanned<String>,
    #[serde(default)]
    share: Option<Spanned<f64>>,
}

/// The file, which findings name.
struct Reader<'a> {
    file: &'a str,
}

impl Pins {
    /// Reads the file's text; `file` is how findings name it.
    ///
    /// # Errors
    /// The first mistake, with its line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Finding> {
        let entries: File = typed(file, text)?;
        let reader = Reader { file };
        let mut read = Self::default();
        for Entry { name, version, digest, challenger } in entries.models {
            if read.get(&name.value).is_some() {
                let message = format!("{} is pinned twice", name.value);
                return Err(reader.finding(&name.referenced, "duplicate-name", message, "keep one of them"));
            }
            let pin = reader.pin(&name.value, &version, &digest)?;
            if let Some(challenger) = challenger {
                read.challengers.push(reader.challenger(&pin, &challenger)?);
            }
            read.pins.push(pin);
        }
        Ok(read)
    }
}

impl Reader<'_> {
    fn finding(&self, at: &Location, code: &'static str, message: String, help: &str) -> Finding {
        Finding::new(self.file, at.line() as usize, at.column() as usize, code, message).with_help(help)
    }

    fn pin(&self, name: &str, version: &Spanned<String>, digest: &Spanned<String>) -> Result<Pin, Finding> {
        let number = version.value.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(|| {
            let message = format!("the version `{}` of {name} is not a version", version.value);
            let help = "a version of the registry, such as \"3\"; `slipway promote` writes it";
            self.finding(&version.referenced, "wrong-value", message, help)
        })?;
        let content = digest.value.parse().map_err(|_| {
            let message = format!("`{}`, given as the digest of {name}, is not a digest", digest.value);
            let help = "sha256: and 64 hexadecimal digits; `slipway promote` writes it";
            self.finding(&digest.referenced, "invalid-digest", message, help)
        })?;
        Ok(Pin { name: name.to_owned(), version: number, digest: content })
    }

    fn challenger(&self, champion: &Pin, given: &Challenging) -> Result<Challenger, Finding> {
        let Challenging { version, digest, mode, share } = given;
        let pin = self.pin(&champion.name, version, digest)?;
        let kind = [Mode::Shadow, Mode::Canary].into_iter().find(|kind| kind.as_str() == mode.value);
        let kind = kind.ok_or_else(|| {
            let message = format!("the mode of the challenger of {} is `{}`", pin.name, mode.value);
            let help =
                "shadow: it gets the same requests, and nobody sees its answers; canary: it answers a share of them";
            self.finding(&mode.referenced, "wrong-value", message, help)
        })?;
        let share = match (share, kind) {
            (Some(given), _) => {
                let share = Share::new(given.value).filter(|share| share.get() <= kind.most());
                share.ok_or_else(|| {
                    let message = format!("the share of the challenger of {} is {}", pin.name, given.value);
                    let help = format!("a number from 0.001 to {} for a {}, such as 0.05", kind.most(), kind.as_str());
                    self.finding(&given.referenced, "wrong-value", message, &help)
                })?
            }
            (None, Mode::Shadow) => Share::ALL,
            (None, Mode::Canary) => {
                let message = format!("the canary of {} has no share", pin.name);
                let help = "add the share of the requests that it answers, such as `share: 0.05`";
                return Err(self.finding(&mode.referenced, "missing-field", message, help));
            }
        };
        let challenger = Challenger { pin, mode: kind, share };
        challenger.fits(champion).map_err(|same| {
            let message = format!("the challenger of {} has the {same} of the version in service", champion.name);
            let at = if same == "version" { version } else { digest };
            self.finding(&at.referenced, "challenges-itself", message, "name another version, or remove the challenger")
        })?;
        Ok(challenger)
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

    /// With a challenger of these members; its digest is E.
    fn with(challenger: &str) -> String {
        format!("{GOOD}    challenger: {challenger}\n").replace('E', &format!("sha256:{}", "b".repeat(64)))
    }

    #[test]
    fn challengers_are_read() {
        for (members, mode, share) in [
            ("{version: \"4\", digest: E, mode: shadow}", Mode::Shadow, 1.0),
            ("{version: \"4\", digest: E, mode: shadow, share: 0.5}", Mode::Shadow, 0.5),
            ("{version: \"4\", digest: E, mode: canary, share: 0.05}", Mode::Canary, 0.05),
            ("{mode: canary, share: 5e-1, version: \"4\", digest: E}", Mode::Canary, 0.5),
        ] {
            let pins = parse(&with(members)).unwrap();
            let challenger = pins.challenger("mnist").unwrap();
            assert_eq!((challenger.mode, challenger.share.get()), (mode, share), "{members}");
            assert_eq!((challenger.pin.version, pins.get("mnist").unwrap().version), (4, 3));
        }
        assert_eq!(parse(&with("null")).unwrap().challengers().count(), 0);
    }

    #[test]
    fn nonsense_of_a_challenger_has_its_place() {
        for (members, column, code, says) in [
            ("{version: \"3\", digest: E, mode: shadow}", 27, "challenges-itself", "the version of the version"),
            ("{version: \"4\", digest: D, mode: shadow}", 40, "challenges-itself", "the content of the version"),
            ("{version: \"0\", digest: E, mode: shadow}", 27, "wrong-value", "not a version"),
            ("{version: \"4\", digest: sha256:b, mode: shadow}", 40, "invalid-digest", "is not a digest"),
            ("{mode: blue, version: \"4\", digest: E}", 24, "wrong-value", "`blue`"),
            ("{mode: canary, version: \"4\", digest: E}", 24, "missing-field", "has no share"),
            ("{share: 0, mode: canary, version: \"4\", digest: E}", 25, "wrong-value", "is 0"),
            ("{share: 0.51, mode: canary, version: \"4\", digest: E}", 25, "wrong-value", "is 0.51"),
            ("{share: -1, mode: shadow, version: \"4\", digest: E}", 25, "wrong-value", "is -1"),
            ("{share: 1.5, mode: shadow, version: \"4\", digest: E}", 25, "wrong-value", "is 1.5"),
            ("{share: .nan, mode: shadow, version: \"4\", digest: E}", 25, "wrong-value", "is NaN"),
        ] {
            let found = parse(&with(members)).unwrap_err();
            assert_eq!((found.line, found.column, found.code), (6, column, code), "{members}\n{found}");
            assert!(found.to_string().contains(says), "{members}\n{found}");
        }
        for members in [
            "{}",
            "[]",
            "yes",
            "{version: \"4\", digest: E}",
            "{version: \"4\", digest: E, mode: canary, share: much}",
            "{version: \"4\", digest: E, mode: shadow, extra: 1}",
        ] {
            assert_eq!(parse(&with(members)).unwrap_err().code, "yaml", "{members}");
        }
    }
}
