//! Watching objects, through interruptions.

use std::fmt::Debug;
use std::future;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{reflector, store};
use kube::runtime::watcher::{self, Event, watch_object, watcher};
use serde::de::DeserializeOwned;

use crate::connection::{Cluster, WATCH_SECONDS};
use crate::deadline::{Deadline, reconnect};
use crate::error::{Error, Result};

impl Cluster {
    /// Watches an object until a condition holds, and returns the object as it then is; `None` if it holds without the object. `what`
    /// names the object in errors.
    ///
    /// # Errors
    /// When time is up, or when the API server refuses.
    pub async fn wait_for<K>(
        &self,
        api: Api<K>,
        name: &str,
        what: &str,
        deadline: Deadline,
        condition: impl Fn(Option<&K>) -> bool,
    ) -> Result<Option<K>>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut last = None;
        let pending = |found: Option<K>| {
            let waiting = if condition(found.as_ref()) { Vec::new() } else { vec![what.to_owned()] };
            last = found;
            waiting
        };
        deadline.follow(self.watch_object(api, name, what.to_owned()), pending).await?;
        Ok(last)
    }

    /// An object, now and whenever it changes; `None` while it does not exist.
    pub(crate) fn watch_object<K>(
        &self,
        api: Api<K>,
        name: &str,
        what: String,
    ) -> impl Stream<Item = Result<Option<K>>> + Send + use<K>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let server = self.server().to_owned();
        let events = watch_object(api, name).backoff(reconnect());
        events.map(move |event| event.map_err(|error| Error::of_watch(&server, &what, error)))
    }

    /// The changes of all objects that match, and the lists that they begin with: one at the start, and one whenever the API server has forgotten
    /// what happened since. A watch that breaks is taken up again within a second.
    pub fn watch_all<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
    ) -> impl Stream<Item = Result<Event<K>>> + Send + use<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let (server, what) = (self.server().to_owned(), format!("GET {}", api.resource_url()));
        let events = watcher(api, config.timeout(WATCH_SECONDS)).backoff(reconnect());
        events.map(move |event| event.map_err(|error| Error::of_watch(&server, &what, error)))
    }

    /// All objects of a list, now and whenever one of them changes.
    pub(crate) fn watch_list(
        &self,
        api: Api<DynamicObject>,
        resource: ApiResource,
        what: String,
    ) -> impl Stream<Item = Result<Vec<Arc<DynamicObject>>>> + Send + use<> {
        let server = self.server().to_owned();
        let writer = store::Writer::new(resource);
        let store = writer.as_reader();
        let events = reflector(writer, watcher(api, watcher::Config::default()).backoff(reconnect()));
        events.filter_map(move |event| {
            future::ready(match event {
                // the list is being read
                Ok(Event::Init | Event::InitApply(_)) => None,
                Ok(_) => Some(Ok(store.state())),
                Err(error) => Some(Err(Error::of_watch(&server, &what, error))),
            })
        })
    }
}
