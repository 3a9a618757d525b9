//! What changes, as it changes: server-sent events.
//!
//! Nothing is queued for a reader. Each connection remembers which trials it still has to tell of, and takes a trial's state when the
//! reader has room for it. So a slow reader gets fewer events, and the newest state in each.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::answer::{Answer, Described};
use super::document::Schemas;
use super::ended::Ended;
use super::operation::{Asked, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;
use crate::view::{Trainings, Trial};

/// How often something is sent when nothing changes, so that nobody between takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// The least time between two looks at what has changed.
const PAUSE: Duration = Duration::from_millis(250);
/// After how long a reader should come back.
const RETRY: Duration = Duration::from_secs(2);

/// `GET /api/v1/events`
pub(crate) struct Events;

/// A trial that no longer exists.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Gone<'a> {
    /// Its name.
    name: &'a str,
}

impl Operation for Events {
    const PATH: &'static str = "/api/v1/events";
    const ID: &'static str = "followTrials";
    const SUMMARY: &'static str = "What changes, as server-sent events";
    const DESCRIPTION: &'static str = "`trial` has a Trial as its data: one for each trial that waits or runs at the \
        start, and one after each change of any trial. `gone` has `{\"name\": …}`: that trial no longer exists. A \
        comment comes every 15 s. A slow reader gets fewer events, with the newest state in each. Whoever was \
        disconnected gets all live trials again.";
    const PROBLEMS: &'static [(u16, &'static str)] = &[(503, "64 streams are open already.")];

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Following;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let place = shared.events.take()?;
        let follower = Follower::new(shared.state.trainings.clone());
        Ok(Following { follower, ended: asked.ended, _place: place })
    }
}

/// A stream that is about to begin.
pub(crate) struct Following {
    follower: Follower,
    ended: Ended,
    _place: OwnedSemaphorePermit,
}

impl Answer for Following {
    fn described(schemas: &mut Schemas) -> Vec<Described> {
        let (trial, gone) = (schemas.sent::<Trial>(), schemas.sent::<Gone<'_>>());
        let mut described =
            Described::new(200, "Events until the reader leaves.", "text/event-stream", json!({ "type": "string" }));
        if let Some((_, content)) = &mut described.content {
            // OpenAPI 3.1 has no words for events
            content["x-events"] = json!({ "trial": trial, "gone": gone });
        }
        vec![described]
    }

    fn respond(self, _: &HeaderMap) -> Response {
        let sign_of_life = KeepAlive::new().interval(SIGN_OF_LIFE).text("still here");
        let stream = Sse::new(events(self)).keep_alive(sign_of_life);
        ([(CACHE_CONTROL, "no-store")], stream).into_response()
    }
}

fn events(following: Following) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold((following, true), async |(mut following, first)| {
        if first {
            // at once, so that the reader knows that it is connected
            return Some((Ok(Event::default().retry(RETRY)), (following, false)));
        }
        let Following { follower, ended, _place } = &mut following;
        let event = tokio::select! {
            () = ended.wait() => None,
            event = follower.next() => event,
        };
        event.map(|event| (Ok(event), (following, false)))
    })
}

/// What one reader was told, and what not yet.
struct Follower {
    newest: watch::Receiver<Arc<Trainings>>,
    /// The state that `untold` was last compared with.
    seen: Arc<Trainings>,
    /// The trials that have changed since the reader was told of them.
    untold: BTreeSet<String>,
    looked: Instant,
}

impl Follower {
    fn new(mut newest: watch::Receiver<Arc<Trainings>>) -> Self {
        let seen = Arc::clone(&newest.borrow_and_update());
        let live = seen.trials.values().filter(|trial| trial.state.is_live());
        let untold = live.map(|trial| trial.name.clone()).collect();
        Self { newest, seen, untold, looked: Instant::now() }
    }

    /// The next event, once there is one; `None` if there will never be one.
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.look();
            if let Some(name) = self.untold.pop_first() {
                match told(&self.seen, &name) {
                    Ok(event) => return Some(event),
                    Err(error) => tracing::error!(event = "unexpected", "an event cannot be written: {error}"),
                }
                continue;
            }
            self.newest.changed().await.ok()?;
            // many changes at once are one look
            tokio::time::sleep_until(self.looked + PAUSE).await;
        }
    }

    /// Notes what has changed since the last look.
    fn look(&mut self) {
        let now = Arc::clone(&self.newest.borrow_and_update());
        if Arc::ptr_eq(&now, &self.seen) {
            return;
        }
        self.untold.extend(changed(&self.seen.trials, &now.trials).map(str::to_owned));
        if !Arc::ptr_eq(&self.seen.archived, &now.archived) {
            self.untold.extend(changed(&self.seen.archived, &now.archived).map(str::to_owned));
        }
        self.seen = now;
        self.looked = Instant::now();
    }
}

