//! The environment, which is the manager's only configuration.

use std::path::PathBuf;

use slipway_http::Url;
use slipway_names::env;
use slipway_service::settings::{self, Common, filled};

/// The namespace of TrainJobs unless it is told.
const TRAINING: &str = "training";

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What each service needs.
    pub common: Common,
    /// The namespace of the TrainJobs.
    pub training_namespace: String,
    /// Where a browser finds MLflow; `None` if nobody has said.
    pub mlflow_pages: Option<String>,
    /// The server's internal address; `None` if its challengers are not followed.
    pub server: Option<Url>,
    /// A file with the token that writing needs without GitHub.
    pub token_file: Option<PathBuf>,
}

/// Why the environment cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// What each service needs.
    #[error(transparent)]
    Common(#[from] settings::Invalid),
    /// A variable does not hold the address of a service.
    #[error("{0} is not the address of a server: give one such as http://server.server.svc:8081")]
    Url(&'static str),
}

impl Settings {
    /// Reads the environment; an empty variable counts as not set.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = filled(variable);
        Ok(Self {
            common: Common::read(&variable)?,
            training_namespace: variable(env::TRAINING_NAMESPACE).unwrap_or_else(|| TRAINING.to_owned()),
            mlflow_pages: variable(env::MLFLOW_PUBLIC_URL),
            server: variable(env::SERVER_URL).map(|url| server(&url)).transpose()?,
            token_file: variable(env::MANAGER_TOKEN_FILE).map(PathBuf::from),
        })
    }
}

/// An address of HTTP. It is not repeated in the error, since it may contain a login.
fn server(url: &str) -> Result<Url, Invalid> {
    let url: Url = url.parse().map_err(|_| Invalid::Url(env::SERVER_URL))?;
    if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() {
        Ok(url)
    } else {
        Err(Invalid::Url(env::SERVER_URL))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use slipway_service::settings::LISTEN;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Invalid> {
        Settings::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const LEAST: [(&str, &str); 4] = [
        (env::ENVIRONMENT, "local"),
        (env::REPOSITORY, "/srv/forge.git"),
        (env::CACHE, "/cache"),
        (env::POD_NAMESPACE, "training-manager"),
    ];

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = read(&LEAST).unwrap();
        let common = settings.common;
        assert_eq!(common.listen.to_string(), LISTEN);
        assert_eq!(
            (settings.training_namespace.as_str(), common.lease_namespace.as_str()),
            (TRAINING, "training-manager")
        );
        assert_eq!((settings.mlflow_pages, settings.token_file, common.place.project), (None, None, String::new()));
        let all =
            [&LEAST[..], &[(env::LISTEN, "[::]:80"), (env::LEASE_NAMESPACE, "x"), (env::TRAINING_NAMESPACE, "y")]]
                .concat();
        let settings = read(&all).unwrap();
        assert_eq!(
            (
                settings.common.listen.port(),
                settings.common.lease_namespace.as_str(),
                settings.training_namespace.as_str()
            ),
            (80, "x", "y")
        );
    }

    #[test]
    fn what_must_be_said_is_named() {
        for index in 0..LEAST.len() {
            let mut pairs = LEAST.to_vec();
            let (name, _) = pairs.remove(index);
            let missing = if name == env::POD_NAMESPACE { env::LEASE_NAMESPACE } else { name };
            assert_eq!(read(&pairs).unwrap_err().to_string().split(' ').next(), Some(missing));
        }
        let error = read(&[&LEAST[..], &[(env::LISTEN, "8080")]].concat()).unwrap_err().to_string();
        assert!(error.contains("SLIPWAY_LISTEN is `8080`"), "{error}");
        for bad in ["server:8081", "ftp://server", "nonsense"] {
            let error = read(&[&LEAST[..], &[(env::SERVER_URL, bad)]].concat()).unwrap_err().to_string();
            assert!(error.starts_with("SLIPWAY_SERVER_URL is not the address of a server"), "{error}");
        }
    }

    #[test]
    fn every_variable_is_on_the_page() {
        let page = include_str!("../../../docs/configuration.md");
        let mut sections = page.split("\n## ").filter(|section| section.starts_with("slipway-manager\n"));
        let section = sections.next().unwrap();
        assert!(sections.next().is_none(), "there are two sections");
        let asked = RefCell::new(BTreeSet::new());
        let settings = Settings::read(|name| {
            asked.borrow_mut().insert(name.to_owned());
            let value = LEAST.iter().find(|(key, _)| *key == name);
            value.map(|(_, value)| (*value).to_owned())
        });
        settings.unwrap();
        for name in asked.take() {
            assert!(section.contains(&format!("`{name}`")), "{name} is not on the page");
        }
        for default in [LISTEN, TRAINING] {
            assert!(section.contains(&format!("| `{default}` |")), "{default} is not on the page");
        }
    }
}
