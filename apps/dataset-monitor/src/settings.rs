//! The environment, which is the monitor's only configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use slipway_names::env;
use slipway_samples::{BUCKET, bucket};

/// Where the monitor listens unless it is told.
const LISTEN: &str = "127.0.0.1:8080";

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the REST interface listens.
    pub listen: SocketAddr,
    /// The environment whose versions in service are meant, such as `local`.
    pub environment: String,
    /// The repository: its address on GitHub, or the path of a bare one.
    pub repository: String,
    /// The folder of the project in it; empty for its top.
    pub project: String,
    /// A folder for copies: of the repository, and of what the store holds.
    pub cache: PathBuf,
    /// The namespace of the Lease.
    pub lease_namespace: String,
    /// The internal address of the model server; `None` if nobody is asked.
    pub server: Option<String>,
    /// The bucket with the sample of the requests.
    pub requests: String,
    /// A file with the token that events need; `None` if they need none.
    pub token_file: Option<PathBuf>,
}

/// What the environment says to a build that is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The repository: its address on GitHub, or the path of a bare one.
    pub repository: String,
    /// The folder of the project in it; empty for its top.
    pub project: String,
    /// A folder for copies: of the repository, and of what the store holds.
    pub cache: PathBuf,
}

impl Once {
    /// Reads the environment; an empty variable counts as not set.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| variable(name).ok_or(Invalid::Missing(name));
        Ok(Self {
            repository: required(env::REPOSITORY)?,
            project: variable(env::PROJECT).unwrap_or_default(),
            cache: PathBuf::from(required(env::CACHE)?),
        })
    }
}

/// Why the environment cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A variable is not set.
    #[error("{0} is not set: docs/configuration.md says what it is")]
    Missing(&'static str),
    /// A variable does not hold an address.
    #[error("{name} is `{value}`: give an address and a port, such as 0.0.0.0:8080")]
    Address {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
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
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| variable(name).ok_or(Invalid::Missing(name));
        let listen = variable(env::LISTEN).unwrap_or_else(|| LISTEN.to_owned());
        let lease_namespace = variable(env::LEASE_NAMESPACE).or_else(|| variable(env::POD_NAMESPACE));
        let requests = match variable(env::REQUESTS) {
            None => BUCKET.to_owned(),
            Some(value) => match bucket(&value) {
                Some(bucket) => bucket.to_owned(),
                None => return Err(Invalid::Bucket { name: env::REQUESTS, value }),
            },
        };
        Ok(Self {
            listen: listen.parse().map_err(|_| Invalid::Address { name: env::LISTEN, value: listen.clone() })?,
            environment: required(env::ENVIRONMENT)?,
            repository: required(env::REPOSITORY)?,
            project: variable(env::PROJECT).unwrap_or_default(),
            cache: PathBuf::from(required(env::CACHE)?),
            lease_namespace: lease_namespace.ok_or(Invalid::Missing(env::LEASE_NAMESPACE))?,
            server: variable(env::SERVER_URL),
            requests,
            token_file: variable(env::EVENTS_TOKEN_FILE).map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            (settings.listen.to_string().as_str(), settings.lease_namespace.as_str()),
            (LISTEN, "dataset-monitor")
        );
        assert_eq!((settings.server, settings.token_file, settings.project), (None, None, String::new()));
        assert_eq!(settings.requests, "requests");
        let more =
            [(env::SERVER_URL, "http://server:8081"), (env::EVENTS_TOKEN_FILE, "/token"), (env::LEASE_NAMESPACE, "x")];
        let settings = read(&[&LEAST[..], &more, &[(env::REQUESTS, "s3://asked/")]].concat()).unwrap();
        assert_eq!(settings.requests, "asked");
        assert_eq!((settings.server.as_deref(), settings.lease_namespace.as_str()), (Some("http://server:8081"), "x"));
        assert_eq!(settings.token_file, Some(PathBuf::from("/token")));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (left_out, (name, _)) in LEAST.iter().enumerate() {
            let rest: Vec<_> =
                LEAST.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, pair)| *pair).collect();
            let expected = if left_out == 3 { env::LEASE_NAMESPACE } else { *name };
            assert_eq!(read(&rest), Err(Invalid::Missing(expected)));
        }
        let once = |name: &str| LEAST.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(Once::read(once).unwrap().cache, PathBuf::from("/cache"));
        assert_eq!(Once::read(|_| None), Err(Invalid::Missing(env::REPOSITORY)));
        let listen = [&LEAST[..], &[(env::LISTEN, "8080")]].concat();
        assert!(matches!(read(&listen), Err(Invalid::Address { name: env::LISTEN, .. })));
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
