//! Who writes, and what is kept.

use slipway_checkpoint::{Content, Error};

use crate::place::{Place, found, publish};

#[tokio::test]
async fn the_next_attempt_finds_the_newest_and_two_are_kept() {
    let place = Place::new().await;
    let (mut first, nothing) = place.next().await;
    assert_eq!((first.number(), nothing), (1, None));
    for number in 1..=4 {
        publish(&mut first, number).await.unwrap();
    }
    let shards = |names: &[(&str, &str)]| {
        names.iter().map(|(attempt, content)| ((*attempt).to_owned(), (*content).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(place.stored(), shards(&[("1", "best"), ("1", "parameters 3"), ("1", "parameters 4")]));

    let (mut second, last) = place.next().await;
    assert_eq!((second.number(), last), (2, found(4)));
    publish(&mut second, 5).await.unwrap();
    let after = shards(&[("1", "best"), ("1", "parameters 4"), ("2", "parameters 5")]);
    assert_eq!(place.stored(), after, "what was verified is not sent again, and what the first left is gone");

    place.checkpoints.remove().await.unwrap();
    assert_eq!((place.stored(), place.path().join("manifest.json").exists()), (Vec::new(), false));
    place.checkpoints.remove().await.unwrap();
    let overtaken = publish(&mut second, 6).await.unwrap_err();
    assert!(matches!(overtaken, Error::Overtaken { other: 0, .. }), "{overtaken}");
    assert_eq!(place.next().await.1, None);
}

#[tokio::test]
async fn an_attempt_that_is_taken_for_dead_cannot_write_any_more() {
    let place = Place::new().await;
    let (mut first, _) = place.next().await;
    publish(&mut first, 1).await.unwrap();
    let (mut second, _) = place.next().await;
    for _ in 0..2 {
        let refused = publish(&mut first, 2).await.unwrap_err();
        assert!(matches!(refused, Error::Overtaken { own: 1, other: 2, .. }), "{refused}");
    }
    publish(&mut second, 3).await.unwrap();
    assert!(publish(&mut first, 4).await.is_err());
    assert_eq!(place.next().await.1, found(3));
}

#[tokio::test]
async fn an_attempt_removes_what_is_its_own_and_nothing_of_a_later_one() {
    let place = Place::new().await;
    let (mut first, _) = place.next().await;
    publish(&mut first, 1).await.unwrap();
    let (mut second, _) = place.next().await;
    publish(&mut second, 2).await.unwrap();
    first.remover().remove().await.unwrap();
    let (third, last) = place.next().await;
    assert_eq!(last, found(2));
    second.remover().remove().await.unwrap();
    assert_eq!(place.stored().len(), 3, "the third has begun");
    third.remover().remove().await.unwrap();
    assert_eq!((place.stored(), place.path().join("manifest.json").exists()), (Vec::new(), false));
}

#[tokio::test]
async fn of_two_who_claim_at_once_one_can_write() {
    let place = Place::new().await;
    for round in 0..10 {
        let (mut one, mut other) = tokio::join!(place.claim(), place.claim());
        assert_ne!(one.number(), other.number());
        let both = tokio::join!(publish(&mut one, 2 * round), publish(&mut other, 2 * round + 1));
        let (won, lost) = if one.number() > other.number() { (both.0, both.1) } else { (both.1, both.0) };
        won.unwrap();
        assert!(matches!(lost, Err(Error::Overtaken { .. })), "{lost:?}");
        let winner = if one.number() > other.number() { 2 * round } else { 2 * round + 1 };
        assert_eq!(place.next().await.1, found(winner));
    }
}

#[tokio::test]
async fn files_are_stored_as_bytes_are_and_large_ones_in_parts() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    // more than one part, and not a multiple of one
    let large = "x".repeat((9 << 20) + 7);
    std::fs::write(folder.path().join("large"), &large).unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    let mut attempt = place.claim().await;
    let shard = |name: &str, file: &str| (name.to_owned(), Content::File(folder.path().join(file)));
    attempt.publish("epoch-1", vec![shard("model/weights.pt", "large"), shard("done", "empty")]).await.unwrap();
    let (name, shards) = place.next().await.1.unwrap();
    assert_eq!(name, "epoch-1");
    assert!(shards == [("model/weights.pt".to_owned(), large), ("done".to_owned(), String::new())]);

    let error = attempt.publish("epoch-2", vec![shard("a", "nothing")]).await.unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
    let out = attempt.publish("epoch-2", vec![shard("../a", "empty")]).await.unwrap_err();
    assert!(matches!(&out, Error::Unusable { .. }) && out.to_string().contains("`../a` is no relative path"), "{out}");
}

#[tokio::test]
async fn other_workers_read_what_rank_0_has_found_and_nothing_newer() {
    let place = Place::new().await;
    let mut first = place.claim().await;
    publish(&mut first, 1).await.unwrap();
    publish(&mut first, 2).await.unwrap();
    // rank 0 cannot use the newest
    std::fs::remove_file(place.shard("parameters 2")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut second = place.claim().await;
    let restored = second.restore(folder.path()).await.unwrap().unwrap();
    assert_eq!(restored.name, "step-1");
    let other = place.checkpoints.fetch(&restored.id, folder.path()).await.unwrap();
    assert_eq!((other.name, other.id, other.shards.len()), (restored.name, restored.id, 2));
    publish(&mut second, 3).await.unwrap();
    publish(&mut second, 4).await.unwrap();
    let lost = place.checkpoints.fetch(&restored.id, folder.path()).await.unwrap_err();
    assert!(matches!(lost, Error::Lost(_)), "{lost}");
}
