//! What somebody who referred to a missing thing probably meant.

use std::collections::BTreeSet;

use slipway_source::suggestion;

use crate::Files;
use crate::kustomization::below;

/// The names that exist, and the closest of them.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    labelled(name, "known", known)
}

/// The folders beside a missing one, and the closest of them.
pub(crate) fn suggest_folder(files: &Files, path: &str) -> String {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let beside = below(files, parent)
        .filter_map(|(file, _)| file.strip_prefix(parent)?.trim_start_matches('/').split_once('/'))
        .map(|(name, _)| name);
    labelled(name, &format!("folders in {}", if parent.is_empty() { "." } else { parent }), beside)
}

fn labelled<'a>(name: &str, label: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: BTreeSet<&str> = known.into_iter().collect();
    suggestion(name, label, &known.into_iter().collect::<Vec<_>>())
}
