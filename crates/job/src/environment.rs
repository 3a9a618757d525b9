//! A worker's environment. `PET_*`, which Kubeflow Trainer sets, is read strictly.

use std::time::Duration;

use slipway_names::env;

use crate::{Failure, Result};

/// This worker's membership in the group of workers: its rank, the group's size, and where rank 0 listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// From 0; rank 0 alone logs and registers.
    pub rank: usize,
    /// The number of workers.
    pub world_size: usize,
    /// The host of rank 0.
    pub master_host: String,
    /// The port on that host; 0 for a single worker.
    pub master_port: u16,
}

/// Settings of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its place among the workers.
    pub membership: Membership,
    /// `OMP_NUM_THREADS`: the threads of one operation.
    pub threads: i32,
    /// `SLIPWAY_RENDEZVOUS_TIMEOUT`: how long to wait for the others.
    pub rendezvous_timeout: Duration,
    /// `SLIPWAY_PROGRESS_SECONDS`: the time between two progress reports.
    pub progress_interval: Duration,
    /// `SLIPWAY_CHECKPOINT_SECONDS`: the time between two checkpoints.
    pub checkpoint_interval: Duration,
}

/// The largest world size that is accepted; a larger one is surely a mistake.
const MAX_WORKERS: usize = 4096;

impl Environment {
    /// Reads this process's environment.
    ///
    /// # Errors
    /// [`Failure::Input`] for a variable that is malformed, and for `PET_*` that are incomplete.
    pub fn read() -> Result<Self> {
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads variables from a lookup.
    ///
    /// Without any `PET_*`, this is the only worker. If one is set, all five must be set and valid: a worker that ignored a
    /// broken one would silently train alone.
    ///
    /// # Errors
    /// As [`Environment::read`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let threads = number(&lookup, "OMP_NUM_THREADS", 1, 1024)?.unwrap_or(1);
        let seconds = |name, most, default: usize| -> Result<Duration> {
            Ok(Duration::from_secs(number(&lookup, name, 1, most)?.unwrap_or(default) as u64))
        };
        Ok(Self {
            membership: membership(&lookup)?,
            threads: threads as i32,
            rendezvous_timeout: seconds("SLIPWAY_RENDEZVOUS_TIMEOUT", 86_400, 60)?,
            progress_interval: seconds("SLIPWAY_PROGRESS_SECONDS", 3600, 5)?,
            checkpoint_interval: checkpoint_interval(&lookup)?,
        })
    }
}

const PET: [&str; 5] = ["PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"];

fn membership(lookup: &impl Fn(&str) -> Option<String>) -> Result<Membership> {
    let missing: Vec<_> = PET.into_iter().filter(|name| lookup(name).is_none()).collect();
    if missing.len() == PET.len() {
        return Ok(Membership { rank: 0, world_size: 1, master_host: "127.0.0.1".into(), master_port: 0 });
    }
    if !missing.is_empty() {
        return Err(Failure::Input(format!(
            "{} {} not set, but other PET_* variables are: Kubeflow Trainer sets all of {} when the TrainJob has `spec.trainer`",
            missing.join(" and "),
            if missing.len() == 1 { "is" } else { "are" },
            PET.join(", ")
        )));
    }
    let required = |name, least, most| -> Result<usize> {
        number(lookup, name, least, most)?.ok_or_else(|| Failure::Input(format!("{name} is not set")))
    };
    let nodes = required("PET_NNODES", 1, MAX_WORKERS)?;
    let processes = required("PET_NPROC_PER_NODE", 1, MAX_WORKERS)?;
    if processes != 1 {
        return Err(Failure::Input(format!(
            "PET_NPROC_PER_NODE is {processes}: this trainer runs one process on each node, so set `spec.trainer.numProcPerNode: 1` \
             and use more nodes"
        )));
    }
    let rank = required("PET_NODE_RANK", 0, MAX_WORKERS)?;
    if rank >= nodes {
        return Err(Failure::Input(format!(
            "PET_NODE_RANK is {rank}, but PET_NNODES is {nodes}: use 0 to {}",
            nodes - 1
        )));
    }
    let master_port = required("PET_MASTER_PORT", 1, 65_535)? as u16;
    let master_host = lookup("PET_MASTER_ADDR").unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if master_host.is_empty() || !master_host.chars().all(allowed) {
        return Err(Failure::Input(format!(
            "PET_MASTER_ADDR is {master_host:?}: use the host name or address of the worker with rank 0"
        )));
    }
    Ok(Membership { rank, world_size: nodes, master_host, master_port })
}