/// The event about a trial as it is now.
fn told(now: &Trainings, name: &str) -> serde_json::Result<Event> {
    let (kind, text) = match now.trial(name) {
        Some(trial) => ("trial", serde_json::to_string(trial.as_ref())?),
        None => ("gone", serde_json::to_string(&Gone { name })?),
    };
    Ok(Event::default().event(kind).data(text))
}

/// The names of the trials that differ.
fn changed<'a>(
    before: &'a BTreeMap<String, Arc<Trial>>,
    after: &'a BTreeMap<String, Arc<Trial>>,
) -> impl Iterator<Item = &'a str> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let new = after.iter().filter(|(name, trial)| before.get(*name).is_none_or(|before| differ(before, trial)));
    gone.chain(new.map(|(name, _)| name)).map(String::as_str)
}

/// Whether two trials are told in other words. Most are the same value in the same place.
fn differ(before: &Arc<Trial>, after: &Arc<Trial>) -> bool {
    if Arc::ptr_eq(before, after) || before == after {
        return false;
    }
    // a metric that is not a number differs from itself, but not as JSON
    let is_odd = after.metrics.values().any(|value| value.is_nan());
    !is_odd || serde_json::to_string(before.as_ref()).ok() != serde_json::to_string(after.as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::TrialState;

    fn trainings(trials: &[(&str, TrialState, f64)]) -> Arc<Trainings> {
        let trial = |(name, state, seconds): &(&str, TrialState, f64)| {
            let metrics = BTreeMap::from([("loss".to_owned(), f64::NAN)]);
            let trial =
                Trial { name: (*name).to_owned(), state: *state, seconds: Some(*seconds), metrics, ..Trial::default() };
            ((*name).to_owned(), Arc::new(trial))
        };
        Arc::new(Trainings { trials: trials.iter().map(trial).collect(), ..Trainings::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_is_told_of_the_newest_state_only() {
        use TrialState::{Failed, Finished, Running};
        let (publish, newest) =
            watch::channel(trainings(&[("a", Running, 0.0), ("b", Finished, 0.0), ("c", Running, 0.0)]));
        let mut follower = Follower::new(newest);
        assert_eq!(follower.untold.iter().collect::<Vec<_>>(), ["a", "c"], "live ones at the start");
        let _ = follower.next().await.unwrap();
        for seconds in 1..1000 {
            publish.send_replace(trainings(&[("a", Running, seconds.into()), ("c", Failed, 7.0)]));
        }
        let mut told = Vec::new();
        while !follower.untold.is_empty() || follower.newest.has_changed().unwrap() {
            follower.look();
            told.extend(follower.untold.first().cloned());
            let _ = follower.next().await.unwrap();
        }
        assert_eq!(told, ["a", "b", "c"], "each that changed, once");
        assert_eq!(follower.seen.trials["a"].seconds, Some(999.0));

        // without a change there is nothing to tell, however often the same is published
        let same = (*publish.borrow().trials["a"]).clone();
        assert_eq!(same.seconds, Some(999.0));
        publish.send_replace(trainings(&[("a", Running, 999.0), ("c", Failed, 7.0)]));
        let next = tokio::time::timeout(Duration::from_secs(60), follower.next()).await;
        assert!(next.is_err(), "{next:?}");
        // with one there is, also for whoever waits for it
        let waiting = tokio::spawn(async move {
            let _ = follower.next().await.unwrap();
            follower
        });
        tokio::task::yield_now().await;
        publish.send_replace(trainings(&[("a", Finished, 999.0), ("c", Failed, 7.0)]));
        let mut follower = waiting.await.unwrap();
        assert_eq!((follower.untold.len(), follower.seen.trials["a"].state), (0, Finished));
        drop(publish);
        assert!(follower.next().await.is_none());
    }

    #[test]
    fn hostile_text_stays_within_its_event() {
        let name = "a\nevent: gone\rdata: {}\n\n";
        let now = trainings(&[(name, TrialState::Failed, 0.0)]);
        let event = format!("{:?}", told(&now, name).unwrap());
        assert!(event.contains(r#"a\\nevent: gone\\rdata: {}\\n\\n"#), "{event}");
    }
}
