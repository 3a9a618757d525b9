//! Pull requests that are merged without a person, where the experiment or the environment says so: once their check is green.

mod content;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use slipway_cluster::Leadership;
use slipway_forge::MergeMethod;
use slipway_mlflow::ModelVersion;
use slipway_report::CHECK;
use slipway_service::{Followed, Warned, backoff, must_lead};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::Result;

use content::{Content, content};

/// After how long a pull request is looked at again; each later time twice as long.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause while its check is not green, or not all is known of what it moves.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest pause after the forge has refused the merge: a person changes a rule, or approves.
const LONGEST_REFUSED: Duration = Duration::from_secs(3600);

/// A pull request that is to be merged.
#[derive(Clone, Debug)]
pub struct Merge {
    /// Its number.
    pub number: u64,
    /// The environment that it changes.
    pub environment: String,
    /// What it does.
    pub what: What,
}

/// What a pull request does, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It puts this version into service.
    Promotion(ModelVersion),
    /// It moves TrainJobs to the history, at most these: they have ended, and their logs are kept.
    Archive(BTreeSet<String>),
}

/// A pull request that is to be merged, and when it is looked at next.
struct Waiting {
    merge: Merge,
    due: Instant,
    /// How often it was looked at in vain.
    tries: u32,
    warned: Warned,
}

/// What came of looking at a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing more is to be done.
    Done,
    /// Its check is not green yet.
    NotGreen,
    /// It moves these TrainJobs, of which is not known that they have ended, or whose logs are not kept yet.
    Unknown(Vec<String>),
}

/// Merges what arrives, for ever.
pub(crate) async fn follow(
    followed: &Followed,
    leadership: &Leadership,
    mut arriving: mpsc::UnboundedReceiver<Merge>,
) -> Infallible {
    let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
    loop {
        let next = waiting.values().map(|one| one.due).min();
        tokio::select! {
            Some(merge) = arriving.recv() => arrive(&mut waiting, merge, Instant::now()),
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
        let mut done = Vec::new();
        for (number, one) in waiting.iter_mut().filter(|(_, one)| one.due <= Instant::now()) {
            let stepped = step(followed, leadership, &one.merge).await;
            if matches!(stepped, Ok(Step::Done)) {
                done.push(*number);
            } else {
                one.wait(&stepped, Instant::now());
            }
        }
        waiting.retain(|number, _| !done.contains(number));
    }
}

/// One that waits already goes on waiting, unless something else is known of it now.
fn arrive(waiting: &mut BTreeMap<u64, Waiting>, merge: Merge, now: Instant) {
    match waiting.get_mut(&merge.number) {
        Some(known) if known.merge.what == merge.what => {}
        known => {
            let warned = known.map(|known| std::mem::take(&mut known.warned)).unwrap_or_default();
            waiting.insert(merge.number, Waiting { merge, due: now, tries: 0, warned });
        }
    }
}

impl Waiting {
    /// It is looked at again, later each time.
    fn wait(&mut self, stepped: &Result<Step>, now: Instant) {
        let number = self.merge.number;
        let longest = if stepped.is_err() { LONGEST_REFUSED } else { LONGEST };
        match stepped {
            Err(error) => self.warned.warn(&format!("pull request #{number} is not merged"), error),
            Ok(Step::Unknown(jobs)) => {
                let what = format!(
                    "#{number} moves TrainJobs of which is not known that they have ended and that their logs are kept, so it waits for \
                     that, or for a person who merges it"
                );
                self.warned.warn(&what, &jobs.join(", "));
            }
            Ok(_) => self.warned.clear(),
        }
        self.due = now + backoff(PAUSE, self.tries, longest);
        self.tries = self.tries.saturating_add(1);
    }
}

async fn step(followed: &Followed, leadership: &Leadership, merge: &Merge) -> Result<Step> {
    let forge = &followed.remote.forge;
    let opened = forge.get(merge.number).await?;
    if !opened.is_open() {
        return Ok(Step::Done);
    }
    if opened.is_draft || !forge.is_green(&opened, CHECK).await? {
        return Ok(Step::NotGreen);
    }
    match content(followed, merge, &opened).await? {
        Content::AsProposed => {}
        Content::Unknown(jobs) => return Ok(Step::Unknown(jobs)),
        Content::More => {
            tracing::warn!("#{} holds more than what was proposed, so a person merges it", merge.number);
            return Ok(Step::Done);
        }
    }
    // a repository may allow only some of the methods
    let mut refused = None;
    for method in MergeMethod::ALL {
        must_lead(leadership)?;
        match forge.merge(merge.number, method, &opened.head).await {
            Ok(commit) => {
                tracing::info!("merged #{} as {commit}", merge.number);
                return Ok(Step::Done);
            }
            Err(error) if error.is_about_method() => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    refused.map_or(Ok(Step::NotGreen), |error| Err(error.into()))
}
