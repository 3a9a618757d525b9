//! What is remembered of a dataset from one visit to the next: nothing that is not found again after a start, but what was asked before the sample begins.

use std::collections::BTreeSet;
use std::time::Duration;

use slipway_digest::Digest;
use slipway_evidence::requests::Watch;
use slipway_evidence::{Incumbent, Model};
use slipway_experiment::Dataset;
use slipway_service::Warned;
use tokio::time::Instant;

use crate::broken::Broken;
use crate::declared::Files;

/// What lands is built when nothing has landed for so long,
const QUIET: Duration = Duration::from_secs(5);
/// or after so long, if it does not stop.
const LONGEST: Duration = Duration::from_secs(30);

/// What is remembered of a dataset.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// When it is visited next.
    pub(crate) due: Option<Instant>,
    /// When it was visited last, and at which commit.
    pub(crate) visited: Option<Instant>,
    pub(crate) commit: String,
    /// The files of its source in git.
    pub(crate) files: Option<Files>,
    /// What it was built from last.
    pub(crate) built: Option<Wanted>,
    /// What has landed and waits to be built.
    pub(crate) arriving: Option<Arriving>,
    /// What could not be built because the data do not fit, and when that is tried again although nothing has changed.
    pub(crate) refused: Option<(Wanted, Instant)>,
    /// What the last look was at: manifest and report of the head, and the commit.
    pub(crate) seen: Option<(Option<[Digest; 2]>, String)>,
    /// When it is looked again although nothing has changed.
    pub(crate) again: Option<Instant>,
    /// Since when the version in service has not answered, in seconds since 1970.
    pub(crate) silent: Option<i64>,
    /// The reference that an issue was opened about, and whether it says that the change matters.
    pub(crate) reported: Option<(Digest, bool)>,
    /// What is wrong with the data,
    pub(crate) broken: Option<Broken>,
    /// and what of it an issue was opened about.
    pub(crate) told: Option<String>,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) warned: Warned,
    /// The requests of the version that was trained on it.
    pub(crate) requests: RememberedRequests,
    /// The versions that may replace the one in service.
    pub(crate) rivals: RememberedRivals,
}

/// What was judged: model, champion, challenger, and the bits of the margin, since a larger one may say something else.
pub(crate) type Judged = (String, u64, u64, u64);

/// What is remembered of versions that may replace the one in service. After a start they are judged again, which comes to the same.
#[derive(Debug, Default)]
pub(crate) struct RememberedRivals {
    /// When they are looked for next.
    pub(crate) due: Option<Instant>,
    /// The commit that they were looked for at last.
    pub(crate) commit: String,
    /// The versions in service at that commit that they may replace, unless the registry did not say it of all.
    pub(crate) incumbents: Option<Vec<Incumbent>>,
    /// What nothing more is to be done about.
    pub(crate) judged: BTreeSet<Judged>,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) warned: Warned,
}

/// What is remembered of the requests of a dataset's version. After a start the sample says again what it still has: an alarm of an hour before that is gone.
#[derive(Debug, Default)]
pub(crate) struct RememberedRequests {
    /// When they are looked at next.
    pub(crate) due: Option<Instant>,
    /// The commit that they were looked at last.
    pub(crate) commit: String,
    /// The hours so far.
    pub(crate) watch: Option<Watch>,
    /// The version and the reference that the last look was about.
    pub(crate) about: Option<(Model, Digest)>,
    /// Whether an issue or a pull request was opened about these, and whether it says that they matter.
    pub(crate) reported: Option<bool>,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) warned: Warned,
}

/// What a dataset is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What has landed.
    pub(crate) landed: Digest,
    /// What is declared, without what is no reason to build: pin and monitor.
    pub(crate) declares: Dataset,
    /// The files of the source in git.
    pub(crate) files: Digest,
}

/// Something that lands, perhaps one object after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving {
    landed: Digest,
    /// Since when.
    since: Instant,
    /// When something was added last.
    changed: Instant,
}

impl Remembered {
    /// Whether something else has landed than when a build was tried last. After a start nobody knows, and nothing is waited for.
    pub(crate) fn has_landed(&self, landed: &Digest) -> bool {
        let refused = self.refused.as_ref().map(|(refused, _)| refused);
        self.built.as_ref().or(refused).is_some_and(|last| last.landed != *landed)
    }
}

impl RememberedRequests {
    /// Whether they are to be looked at now: an hour can be judged, or another commit may have put another version into service.
    pub(crate) fn is_due(&self, commit: &str) -> bool {
        self.commit != commit || self.due.is_none_or(|due| due <= Instant::now())
    }
}

impl RememberedRivals {
    /// Whether they are to be looked for now: it is time, or another commit may have put another version into service.
    pub(crate) fn is_due(&self, commit: &str) -> bool {
        self.commit != commit || self.due.is_none_or(|due| due <= Instant::now())
    }
}

impl Arriving {
    /// This has landed now, after what was seen earlier.
    pub(crate) fn seen(earlier: Option<Self>, landed: Digest, now: Instant) -> Self {
        match earlier {
            Some(earlier) if earlier.landed == landed => earlier,
            Some(earlier) => Self { landed, changed: now, ..earlier },
            None => Self { landed, since: now, changed: now },
        }
    }

    /// When it is built.
    pub(crate) fn ready(self) -> Instant {
        (self.changed + QUIET).min(self.since + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lands_is_built_after_some_quiet_and_in_any_case_after_a_while() {
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let [one, more] = ["one", "more"].map(Digest::of);
        let first = Arriving::seen(None, one, start);
        assert_eq!(first.ready(), after(5));
        assert_eq!(Arriving::seen(Some(first), one, after(5)).ready(), after(5));
        assert_eq!(Arriving::seen(Some(first), more, after(4)).ready(), after(9));
        // it trickles in
        let mut arriving = first;
        for second in 1..=40 {
            arriving = Arriving::seen(Some(arriving), Digest::of(second.to_string()), after(second));
            assert!(arriving.ready() <= after(30), "{second}");
        }
    }
}