/// Half a minute is far longer than a checkpoint takes, and short compared with what a restart costs anyway.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(30);

fn checkpoint_interval(lookup: &impl Fn(&str) -> Option<String>) -> Result<Duration> {
    let Some(text) = lookup(env::CHECKPOINT_SECONDS) else { return Ok(CHECKPOINT_INTERVAL) };
    let seconds = text.parse().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Failure::Input(format!("{} is {text:?}: use a number of seconds from 0.01 to 86400", env::CHECKPOINT_SECONDS))
    })
}

/// A whole number within bounds; `None` if the variable is not set.
fn number(lookup: &impl Fn(&str) -> Option<String>, name: &str, least: usize, most: usize) -> Result<Option<usize>> {
    let Some(text) = lookup(name) else { return Ok(None) };
    // parse() alone would take `+2`
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<usize>() {
        Ok(value) if digits && (least..=most).contains(&value) => Ok(Some(value)),
        _ => Err(Failure::Input(format!("{name} is {text:?}: use a whole number from {least} to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, Option<&str>)]) -> Result<Environment> {
        let good = [
            ("PET_NNODES", "2"),
            ("PET_NPROC_PER_NODE", "1"),
            ("PET_NODE_RANK", "1"),
            ("PET_MASTER_ADDR", "job-node-0-0.job"),
            ("PET_MASTER_PORT", "29500"),
        ];
        Environment::from_lookup(|name| match changes.iter().find(|(n, _)| *n == name) {
            Some((_, value)) => value.map(str::to_owned),
            None => good.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
        })
    }

    #[test]
    fn a_worker_knows_its_place() {
        let membership = read(&[]).unwrap().membership;
        assert_eq!((membership.rank, membership.world_size, membership.master_port), (1, 2, 29500));
    }

    #[test]
    fn no_variable_at_all_is_one_worker() {
        let environment = Environment::from_lookup(|_| None).unwrap();
        assert_eq!((environment.membership.world_size, environment.threads), (1, 1));
        assert_eq!(environment.checkpoint_interval, Duration::from_secs(30));
    }

    #[test]
    fn each_malformed_variable_is_named() {
        for (name, value) in [
            ("PET_NNODES", Some("two")),
            ("PET_NNODES", Some("0")),
            ("PET_NNODES", Some("-1")),
            ("PET_NNODES", Some("+2")),
            ("PET_NNODES", Some("99999999999999999999")),
            ("PET_NNODES", None),
            ("PET_NPROC_PER_NODE", Some("auto")),
            ("PET_NPROC_PER_NODE", Some("2")),
            ("PET_NODE_RANK", Some("2")),
            ("PET_NODE_RANK", Some("")),
            ("PET_MASTER_ADDR", Some("")),
            ("PET_MASTER_ADDR", Some("a b")),
            ("PET_MASTER_ADDR", None),
            ("PET_MASTER_PORT", Some("65536")),
            ("PET_MASTER_PORT", Some("0")),
            ("OMP_NUM_THREADS", Some("0")),
            ("SLIPWAY_RENDEZVOUS_TIMEOUT", Some("1m")),
            ("SLIPWAY_PROGRESS_SECONDS", Some("0")),
            ("SLIPWAY_CHECKPOINT_SECONDS", Some("0")),
            ("SLIPWAY_CHECKPOINT_SECONDS", Some("NaN")),
            ("SLIPWAY_CHECKPOINT_SECONDS", Some("30s")),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.to_string().contains(name), "{name}={value:?}: {error}");
            assert!(matches!(error, Failure::Input(_)));
        }
    }
}
