//! The server's settings, which come from its environment alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use slipway_names::env;
use slipway_samples::Settings as Bounds;

use crate::fatal::Fatal;
use crate::feedback::FeedbackSettings;
use crate::room::half_of_memory;

/// The environment, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `SLIPWAY_LISTEN`: address and port where versions in service answer; port 0 takes any free one. Default `127.0.0.1:8080`, or
    /// nowhere if there is an internal address.
    pub listen: Option<SocketAddr>,
    /// `SLIPWAY_LISTEN_INTERNAL`: address and port where every registered version answers. Default: nowhere.
    pub internal: Option<SocketAddr>,
    /// `SLIPWAY_CONNECTIONS`: connections at once, at each address; more wait until others end. Default 1024, or what the limit of open
    /// files allows.
    pub connections: u32,
    /// `SLIPWAY_MODELS`: the file that lists the versions in service; changes of its content are followed.
    pub models: PathBuf,
    /// `MLFLOW_TRACKING_URI`: the registry.
    pub mlflow: String,
    /// `SLIPWAY_CACHE`: where downloaded versions are kept, by digest. No other server may use it.
    pub cache: PathBuf,
    /// `SLIPWAY_CACHE_MIB`: the most that it may hold, in bytes here. Default 1536 MiB.
    pub cache_bytes: u64,
    /// `SLIPWAY_MODEL_MEMORY_MIB`: the most memory of all loaded models together, in bytes here. Default: half of what the process may use.
    pub model_memory: u64,
    /// `SLIPWAY_WORKERS`: threads that run models which are not quick. Default: the machine's cores.
    pub workers: usize,
    /// `SLIPWAY_QUEUE`: requests that may wait for a worker, or for the answer of one quick model; more are refused with 503. Default 1024.
    pub queue: usize,
    /// `SLIPWAY_DRAIN_SECONDS`: how long requests are still accepted after the signal to stop. Default 0.
    pub drain: Duration,
    /// `SLIPWAY_GRACE_SECONDS`: how long requests may then take to finish. Default 30, which is as long as a request may take.
    pub grace: Duration,
    /// `SLIPWAY_REQUESTS`: where a sample of the requests is kept. Default: nowhere.
    pub sampling: Option<Sampling>,
    /// `SLIPWAY_FEEDBACK` and its kin: what people say about answers. Default: nothing is taken.
    pub feedback: Option<FeedbackSettings>,
}

