//! What a request for objects asks for: the parameters that Kubernetes has in a URL.

use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::object::Key;
use super::refusal::{Answer, Refusal};
use super::resource::Resource;
use super::selection::Selection;

/// The parameters of a list and of a watch. Those that make no difference here, such as `pretty`, are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Query {
    watch: Option<String>,
    label_selector: Option<String>,
    field_selector: Option<String>,
    resource_version: Option<String>,
    resource_version_match: Option<String>,
    limit: Option<String>,
    #[serde(rename = "continue")]
    continue_: Option<String>,
    timeout_seconds: Option<String>,
    allow_watch_bookmarks: Option<String>,
    send_initial_events: Option<String>,
}

/// A list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) selection: Selection,
    /// The version to show; the newest for `None`.
    pub(super) at: Option<u64>,
    /// The object after which it goes on.
    pub(super) after: Option<Key>,
    pub(super) limit: Option<usize>,
}

/// A watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) selection: Selection,
    /// The version whose changes are known to the client; `None` to begin with what is there.
    pub(super) since: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) bookmarks: bool,
    /// Whether a bookmark is to say that everything that was there has been sent.
    pub(super) marks_initial: bool,
}

/// Where a list goes on, as a token.
#[derive(Deserialize, Serialize)]
struct Continuation {
    version: u64,
    namespace: String,
    name: String,
}

/// How long a watch lasts if the client does not say.
const TIMEOUT: Duration = Duration::from_secs(3600);

impl Query {
    pub(super) fn is_watch(&self) -> Answer<bool> {
        flag("watch", self.watch.as_deref())
    }

    fn selection(&self, resource: Resource, namespace: Option<String>) -> Answer<Selection> {
        Selection::read(resource, namespace, self.label_selector.as_deref(), self.field_selector.as_deref())
    }

    pub(super) fn list(&self, resource: Resource, namespace: Option<String>) -> Answer<List> {
        let selection = self.selection(resource, namespace)?;
        let limit = number::<usize>("limit", self.limit.as_deref())?.filter(|limit| *limit > 0);
        let Some(token) = self.continue_.as_deref().filter(|token| !token.is_empty()) else {
            let version = version(self.resource_version.as_deref())?;
            // otherwise the newest version will do, for it is not older than any that a client knows
            let is_exact = self.resource_version_match.as_deref() == Some("Exact");
            return Ok(List { selection, at: version.filter(|_| is_exact), after: None, limit });
        };
        let Continuation { version, namespace, name } = Continuation::read(token).ok_or_else(|| {
            Refusal::bad_request("continue key is not valid: it is not one that this server has given")
        })?;
        Ok(List { selection, at: Some(version), after: Some(Key { resource, namespace, name }), limit })
    }

    pub(super) fn watch(&self, resource: Resource, namespace: Option<String>) -> Answer<Watch> {
        let marks_initial = flag("sendInitialEvents", self.send_initial_events.as_deref())?;
        let since = version(self.resource_version.as_deref())?;
        let seconds = number::<u64>("timeoutSeconds", self.timeout_seconds.as_deref())?.filter(|seconds| *seconds > 0);
        Ok(Watch {
            selection: self.selection(resource, namespace)?,
            since: since.filter(|_| !marks_initial),
            timeout: seconds.map_or(TIMEOUT, Duration::from_secs).min(TIMEOUT),
            bookmarks: flag("allowWatchBookmarks", self.allow_watch_bookmarks.as_deref())?,
            marks_initial,
        })
    }
}

impl Continuation {
    fn read(token: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }
}

/// The token with which a list of this version goes on after an object.
pub(super) fn continuation(version: u64, last: &Key) -> String {
    let continuation = Continuation { version, namespace: last.namespace.clone(), name: last.name.clone() };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&continuation).unwrap_or_default())
}

/// A truth value, as Kubernetes reads it from a URL.
pub(super) fn flag(name: &str, value: Option<&str>) -> Answer<bool> {
    match value {
        None | Some("" | "0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
        Some(other) => Err(Refusal::bad_request(format!("{name} is neither true nor false: {other:?}"))),
    }
}

/// A whole number that is not negative.
pub(super) fn number<T: FromStr>(name: &str, value: Option<&str>) -> Answer<Option<T>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let wrong = |_| Refusal::bad_request(format!("{name} is not a number from 0 on: {value:?}"));
    value.parse().map(Some).map_err(wrong)
}

/// A version; `None` for 0 and for none at all, which mean any.
fn version(value: Option<&str>) -> Answer<Option<u64>> {
    Ok(number("resourceVersion", value)?.filter(|version| *version > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        let key = Key::new(Resource::Pods, "n", "a/b");
        let query = Query { continue_: Some(continuation(7, &key)), limit: Some("3".to_owned()), ..Query::default() };
        let list = query.list(Resource::Pods, None).unwrap();
        assert_eq!((list.at, list.after, list.limit), (Some(7), Some(key), Some(3)));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let list = |query: Query| query.list(Resource::Pods, None).err().map(|error| error.status()["code"].clone());
        let text = |text: &str| Some(text.to_owned());
        for query in [
            Query { limit: text("-1"), ..Query::default() },
            Query { limit: text("many"), ..Query::default() },
            Query { continue_: text("e30"), ..Query::default() },
            Query { continue_: text("%"), ..Query::default() },
            Query { resource_version: text("x"), ..Query::default() },
            Query { label_selector: text("=x"), ..Query::default() },
        ] {
            let shown = format!("{query:?}");
            assert_eq!(list(query), Some(400.into()), "{shown}");
        }
        for query in [
            Query { timeout_seconds: text("-1"), ..Query::default() },
            Query { allow_watch_bookmarks: text("maybe"), ..Query::default() },
            Query { resource_version: text("1.5"), ..Query::default() },
        ] {
            assert!(query.watch(Resource::Pods, None).is_err(), "{query:?}");
        }
        assert!(Query { watch: text("2"), ..Query::default() }.is_watch().is_err());
    }
}
