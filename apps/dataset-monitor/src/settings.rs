//! The environment, which is the monitor's only configuration.

use std::path::PathBuf;

use slipway_names::env;
use slipway_samples::{BUCKET, bucket};
use slipway_service::settings::{self, Common, filled};

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What each service needs. The environment is the one whose versions in service are meant.
    pub common: Common,
    /// The internal address of the model server; `None` if nobody is asked.
    pub server: Option<String>,
    /// The bucket with the sample of the requests.
    pub requests: String,
    /// A file with the token that events need; `None` if they need none.
    pub token_file: Option<PathBuf>,
}

/// Why the environment cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// What each service needs.
    #[error(transparent)]
    Common(#[from] settings::Invalid),
    /// A variable does not hold a bucket.
    #[error("{name} is `{value}`: give s3:// and a bucket, such as s3://requests")]
    Bucket {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Settings {
    /// Reads the environment; an empty variable counts as not set.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = filled(variable);
        let requests = match variable(env::REQUESTS) {
            None => BUCKET.to_owned(),
            Some(value) => match bucket(&value) {
                Some(bucket) => bucket.to_owned(),
                None => return Err(Invalid::Bucket { name: env::REQUESTS, value }),
            },
        };
        Ok(Self {
            common: Common::read(&variable)?,
            server: variable(env::SERVER_URL),
            requests,
            token_file: variable(env::EVENTS_TOKEN_FILE).map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use slipway_service::settings::LISTEN;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Invalid> {
        Settings::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const LEAST: [(&str, &str); 4] = [
        (env::ENVIRONMENT, "local"),
        (env::REPOSITORY, "/srv/forge.git"),
        (env::CACHE, "/cache"),
        (env::POD_NAMESPACE, "dataset-monitor"),
    ];

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = read(&LEAST).unwrap();
        let common = settings.common;
        assert_eq!((common.listen.to_string().as_str(), common.lease_namespace.as_str()), (LISTEN, "dataset-monitor"));
        assert_eq!((settings.server, settings.token_file, common.place.project), (None, None, String::new()));
        assert_eq!(settings.requests, "requests");
        let more =
            [(env::SERVER_URL, "http://server:8081"), (env::EVENTS_TOKEN_FILE, "/token"), (env::LEASE_NAMESPACE, "x")];
        let settings = read(&[&LEAST[..], &more, &[(env::REQUESTS, "s3://asked/")]].concat()).unwrap();
        assert_eq!(settings.requests, "asked");
        assert_eq!(settings.server.as_deref(), Some("http://server:8081"));
        assert_eq!(settings.common.lease_namespace, "x");
        assert_eq!(settings.token_file, Some(PathBuf::from("/token")));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (left_out, (name, _)) in LEAST.iter().enumerate() {
            let rest: Vec<_> =
                LEAST.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, pair)| *pair).collect();
            let expected = if left_out == 3 { env::LEASE_NAMESPACE } else { *name };
            assert_eq!(read(&rest), Err(Invalid::Common(settings::Invalid::Missing(expected))));
        }
        let listen = [&LEAST[..], &[(env::LISTEN, "8080")]].concat();
        let at_fault = settings::Invalid::Address { name: env::LISTEN, value: "8080".to_owned() };
        assert_eq!(read(&listen), Err(Invalid::Common(at_fault)));
        let bucket = [&LEAST[..], &[(env::REQUESTS, "asked")]].concat();
        assert!(matches!(read(&bucket), Err(Invalid::Bucket { name: env::REQUESTS, .. })));
    }

    #[test]
    fn every_variable_is_on_the_page() {
        let page = include_str!("../../../docs/configuration.md");
        let mut sections = page.split("\n## ").filter(|section| section.starts_with("slipway-monitor\n"));
        let section = sections.next().unwrap();
        assert!(sections.next().is_none(), "there are two sections");
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let settings = Settings::read(|name| {
            asked.borrow_mut().insert(name.to_owned());
            let value = LEAST.iter().find(|(key, _)| *key == name);
            value.map(|(_, value)| (*value).to_owned())
        });
        settings.unwrap();
        for name in asked.take() {
            assert!(section.contains(&format!("`{name}`")), "{name} is not on the page");
        }
        assert!(section.contains(&format!("| `{LISTEN}` |")), "{LISTEN} is not on the page");
    }
}
