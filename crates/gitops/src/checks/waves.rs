//! Sync waves are numbers.

use super::Findings;
use crate::environment::Environment;
use crate::path::{Path, Step};

const WAVE: &str = "argocd.argoproj.io/sync-wave";

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        let annotations = object.node.texts_at("metadata.annotations");
        if let Some(wave) = annotations.get(WAVE).filter(|wave| wave.parse::<i32>().is_err()) {
            let message = format!("the sync wave of {} is `{wave}`, which Argo CD reads as 0", object.id);
            let mut at = Path::of("metadata.annotations");
            at.0.push(Step::Key(WAVE.to_owned()));
            findings.add(object, &at, "wrong-wave", message, "give a whole number in quotes, such as \"2\"");
        }
    }
}
