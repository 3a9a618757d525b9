//! Kills of one in this process, at any await, and two at once that both take themselves for the leader: no head half published, no second pull request,
//! nothing lost. `program` kills the program itself.

use std::collections::BTreeMap;
use std::time::Duration;

use rstest::rstest;
use slipway_evidence::Decision;
use slipway_proposal::retrain_branch;

use crate::pictures::inverted;
use crate::world::World;

#[rstest]
#[case::a_few(8)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100)]
#[tokio::test(flavor = "multi_thread")]
async fn kills_leave_one_pull_request_for_a_digest(#[case] kills: u64) {
    let world = World::new("{every: 1s, cooldown: 1s, budget: 1000, retrain: {experiments: [sides-cnn]}}").await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut landed = 0;
    for kill in 0..kills {
        if kill % (kills / 5) == 0 {
            world.land_all("odd", landed..landed + 60, inverted);
            landed += 60;
        }
        // two caches take turns, as on two nodes; now and then there are two monitors that both take themselves for the leader
        let running = world.start(if kill % 2 == 0 { "one" } else { "other" });
        let beside = (kill % 10 == 3).then(|| world.start("beside"));
        tokio::time::sleep(Duration::from_millis(random.u64(0..1500))).await;
        drop((running, beside));
        // whatever is there is whole
        world.head().await;
    }
    let last = world.start("one");
    let settled =
        |decision: &Option<Decision>| matches!(decision, Some(Decision::Retrain { .. } | Decision::Opened { .. }));
    let state = last
        .until("settled", |state| {
            let whole = state.evidence.as_ref().is_some_and(|evidence| evidence.new as u64 == landed);
            whole && settled(&state.decision) && state.opened.is_some()
        })
        .await;
    let head = world.head().await;
    assert_eq!(state.evidence.unwrap().head, head);
    let mut by_branch: BTreeMap<String, usize> = BTreeMap::new();
    for opened in world.pull_requests().await {
        *by_branch.entry(opened.branch).or_default() += 1;
    }
    assert_eq!(by_branch.get(&retrain_branch("sides", &head)), Some(&1), "{by_branch:?}");
    assert!(by_branch.values().all(|count| *count == 1), "{by_branch:?}");
}
