//! Warnings that controllers give, as far as they say why a training does not start.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

/// The field selector of the events that are warnings.
pub const WARNINGS: &str = "type=Warning";

/// A warning about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its own name, by which it is found again.
    pub name: String,
    /// The kind of the object that it is about, such as `Job`.
    pub kind: String,
    /// The name of that object.
    pub about: String,
    /// A word, such as `FailedCreate`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// When it was given last.
    pub time: Option<Timestamp>,
}

impl Warning {
    /// The warning that an event is; `None` for any other event.
    #[must_use]
    pub fn of(event: Event) -> Option<Self> {
        if event.type_.as_deref() != Some("Warning") {
            return None;
        }
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let time = event.last_timestamp.as_ref().map(|time| time.0).or(series);
        Some(Self {
            name: event.name_any(),
            time: time.or_else(|| event.event_time.as_ref().map(|time| time.0)),
            kind: event.involved_object.kind.unwrap_or_default(),
            about: event.involved_object.name.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: super::hindrance::one_line(event.message.as_deref().unwrap_or_default()),
        })
    }

    /// The object's name as far as it comes from that of its TrainJob, with which it begins: Kueue puts the kind in front.
    #[must_use]
    pub fn owner(&self) -> &str {
        if self.kind == "Workload" { self.about.strip_prefix("trainjob-").unwrap_or(&self.about) } else { &self.about }
    }

    /// The TrainJob among `jobs`, which are sorted, that it is about, or for which its object was made: such names begin with the TrainJob's.
    #[must_use]
    pub fn job<'a>(&self, jobs: &'a BTreeSet<String>) -> Option<&'a str> {
        let about = self.owner();
        // every name that it could be, the longest first
        let ends = std::iter::once(about.len()).chain(about.rmatch_indices('-').map(|(end, _)| end));
        ends.filter_map(|end| jobs.get(&about[..end])).next().map(String::as_str)
    }
}
