//! A report that is ready to be published, on a comment that several environments may share.

use std::collections::BTreeSet;

use slipway_report::{Document, Packed, Publication, Shared, pack, pack_shared};

/// A report that is ready to be published.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it says.
    pub document: Document,
    /// The same in the parts of a comment of its own.
    pub packed: Packed,
    /// In place of that, its block in a comment that several environments share.
    shared: Option<Shared>,
    /// The environments that it is about without saying which one: a comment that they share cannot be written by it.
    pub undecided: BTreeSet<String>,
}

impl Report {
    /// With a comment of its own.
    pub(crate) fn new(document: Document, head: &str) -> Self {
        Self { packed: pack(&document, head), document, shared: None, undecided: BTreeSet::new() }
    }

    /// The same, as a plan that was made on this commit of the base branch.
    pub(crate) fn on(mut self, base: String) -> Self {
        self.packed.base = Some(base);
        self
    }

    /// About one of these environments, which share the comment if there are several.
    #[must_use]
    pub fn of(environment: &str, all: &BTreeSet<String>, document: Document, head: &str) -> Self {
        let shared = (all.len() > 1).then(|| pack_shared(&document, head, environment, all));
        Self { shared, ..Self::new(document, head) }
    }

    /// About all of these environments at once.
    pub(crate) fn of_all(all: BTreeSet<String>, document: Document, head: &str) -> Self {
        let undecided = if all.len() > 1 { all } else { BTreeSet::new() };
        Self { undecided, ..Self::new(document, head) }
    }

    /// With what is kept of `previous`, the first part of the comment as it stands now: earlier plans, and what other environments say.
    #[must_use]
    pub fn publication(&self, previous: Option<&str>) -> Publication {
        match self.shared.clone() {
            Some(shared) => shared.publication(previous),
            None => self.packed.clone().publication(previous),
        }
    }
}
