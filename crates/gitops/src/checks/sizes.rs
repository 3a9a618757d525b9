//! An object that is applied on the client's side fits into the annotation that then holds it.
//!
//! Argo CD applies like `kubectl apply` unless told otherwise. That keeps the whole object in an annotation of itself, and the API server
//! limits an object's annotations to 256 KiB. Large definitions therefore need server-side apply.
//!
//! Source: <https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/#server-side-apply>

use super::Findings;
use crate::environment::Deployed;
use crate::object::Object;
use crate::path::Path;

const LIMIT: usize = 256 * 1024;

pub(super) fn check<'a>(objects: impl Iterator<Item = (&'a Deployed, &'a Object)>, findings: &mut Findings<'_>) {
    for (deployed, object) in objects {
        let application = &deployed.application.object.node;
        let on_the_server = |options: &str| options.split(',').any(|option| option.trim() == "ServerSideApply=true");
        let own = object.node.texts_at("metadata.annotations");
        if own.get("argocd.argoproj.io/sync-options").is_some_and(|options| on_the_server(options))
            || application
                .items_at("spec.syncPolicy.syncOptions")
                .iter()
                .filter_map(|one| one.text())
                .any(on_the_server)
        {
            continue;
        }
        let size = object.node.to_json().to_string().len();
        if size > LIMIT {
            let name = deployed.application.name();
            let message = format!("{} has {} KiB, too much to apply without ServerSideApply", object.id, size / 1024);
            let help = format!("add ServerSideApply=true to spec.syncPolicy.syncOptions of Application {name}");
            findings.add(object, &Path::of("kind"), "too-large-to-apply", message, help);
        }
    }
}
