//! Versions of a model beside each other.

use slipway_experiment::Score;
use slipway_markdown::{code, shortened};

use crate::amount::decimals;
use crate::results::Version;
use crate::short::short_digest;

/// What a version is judged by, and its value, in words.
pub(crate) fn judged(version: &Version) -> String {
    match &version.score {
        Some(score) if score.value.is_finite() => format!("{} {}", named(score), decimals(score.value, 4)),
        _ => "⚠ without a number that versions are compared by".to_owned(),
    }
}

/// The metric of a score.
fn named(score: &Score) -> String {
    if score.is_accuracy() { "accuracy".to_owned() } else { code(&shortened(&score.metric, 40)) }
}

/// What a version's value is beside that of the one in service. Those on other data, or of other metrics, say nothing about each other.
pub(crate) fn compared(best: &Version, in_service: Option<&Version>) -> String {
    in_service.map_or_else(|| "nothing is in service".to_owned(), |service| beside(best, service, "is"))
}

/// The same once it has taken the other one's place.
pub(crate) fn compared_with_replaced(best: &Version, replaced: &Version) -> String {
    beside(best, replaced, "was")
}

fn beside(best: &Version, service: &Version, is: &str) -> String {
    let of = format!("version {} {is} in service", service.number);
    if service.number == best.number {
        return of;
    }
    if best.dataset_digest.is_empty() || best.dataset_digest != service.dataset_digest {
        let digest = |version: &Version| match version.dataset_digest.as_str() {
            "" => "data that is not known".to_owned(),
            digest => code(&short_digest(digest)),
        };
        return format!(
            "⚠ {of}, not comparable: this one was tested on {}, that one on {}",
            digest(best),
            digest(service)
        );
    }
    match (&best.score, &service.score) {
        (Some(new), Some(old)) if !new.value.is_finite() || !old.value.is_finite() || !new.is_comparable(old) => {
            format!("⚠ {of}, not comparable: this one is judged by {}, that one by {}", named(new), named(old))
        }
        (Some(new), Some(old)) => {
            let by = new.value - old.value;
            let sign = if by > 0.0 { "+" } else { "" };
            let by = match (new.is_accuracy(), new.more_is_better) {
                (true, _) => format!("{sign}{} percentage points", decimals(by * 100.0, 2)),
                (false, true) => format!("{sign}{}; more is better", decimals(by, 4)),
                (false, false) => format!("{sign}{}; less is better", decimals(by, 4)),
            };
            format!("{of} with {} on the same test data ({by})", decimals(old.value, 4))
        }
        _ => format!("⚠ {of}, not comparable: one of them has no number that versions are compared by"),
    }
}

/// Whether it may be worth to put it in the other one's place: it is better, or a person judges, because the two cannot be compared.
pub(crate) fn may_be_better(best: &Version, service: &Version) -> bool {
    let is_same_data = !best.dataset_digest.is_empty() && best.dataset_digest == service.dataset_digest;
    match (&best.score, &service.score) {
        (Some(new), Some(old)) if is_same_data && new.value.is_finite() && old.value.is_finite() => {
            !new.is_comparable(old) || new.beats(old)
        }
        _ => true,
    }
}
