//! Versions of a model beside each other.

use slipway_markdown::code;

use crate::amount::decimals;
use crate::results::Version;
use crate::short::short_digest;

/// A version's accuracy in words.
pub(crate) fn accuracy(version: &Version) -> String {
    match version.accuracy.filter(|accuracy| accuracy.is_finite()) {
        Some(accuracy) => format!("accuracy {}", decimals(accuracy, 4)),
        None => "⚠ without an accuracy".to_owned(),
    }
}

/// What a version's accuracy is beside that of the one in service. Accuracies on other data say nothing about each other.
pub(crate) fn compared(best: &Version, in_service: Option<&Version>) -> String {
    let Some(service) = in_service else { return "nothing is in service".to_owned() };
    if service.number == best.number {
        return format!("version {} is in service", service.number);
    }
    let of = format!("version {} is in service", service.number);
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
    match (best.accuracy, service.accuracy) {
        (Some(new), Some(old)) if new.is_finite() && old.is_finite() => {
            let points = (new - old) * 100.0;
            let sign = if points > 0.0 { "+" } else { "" };
            format!(
                "{of} with {} on the same test data ({sign}{} percentage points)",
                decimals(old, 4),
                decimals(points, 2)
            )
        }
        _ => format!("⚠ {of}, not comparable: one of them has no accuracy"),
    }
}
