//! A manager that is killed again and again, and two at once: no report is lost, and every promotion is opened exactly once.

use std::time::Duration;

use rstest::rstest;
use slipway_cluster::Leadership;
use slipway_training_manager::manager::Published;
use tokio::sync::watch;
use tokio::time::{Instant, advance, pause, resume};

use crate::clock::until;
use crate::course::{Course, Times};
use crate::world::{DATA, World, far, leader, shown, with};

/// What happens within twelve kills.
pub(crate) const A_FEW: Times = Times { created: 1, running: 3, finished: [5, 8], commits: (4, 2) };
/// What happens within a hundred.
pub(crate) const A_HUNDRED: Times = Times { created: 5, running: 20, finished: [40, 60], commits: (10, 9) };
/// The most that a life lasts, in milliseconds: long enough to write more than once.
const LIFE: u64 = 400;

#[rstest]
#[case::a_few(12, A_FEW)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100, A_HUNDRED)]
#[tokio::test]
async fn kills_lose_nothing_and_do_nothing_twice(#[case] kills: usize, #[case] times: Times) {
    let world = World::new().await;
    let seed = 7;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut course = Course::new(&world, times).await;
    let mut opened = 0;
    for kill in 0..kills {
        let (manager, published) = (world.manager("local", leader()), Published::default());
        let life = Duration::from_millis(rng.u64(0..LIFE));
        with(&manager, &published, async {
            course.go_on(&world, kill).await;
            tokio::time::sleep(life).await;
        })
        .await;
        opened += manager.metrics.promotions.get();
        let promotions = world.promotions().await;
        assert!(promotions.len() <= 1, "seed {seed}, kill {kill}: {promotions:?}");
    }
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, course.ends(&world)).await;
    assert_eq!(world.promotions().await.len(), 1);
    assert!(opened <= 1, "{opened} promotions were opened");
}

#[tokio::test]
async fn two_managers_at_once_open_every_promotion_once() {
    let world = World::new().await;
    let (number, jobs) = world.merge("local").await;
    // both take themselves for the leader
    let (one, other) = (world.manager("local", leader()), world.manager("local", leader()));
    let (in_one, in_other) = (Published::default(), Published::default());
    let scenario = async {
        world.finish_both(&jobs, [0.95, 0.96]).await;
        let report = world.reported(number, "promotion `#").await;
        assert!(report.contains("2 trials finished"), "{report}");
        // whoever comes later finds it
        for round in 0..5 {
            world.push("experiments/README.md", Some(&format!("{round}\n")));
            let main = world.main().await;
            for published in [&in_one, &in_other] {
                until("the commit", async || published.trainings.borrow().commit == main).await;
            }
        }
    };
    with(&one, &in_one, with(&other, &in_other, scenario)).await;
    let promotions = world.promotions().await;
    let open: Vec<_> = promotions.iter().filter(|opened| opened.is_open()).collect();
    assert_eq!(open.len(), 1, "{promotions:?}");
}

#[tokio::test]
async fn only_the_leader_writes() {
    let world = World::new().await;
    let (number, jobs) = world.merge("local").await;
    let (leads, until_when) = (watch::Sender::new(false), watch::Sender::new(None));
    let leadership = Leadership::told(leads.subscribe(), until_when.subscribe());
    let (manager, published) = (world.manager("local", leadership), Published::default());
    // whoever leads has written, so the other one had the time for it
    let (second, in_second) = (world.manager("local", leader()), Published::default());
    let say = |does: bool| {
        until_when.send_replace(does.then(far));
        leads.send_replace(does);
    };
    with(&manager, &published, async {
        jobs.iter().for_each(|job| world.create(job));
        shown(&published, &jobs[0], |trial| trial.lineage.pull_request.is_some()).await;
        with(&second, &in_second, world.reported(number, "2 trials waiting")).await;
        assert_eq!(manager.metrics.report_writes.get(), 0);
        say(true);
        world.conclude(&jobs[0], "Failed", "FailedJobs", "no");
        world.reported(number, "1 failed, 1 waiting").await;
        say(false);
        let writes = manager.metrics.report_writes.get();
        world.conclude(&jobs[1], "Failed", "FailedJobs", "no");
        shown(&published, &jobs[1], |trial| trial.reason.is_some()).await;
        with(&second, &in_second, world.reported(number, "2 trials failed")).await;
        assert_eq!(manager.metrics.report_writes.get(), writes);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_stood_still_writes_nothing_before_it_is_told_who_leads() {
    const LEASE: Duration = Duration::from_secs(3600);

    let world = World::new().await;
    let (number, jobs) = world.merge("local").await;
    let (leads, lease) = (watch::Sender::new(true), watch::Sender::new(Some(Instant::now() + LEASE)));
    let leadership = Leadership::told(leads.subscribe(), lease.subscribe());
    let (manager, published) = (world.manager("local", leadership), Published::default());
    with(&manager, &published, async {
        jobs.iter().for_each(|job| world.create(job));
        let before = world.reported(number, "2 trials waiting").await;
        // its Lease has run out meanwhile, and nobody says so
        pause();
        advance(LEASE).await;
        resume();
        for (job, accuracy) in jobs.iter().zip([0.95, 0.96]) {
            let run = world.run(job).await;
            world.finish(job, &run, accuracy, DATA).await;
        }
        for job in &jobs {
            shown(&published, job, |trial| trial.version.is_some()).await;
        }
        let tried = manager.metrics.report_failures.get() + 2;
        until("it would have written", async || manager.metrics.report_failures.get() >= tried).await;
        assert_eq!(world.report(number).await, before);
        assert!(world.promotions().await.is_empty());
        // it was renewed after all
        lease.send_replace(Some(far()));
        world.reported(number, "promotion `#").await;
        assert_eq!(world.promotions().await.len(), 1);
    })
    .await;
}
