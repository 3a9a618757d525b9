//! Workers that start before rank 0's name resolves, as pods of one job do: in a mount namespace with its own hosts file.

use std::path::Path;
use std::process::{Command, Stdio};

use slipway_mlflow_server::Mlflow;

use crate::objects::Objects;
use crate::worker::{Running, free_port, trial, worker};

/// The same program with `hosts` as /etc/hosts, where only the cache is writable.
fn confined(command: &Command, hosts: &Path, cache: &Path) -> Command {
    const SCRIPT: &str = "mount --bind \"$1\" /etc/hosts && mount --bind \"$2\" \"$2\" && mount -o remount,bind,ro / && shift 2 && exec \"$@\"";
    let mut confined = Command::new("unshare");
    confined.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]).args([hosts, cache]);
    confined.arg(command.get_program()).args(command.get_args());
    confined.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    confined.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    confined.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    confined
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mount namespaces: `make test-confined`"]
async fn workers_meet_at_a_name_that_comes_after_they_have_started_and_write_only_to_their_cache() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let (port, trial) = (free_port(), trial(&objects, 2, 2));
    // rank 1 first, then rank 0: neither finds the name
    let mut workers: Vec<Running> = [1, 0]
        .into_iter()
        .map(|rank| {
            let cache = folder.path().join(format!("cache-{rank}"));
            std::fs::create_dir(&cache).unwrap();
            let mut command = worker(rank, port, &trial, &objects, &mlflow.url, &cache);
            command.env("PET_MASTER_ADDR", "blocks-mlp-node-0-0.blocks-mlp");
            let mut running = Running::start(&mut confined(&command, &hosts, &cache));
            running.until("waiting_for_rank_0");
            running
        })
        .collect();
    // written in place, because this file is mounted
    std::fs::write(&hosts, "127.0.0.1 localhost\n127.0.0.1 blocks-mlp-node-0-0.blocks-mlp\n").unwrap();
    for worker in &mut workers {
        worker.until("workers_met");
    }
    for worker in workers {
        let (code, log) = worker.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("does not resolve"), "{log}");
    }
    assert_eq!(mlflow.versions("blocks").await, 1);
}
