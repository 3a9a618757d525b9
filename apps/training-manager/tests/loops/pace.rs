//! How often and how soon a report is written whose trainings change all the time.

use std::time::Duration;

use slipway_mlflow::Client;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::reports::PACE;
use slipway_training_manager::schedule::Pace;
use tokio::time::Instant;

use crate::clock::at_speed;
use crate::world::{World, leader, with};

/// Time passes so fast.
const SPEED: u32 = 4;
/// How often the trainings change, and the report is looked at.
const BEAT: Duration = Duration::from_millis(200);
/// How late a write may be seen.
const SEEN: Duration = Duration::from_secs(1);
/// For how long.
const WHILE: Duration = Duration::from_secs(60);
/// As long as a report may take: MLflow has 3 s, of which the last one passes after the comment may be written.
const SOON: Duration = Duration::from_millis(12_500);

#[tokio::test]
async fn what_changes_all_the_time_is_written_every_ten_seconds_from_write_to_write() {
    // it takes connections and says nothing
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let world = World { managed: hanging, ..World::new().await };
    let manager = Manager { pace: Pace::default(), ..world.manager("local", leader()) };
    let gaps = gaps(&world, &manager).await;
    assert!(gaps.iter().all(|gap| *gap >= PACE.interval - SEEN), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap <= SOON), "{gaps:?}");
}

#[tokio::test]
async fn a_report_that_is_ready_early_is_not_written_early() {
    let world = World::new().await;
    // so long that it is ready early, however slow MLflow seems
    let pace = Pace { lead: Duration::from_secs(8), ..Pace::default() };
    let manager = Manager { pace, ..world.manager("local", leader()) };
    let gaps = gaps(&world, &manager).await;
    assert!(gaps.len() >= 3 && gaps.iter().all(|gap| *gap >= PACE.interval - SEEN), "{gaps:?}");
}

/// From each write of a report to the next one, while its trainings change all the time.
async fn gaps(world: &World, manager: &Manager) -> Vec<Duration> {
    let published = Published::default();
    let scenario = async {
        let (number, jobs) = world.merge("local").await;
        jobs.iter().for_each(|job| world.create(job));
        world.reported(number, "2 trials waiting").await;
        let (begun, mut shown) = (Instant::now(), world.report(number).await);
        let (mut writes, mut round) = (Vec::new(), 0);
        while begun.elapsed() < WHILE {
            round += 1;
            world.conclude(&jobs[0], "Suspended", "Suspended", &format!("waiting for free CPUs, {round}"));
            tokio::time::sleep(BEAT).await;
            let report = world.report(number).await;
            if report != shown {
                writes.push(Instant::now());
                shown = report;
            }
        }
        writes.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<Duration>>()
    };
    at_speed(SPEED, with(manager, &published, scenario)).await
}
