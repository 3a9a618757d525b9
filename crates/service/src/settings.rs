//! What the environment says to each service of a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use slipway_names::env;

/// Where a service listens unless it is told.
pub const LISTEN: &str = "127.0.0.1:8080";

/// Where a service reads the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The repository: its address on GitHub, or the path of a bare one.
    pub repository: String,
    /// The folder of the project in it; empty for its top.
    pub project: String,
    /// A folder for copies: of the repository, and of what else the service reads.
    pub cache: PathBuf,
}

/// What each service needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Where the REST interface listens.
    pub listen: SocketAddr,
    /// The environment that the service is for, such as `local`.
    pub environment: String,
    /// Where the project is read.
    pub place: Place,
    /// The namespace of the Lease.
    pub lease_namespace: String,
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
}

/// The same variables; an empty one counts as not set.
pub fn filled(variable: impl Fn(&str) -> Option<String>) -> impl Fn(&str) -> Option<String> {
    move |name: &str| variable(name).filter(|value| !value.is_empty())
}

impl Place {
    /// Reads the environment; an empty variable counts as not set.
    ///
    /// # Errors
    /// [`Invalid::Missing`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = filled(variable);
        let required = |name: &'static str| variable(name).ok_or(Invalid::Missing(name));
        Ok(Self {
            repository: required(env::REPOSITORY)?,
            project: variable(env::PROJECT).unwrap_or_default(),
            cache: PathBuf::from(required(env::CACHE)?),
        })
    }
}

impl Common {
    /// Reads the environment; an empty variable counts as not set.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = filled(variable);
        let listen = variable(env::LISTEN).unwrap_or_else(|| LISTEN.to_owned());
        let listen = listen.parse().map_err(|_| Invalid::Address { name: env::LISTEN, value: listen.clone() })?;
        let environment = variable(env::ENVIRONMENT).ok_or(Invalid::Missing(env::ENVIRONMENT))?;
        let place = Place::read(&variable)?;
        let lease_namespace = variable(env::LEASE_NAMESPACE).or_else(|| variable(env::POD_NAMESPACE));
        let lease_namespace = lease_namespace.ok_or(Invalid::Missing(env::LEASE_NAMESPACE))?;
        Ok(Self { listen, environment, place, lease_namespace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_counts_as_not_set() {
        let place = |repository: &str| {
            Place::read(|name| match name {
                env::REPOSITORY => Some(repository.to_owned()),
                env::CACHE => Some("/cache".to_owned()),
                _ => None,
            })
        };
        let expected =
            Place { repository: "/srv/forge.git".to_owned(), project: String::new(), cache: PathBuf::from("/cache") };
        assert_eq!(place("/srv/forge.git"), Ok(expected));
        assert_eq!(place(""), Err(Invalid::Missing(env::REPOSITORY)));
    }
}
