//! What the program finds in its environment: what torchrun would give it, MLflow, its data and parameters, and nothing of ours.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_job::{Failure, Membership, Result};
use slipway_names::env;

/// Where an image has the program's code.
const PROGRAM: &str = "/opt/program";
/// How long a program may take to end after SIGTERM. Storing the last checkpoint takes up to 2 s more and marking the run as killed
/// 10 s, and a pod has 25 s.
const GRACE: Duration = Duration::from_secs(8);

/// Variables of these prefixes are for this program, not for the one that it starts: the trial, the place among the workers as Kubeflow Trainer
/// says it, the object store's keys, and the token of the status API.
const OURS: [&str; 4] = ["SLIPWAY_", "PET_", "AWS_", "KUBEFLOW_TRAINER_SERVER_"];

/// The settings of this program that no other worker has.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `SLIPWAY_PROGRAM`: the folder of the code, absolute.
    pub(crate) program: PathBuf,
    /// `SLIPWAY_GRACE_SECONDS`
    pub(crate) grace: Duration,
}

impl Settings {
    pub(crate) fn read() -> Result<Self> {
        let program = std::env::var_os(env::PROGRAM).filter(|value| !value.is_empty());
        let program = PathBuf::from(program.unwrap_or_else(|| PROGRAM.into()));
        let program = program.canonicalize().map_err(|error| {
            Failure::Input(format!(
                "{}: {error}; the image has no program there: set {} to the folder of the code",
                program.display(),
                env::PROGRAM
            ))
        })?;
        let grace = match std::env::var(env::GRACE_SECONDS) {
            Err(_) => GRACE,
            Ok(text) => {
                text.parse().ok().filter(|seconds| (1..=3600).contains(seconds)).map(Duration::from_secs).ok_or_else(
                    || Failure::Input(format!("{} is {text:?}: use a whole number from 1 to 3600", env::GRACE_SECONDS)),
                )?
            }
        };
        Ok(Self { program, grace })
    }
}

/// What differs from job to job and from worker to worker.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) job: &'a str,
    pub(crate) membership: &'a Membership,
    /// Folder of the verified dataset.
    pub(crate) data: &'a Path,
    /// The parameters as a JSON object.
    pub(crate) parameters: &'a str,
    /// A folder for what the program's libraries want to keep.
    pub(crate) home: &'a Path,
    /// Where the program finds its last checkpoint and leaves the next; `None` if nobody stores it.
    pub(crate) checkpoints: Option<&'a Path>,
    /// Of rank 0.
    pub(crate) lead: Option<Lead<'a>>,
}

/// What only rank 0 has.
#[derive(Debug)]
pub(crate) struct Lead<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) experiment_id: &'a str,
    /// Where the program may put files of a model.
    pub(crate) output: &'a Path,
    /// A descriptor that takes lines of progress.
    pub(crate) progress: i32,
}

/// The program's environment: what of `inherited` is not ours, and what it is given.
pub(crate) fn variables(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    given: &Given<'_>,
) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> =
        inherited.filter(|(name, _)| !OURS.iter().any(|prefix| name.to_string_lossy().starts_with(prefix))).collect();
    let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        variables.insert(name.into(), value.as_ref().to_owned());
    };
    let Membership { rank, world_size, master_host, master_port } = given.membership;
    let (rank, world_size) = (rank.to_string(), world_size.to_string());
    for name in ["RANK", "GROUP_RANK", "NODE_RANK", "ROLE_RANK"] {
        set(name, &rank);
    }
    for name in ["WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"] {
        set(name, &world_size);
    }
    for (name, value) in [
        ("LOCAL_RANK", "0"),
        ("LOCAL_WORLD_SIZE", "1"),
        ("ROLE_NAME", "default"),
        ("MASTER_ADDR", master_host),
        ("MASTER_PORT", &master_port.to_string()),
        ("TORCHELASTIC_RUN_ID", given.job),
        ("TORCHELASTIC_RESTART_COUNT", "0"),
        ("TORCHELASTIC_MAX_RESTARTS", "0"),
        ("TORCHELASTIC_USE_AGENT_STORE", "False"),
        (env::PARAMETERS, given.parameters),
    ] {
        set(name, &value);
    }
    set(env::DATA, &given.data);
    if let Some(checkpoints) = given.checkpoints {
        set(env::CHECKPOINTS, &checkpoints);
    }
    if let Some(lead) = &given.lead {
        set("MLFLOW_RUN_ID", &lead.run_id);
        set("MLFLOW_EXPERIMENT_ID", &lead.experiment_id);
        set(env::OUTPUT, &lead.output);
        set(env::PROGRESS_FD, &lead.progress.to_string());
    }
    let loopback = given.membership.master_host == "localhost"
        || given.membership.master_host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let mut unless_set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        variables.entry(name.into()).or_insert_with(|| value.as_ref().to_owned());
    };
    // what a program prints must be in the log when it is killed
    unless_set("PYTHONUNBUFFERED", &"1");
    // the folder of the code may be read-only
    unless_set("PYTHONDONTWRITEBYTECODE", &"1");
    // a training pod reaches nothing but MLflow, the object store and the other workers
    unless_set("MLFLOW_DISABLE_TELEMETRY", &"true");
    unless_set("DO_NOT_TRACK", &"true");
    if loopback {
        // gloo would look the machine's own name up, which need not lead anywhere
        unless_set("GLOO_SOCKET_IFNAME", &if cfg!(target_os = "macos") { "lo0" } else { "lo" });
    }
    let has_home = variables.get(std::ffi::OsStr::new("HOME")).is_some_and(|home| is_writable(Path::new(home)));
    if !has_home {
        variables.insert("HOME".into(), given.home.into());
    }
    variables
}

