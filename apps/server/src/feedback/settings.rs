//! The settings of feedback, which is off by default.

use axum::http::HeaderName;
use slipway_names::env::FEEDBACK as BUCKET;

use crate::fatal::Fatal;

/// Whether everybody may give it.
const PUBLIC: &str = "SLIPWAY_FEEDBACK_PUBLIC";
/// How much of it in a minute.
const PER_MINUTE: &str = "SLIPWAY_FEEDBACK_PER_MINUTE";
/// How much of it from one client in a minute.
const PER_ADDRESS: &str = "SLIPWAY_FEEDBACK_PER_ADDRESS";
/// Where a proxy writes the client's address.
const ADDRESS: &str = "SLIPWAY_FEEDBACK_ADDRESS";
/// The most of either in a minute.
const MOST: u32 = 100_000;

/// The settings of feedback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackSettings {
    /// `SLIPWAY_FEEDBACK`: the bucket, as `s3://<bucket>`. Default: the server takes no feedback.
    pub bucket: String,
    /// `SLIPWAY_FEEDBACK_PUBLIC`: whether the address for everybody takes it, too. Default `false`.
    pub public: bool,
    /// `SLIPWAY_FEEDBACK_PER_MINUTE`: how much is taken in a minute. Default 60.
    pub per_minute: u32,
    /// `SLIPWAY_FEEDBACK_PER_ADDRESS`: how much of it from one client, if its address is known. Default 10.
    pub per_address: u32,
    /// `SLIPWAY_FEEDBACK_ADDRESS`: the header in which a proxy writes the client's address. Default: clients are not told apart.
    pub address: Option<HeaderName>,
}

impl FeedbackSettings {
    /// Reads the environment through `variable`; `None` if feedback is off. `internal`: whether there is an internal address.
    ///
    /// # Errors
    /// [`Fatal::Input`] that names the variable and what is allowed.
    pub fn read(variable: impl Fn(&str) -> Option<String>, internal: bool) -> Result<Option<Self>, Fatal> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let wrong = |name: &str, value: &str, give: &str| Fatal::Input(format!("{name} is `{value}`; give {give}"));
        let number = |name: &str, default: u32| match optional(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=MOST).contains(number))
                .ok_or_else(|| wrong(name, &text, &format!("a number from 1 to {MOST}"))),
        };
        let Some(place) = optional(BUCKET) else { return Ok(None) };
        let bucket = place.strip_prefix("s3://").map(|bucket| bucket.trim_end_matches('/')).filter(|bucket| {
            let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
            (3..=63).contains(&bucket.len()) && bucket.chars().all(fits)
        });
        let bucket = bucket.ok_or_else(|| wrong(BUCKET, &place, "s3:// and a bucket, such as s3://landing"))?;
        let public = match optional(PUBLIC).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(wrong(PUBLIC, other, "true or false")),
        };
        if !public && !internal {
            return Err(Fatal::Input(format!(
                "{BUCKET} is set, but the only address is for everybody; set SLIPWAY_LISTEN_INTERNAL, or {PUBLIC} to true"
            )));
        }
        let address = optional(ADDRESS).map(|name| {
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong(ADDRESS, &name, "a header's name, such as X-Forwarded-For"))
        });
        Ok(Some(Self {
            bucket: bucket.to_owned(),
            public,
            per_minute: number(PER_MINUTE, 60)?,
            per_address: number(PER_ADDRESS, 10)?,
            address: address.transpose()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], internal: bool) -> Result<Option<FeedbackSettings>, Fatal> {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        FeedbackSettings::read(find, internal)
    }

    #[test]
    fn it_is_off_until_a_bucket_is_named() {
        assert_eq!(read(&[(PUBLIC, "true"), (PER_MINUTE, "5"), (BUCKET, "")], true).unwrap(), None);
        let (bucket, address) = ("landing".to_owned(), None);
        let on = FeedbackSettings { bucket, public: false, per_minute: 60, per_address: 10, address };
        for place in ["s3://landing", "s3://landing/"] {
            assert_eq!(read(&[(BUCKET, place)], true).unwrap(), Some(on.clone()));
        }
        let all =
            [(BUCKET, "s3://landing"), (PUBLIC, "true"), (PER_MINUTE, "5"), (PER_ADDRESS, "2"), (ADDRESS, "X-Real-Ip")];
        let address = Some(HeaderName::from_static("x-real-ip"));
        let changed = FeedbackSettings { public: true, per_minute: 5, per_address: 2, address, ..on };
        assert_eq!(read(&all, false).unwrap(), Some(changed));
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (name, value) in [
            (BUCKET, "landing"),
            (BUCKET, "s3://"),
            (BUCKET, "s3://landing/below"),
            (BUCKET, "s3://Landing"),
            (PUBLIC, "yes"),
            (PER_MINUTE, "0"),
            (PER_ADDRESS, "many"),
            (ADDRESS, "X Forwarded For"),
        ] {
            let error = read(&[(name, value), (BUCKET, "s3://landing")], true).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let error = read(&[(BUCKET, "s3://landing")], false).unwrap_err().to_string();
        assert!(error.contains("SLIPWAY_LISTEN_INTERNAL") && error.contains(PUBLIC), "{error}");
    }
}
