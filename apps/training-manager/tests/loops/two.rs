//! Two managers and their Lease.

use std::convert::Infallible;
use std::time::Duration;

use slipway_cluster::{Candidacy, Election, Timing};
use slipway_training_manager::manager::{Manager, Published};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use crate::clock::until;
use crate::course::{Course, Times};
use crate::kubernetes::LEASES;
use crate::world::World;

const KILLS: usize = 20;

/// As long as it takes, and not longer than a test has.
const TIMING: Timing =
    Timing { lease: Duration::from_millis(1_000), renew: Duration::from_millis(600), retry: Duration::from_millis(50) };

/// A manager that runs as a process would.
struct Process {
    candidacy: Candidacy,
    task: JoinHandle<()>,
}

impl Process {
    fn start(world: &World, name: &str) -> Self {
        let election = Election::new(&world.kubernetes.cluster(), LEASES, "training-manager", name).unwrap();
        let candidacy = election.with_timing(TIMING).start();
        let manager: Manager = world.manager("local", candidacy.leadership());
        let task = spawn_local(async move {
            let published = Published::default();
            let _: Infallible = manager.run(&published).await;
        });
        Self { candidacy, task }
    }

    fn leads(&self) -> bool {
        self.candidacy.leadership().is_leader()
    }

    /// Without a chance to give the Lease back.
    fn kill(self) {
        self.task.abort();
        drop(self.candidacy);
    }
}

#[tokio::test]
async fn of_two_managers_the_other_one_goes_on_whenever_one_is_killed() {
    LocalSet::new().run_until(kill_again_and_again()).await;
}

async fn kill_again_and_again() {
    let world = World::new().await;
    let seed = 3;
    let mut rng = fastrand::Rng::with_seed(seed);
    let times = Times { created: 2, running: 5, finished: [8, 11], commits: (3, 0) };
    let mut course = Course::new(&world, times).await;
    let mut processes = ["a", "b"].map(|name| Some(Process::start(&world, name)));
    for kill in 0..KILLS {
        course.go_on(&world, kill).await;
        tokio::time::sleep(Duration::from_millis(rng.u64(0..600))).await;
        let leaders = processes.iter().flatten().filter(|process| process.leads()).count();
        assert!(leaders <= 1, "seed {seed}, kill {kill}: both lead");
        let which = rng.usize(0..processes.len());
        processes[which].take().unwrap().kill();
        processes[which] = Some(Process::start(&world, ["a", "b"][which]));
        assert!(world.promotions().await.len() <= 1, "seed {seed}, kill {kill}");
    }
    until("one of them leads", async || processes.iter().flatten().any(Process::leads)).await;
    course.ends(&world).await;
    processes.into_iter().flatten().for_each(Process::kill);
    assert_eq!(world.promotions().await.len(), 1);
}
