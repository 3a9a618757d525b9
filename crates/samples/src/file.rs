//! The names of files.

use std::fmt::Write as _;

use crate::Hour;

const END: &str = ".parquet";

/// A file of samples, as its name says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    /// The registered model's name.
    pub model: String,
    /// The version that answered.
    pub version: u64,
    /// The hour of its answers.
    pub hour: Hour,
    /// When the first of them was given: milliseconds since 1970.
    pub first: i64,
    /// The server that wrote it.
    pub replica: String,
    /// What keeps files apart that begin at the same moment.
    pub unique: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl File {
    /// Its key in the bucket.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { version, hour, first, replica, unique, .. } = self;
        format!("{}{version}/{hour}/{replica}-{first}-{unique}{END}", folder(&self.model))
    }

    /// The file of a key; `None` if it is not named like one.
    #[must_use]
    pub fn of(key: &str, bytes: u64) -> Option<Self> {
        let mut parts = key.splitn(5, '/');
        let mut next = || parts.next();
        let (model, version, day, hour, name) = (next()?, next()?, next()?, next()?, next()?);
        let mut name = name.strip_suffix(END)?.rsplitn(3, '-');
        let (unique, first, replica) = (name.next()?, name.next()?, name.next()?);
        let file = Self {
            model: unescaped(model)?,
            version: version.parse().ok()?,
            hour: format!("{day}/{hour}").parse().ok()?,
            first: first.parse().ok()?,
            replica: replica.to_owned(),
            unique: unique.to_owned(),
            bytes,
        };
        // one name for each file: what is written in another way was not written here
        (file.key() == key).then_some(file)
    }
}

/// What the keys of a model begin with.
pub(crate) fn folder(model: &str) -> String {
    format!("{}/", escaped(model))
}

/// The name of a server in keys: what is neither letter, digit nor a dash becomes one.
pub(crate) fn replica(name: &str) -> String {
    let kept: String = name.chars().take(64).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if kept.is_empty() { "server".to_owned() } else { kept }
}

/// A registered name may be anything; in a key it is one part of a path. As in a URL, every byte but letters, digits, `-` and `_` is
/// escaped; dots too, because two of them alone would name another folder.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            escaped.push(char::from(byte));
        } else {
            // writing to a text cannot fail
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(others.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(model: &str, name: &str, first: i64) -> File {
        File {
            model: model.to_owned(),
            version: 3,
            hour: Hour::of(first),
            first,
            replica: replica(name),
            unique: "1a2b3c4d".to_owned(),
            bytes: 7,
        }
    }

    #[test]
    fn keys_are_as_the_documentation_says() {
        let key = file("mnist", "server-6f-0", 1_764_486_000_123).key();
        assert_eq!(key, "mnist/3/2025-11-30/07/server-6f-0-1764486000123-1a2b3c4d.parquet");
        assert_eq!(file("..", "", 0).key(), "%2E%2E/3/1970-01-01/00/server-0-1a2b3c4d.parquet");
    }

    #[test]
    fn other_objects_are_no_files_of_samples() {
        for key in [
            "",
            "mnist",
            "mnist/3/2025-11-30/07/server-0-1764486000123-1a2b3c4d.csv",
            "mnist/03/2025-11-30/07/server-0-1764486000123-1a2b3c4d.parquet",
            "mnist/x/2025-11-30/07/server-0-1764486000123-1a2b3c4d.parquet",
            "mnist/3/2025-11-31/07/server-0-1764486000123-1a2b3c4d.parquet",
            "mnist/3/2025-11-30/07/1764486000123.parquet",
            "a%zz/3/2025-11-30/07/server-0-1764486000123-1a2b3c4d.parquet",
            "a%41/3/2025-11-30/07/server-0-1764486000123-1a2b3c4d.parquet",
        ] {
            assert_eq!(File::of(key, 0), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_read_back(model in ".{1,20}", name in ".{0,70}", first in 0_i64..4_000_000_000_000) {
            let file = file(&model, &name, first);
            let key = file.key();
            prop_assert_eq!(key.split('/').count(), 5);
            prop_assert_eq!(File::of(&key, 7), Some(file));
        }
    }
}
