//! The server's settings, which come from its environment alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::fatal::Fatal;

/// The environment, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `SLIPWAY_LISTEN`: address and port; port 0 takes any free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// `SLIPWAY_MODELS`: the file that lists the versions in service; changes of its content are followed.
    pub models: PathBuf,
    /// `MLFLOW_TRACKING_URI`: the registry.
    pub mlflow: String,
    /// `SLIPWAY_CACHE`: where downloaded versions are kept, by digest.
    pub cache: PathBuf,
    /// `SLIPWAY_WORKERS`: threads that run models. Default: the machine's cores.
    pub workers: usize,
    /// `SLIPWAY_QUEUE`: requests that may wait for a worker; more are refused with 503. Default 1024.
    pub queue: usize,
    /// `SLIPWAY_DRAIN_SECONDS`: how long requests are still accepted after the signal to stop. Default 0.
    pub drain: Duration,
    /// `SLIPWAY_GRACE_SECONDS`: how long requests may then take to finish. Default 30, which is as long as a request may take.
    pub grace: Duration,
}

impl Settings {
    /// Reads the environment through `variable`.
    ///
    /// # Errors
    /// [`Fatal::Input`] that names the variable and what is allowed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Fatal> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &str, what: &str| {
            optional(name).ok_or_else(|| Fatal::Input(format!("{name} is not set; set it to {what}")))
        };
        let number = |name: &str, least: usize, most: usize, default: usize| match optional(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| Fatal::Input(format!("{name} is `{text}`; give a number from {least} to {most}"))),
        };
        let seconds = |name: &str, default| number(name, 0, 3600, default).map(|n| Duration::from_secs(n as u64));
        let listen = optional("SLIPWAY_LISTEN").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            listen: listen.parse().map_err(|_| {
                Fatal::Input(format!("SLIPWAY_LISTEN is `{listen}`; give address and port, such as 0.0.0.0:8080"))
            })?,
            models: required("SLIPWAY_MODELS", "the path of models.yaml")?.into(),
            mlflow: required("MLFLOW_TRACKING_URI", "MLflow's address, such as http://127.0.0.1:5000")?,
            cache: required("SLIPWAY_CACHE", "a folder for downloaded models")?.into(),
            workers: number("SLIPWAY_WORKERS", 1, 65_536, cores)?,
            queue: number("SLIPWAY_QUEUE", 1, 65_536, 1024)?,
            drain: seconds("SLIPWAY_DRAIN_SECONDS", 0)?,
            grace: seconds("SLIPWAY_GRACE_SECONDS", 30)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Fatal> {
        let all =
            [("SLIPWAY_MODELS", "/m.yaml"), ("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"), ("SLIPWAY_CACHE", "/c")];
        Settings::read(|name| {
            pairs.iter().chain(&all).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_malformed_is_named() {
        assert_eq!(read(&[]).unwrap().listen.port(), 8080);
        for (name, value) in [
            ("SLIPWAY_LISTEN", "localhost"),
            ("SLIPWAY_WORKERS", "0"),
            ("SLIPWAY_WORKERS", "-1"),
            ("SLIPWAY_QUEUE", "many"),
            ("SLIPWAY_DRAIN_SECONDS", "5s"),
            ("SLIPWAY_GRACE_SECONDS", "3601"),
            ("SLIPWAY_MODELS", ""),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