/// The sample of requests.
#[derive(Clone, Debug)]
pub struct Sampling {
    /// The bucket that `SLIPWAY_REQUESTS` names.
    pub bucket: String,
    /// `SLIPWAY_SAMPLE_SHARE`: the share of the requests, default 0. `SLIPWAY_SAMPLE_MIB`: the most memory for samples that are not stored
    /// yet, default 32; a file takes at most a quarter of it. `SLIPWAY_SAMPLE_SECONDS`: how long a sample waits until its file is written,
    /// default 60. `SLIPWAY_SAMPLE_ROWS_PER_HOUR`: the most rows of an hour, of each model, default 10000. `SLIPWAY_SAMPLE_DAYS`: files of
    /// days longer ago are deleted, default 7. The name of this machine is in the names of files.
    pub bounds: Bounds,
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
        let address = |name: &str| {
            let parse = |text: String| {
                text.parse().map_err(|_| {
                    Fatal::Input(format!("{name} is `{text}`; give address and port, such as 0.0.0.0:8080"))
                })
            };
            optional(name).map(parse).transpose()
        };
        let share =
            |name: &str| match optional(name) {
                None => Ok(0.0),
                Some(text) => text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
                    Fatal::Input(format!("{name} is `{text}`; give a share of the requests, such as 0.01"))
                }),
            };
        let sampling = match optional(env::REQUESTS) {
            None => None,
            Some(uri) => {
                let bucket = slipway_samples::bucket(&uri).ok_or_else(|| {
                    Fatal::Input(format!(
                        "{} is `{uri}`; give s3:// and a bucket, such as s3://requests",
                        env::REQUESTS
                    ))
                })?;
                let memory = number("SLIPWAY_SAMPLE_MIB", 1, 4096, 32)? << 20;
                let bounds = Bounds {
                    share: share("SLIPWAY_SAMPLE_SHARE")?,
                    memory,
                    file: memory / 4,
                    age: Duration::from_secs(number("SLIPWAY_SAMPLE_SECONDS", 1, 3600, 60)? as u64),
                    rows_per_hour: number("SLIPWAY_SAMPLE_ROWS_PER_HOUR", 1, 1 << 30, 10_000)?,
                    days: number("SLIPWAY_SAMPLE_DAYS", 1, 3650, 7)? as u32,
                    replica: rustix::system::uname().nodename().to_string_lossy().into_owned(),
                };
                Some(Sampling { bucket: bucket.to_owned(), bounds })
            }
        };
        let internal = address(env::LISTEN_INTERNAL)?;
        let listen = address(env::LISTEN)?;
        let by_default = || internal.is_none().then_some(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            listen: listen.or_else(by_default),
            internal,
            connections: number("SLIPWAY_CONNECTIONS", 1, 65_536, 1024)? as u32,
            models: required(env::MODELS, "the path of models.yaml")?.into(),
            mlflow: required(env::MLFLOW_TRACKING_URI, "MLflow's address, such as http://127.0.0.1:5000")?,
            cache: required(env::CACHE, "a folder for downloaded models")?.into(),
            cache_bytes: (number("SLIPWAY_CACHE_MIB", 1, 1 << 30, 1536)? as u64) << 20,
            model_memory: match number("SLIPWAY_MODEL_MEMORY_MIB", 1, 1 << 30, 0)? as u64 {
                0 => half_of_memory(),
                mib => mib << 20,
            },
            workers: number("SLIPWAY_WORKERS", 1, 65_536, cores)?,
            queue: number("SLIPWAY_QUEUE", 1, 65_536, 1024)?,
            drain: seconds("SLIPWAY_DRAIN_SECONDS", 0)?,
            grace: seconds("SLIPWAY_GRACE_SECONDS", 30)?,
            sampling,
            feedback: FeedbackSettings::read(&variable, internal.is_some())?,
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
        let listens = |pairs: &[_]| {
            let settings = read(pairs).unwrap();
            [settings.listen, settings.internal].map(|address| address.map(|address| address.port()))
        };
        let (public, internal) = (("SLIPWAY_LISTEN", "0.0.0.0:1"), ("SLIPWAY_LISTEN_INTERNAL", "[::]:2"));
        assert_eq!(listens(&[]), [Some(8080), None]);
        assert_eq!(listens(&[internal]), [None, Some(2)]);
        assert_eq!(listens(&[public, internal]), [Some(1), Some(2)]);
        for (name, value) in [
            ("SLIPWAY_LISTEN", "localhost"),
            ("SLIPWAY_LISTEN_INTERNAL", "8081"),
            ("SLIPWAY_CONNECTIONS", "0"),
            ("SLIPWAY_CACHE_MIB", "2Gi"),
            ("SLIPWAY_MODEL_MEMORY_MIB", "0"),
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

    #[test]
    fn nothing_is_sampled_unless_a_place_and_a_share_are_named() {
        let place = ("SLIPWAY_REQUESTS", "s3://requests/");
        assert!(read(&[("SLIPWAY_SAMPLE_SHARE", "1")]).unwrap().sampling.is_none());
        let by_default = read(&[place]).unwrap().sampling.unwrap();
        assert_eq!((by_default.bucket.as_str(), by_default.bounds.share), ("requests", 0.0));
        let given = read(&[place, ("SLIPWAY_SAMPLE_SHARE", "0.01"), ("SLIPWAY_SAMPLE_DAYS", "30")]).unwrap();
        let bounds = given.sampling.unwrap().bounds;
        assert_eq!((bounds.share, bounds.days, bounds.memory, bounds.file), (0.01, 30, 32 << 20, 8 << 20));
        for (name, value) in [
            ("SLIPWAY_REQUESTS", "requests"),
            ("SLIPWAY_REQUESTS", "s3://"),
            ("SLIPWAY_REQUESTS", "s3://a/b"),
            ("SLIPWAY_SAMPLE_SHARE", "1.5"),
            ("SLIPWAY_SAMPLE_SHARE", "NaN"),
            ("SLIPWAY_SAMPLE_SHARE", "5%"),
            ("SLIPWAY_SAMPLE_MIB", "0"),
            ("SLIPWAY_SAMPLE_SECONDS", "0"),
            ("SLIPWAY_SAMPLE_ROWS_PER_HOUR", "-1"),
            ("SLIPWAY_SAMPLE_DAYS", "0"),
        ] {
            let error = read(&[(name, value), place]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
