//! The program itself: it becomes the leader by its Lease, and ends when it is asked to; and what it costs beside a thousand jobs.
#![expect(clippy::print_stderr, reason = "figures are for whoever measures")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use slipway_cluster::Cluster;

use crate::course::{Course, Times};
use crate::kills::{A_FEW, A_HUNDRED};
use crate::world::{EXPERIMENT, World, container, now};

const JOBS: usize = 1_000;

/// The program as a child process; it ends with this value.
struct Program {
    child: Child,
}

impl Program {
    fn start(world: &World) -> Self {
        let kubeconfig = world.folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, Cluster::kubeconfig_at(world.kubernetes.address())).unwrap();
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

impl Program {
    /// Asks it to end, and waits until it has.
    async fn end(mut self) {
        kill_process(Pid::from_raw(self.pid() as i32).unwrap(), Signal::TERM).unwrap();
        // not here, where the API server is that it gives its Lease back to
        let ended = tokio::task::spawn_blocking(move || self.wait());
        assert!(ended.await.unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_program_leads_reports_and_ends_when_it_is_asked_to() {
    let world = World::new().await;
    let (number, jobs) = world.merge("local").await;
    jobs.iter().for_each(|job| world.create(job));
    let program = Program::start(&world);
    world.reported(number, "2 trials waiting").await;
    assert!(world.kubernetes.holder().is_some_and(|holder| !holder.is_empty()));
    program.end().await;
    assert_eq!(world.kubernetes.holder().as_deref(), Some(""), "the Lease was given back");
}

/// The most that it lives, in milliseconds: long enough to begin, and to write something.
const LIFE: u64 = 900;

/// As a machine does that loses its power, and so also between two files of a repository.
#[rstest]
#[case::a_few(12, A_FEW)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100, A_HUNDRED)]
#[tokio::test]
async fn the_program_that_is_killed_loses_nothing_and_does_nothing_twice(#[case] kills: usize, #[case] times: Times) {
    let world = World::new().await;
    let mut rng = fastrand::Rng::with_seed(7);
    let mut course = Course::new(&world, times).await;
    for kill in 0..kills {
        // otherwise it waits until the Lease of the one before has run out
        world.kubernetes.release();
        let program = Program::start(&world);
        course.go_on(&world, kill).await;
        tokio::time::sleep(Duration::from_millis(rng.u64(0..LIFE))).await;
        drop(program);
        let promotions = world.promotions().await;
        assert!(promotions.len() <= 1, "kill {kill}: {promotions:?}");
    }
    world.kubernetes.release();
    let program = Program::start(&world);
    course.ends(&world).await;
    program.end().await;
    assert_eq!(world.promotions().await.len(), 1);
}

/// Not asserted, because it depends on the machine: memory at most 50 MiB, at rest at most 1 % of a core, a change told within 10 s.
#[tokio::test]
#[ignore = "measures; `make bench` runs it"]
async fn measure_a_thousand_jobs() {
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
    let program = Program::start(&world);
    let begun = Instant::now();
    world.reported(number, "1,000 trials running").await;
    let first = begun.elapsed();
    let mut lists = world.kubernetes.lists();
    lists.sort();
    assert_eq!(lists, ["events", "jobsets", "pods", "trainjobs"], "one list of each kind");

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
    tokio::time::sleep(Duration::from_secs(60)).await;
    let share = (program.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let (memory, most) = program.memory();

    let mut told = Vec::new();
    for (count, job) in (1..).zip(jobs.iter().step_by(100)) {
        let begun = Instant::now();
        world.conclude(job, "Failed", "FailedJobs", "jobset failed");
        world.reported(number, &format!("{count} failed, {} running", JOBS - count)).await;
        told.push(begun.elapsed().as_secs_f64());
    }
    let slowest = told.iter().copied().fold(0.0, f64::max);
    let figures = json!({
        "jobs": JOBS, "firstReportSeconds": first.as_secs_f64(), "memoryMiB": memory, "mostMemoryMiB": most,
        "cpuAtRestPercent": share * 100.0, "changeToldSeconds": told, "slowestChangeToldSeconds": slowest,
    });
    eprintln!(
        "the training manager beside {JOBS} jobs: first report after {:.1} s, {memory} MiB ({most} at most), {:.2} % of a core at rest, \
         a change told after {slowest:.1} s at most",
        first.as_secs_f64(),
        share * 100.0,
    );
    println!("{figures}");
    program.end().await;
}
