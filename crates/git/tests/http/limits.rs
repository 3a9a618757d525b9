//! Transfers that break off, stall or are too large leave nothing, and the next one succeeds.

use std::time::{Duration, Instant};

use slipway_git::{Error, HttpRemote, Limits};

use crate::server::Way;
use crate::{MAIN, Served};

/// A served repository with so many random bytes.
async fn with_bytes(count: usize) -> Served {
    let served = Served::new().await;
    let mut random = fastrand::Rng::with_seed(7);
    let large: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(count).collect();
    served.push(&[("large.bin", &large)], "main");
    served
}

fn limited(served: &Served, limits: Limits) -> HttpRemote {
    served.remote().with_limits(limits).unwrap()
}

/// Nothing of a failed fetch is left, and the next one brings everything.
async fn works_again(served: &Served) {
    assert_eq!(served.check(), "");
    assert_eq!(served.leftovers(), [""; 0]);
    assert!(std::fs::read_dir(served.mirror.root().join("objects/pack")).into_iter().flatten().next().is_none());
    served.server.set(Way::AsItIs);
    assert!(served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap()[0].is_some());
    served.check();
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_nothing() {
    let served = with_bytes(200_000).await;
    for after in [0, 5, 13, 14, 20, 30, 100, 65_600, 150_000] {
        served.server.set(Way::Cut(after));
        let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }) && error.is_unavailable(), "{after}: {error}");
        assert_eq!(served.leftovers(), [""; 0]);
    }
    works_again(&served).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_any_more_is_given_up() {
    let served = with_bytes(200_000).await;
    let silence = Duration::from_millis(300);
    let remote = limited(&served, Limits { silence, ..Limits::default() });
    for after in [0, 20, 100_000] {
        served.server.set(Way::Stall(after));
        let begun = Instant::now();
        let error = remote.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
        assert!(matches!(error, Error::Silent { .. }) && error.is_unavailable(), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    works_again(&served).await;
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_is_given_up() {
    let served = with_bytes(200_000).await;
    served.server.set(Way::Trickle(5));
    let remote = limited(&served, Limits { total: Duration::from_secs(1), ..Limits::default() });
    let error = remote.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::TooSlow { seconds: 1, .. }) && error.is_unavailable(), "{error}");
    // what wrote it notices a moment later
    let begun = Instant::now();
    while !served.leftovers().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", served.leftovers());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    works_again(&served).await;
}

#[tokio::test]
async fn a_pack_that_is_too_large_is_not_kept() {
    let served = with_bytes(200_000).await;
    let remote = limited(&served, Limits { pack: 100_000, ..Limits::default() });
    let error = remote.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { most: 100_000, .. }), "{error}");
    works_again(&served).await;
}

#[tokio::test]
async fn a_large_pack_comes_whole() {
    let served = with_bytes(48 << 20).await;
    served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap();
    let file = served.mirror.read(MAIN, "large.bin").unwrap().unwrap();
    assert_eq!(file, std::fs::read(served.origin.work.join("large.bin")).unwrap());
    served.check();
}

#[tokio::test]
async fn a_server_that_is_out_of_order_is_named() {
    let served = Served::new().await;
    for (status, words) in [(500, "out of order"), (503, "out of order"), (429, "too often"), (404, "does not exist")] {
        served.server.set(Way::Status(status));
        let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
        assert!(error.to_string().contains(words) && error.is_unavailable(), "{error}");
    }
    served.server.set(Way::Page);
    let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }) && error.to_string().contains("sign in"), "{error}");
    let gone = HttpRemote::new("http://127.0.0.1:1/o/r").unwrap();
    let error = gone.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("127.0.0.1:1"), "{error}");
    works_again(&served).await;
}
