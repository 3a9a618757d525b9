//! What a service waits for. None of it has to be there at the start: `/readyz` says what is missing and what to do, the log says it once, and it
//! is tried again until it is there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use crate::warned::Warned;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// What a service waits for.
pub trait Awaits: Copy + Ord + 'static {
    /// All of it, with what is said before anything was tried.
    fn all() -> Vec<(Self, &'static str)>;
}

/// What is missing before a service is ready: for each of it why, and what to do.
pub type Missing<W> = BTreeMap<W, String>;

/// What is missing, for a person.
#[must_use]
pub fn said<W>(missing: &Missing<W>) -> String {
    missing.values().map(String::as_str).collect::<Vec<_>>().join(" · ")
}

/// Keeps what is missing up to date.
#[derive(Debug)]
pub struct Awaited<W>(watch::Sender<Missing<W>>);

impl<W: Awaits> Default for Awaited<W> {
    fn default() -> Self {
        Self(watch::Sender::new(W::all().into_iter().map(|(what, why)| (what, why.to_owned())).collect()))
    }
}

impl<W: Awaits> Awaited<W> {
    /// Follows what is missing.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Missing<W>> {
        self.0.subscribe()
    }

    /// Tries something until it succeeds. It fails with why, and what to do.
    pub async fn until<T>(&self, what: W, attempt: impl AsyncFn() -> Result<T, String>) -> T {
        let mut warned = Warned::default();
        loop {
            match attempt().await {
                Ok(there) => {
                    warned.clear();
                    self.set(what, Ok(()));
                    return there;
                }
                Err(why) => {
                    warned.warn("not ready", &why);
                    self.set(what, Err(why));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Follows for ever whether something is there.
    pub async fn follow(&self, what: W, mut state: watch::Receiver<Result<(), String>>) -> Infallible {
        loop {
            let now = state.borrow_and_update().clone();
            self.set(what, now.map_err(|why| format!("{why}: if that stays so, the log of this service says why")));
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn set(&self, what: W, state: Result<(), String>) {
        self.0.send_modify(|missing| match state {
            Ok(()) => drop(missing.remove(&what)),
            Err(why) => drop(missing.insert(what, why)),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum What {
        Repository,
        Cluster,
        Mlflow,
        Content,
    }

    impl Awaits for What {
        fn all() -> Vec<(Self, &'static str)> {
            let all = [Self::Repository, Self::Cluster, Self::Mlflow, Self::Content];
            all.map(|what| (what, "it has not answered yet")).into()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_said_until_it_is_there() {
        let awaited = Awaited::<What>::default();
        let missing = awaited.changes();
        assert_eq!(missing.borrow().len(), 4);
        let tries = Cell::new(0);
        let there = awaited.until(What::Cluster, async || {
            tries.set(tries.get() + 1);
            if tries.get() > 3 { Ok("there") } else { Err(format!("try {} failed", tries.get())) }
        });
        let seen = async {
            let mut missing = awaited.changes();
            for number in 1..=3 {
                let said = format!("try {number} failed");
                missing.wait_for(|missing| missing.get(&What::Cluster) == Some(&said)).await.unwrap();
            }
        };
        assert_eq!(tokio::join!(there, seen).0, "there");
        assert!(!missing.borrow().contains_key(&What::Cluster));

        for what in [What::Repository, What::Mlflow] {
            awaited.until(what, async || Ok(())).await;
        }
        let read = watch::Sender::new(Err("git is being read".to_owned()));
        let follow = awaited.follow(What::Content, read.subscribe());
        let seen = async {
            let mut missing = awaited.changes();
            missing.wait_for(|missing| said(missing).starts_with("git is being read: ")).await.unwrap();
            let _ = read.send_replace(Ok(()));
            missing.wait_for(BTreeMap::is_empty).await.unwrap();
        };
        tokio::select! {
            never = follow => match never {},
            () = seen => {}
        }
    }
}
