//! The table of all operations. The routes and the document are both made from it, and from nothing else.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use serde_json::Value;

use super::document::{Schemas, describe};
use super::operation::{Operation, Verb, handle};
use super::shared::Shared;
use super::{
    cancel, confusion, curves, events, experiments, health, history, log, metrics, openapi, propose, summary, trials,
};

/// An operation with everything that is made of it.
pub(crate) struct Entry {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    /// The handler of its route.
    pub(crate) route: fn() -> MethodRouter<Arc<Shared>>,
    /// Its part of the document.
    pub(crate) describe: fn(&mut Schemas) -> Value,
}

impl Entry {
    fn of<O: Operation>() -> Self {
        let route = match O::VERB {
            Verb::Get => || get(handle::<O>),
            Verb::Post => || post(handle::<O>),
        };
        Self { verb: O::VERB, path: O::PATH, route, describe: describe::<O> }
    }
}

/// Every operation.
pub(crate) fn entries() -> Vec<Entry> {
    vec![
        Entry::of::<experiments::List>(),
        Entry::of::<experiments::One>(),
        Entry::of::<propose::Propose>(),
        Entry::of::<cancel::Experiment>(),
        Entry::of::<cancel::Trial>(),
        Entry::of::<trials::List>(),
        Entry::of::<trials::One>(),
        Entry::of::<curves::Curves>(),
        Entry::of::<confusion::Confusion>(),
        Entry::of::<log::Log>(),
        Entry::of::<events::Events>(),
        Entry::of::<history::List>(),
        Entry::of::<summary::Summary>(),
        Entry::of::<openapi::Document>(),
        Entry::of::<health::Live>(),
        Entry::of::<health::Ready>(),
        Entry::of::<metrics::Scrape>(),
    ]
}
