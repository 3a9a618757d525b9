//! An API server that is away for a minute, and has forgotten meanwhile what happened.

use std::time::{Duration, Instant};

use slipway_cluster::{Candidacy, Cluster, Election};
use slipway_mlflow::Client;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::view::TrialState;

use crate::clock::{pass, until};
use crate::door::Door;
use crate::kubernetes::LEASES;
use crate::world::{DATA, World, leader, shown, with};

const SPEED: u32 = 20;

#[tokio::test]
async fn an_api_server_is_away_for_a_minute_and_nothing_is_lost() {
    let world = World::new().await;
    let mut door = Door::before(world.kubernetes.address()).await;
    let manager = Manager { cluster: Cluster::at(&door.url()).unwrap(), ..world.manager("local", leader()) };
    let published = Published::default();
    let (number, jobs) = world.merge("local").await;
    jobs.iter().for_each(|job| world.create(job));
    let scenario = async {
        let mut runs = Vec::new();
        for job in &jobs {
            runs.push(world.run(job).await);
        }
        world.reported(number, "2 trials running").await;
        let lists = world.kubernetes.lists().len();
        door.shut().await;
        // one finishes; the other one goes and comes back under its name, and has failed then
        world.finish(&jobs[0], &runs[0], 0.97, DATA).await;
        world.kubernetes.delete("trainjobs", &jobs[1]);
        pass(Duration::from_secs(30), SPEED).await;
        world.create(&jobs[1]);
        world.conclude(&jobs[1], "Failed", "FailedJobs", "jobset failed");
        // who watches from before must list again: 410
        world.kubernetes.forget();
        pass(Duration::from_secs(30), SPEED).await;
        let before = world.report(number).await;
        assert!(before.contains("2 trials running"), "until then everything stays as it was: {before}");
        assert_eq!(world.kubernetes.lists().len(), lists, "nothing came through");
        door.open().await;
        let report = world.reported(number, "1 finished, 1 failed").await;
        assert!(report.contains("jobset failed"), "{report}");
        world.reported(number, "promotion `#").await;
        assert_eq!(world.promotions().await.len(), 1);
        shown(&published, &jobs[1], |trial| trial.state == TrialState::Failed).await;
        // each watch comes back by itself, one later than the other
        until("each kind is listed again", async || world.kubernetes.lists().len() >= lists + 4).await;
        assert_eq!(world.kubernetes.lists().len(), lists + 4, "one list of each kind");
    };
    with(&manager, &published, scenario).await;
}

#[tokio::test]
async fn an_api_server_is_away_for_a_minute_and_the_lease_with_it() {
    let world = World::new().await;
    let mut door = Door::before(world.kubernetes.address()).await;
    let cluster = || Cluster::at(&door.url()).unwrap();
    let elected = |name| Election::new(&cluster(), LEASES, "training-manager", name).unwrap().start();
    let candidacies: [Candidacy; 2] = ["a", "b"].map(elected);
    let managers =
        candidacies.each_ref().map(|one| Manager { cluster: cluster(), ..world.manager("local", one.leadership()) });
    let [one, other] = &managers;
    let (in_one, in_other) = (Published::default(), Published::default());
    let leaders = || candidacies.iter().filter(|one| one.leadership().is_leader()).count();
    let scenario = async {
        let (number, jobs) = world.merge("local").await;
        jobs.iter().for_each(|job| world.create(job));
        let mut runs = Vec::new();
        for job in &jobs {
            runs.push(world.run(job).await);
        }
        world.reported(number, "2 trials running").await;
        assert_eq!(leaders(), 1);
        door.shut().await;
        for (job, run) in jobs.iter().zip(&runs) {
            world.finish(job, run, 0.97, DATA).await;
        }
        pass(Duration::from_secs(60), SPEED).await;
        assert_eq!(leaders(), 0, "nobody can renew it, so nobody writes");
        let before = world.report(number).await;
        assert!(before.contains("2 trials running"), "{before}");
        door.open().await;
        let report = world.reported(number, "promotion `#").await;
        assert!(report.contains("2 trials finished"), "{report}");
        assert_eq!(leaders(), 1);
        assert_eq!(world.promotions().await.len(), 1);
        assert!(one.metrics.promotions.get() + other.metrics.promotions.get() <= 1);
    };
    with(one, &in_one, with(other, &in_other, scenario)).await;
}

#[tokio::test]
async fn an_mlflow_that_hangs_does_not_hold_up_what_the_cluster_says() {
    // it takes connections and says nothing
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let world = World { managed: hanging, ..World::new().await };
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (number, jobs) = world.merge("local").await;
    for job in &jobs {
        world.create(job);
        world.run(job).await;
    }
    with(&manager, &published, async {
        let begun = Instant::now();
        let report = world.reported(number, "2 trials running").await;
        assert!(report.contains("did not answer within 3 s"), "{report}");
        assert!(begun.elapsed() < Duration::from_secs(30), "a single request to MLflow may take so long elsewhere");
    })
    .await;
}