fn is_writable(folder: &Path) -> bool {
    folder.is_absolute() && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn found(inherited: &[(&str, &str)], lead: bool) -> BTreeMap<String, String> {
        let membership = Membership { rank: 1, world_size: 2, master_host: "127.0.0.1".to_owned(), master_port: 29500 };
        let lead =
            lead.then_some(Lead { run_id: "r", experiment_id: "7", output: Path::new("/cache/output"), progress: 5 });
        let given = Given {
            job: "fashion-1a2b3c4d",
            membership: &membership,
            data: Path::new("/cache/data"),
            parameters: "{\"hidden\":128}",
            home: Path::new("/cache/home"),
            checkpoints: Some(Path::new("/cache/checkpoints")),
            lead,
        };
        let inherited = inherited.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let text = |value: OsString| value.into_string().unwrap();
        variables(inherited, &given).into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn it_is_what_torchrun_gives_and_nothing_of_ours() {
        let inherited = [
            ("PATH", "/usr/bin"),
            ("OMP_NUM_THREADS", "2"),
            ("MLFLOW_TRACKING_URI", "http://mlflow:5000"),
            ("MLFLOW_TRACKING_PASSWORD", "p"),
            ("SLIPWAY_TRIAL", "{}"),
            ("SLIPWAY_CACHE", "/cache"),
            ("SLIPWAY_CHECKPOINT_STORE", "s3://checkpoints"),
            ("PET_NNODES", "2"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
            ("KUBEFLOW_TRAINER_SERVER_TOKEN", "/t"),
        ];
        let variables = found(&inherited, false);
        let get = |name: &str| variables.get(name).map(String::as_str);
        for (name, value) in [
            ("RANK", "1"),
            ("WORLD_SIZE", "2"),
            ("LOCAL_RANK", "0"),
            ("LOCAL_WORLD_SIZE", "1"),
            ("GROUP_RANK", "1"),
            ("NODE_RANK", "1"),
            ("MASTER_ADDR", "127.0.0.1"),
            ("MASTER_PORT", "29500"),
            ("TORCHELASTIC_RUN_ID", "fashion-1a2b3c4d"),
            ("PATH", "/usr/bin"),
            ("OMP_NUM_THREADS", "2"),
            ("MLFLOW_TRACKING_URI", "http://mlflow:5000"),
            ("MLFLOW_TRACKING_PASSWORD", "p"),
            ("SLIPWAY_DATA", "/cache/data"),
            ("SLIPWAY_CHECKPOINTS", "/cache/checkpoints"),
            ("SLIPWAY_PARAMETERS", "{\"hidden\":128}"),
            ("HOME", "/cache/home"),
        ] {
            assert_eq!(get(name), Some(value), "{name}");
        }
        let ours = |name: &&String| OURS.iter().any(|prefix| name.starts_with(prefix));
        assert_eq!(
            variables.keys().filter(ours).collect::<Vec<_>>(),
            ["SLIPWAY_CHECKPOINTS", "SLIPWAY_DATA", "SLIPWAY_PARAMETERS"]
        );
        assert_eq!(get("MLFLOW_RUN_ID"), None);
    }

    #[test]
    fn rank_0_has_the_run_and_what_a_person_sets_stays() {
        let variables = found(&[("PYTHONUNBUFFERED", ""), ("HOME", "/tmp")], true);
        for (name, value) in [
            ("MLFLOW_RUN_ID", "r"),
            ("MLFLOW_EXPERIMENT_ID", "7"),
            ("SLIPWAY_OUTPUT", "/cache/output"),
            ("SLIPWAY_PROGRESS_FD", "5"),
            ("PYTHONUNBUFFERED", ""),
            ("HOME", "/tmp"),
        ] {
            assert_eq!(variables[name], value, "{name}");
        }
    }
}
