//! What reviews, checks and rules say against a merge.

use std::collections::{BTreeMap, BTreeSet};

use super::overview::{BaseRef, Check, Fault, List, Overview};
use crate::{Approvals, Objections};

/// How a check is, as far as a merge is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Failed,
    /// Also one that was cancelled: it makes room for a newer one.
    Passed,
}

impl Check {
    fn name(&self) -> Option<&str> {
        self.name.as_deref().or(self.context.as_deref())
    }

    fn state(&self) -> State {
        match self.conclusion.as_deref().or(self.state.as_deref()) {
            None | Some("PENDING" | "EXPECTED") => State::Pending,
            Some("FAILURE" | "ERROR" | "TIMED_OUT" | "ACTION_REQUIRED" | "STARTUP_FAILURE") => State::Failed,
            Some(_) => State::Passed,
        }
    }

    /// Greater for a newer run of the same name; one that waits has not started.
    fn age(&self) -> (bool, Option<&str>) {
        (self.started_at.is_none(), self.started_at.as_deref())
    }
}

impl BaseRef {
    /// How many approvals its rules require.
    fn required_approvals(&self) -> usize {
        let protection = self.ref_update_rule.iter().filter_map(|rule| rule.required_approving_review_count);
        let parameters = self.rules.iter().flat_map(List::all).filter_map(|rule| rule.parameters.as_ref());
        protection.chain(parameters.filter_map(|one| one.required_approving_review_count)).max().unwrap_or_default()
    }

    /// Whether its rules require that each conversation is resolved.
    fn requires_resolution(&self) -> bool {
        let protection = self.ref_update_rule.iter().filter_map(|rule| rule.requires_conversation_resolution);
        let parameters = self.rules.iter().flat_map(List::all).filter_map(|rule| rule.parameters.as_ref());
        protection.chain(parameters.filter_map(|one| one.required_review_thread_resolution)).any(|required| required)
    }

    /// The checks that its rules require.
    fn required_checks(&self) -> BTreeSet<&str> {
        let protection = self.ref_update_rule.iter().filter_map(|rule| rule.required_status_check_contexts.as_ref());
        let parameters = self.rules.iter().flat_map(List::all).filter_map(|rule| rule.parameters.as_ref());
        let rulesets = parameters.filter_map(|one| one.required_status_checks.as_ref()).flatten();
        let protection = protection.flatten().flatten().map(String::as_str);
        protection.chain(rulesets.map(|one| one.context.as_str())).collect()
    }
}

impl Overview {
    /// What speaks against the merge, apart from the check of this name. `faults` say what GitHub does not tell.
    pub(super) fn objections(&self, except: &str, faults: &[Fault]) -> Objections {
        let is_known = |part: &str| !faults.iter().any(|fault| fault.is_in(part));
        let (failed_checks, pending_checks) = self.checks(except, is_known("statusCheckRollup"));
        Objections {
            changes_requested: self.reviewers("CHANGES_REQUESTED").map(str::to_owned).collect(),
            approvals: self.approvals(is_known("latestOpinionatedReviews")),
            conversations: self.conversations(),
            // GitHub says so only where the rules require it, and only if nothing else holds up the merge
            is_behind: self.merge_state_status.as_deref() == Some("BEHIND"),
            failed_checks,
            pending_checks,
            unknown: self.unknown(faults),
        }
    }

    /// Who may write and has decided so at last.
    fn reviewers(&self, state: &str) -> impl Iterator<Item = &str> {
        let reviews = self.latest_opinionated_reviews.iter().flat_map(List::all);
        let such = reviews.filter(move |review| review.state.as_deref() == Some(state));
        such.filter_map(|review| Some(review.author.as_ref()?.login.as_str()))
    }

    /// The approvals that are missing; `None` if none is. Without reviews nobody knows how many there are, so none are counted.
    fn approvals(&self, has_reviews: bool) -> Option<Approvals> {
        let required = self.base_ref.as_ref().map(BaseRef::required_approvals).unwrap_or_default();
        let given = self.reviewers("APPROVED").count();
        let is_missing = match self.review_decision.as_deref() {
            Some("REVIEW_REQUIRED") => true,
            Some("CHANGES_REQUESTED") => given < required,
            _ => false,
        };
        is_missing.then_some(if has_reviews { Approvals { required, given } } else { Approvals::default() })
    }

    /// The conversations that must be resolved and are not.
    fn conversations(&self) -> usize {
        let threads = self.review_threads.iter().flat_map(List::all);
        let open = threads.filter(|thread| !thread.is_resolved).count();
        if self.base_ref.as_ref().is_some_and(BaseRef::requires_resolution) { open } else { 0 }
    }

    /// The names of the checks that have failed, and of those that are pending. Without the checks nobody knows whether a required one has begun.
    fn checks(&self, except: &str, has_checks: bool) -> (Vec<String>, Vec<String>) {
        let mut newest: BTreeMap<&str, &Check> = BTreeMap::new();
        for check in self.contexts().into_iter().flat_map(List::all) {
            if let Some(name) = check.name().filter(|name| *name != except)
                && newest.get(name).is_none_or(|other| other.age() <= check.age())
            {
                newest.insert(name, check);
            }
        }
        let are = |state: State| newest.iter().filter(move |(_, check)| check.state() == state).map(|(name, _)| *name);
        let required = self.base_ref.as_ref().map(BaseRef::required_checks).unwrap_or_default();
        let absent = required.into_iter().filter(|name| has_checks && *name != except && !newest.contains_key(name));
        let pending: BTreeSet<&str> = are(State::Pending).chain(absent).collect();
        (are(State::Failed).map(str::to_owned).collect(), pending.into_iter().map(str::to_owned).collect())
    }

    /// The checks of the newest commit.
    fn contexts(&self) -> Option<&List<Check>> {
        let commit = self.commits.as_ref()?.all().next()?.commit.as_ref()?;
        commit.status_check_rollup.as_ref()?.contexts.as_ref()
    }

    /// What GitHub does not tell.
    fn unknown(&self, faults: &[Fault]) -> Vec<String> {
        let mut unknown: BTreeSet<String> = BTreeSet::new();
        // whose review is asked for is found in another way
        for fault in faults.iter().filter(|fault| !fault.is_in("reviewRequests")) {
            let what = if fault.is_in("statusCheckRollup") {
                "other checks are"
            } else if fault.is_in("baseRef") {
                "what the branch's rules require is"
            } else if fault.is_in("reviewThreads") {
                "conversations are"
            } else if fault.is_in("mergeStateStatus") {
                "whether its branch must be brought up to date is"
            } else {
                "reviews are"
            };
            unknown.insert(format!("{what} not known: {}", fault.message));
        }
        if let Some(contexts) = self.contexts() {
            let (total, listed) = (contexts.total_count.unwrap_or_default(), contexts.all().count());
            if listed < total {
                unknown.insert(format!("{} of {total} checks are not known: GitHub lists {listed}", total - listed));
            }
        }
        if let Some(threads) = self.review_threads.as_ref()
            && self.base_ref.as_ref().is_some_and(BaseRef::requires_resolution)
        {
            let (total, listed) = (threads.total_count.unwrap_or_default(), threads.all().count());
            if listed < total {
                unknown.insert(format!(
                    "{} of {total} conversations are not known: GitHub lists {listed}",
                    total - listed
                ));
            }
        }
        unknown.into_iter().collect()
    }
}
