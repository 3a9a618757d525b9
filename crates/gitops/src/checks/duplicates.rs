//! No object belongs to two Applications: each would undo the changes of the other.

use std::collections::BTreeMap;

use super::Findings;
use crate::environment::Environment;
use crate::object::Id;
use crate::path::Path;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    let mut first: BTreeMap<&Id, &str> = BTreeMap::new();
    for (deployed, object) in environment.objects() {
        let name = deployed.application.name();
        if let Some(other) = first.insert(&object.id, name) {
            let message = if other == name {
                format!("Application {name} deploys {} twice", object.id)
            } else {
                format!("{} is deployed by Application {other} and by Application {name}", object.id)
            };
            findings.add(object, &Path::of("metadata.name"), "duplicate-object", message, "keep one of the two");
        }
    }
}
