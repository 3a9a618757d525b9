//! Publishing: looking at what is there, writing what differs, and looking again.
//!
//! GitHub has no compare-and-swap for comments. So after each write the newest commit and the comments are looked at again, and whoever
//! finds that another was faster begins again. All who write at once come to the same end, because each of them ends only when what is
//! there is what its publication of the newest commit says. A workflow sees only its own comments. If it makes its first one while an App
//! or a person makes another, the other's goes the next time that the App or the person writes.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::GitHub;
use super::bounded::{MOST, bounded_to};
use super::check_run::{Check, CheckStep, CheckWritten};
use super::comment::{Comment, Steps, Written, are_written, first_part};
use crate::marker::wanted;
use crate::{CheckOutcome, Error, Opened, Publication, Published};

/// How often it begins again.
const ROUNDS: usize = 10;

/// What was written so far.
#[derive(Default)]
struct Progress {
    comments: bool,
    check: bool,
    /// When the last request that writes was answered.
    last: Option<Instant>,
}

impl GitHub {
    pub(crate) async fn publish<E: From<Error>>(
        &self,
        number: u64,
        publication: impl AsyncFn(&Opened, Option<&str>) -> std::result::Result<Publication, E>,
    ) -> std::result::Result<Published, E> {
        self.publish_on(number, None, publication).await
    }

    /// The same; `known` is the pull request as it was a moment ago, which saves a request.
    pub(crate) async fn publish_on<E: From<Error>>(
        &self,
        number: u64,
        mut known: Option<Opened>,
        publication: impl AsyncFn(&Opened, Option<&str>) -> std::result::Result<Publication, E>,
    ) -> std::result::Result<Published, E> {
        let mut author: Option<String> = None;
        let mut progress = Progress::default();
        for pause in pauses() {
            tokio::time::sleep(pause).await;
            let opened = match known.take() {
                Some(opened) => opened,
                None => self.get(number).await?,
            };
            let present = self.comments(number, author.as_deref()).await?;
            let publication = publication(&opened, first_part(&present)).await?;
            if publication.head != opened.head {
                // it may have been pushed while the publication was made
                let head = self.get(number).await?.head;
                if head != opened.head {
                    continue;
                }
                return Err(Error::Outdated { number, about: publication.head, head }.into());
            }
            let wanted = wanted(&publication, MOST, bounded_to);
            let steps = Steps::between(&present, &wanted);
            let check = publication.check.as_ref().map(|run| Check::of(run, &publication.head));
            let mut step = match &check {
                Some(check) => Some(self.check_step(check).await?),
                None => None,
            };
            if steps.is_empty() && !step.as_ref().is_some_and(CheckStep::writes) {
                return Ok(progress.published(opened, &present, step));
            }
            // The publication may have taken minutes, and an older one must not take the place of a newer one.
            if self.get(number).await?.head != publication.head {
                continue;
            }
            if !steps.is_empty() {
                progress.comments = true;
                let written = self.write(number, &steps).await?;
                progress.last = Some(Instant::now());
                match written {
                    // The token may be that of another app than it seemed: then its earlier comments are found now.
                    Written::All(made_by) => author = made_by.or(author.take()),
                    Written::Unknown => continue,
                }
            }
            if let (Some(check), Some(todo)) = (&check, step.take_if(|step| step.writes())) {
                let written = self.write_check(check, todo).await?;
                progress.last = Some(Instant::now());
                step = match written {
                    CheckWritten::All => {
                        progress.check = true;
                        Some(CheckStep::Nothing)
                    }
                    CheckWritten::NotAllowed(reason) => Some(CheckStep::NotAllowed(reason)),
                    CheckWritten::Unknown => {
                        progress.check = true;
                        continue;
                    }
                };
            }
            let opened = self.get(number).await?;
            let present = self.comments(number, author.as_deref()).await?;
            if opened.head == publication.head && are_written(&present, &wanted) {
                return Ok(progress.published(opened, &present, step));
            }
        }
        Err(Error::Contended { what: format!("report on pull request #{number}") }.into())
    }
}

impl Progress {
    /// The end: nothing is left to do. `step` is what is left of the check.
    fn published(self, pull_request: Opened, present: &[Comment], step: Option<CheckStep>) -> Published {
        let check = match step {
            None => CheckOutcome::NotAsked,
            Some(CheckStep::NotAllowed(reason)) => CheckOutcome::NotAllowed(reason),
            Some(_) if self.check => CheckOutcome::Written,
            Some(_) => CheckOutcome::Unchanged,
        };
        let url = present.first().map(|comment| comment.url.clone());
        let changed = self.comments || self.check;
        Published { pull_request, changed, written: self.last.filter(|_| changed), check, url }
    }
}

/// The pauses before each round. They are not always the same, so that two who write at once do not stay in step.
fn pauses() -> impl Iterator<Item = Duration> {
    let later = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(8))
        .with_max_times(ROUNDS)
        .with_jitter();
    std::iter::once(Duration::ZERO).chain(later.build())
}
