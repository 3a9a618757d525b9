//! A manager that is killed a hundred times, and two at once: no report is lost, and every promotion is opened exactly once.

use std::time::Duration;

use slipway_training_manager::manager::Published;

use crate::world::{DATA, World, leader, until, with};

const KILLS: usize = 100;

#[tokio::test]
async fn a_hundred_kills_lose_nothing_and_do_nothing_twice() {
    let world = World::new().await;
    let seed = 7;
    let mut rng = fastrand::Rng::with_seed(seed);
    let (number, jobs) = world.merge("local").await;
    let mut runs = Vec::new();
    for kill in 0..KILLS {
        let (manager, published) = (world.manager("local", leader()), Published::default());
        let life = Duration::from_millis(rng.u64(0..900));
        with(&manager, &published, async {
            match kill {
                5 => jobs.iter().for_each(|job| world.create(job)),
                20 => {
                    for job in &jobs {
                        runs.push(world.run(job).await);
                    }
                }
                40 => world.finish(&jobs[0], &runs[0], 0.97, DATA).await,
                60 => world.finish(&jobs[1], &runs[1], 0.96, DATA).await,
                // so that a promotion that was forgotten would get another branch
                kill if kill % 10 == 9 => world.push("experiments/README.md", Some(&format!("{kill}\n"))),
                _ => {}
            }
            tokio::time::sleep(life).await;
        })
        .await;
        assert!(world.promotions().len() <= 1, "seed {seed}, kill {kill}: {:?}", world.promotions());
    }
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        until("the promotion", || world.promotions().len() == 1, || world.report(number)).await;
        world.reported(number, "2 trials finished").await;
        let promotion = world.promotions()[0].number;
        world.reported(number, &format!("promotion `#{promotion}`")).await;
    })
    .await;
    assert_eq!(world.promotions().len(), 1);
}

#[tokio::test]
async fn two_managers_at_once_open_every_promotion_once() {
    let world = World::new().await;
    let (number, jobs) = world.merge("local").await;
    let (one, other) = (world.manager("local", leader()), world.manager("local", leader()));
    let (in_one, in_other) = (Published::default(), Published::default());
    let scenario = async {
        for (job, accuracy) in jobs.iter().zip([0.95, 0.96]) {
            world.create(job);
            let run = world.run(job).await;
            world.finish(job, &run, accuracy, DATA).await;
        }
        let report = world.reported(number, "promotion").await;
        assert!(report.contains("2 trials finished"), "{report}");
        // whoever comes later finds it
        for _ in 0..20 {
            world.push("experiments/README.md", Some(&format!("{:?}\n", std::time::Instant::now())));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    with(&one, &in_one, with(&other, &in_other, scenario)).await;
    let open: Vec<_> = world.promotions().into_iter().filter(slipway_forge::Opened::is_open).collect();
    assert_eq!(open.len(), 1, "{:?}", world.promotions());
}

#[tokio::test]
async fn only_the_leader_writes() {
    let world = World::new().await;
    let (number, jobs) = world.merge("local").await;
    let leading = tokio::sync::watch::Sender::new(false);
    let (manager, published) = (world.manager("local", leading.subscribe()), Published::default());
    with(&manager, &published, async {
        jobs.iter().for_each(|job| world.create(job));
        crate::world::shown(&published, &jobs[0], |trial| trial.lineage.pull_request.is_some()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(world.report(number), "");
        leading.send_replace(true);
        world.reported(number, "2 trials waiting").await;
        leading.send_replace(false);
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.conclude(&jobs[0], "Failed", "FailedJobs", "no");
        crate::world::shown(&published, &jobs[0], |trial| trial.reason.is_some()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(world.report(number).contains("2 trials waiting"));
    })
    .await;
}
