//! The watch survives whatever the API server does, and ends in the right state.

use std::sync::Arc;
use std::time::Duration;

use slipway_cluster::State;
use slipway_training_manager::watch::{Observed, follow};
use tokio::sync::watch;

use crate::clock::{OFTEN, until, until_shown};
use crate::kubernetes::{Kubernetes, NAMESPACE};

/// A job without pods.
fn job(name: &str) -> serde_json::Value {
    serde_json::json!({"metadata": {"name": name, "labels": {"slipway.dev/experiment": "digits"}}})
}

/// Waits until exactly these jobs are observed.
async fn observed(observed: &watch::Sender<Arc<Observed>>, names: &[&str]) {
    let found = || observed.borrow().trainings.keys().cloned().collect::<Vec<_>>();
    let are_there = async || observed.borrow().is_complete && found() == names;
    until_shown("the jobs", OFTEN, are_there, async || format!("{:?}", found())).await;
}

/// Waits until it was asked so often while it was away.
async fn refused(kubernetes: &Kubernetes, times: usize) {
    until("attempts", async || kubernetes.refused() >= times).await;
}

async fn with(kubernetes: &Kubernetes, scenario: impl AsyncFnOnce(&watch::Sender<Arc<Observed>>)) {
    let (cluster, sender) = (kubernetes.cluster(), watch::Sender::default());
    tokio::select! {
        never = follow(&cluster, NAMESPACE, &sender) => match never {},
        () = scenario(&sender) => {}
    }
}

#[tokio::test]
async fn one_list_of_each_kind_and_then_only_what_changes() {
    let kubernetes = Kubernetes::start().await;
    for index in 0..1_200 {
        kubernetes.put("trainjobs", job(&format!("a-{index:04}")));
    }
    with(&kubernetes, async |sender| {
        until("all jobs", async || sender.borrow().trainings.len() == 1_200).await;
        let mut lists = kubernetes.lists();
        lists.sort();
        assert_eq!(lists, ["events", "jobsets", "pods", "trainjobs"]);
        assert_eq!(kubernetes.watches(), 4);
        let before = Arc::clone(&sender.borrow());
        kubernetes.put("trainjobs", job("b"));
        kubernetes.delete("trainjobs", "a-0000");
        until("the change", async || sender.borrow().trainings.contains_key("b")).await;
        let after = Arc::clone(&sender.borrow());
        assert!(!after.trainings.contains_key("a-0000"));
        assert!(
            Arc::ptr_eq(&before.trainings["a-0001"], &after.trainings["a-0001"]),
            "what is the same stays the very same"
        );
        assert_eq!(kubernetes.lists().len(), 4);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_known_before_all_kinds_are_listed() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.set_away(true);
    with(&kubernetes, async |sender| {
        refused(&kubernetes, 8).await;
        assert!(!sender.borrow().is_complete);
        kubernetes.put("trainjobs", job("a"));
        kubernetes.set_away(false);
        observed(sender, &["a"]).await;
    })
    .await;
}

#[tokio::test]
async fn what_happens_while_watches_are_lost_is_seen_afterwards() {
    let kubernetes = Kubernetes::start().await;
    ["a", "b"].iter().for_each(|name| kubernetes.put("trainjobs", job(name)));
    with(&kubernetes, async |sender| {
        observed(sender, &["a", "b"]).await;
        kubernetes.cut();
        kubernetes.put("trainjobs", job("c"));
        observed(sender, &["a", "b", "c"]).await;
        let lists = kubernetes.lists().len();
        // too old: everything is listed again
        kubernetes.set_away(true);
        kubernetes.put("trainjobs", job("d"));
        kubernetes.delete("trainjobs", "a");
        kubernetes.forget();
        refused(&kubernetes, 8).await;
        assert!(sender.borrow().trainings.contains_key("a"), "until then everything stays as it was");
        kubernetes.set_away(false);
        observed(sender, &["b", "c", "d"]).await;
        assert!(kubernetes.lists().len() > lists);
    })
    .await;
}

#[tokio::test]
async fn a_random_life_ends_in_the_right_state() {
    for seed in 0..10 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let kubernetes = Kubernetes::start().await;
        let mut there = std::collections::BTreeSet::new();
        with(&kubernetes, async |sender| {
            for _ in 0..60 {
                let name = format!("a-{}", rng.u8(0..6));
                match rng.u8(0..10) {
                    0..=4 => {
                        kubernetes.put("trainjobs", job(&name));
                        there.insert(name);
                    }
                    5..=6 => {
                        kubernetes.delete("trainjobs", &name);
                        there.remove(&name);
                    }
                    7 => kubernetes.cut(),
                    8 => kubernetes.forget(),
                    _ => {
                        kubernetes.set_away(true);
                        tokio::time::sleep(Duration::from_millis(rng.u64(0..60))).await;
                        kubernetes.set_away(false);
                    }
                }
                if rng.u8(0..3) == 0 {
                    tokio::time::sleep(Duration::from_millis(rng.u64(0..30))).await;
                }
            }
            let names: Vec<&str> = there.iter().map(String::as_str).collect();
            observed(sender, &names).await;
            assert!(sender.borrow().trainings.values().all(|training| training.state == State::Waiting), "seed {seed}");
        })
        .await;
    }
}
