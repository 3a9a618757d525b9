//! A store that cannot be reached harms nobody.

use std::time::Duration;

use slipway_samples::{Reader, Sampler, Settings};

use crate::gate::Gate;
use crate::{Running, count, endpoint, hours, settings, store, take, until};

#[tokio::test]
async fn samples_wait_for_the_store_in_bounded_memory() {
    let (_folder, url) = endpoint().await;
    let gate = Gate::closed(&url).await;
    let settings = Settings { memory: 100 << 10, age: Duration::from_millis(1), ..settings() };
    let (sampler, writer) = Sampler::new(store(&gate.url()), settings).unwrap();
    let writer = Running::start(writer);
    // a request of ten rows takes 3 KiB
    let taken = (0..100).filter(|at| take(&sampler, "mnist", &at.to_string(), 10)).count();
    assert_eq!((taken, count(&sampler.counts().without_memory)), (33, 67));
    until(&sampler, |counts| &counts.failures, 1).await;
    assert_eq!(count(&sampler.counts().rows), 0);
    gate.open();
    until(&sampler, |counts| &counts.rows, 10 * taken as u64).await;
    // the memory is free again
    assert!(take(&sampler, "mnist", "later", 10));
    writer.end().await;
    let reader = Reader::new(store(&url));
    let (first, last) = hours();
    let mut rows = 0;
    for file in reader.list("mnist", None, first, last).await.unwrap() {
        rows += reader.read(&file).await.unwrap().len();
    }
    assert_eq!(rows, 10 * taken + 10);
}

#[tokio::test]
async fn the_end_waits_no_longer_than_the_store_is_asked() {
    let (_folder, url) = endpoint().await;
    let gate = Gate::closed(&url).await;
    let (sampler, writer) = Sampler::new(store(&gate.url()), settings()).unwrap();
    let writer = Running::start(writer);
    assert!(take(&sampler, "mnist", "lost", 1));
    tokio::time::timeout(Duration::from_secs(60), writer.end()).await.unwrap();
    let counts = sampler.counts();
    assert_eq!((count(&counts.rows), count(&counts.failures), count(&counts.lost)), (0, 1, 1));
}
