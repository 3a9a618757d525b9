//! Waiting, and time that passes faster than it does.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long anything may take on a slow, busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// How often is looked at what costs nothing to look at.
pub(crate) const OFTEN: Duration = Duration::from_millis(10);
/// How often time jumps ahead.
const BEAT: Duration = Duration::from_millis(5);

/// Looks every now and then until something holds; the message of a test that never sees it says `shown`.
pub(crate) async fn until_shown(
    what: &str,
    every: Duration,
    holds: impl AsyncFn() -> bool,
    shown: impl AsyncFn() -> String,
) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LIMIT, "not within {} s: {what}\n{}", LIMIT.as_secs(), shown().await);
        tokio::time::sleep(every).await;
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    until_shown(what, OFTEN, holds, async || String::new()).await;
}

/// Time jumps ahead by so much for everything in this process. What is asked of other processes at this moment may run out of time.
pub(crate) async fn jump(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Does something while time passes so many times as fast as it does, for everything in this process. What other processes do takes as long as
/// always, so it seems slower by as much.
pub(crate) async fn at_speed<T>(speed: u32, work: impl Future<Output = T>) -> T {
    let is_paused = Cell::new(false);
    let hurry = async {
        loop {
            tokio::time::sleep(BEAT).await;
            is_paused.set(true);
            tokio::time::pause();
            tokio::time::advance(BEAT * speed.saturating_sub(1)).await;
            tokio::time::resume();
            is_paused.set(false);
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = hurry => unreachable!("it never ends"),
    };
    if is_paused.get() {
        tokio::time::resume();
    }
    done
}

/// Lets so much time pass, at this speed.
pub(crate) async fn pass(time: Duration, speed: u32) {
    at_speed(speed, tokio::time::sleep(time)).await;
}
