//! Stores that are away, that lose answers, and writers that die in between.

use std::time::Duration;

use slipway_checkpoint::Error;

use crate::place::{Place, contents, found, publish};

#[tokio::test]
async fn a_store_that_is_away_costs_a_checkpoint_and_nothing_else() {
    let place = Place::new().await;
    let mut attempt = place.claim().await;
    publish(&mut attempt, 1).await.unwrap();
    place.faults.set_away(true);
    let error = publish(&mut attempt, 2).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    place.faults.set_away(false);
    publish(&mut attempt, 3).await.unwrap();
    assert_eq!(place.next().await.1, found(3));
}

#[tokio::test]
async fn answers_that_are_lost_are_found_out() {
    let place = Place::new().await;
    place.faults.lose_answers(1);
    let mut attempt = place.claim().await;
    for number in 1..=3 {
        // the first shard, the manifest, all of it
        place.faults.lose_answers(u64::from(number));
        publish(&mut attempt, number).await.unwrap();
        assert_eq!(place.stored().len(), if number == 1 { 2 } else { 3 }, "{number}");
    }
    assert_eq!(place.next().await.1, found(3));
}

/// The write of the manifest arrives, and its writer never hears of it, nor of anything else for a while.
#[tokio::test]
async fn a_manifest_that_was_written_unheard_is_its_own() {
    let place = Place::new().await;
    let mut attempt = place.claim().await;
    publish(&mut attempt, 1).await.unwrap();
    let held = place.faults.hold("GET", "manifest.json");
    tokio::select! {
        published = publish(&mut attempt, 2) => panic!("it cannot know: {published:?}"),
        () = held.arrived() => {}
    }
    drop(held);
    publish(&mut attempt, 3).await.unwrap();
    assert_eq!(place.next().await.1, found(3));
}

/// What is removed and comes again is stored again, whether or not anybody heard of the removal.
#[tokio::test]
async fn a_shard_that_was_removed_unheard_is_not_taken_for_stored() {
    let place = Place::new().await;
    let mut attempt = place.claim().await;
    publish(&mut attempt, 1).await.unwrap();
    publish(&mut attempt, 2).await.unwrap();
    attempt.publish("step-3", contents(3)).await.unwrap();
    let held = place.faults.hold("DELETE", "");
    tokio::select! {
        () = attempt.tidy() => panic!("a shard of the first checkpoint is to be removed"),
        () = held.arrived() => {}
    }
    std::fs::remove_file(place.shard("parameters 1")).unwrap();
    publish(&mut attempt, 1).await.unwrap();
    assert_eq!(place.next().await.1, found(1));
    drop(held);
}

#[tokio::test]
async fn what_could_not_be_listed_is_removed_later() {
    let place = Place::new().await;
    let (mut first, _) = place.next().await;
    publish(&mut first, 1).await.unwrap();
    let mut second = place.claim().await;
    publish(&mut second, 2).await.unwrap();
    let mut third = place.claim().await;
    third.publish("step-3", contents(3)).await.unwrap();
    place.faults.set_away(true);
    third.tidy().await;
    place.faults.set_away(false);
    publish(&mut third, 4).await.unwrap();
    let left: Vec<_> = place.stored().into_iter().map(|(attempt, _)| attempt).collect();
    assert!(left.iter().all(|attempt| attempt == "3"), "{left:?}");
}

/// A writer that is killed at any moment of a checkpoint: before a shard, between shards and manifest, before the manifest is written.
#[tokio::test]
async fn half_a_checkpoint_is_never_seen() {
    let place = Place::new().await;
    let mut before = 0;
    for (number, (method, path)) in
        (1..).zip([("PUT", "job-1a2b3c4d/"), ("PUT", "manifest.json"), ("DELETE", ""), ("PUT", "manifest.json")])
    {
        let (mut attempt, last) = place.next().await;
        assert_eq!(last, if before == 0 { None } else { found(before) }, "{number}");
        let named = || std::fs::read(place.path().join("manifest.json")).unwrap();
        let named_before = named();
        let held = place.faults.hold(method, path);
        tokio::select! {
            published = publish(&mut attempt, 10 * number) => panic!("{method} {path} was not held: {published:?}"),
            () = held.arrived() => {}
        }
        // shards first: until all of them are there, the manifest is what it was
        let has_shards = place.stored().iter().any(|(_, content)| *content == format!("parameters {}", 10 * number));
        assert_eq!(has_shards, path != "job-1a2b3c4d/", "{number}: {method} {path}");
        assert_eq!(named() == named_before, method == "PUT", "{number}: {method} {path}");
        // killed; what it has sent may arrive much later
        drop(attempt);
        let (mut next, last) = place.next().await;
        // what comes before the removal of older shards is complete
        let expected = if method == "DELETE" { 10 * number } else { before };
        assert_eq!(last, if expected == 0 { None } else { found(expected) }, "{number}: {method} {path}");
        publish(&mut next, 10 * number + 1).await.unwrap();
        publish(&mut next, 10 * number + 2).await.unwrap();
        before = 10 * number + 2;
        assert_eq!(place.stored().len(), 3, "nothing of the half one is left: {:?}", place.stored());
        drop(held);
    }
}

#[tokio::test]
async fn a_claim_waits_for_a_store_that_is_away() {
    let place = Place::new().await;
    let mut attempt = place.claim().await;
    attempt.publish("step-1", contents(1)).await.unwrap();
    place.faults.set_away(true);
    let (claimed, ()) = tokio::join!(place.checkpoints.claim(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        place.faults.set_away(false);
    });
    let mut claimed = claimed.unwrap();
    assert_eq!(place.restored(&mut claimed).await, found(1));
}
