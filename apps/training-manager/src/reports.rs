//! Reports on the pull requests that started something: the same comment as that of `slipway report`, kept up to date.

mod one;
mod wanted;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use slipway_cluster::{Leadership, Timestamp};
use slipway_mlflow::Client;
use slipway_service::{Followed, Warned};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::known::Known;
use crate::merges::Merge;
use crate::rest::Metrics;
use crate::schedule::{Pace, Schedule};

use one::{Reporter, Written};
use wanted::wanted;

/// How fast reports are written.
pub const PACE: Pace = Pace {
    interval: Duration::from_secs(10),
    // as long as a report mostly takes: what comes while one is made is told by the next one
    lead: Duration::from_secs(2),
    soon: Duration::from_secs(7),
    calm: Duration::from_secs(5),
    first_pause: Duration::from_secs(5),
    longest_pause: Duration::from_secs(60),
    // an MLflow that hangs holds up a few that are only made again, one every 5 s
    at_once: 8,
};

/// After how long a report is made again that lacks what MLflow has, or whose promotion failed.
const INCOMPLETE: Duration = Duration::from_secs(60);
/// After how long the report on something that runs is made again: its curves have grown.
const GROWN: Duration = Duration::from_secs(600);

/// What reports are made with.
#[derive(Clone, Copy, Debug)]
pub struct Reporting<'a> {
    /// The repository and its forge.
    pub followed: &'a Followed,
    /// MLflow.
    pub mlflow: &'a Client,
    /// The environment that is reported on.
    pub environment: &'a str,
    /// Where a browser finds MLflow.
    pub pages: Option<&'a str>,
    /// How fast reports are written.
    pub pace: Pace,
    /// What was done.
    pub metrics: &'a Metrics,
    /// Whether this manager is the one that writes.
    pub leadership: &'a Leadership,
}

/// Keeps the reports up to date for ever. Only one manager at a time does.
pub(crate) async fn follow(
    reporting: Reporting<'_>,
    mut known: Known,
    merges: mpsc::UnboundedSender<Merge>,
) -> Infallible {
    let mut schedule: Schedule<u64> = Schedule::new(reporting.pace, Instant::now());
    let reporter = Reporter::new(reporting, merges);
    let mut running = FuturesUnordered::new();
    let mut warned = Warned::default();
    // by pull request: a promotion that fails does not make its report late
    let mut unpromoted: BTreeMap<u64, Warned> = BTreeMap::new();
    loop {
        let facts = known.now();
        if facts.is_complete() {
            for (number, wanted) in wanted(&facts, Timestamp::now()) {
                let urgency = if schedule.knows(&number) { wanted.later } else { wanted.first };
                schedule.want(&number, wanted.state, urgency, wanted.rank, Instant::now());
            }
        }
        while let Some(number) = schedule.next(Instant::now()) {
            let (reporter, facts, is_again) = (&reporter, facts.clone(), schedule.is_again(&number));
            let not_before = schedule.may_write(&number);
            running.push(async move { (number, reporter.report(number, &facts, is_again, not_before).await) });
        }
        let wait = schedule.wait(Instant::now());
        tokio::select! {
            () = known.changed() => {}
            Some((number, done)) = running.next() => match done {
                Ok(Written { written, is_complete, runs, not_promoted }) => {
                    warned.clear();
                    reporting.metrics.report_writes.inc_by(u64::from(written.is_some()));
                    let is_complete = is_complete && not_promoted.is_none();
                    match not_promoted {
                        Some((what, error)) => unpromoted
                            .entry(number)
                            .or_default()
                            .warn(&format!("{what}, which #{number} started, is not promoted as it should be"), &error),
                        None => unpromoted.remove(&number).unwrap_or_default().clear(),
                    }
                    let again = if is_complete { runs.then_some(GROWN) } else { Some(INCOMPLETE) };
                    schedule.done(&number, Instant::now(), written, again);
                }
                Err(error) => {
                    reporting.metrics.report_failures.inc();
                    warned.warn(&format!("the report on #{number} is not up to date"), &error);
                    schedule.failed(&number, Instant::now());
                }
            },
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}
