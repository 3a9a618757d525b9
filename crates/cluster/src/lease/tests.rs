//! Elections against an API server in memory, on a clock that stands still while anything is to be done.

mod api;
mod schedules;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::{Instant, advance, sleep};

use super::{Election, Leadership, Timing};
use crate::Error;
use api::{Line, Server};

/// Until the leader of this instant is known, or there is none for a minute. Returns how long that took.
async fn until_leader(leadership: &Leadership) -> Option<Duration> {
    let begun = Instant::now();
    let mut changes = leadership.changes();
    let led = tokio::time::timeout(Duration::from_secs(60), changes.wait_for(|leads| *leads))
        .await
        .is_ok_and(|led| led.is_ok());
    led.then(|| begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_first_one_leads_at_once_and_the_second_one_only_after_it() {
    let server = Server::default();
    let first = server.candidate("a", &Line::default()).start();
    assert!(until_leader(&first.leadership()).await.unwrap() < Duration::from_secs(1));
    let second = server.candidate("b", &Line::default()).start();
    sleep(Duration::from_secs(100)).await;
    assert!(first.leadership().is_leader() && !second.leadership().is_leader());
    let spec = server.lease()["spec"].clone();
    assert!(spec["holderIdentity"].as_str().unwrap().starts_with("a_"), "{spec}");
    assert_eq!((spec["leaseDurationSeconds"].as_i64(), spec["leaseTransitions"].as_i64()), (Some(15), Some(0)));
    // given back, it is taken at the next look
    first.release().await;
    assert_eq!(server.lease()["spec"]["holderIdentity"], "");
    assert!(until_leader(&second.leadership()).await.unwrap() <= Timing::default().retry);
    assert_eq!(server.lease()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_crashed_is_followed_when_its_lease_has_not_changed_for_its_whole_duration() {
    let server = Server::default();
    let first = server.candidate("a", &Line::default()).start();
    let second = server.candidate("b", &Line::default()).start();
    until_leader(&first.leadership()).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    let watched = first.leadership();
    drop(first);
    let took = until_leader(&second.leadership()).await.unwrap();
    // its last renewal is at most two seconds old, and so is the last look of the other one
    assert!((Duration::from_secs(13)..=Duration::from_secs(19)).contains(&took), "{took:?}");
    assert!(!watched.is_leader() && !*watched.changes().borrow());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_one_begins() {
    let server = Server::default();
    let line = Line::default();
    let first = server.candidate("a", &line).start();
    let second = server.candidate("b", &Line::default()).start();
    until_leader(&first.leadership()).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    line.cut();
    let begun = Instant::now();
    let mut changes = first.leadership().changes();
    changes.wait_for(|leads| !leads).await.unwrap();
    let stopped = begun.elapsed();
    assert!((Duration::from_secs(7)..=Duration::from_secs(10)).contains(&stopped), "{stopped:?}");
    let taken = stopped + until_leader(&second.leadership()).await.unwrap();
    assert!(taken >= Duration::from_secs(13), "{taken:?}");
    // back again, it only follows
    line.mend();
    sleep(Duration::from_secs(60)).await;
    assert!(!first.leadership().is_leader() && second.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stood_still_is_none_even_before_it_is_told() {
    let server = Server::default();
    let candidacy = server.candidate("a", &Line::default()).start();
    let leadership = candidacy.leadership();
    until_leader(&leadership).await.unwrap();
    // no task runs in between
    advance(Duration::from_secs(11)).await;
    assert!(!leadership.is_leader());
    sleep(Duration::from_secs(3)).await;
    assert!(leadership.is_leader(), "nobody took it meanwhile");
}

#[tokio::test(start_paused = true)]
async fn times_of_another_clock_do_not_matter() {
    let server = Server::default();
    let epoch: fn() -> Timestamp = || Timestamp::UNIX_EPOCH;
    let late: fn() -> Timestamp = || Timestamp::MAX;
    // one clock stands still, another is thousands of years ahead
    let first = Election { wall: epoch, ..server.candidate("a", &Line::default()) }.start();
    until_leader(&first.leadership()).await.unwrap();
    let second = Election { wall: late, ..server.candidate("b", &Line::default()) }.start();
    sleep(Duration::from_secs(100)).await;
    assert!(first.leadership().is_leader() && !second.leadership().is_leader());
    first.release().await;
    assert!(until_leader(&second.leadership()).await.is_some());
    let third = server.candidate("c", &Line::default()).start();
    sleep(Duration::from_secs(100)).await;
    assert!(second.leadership().is_leader() && !third.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_removed_does_not_make_a_second_leader() {
    let server = Server::default();
    let first = server.candidate("a", &Line::default()).start();
    let second = server.candidate("b", &Line::default()).start();
    until_leader(&first.leadership()).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    for _ in 0..10 {
        server.remove();
        for _ in 0..33 {
            sleep(Duration::from_millis(510)).await;
            assert!(first.leadership().is_leader() && !second.leadership().is_leader());
        }
    }
    // gone together with its holder
    drop(first);
    server.remove();
    let took = until_leader(&second.leadership()).await.unwrap();
    assert!((Duration::from_secs(15)..=Duration::from_secs(20)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_leadership() {
    let server = Server::default();
    let candidacy = server.candidate("a", &Line::default()).start();
    server.refuse(403);
    assert_eq!(until_leader(&candidacy.leadership()).await, None);
    server.refuse(200);
    assert!(until_leader(&candidacy.leadership()).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn two_processes_of_one_pod_are_two_candidates() {
    let server = Server::default();
    let crashed = server.candidate("manager-0", &Line::default()).start();
    until_leader(&crashed.leadership()).await.unwrap();
    drop(crashed);
    let again = server.candidate("manager-0", &Line::default()).start();
    assert!(until_leader(&again.leadership()).await.unwrap() >= Duration::from_secs(13));
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_a_version_is_not_written() {
    let server = Server::default();
    let election = server.candidate("a", &Line::default());
    let error = election.replace(&k8s_openapi::api::coordination::v1::Lease::default()).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}
