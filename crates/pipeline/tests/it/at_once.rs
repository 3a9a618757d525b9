//! Two builders at once, and builders that are killed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use slipway_pipeline::{Step, build};

use crate::workshop::{Workshop, declaration, idx, items, levels, png};

const SPEC: &str = "source: {idx: {images: files/x, labels: files/y}}, classes: 2, shape: [8, 8], \
    split: {validation: 0.1, test: 0.2, seed: 1}, pipeline: {read: {landing: ['s3://landing/']}, validate: {nearDuplicates: 1}}";

async fn workshop() -> Workshop {
    let workshop = Workshop::new().await;
    let (x, y) = idx(&items(0..40));
    workshop.write("files/x", x);
    workshop.write("files/y", y);
    workshop
}

/// While one is about to publish, another one, which has seen more, publishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_overtaken_starts_again_from_the_new_head() {
    let workshop = workshop().await;
    let before = workshop.build(SPEC).await;
    for number in 40..50 {
        workshop.land(&format!("{}/{number}.png", number % 2), png(&levels(number), 8));
    }
    let temporary = workshop.temporary();
    let (declared, places) = (declaration(SPEC), workshop.places(&temporary));
    let mut steps = Vec::new();
    let mut other = None;
    let slow = build(&declared, &places, &workshop.store, |step| {
        if matches!(step, Step::Published { .. }) && other.is_none() {
            for number in 50..80 {
                workshop.land(&format!("{}/{number}.png", number % 2), png(&levels(number), 8));
            }
            // in a thread of its own: this one is in the middle of a build
            let built = std::thread::scope(|scope| {
                let fast = scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(workshop.build(SPEC))
                });
                fast.join().unwrap()
            });
            other = Some(built);
        }
        steps.push(step);
    });
    let slow = slow.await.unwrap();
    let fast = other.unwrap();
    assert_eq!(steps.iter().filter(|step| **step == Step::Overtaken).count(), 1, "{steps:?}");
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Read { .. })).count(), 1, "{steps:?}");
    // it has seen less, and what it publishes is in the places that the other one gave
    assert_eq!((fast.report.items, slow.report.items), (80, 50));
    assert_eq!(workshop.whole_head().await, Some(slow.digest));
    let [before, fast, slow] =
        [workshop.items(&before.digest).await, workshop.items(&fast.digest).await, workshop.items(&slow.digest).await];
    assert!(slow.iter().all(|(item, place)| fast.get(item) == Some(place)));
    assert!(before.iter().all(|(item, place)| slow.get(item) == Some(place)));
    // the next one has everything again, each item where it was
    let next = workshop.build(SPEC).await;
    assert_eq!(workshop.items(&next.digest).await, fast);
}

/// Gives up a future after so many polls; `None` if it had not ended by then.
async fn at_most<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_a_build_is_killed_the_head_is_the_old_or_the_new_one() {
    let mut workshop = workshop().await;
    let old = workshop.build(SPEC).await.digest;
    for number in 40..60 {
        workshop.land(&format!("{}/{number}.png", number % 2), png(&levels(number), 8));
    }
    let mut killed = [0, 0];
    let mut expected = None;
    for (number, polls) in std::iter::once(usize::MAX).chain((0..).step_by(3)).enumerate() {
        // a store of its own: what a killed one has sent may still be on its way
        workshop.copy_store().await;
        let ended = {
            let temporary = workshop.temporary();
            let (declared, places) = (declaration(SPEC), workshop.places(&temporary));
            at_most(polls, build(&declared, &places, &workshop.store, |_| ())).await.map(|built| built.unwrap().digest)
        };
        let head = workshop.whole_head().await.unwrap();
        let new = *expected.get_or_insert(head);
        assert!(new != old && (head == old || head == new), "after {polls} polls");
        match ended {
            None => killed[usize::from(head == new)] += 1,
            Some(digest) => assert_eq!((digest, head), (new, new)),
        }
        // whoever comes next ends with the same bytes, whatever the killed one left
        if number % 8 == 0 {
            assert_eq!(workshop.build(SPEC).await.digest, new);
        }
        if ended.is_some() && polls != usize::MAX {
            break;
        }
    }
    assert!(killed[0] > 10, "{killed:?}");
}
