//! The program itself beside a thousand jobs: what it costs at rest, how fast a change is told, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::{EXPERIMENT, World, container, now, pod};

const JOBS: usize = 1_000;

/// The program as a child process; it ends with this value.
struct Program {
    child: Child,
}

impl Program {
    fn start(world: &World) -> Self {
        let kubeconfig = world.folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": world.kubernetes.address()}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipway-manager"))
            .env("KUBECONFIG", kubeconfig)
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env("SLIPWAY_ENVIRONMENT", "local")
            .env("SLIPWAY_REPOSITORY", world.folder.path().join("forge.git"))
            .env("SLIPWAY_CACHE", world.folder.path().join("cache"))
            .env("SLIPWAY_LEASE_NAMESPACE", "training-manager")
            .env("MLFLOW_TRACKING_URI", &world.mlflow.url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"listening\":\"127.0.0.1:"), "{line}");
        Self { child }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in MiB: now, and the most that it was.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// The time of a CPU that it has used.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_thousand_jobs_cost_little_and_a_change_is_told_within_ten_seconds() {
    let rates: Vec<String> = (1..=JOBS).map(|rate| format!("{}", rate as f64 / 1e6)).collect();
    let many = EXPERIMENT
        .replace("[0.001, 0.003]", &format!("[{}]", rates.join(", ")))
        .replace("cpuHours: 4", "cpuHours: 2000");
    let world = World::with(&["local"], &many).await;
    let (number, jobs) = world.merge("local").await;
    assert_eq!(jobs.len(), JOBS);
    for job in &jobs {
        world.create(job);
        world.pods(job, &container("Running", &json!({"running": {"startedAt": now()}})));
    }
    let mut program = Program::start(&world);
    let begun = Instant::now();
    world.reported(number, "1,000 trials running").await;
    let first = begun.elapsed();

    // once everything has been read
    let settled = Instant::now();
    let mut before = program.cpu();
    while settled.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = program.cpu();
        if now - before < Duration::from_millis(20) {
            break;
        }
        before = now;
    }
    let (before, begun) = (program.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let share = (program.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let (memory, most) = program.memory();

    world.kubernetes.set_log(&pod(&jobs[7], 0), "nothing\n");
    let begun = Instant::now();
    world.conclude(&jobs[7], "Failed", "FailedJobs", "jobset failed");
    world.reported(number, "1 failed, 999 running").await;
    let told = begun.elapsed();
    eprintln!(
        "{JOBS} jobs: first report after {:.1} s, {memory} MiB ({most} at most), {:.2} % of a core at rest, a change told after {:.1} s",
        first.as_secs_f64(),
        share * 100.0,
        told.as_secs_f64()
    );
    assert!(memory <= 50, "{memory} MiB");
    assert!(share <= 0.01, "{share}");
    assert!(told <= Duration::from_secs(10), "{told:?}");

    let begun = Instant::now();
    kill_process(Pid::from_raw(program.pid() as i32).unwrap(), Signal::TERM).unwrap();
    assert!(program.child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
