//! What comes after the merge of a retrain pull request: a version that was trained on other data than the one in service.

use std::time::Duration;

use slipway_digest::Digest;
use slipway_forge::Opened;
use slipway_proposal::Promotion;

use crate::pictures::inverted;
use crate::world::{LIMIT, Running, World};

/// Of 200 old test items that nobody is wrong about two points cannot be ruled out by much.
const MONITOR: &str = "{every: 1s, cooldown: 1h, retrain: {experiments: [sides-cnn], loss: 0.05}}";

/// Inverted pictures land, the retrain pull request is opened and merged. Returns the digest that is pinned then.
async fn retrained(world: &World, monitor: &Running) -> Digest {
    let state = monitor.until("opened", |state| state.opened.is_some()).await;
    let opened = world.pull_requests().await;
    let [opened] = opened.as_slice() else { panic!("{opened:?}") };
    world.merge(opened).await;
    state.evidence.unwrap().head
}

/// The promotions of a version.
async fn promotions(world: &World, version: u64) -> Vec<Opened> {
    let all = world.pull_requests().await;
    all.into_iter().filter(|opened| Promotion::is_one(opened, "sides", version, "local")).collect()
}

/// Waits until there is a promotion of a version, and a little longer.
async fn promoted(world: &World, version: u64) -> Vec<Opened> {
    let found = async {
        while promotions(world, version).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    promotions(world, version).await
}

/// How often versions could not be compared.
fn failures(monitor: &Running) -> u64 {
    monitor.metrics.failures.with_label_values(&["rivals"]).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_better_on_the_new_and_not_worse_on_the_old_is_proposed_once() {
    let world = World::new(MONITOR).await;
    world.land_all("odd", 0..200, inverted);
    let monitor = world.start("cache");
    let pinned = retrained(&world, &monitor).await;
    world.register(2, &pinned, 1).await;
    let opened = promoted(&world, 2).await;
    let [opened] = opened.as_slice() else { panic!("{opened:?}") };
    assert_eq!(opened.title, "Serve sides version 2 in local");
    for said in ["| 0.0 % | 100.0 % | 0 |", "| 100.0 % | 100.0 % | 0 | 0 |", "| replaces | version 1 |"] {
        assert!(opened.body.contains(said), "no {said} in {}", opened.body);
    }
    let models = world.tree(&opened.head).text("overlays/local/server/models.yaml").unwrap();
    assert!(models.contains("version: \"2\""), "{models}");

    // closed, that is an answer, also for one that remembers nothing
    world.remote.forge.close(opened.number).await.unwrap();
    drop(monitor);
    let other = world.start("another-cache");
    other.until("looked at", |state| state.decision.is_some()).await;
    world.searched().await;
    assert_eq!(failures(&other), 0);
    assert_eq!(promotions(&world, 2).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_trial_of_the_same_training_takes_the_place_of_the_one_before_it() {
    let world = World::new(MONITOR).await;
    world.land_all("odd", 0..200, inverted);
    let monitor = world.start("cache");
    let pinned = retrained(&world, &monitor).await;
    world.register(2, &pinned, 2).await;
    assert_eq!(promoted(&world, 2).await.len(), 1);
    world.register_all(&[(2, "0.9"), (4, "0.95")], &pinned, 1).await;
    let opened = promoted(&world, 4).await;
    let [opened] = opened.as_slice() else { panic!("{opened:?}") };
    assert!(opened.is_open(), "{opened:?}");
    let taken_back = async {
        while promotions(&world, 2).await.iter().any(Opened::is_open) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, taken_back).await.unwrap();
    assert_eq!((monitor.metrics.promotions.get(), failures(&monitor)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_has_forgotten_the_old_is_not_proposed() {
    let world = World::new(MONITOR).await;
    world.land_all("odd", 0..200, inverted);
    let monitor = world.start("cache");
    let pinned = retrained(&world, &monitor).await;
    // it is right about what has landed alone
    world.register(3, &pinned, 2).await;
    world.searched().await;
    assert_eq!(failures(&monitor), 0, "it was not compared");
    assert!(promotions(&world, 3).await.is_empty());
    // one that is right about both is
    world.register(2, &pinned, 1).await;
    assert_eq!(promoted(&world, 2).await.len(), 1);
    assert!(promotions(&world, 3).await.is_empty());
}
