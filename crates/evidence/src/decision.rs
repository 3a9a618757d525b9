//! What to do about a head. Pure: evidence, what is declared, and which pull requests there were.

use serde::Serialize;
use slipway_digest::Digest;
use slipway_experiment::Monitor;

use crate::Evidence;
use crate::look::MONTH;

/// What is known beside the evidence.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What is declared.
    pub monitor: &'a Monitor,
    /// The digest that git pins.
    pub pinned: Option<Digest>,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// The retrain pull requests of this dataset in the last 30 days and in the cooldown, in any state.
    pub past: &'a [PastRetraining],
    /// The retrain pull request of this very head, in any state.
    pub of_head: Option<u64>,
}

/// A retrain pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRetraining {
    /// Its number.
    pub number: u64,
    /// When it was opened, in seconds since 1970; `None` counts as just now.
    pub opened_at: Option<i64>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Decision {
    /// Nothing.
    Nothing {
        /// Why.
        why: String,
    },
    /// An issue: it has changed, and whether that matters is a person's question.
    Issue {
        /// Why.
        why: String,
    },
    /// The retrain pull request.
    Retrain {
        /// For which reason.
        reason: Reason,
        /// Why.
        why: String,
    },
    /// The retrain pull request of this head is there, or was.
    Opened {
        /// Its number.
        number: u64,
        /// Why.
        why: String,
    },
    /// Nothing, although something would have been done.
    HeldBack {
        /// Whether it would have been the retrain pull request; otherwise it would have been an issue.
        retrain: bool,
        /// What holds it back.
        by: Hold,
        /// Until when, in seconds since 1970, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<i64>,
        /// Why.
        why: String,
    },
}

/// Why to retrain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The data have changed, and that matters.
    Drift,
    /// There are as many new labelled items as were asked for.
    NewData,
    /// The requests have changed, and by an estimate that matters.
    Requests,
}

/// What holds it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// `enabled: false`.
    Switch,
    /// The last retrain pull request is too recent.
    Cooldown,
    /// There were as many as the budget allows.
    Budget,
    /// The version in service does not answer. It is waited for, since without its answers the detector is another one.
    Silence,
}

/// How long a version in service that does not answer is waited for, in seconds: an update of its server takes less.
pub const PATIENCE: i64 = 600;

impl Decision {
    /// Why, for a person.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Nothing { why }
            | Self::Issue { why }
            | Self::Retrain { why, .. }
            | Self::Opened { why, .. }
            | Self::HeldBack { why, .. } => why,
        }
    }

    /// In a few words what is done.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Nothing { .. } => "nothing",
            Self::Issue { .. } => "open an issue",
            Self::Retrain { .. } => "open the retrain pull request",
            Self::Opened { .. } => "nothing more: its pull request was opened",
            Self::HeldBack { retrain: true, .. } => "nothing: the retrain pull request is held back",
            Self::HeldBack { retrain: false, .. } => "nothing: the issue is held back",
        }
    }
}

/// Decides what to do. The same arguments give the same decision.
#[must_use]
pub fn decide(situation: &Situation<'_>, evidence: &Evidence) -> Decision {
    let Situation { monitor, pinned, .. } = *situation;
    let Some((reason, why)) = wanted(monitor, evidence) else {
        return Decision::Nothing { why: quiet(evidence) };
    };
    if pinned == Some(evidence.head) {
        return Decision::Nothing {
            why: format!("{why}; this head is pinned in git already, so its training is asked for"),
        };
    }
    let Some(reason) = reason else {
        return issue(situation, evidence, why);
    };
    retrain(situation, reason, why)
}

/// The retrain pull request, unless that of the head was opened, or something holds it back.
pub(crate) fn retrain(situation: &Situation<'_>, reason: Reason, why: String) -> Decision {
    let Situation { monitor, of_head, .. } = *situation;
    if let Some(number) = of_head {
        let why = format!("{why}; pull request #{number} of this head was opened, and there is one for a head, ever");
        return Decision::Opened { number, why };
    }
    let retrain = Decision::Retrain { reason, why: why.clone() };
    match held(situation) {
        Some((by, until, because)) if monitor.enabled => {
            Decision::HeldBack { retrain: true, by, until, why: format!("{why}; {because}") }
        }
        _ => unless_off(monitor, true, retrain),
    }
}

/// An issue, once the version in service has answered, or was waited for.
fn issue(situation: &Situation<'_>, evidence: &Evidence, why: String) -> Decision {
    let Situation { monitor, now, .. } = *situation;
    let Some(since) = evidence.silent else { return unless_off(monitor, false, Decision::Issue { why }) };
    let minutes = now.saturating_sub(since) / 60;
    let until = since.saturating_add(PATIENCE);
    if now < until && monitor.enabled {
        let waits = PATIENCE / 60;
        let why = format!(
            "{why}; the version in service does not answer, and without its answers no issue is opened for {waits} min"
        );
        return Decision::HeldBack { retrain: false, by: Hold::Silence, until: Some(until), why };
    }
    let why =
        format!("{why}; the version in service has not answered for {minutes} min, so this is without its answers");
    unless_off(monitor, false, Decision::Issue { why })
}

/// What the evidence asks for: to retrain for a reason, or an issue; `None` for nothing.
fn wanted(monitor: &Monitor, evidence: &Evidence) -> Option<(Option<Reason>, String)> {
    let alarm = evidence.change.alarm.as_ref();
    let matters = evidence.loss.as_ref().filter(|loss| loss.matters);
    let retrain = monitor.retrain.as_ref();
    let enough = retrain.and_then(|retrain| retrain.new_labelled).filter(|least| evidence.unpinned >= *least as usize);
    let changed = alarm.map(|alarm| format!("the data have changed (after {} new items)", alarm.after));
    if let (Some(changed), Some(loss), Some(_)) = (&changed, matters, retrain) {
        let points = 100.0 * loss.loss;
        let why = format!("{changed}, and the version in service loses {points:.1} points on them");
        return Some((Some(Reason::Drift), why));
    }
    if let Some(least) = enough {
        let why = format!("{} new labelled items are there, and {least} were asked for", evidence.unpinned);
        return Some((Some(Reason::NewData), why));
    }
    let but = match (matters, &evidence.loss) {
        (Some(_), _) => "and that matters, but no experiment is declared to retrain",
        (None, Some(_)) => "but the version in service loses less than would matter",
        (None, None) => "and whether that matters is not known",
    };
    Some((None, format!("{}, {but}", changed?)))
}

fn quiet(evidence: &Evidence) -> String {
    match evidence.new {
        0 => "nothing is new".to_owned(),
        new => format!("{new} items are new, and they are like the others as far as anybody can tell"),
    }
}

/// What holds a retrain pull request back now, and until when.
fn held(situation: &Situation<'_>) -> Option<(Hold, Option<i64>, String)> {
    let Situation { monitor, now, past, .. } = *situation;
    let opened_at = |one: &PastRetraining| one.opened_at.unwrap_or(now);
    let cooldown = i64::try_from(monitor.cooldown.seconds()).unwrap_or(i64::MAX);
    let recent = past.iter().filter(|one| opened_at(one).saturating_add(cooldown) > now).max_by_key(|one| one.number);
    if let Some(recent) = recent {
        let because = format!("#{} was opened less than {} ago", recent.number, monitor.cooldown);
        // the end of the last cooldown of all
        let end = past.iter().map(|one| opened_at(one).saturating_add(cooldown)).max();
        return Some((Hold::Cooldown, end, because));
    }
    let mut ends: Vec<i64> =
        past.iter().map(|one| opened_at(one).saturating_add(MONTH)).filter(|end| *end > now).collect();
    let budget = monitor.budget as usize;
    if ends.len() >= budget {
        let because = format!("{} were opened within 30 days, and the budget is {budget}", ends.len());
        // when fewer than the budget are left
        ends.sort_unstable();
        return Some((Hold::Budget, ends.get(ends.len() - budget).copied(), because));
    }
    None
}

pub(crate) fn unless_off(monitor: &Monitor, retrain: bool, decision: Decision) -> Decision {
    if monitor.enabled {
        return decision;
    }
    let why = format!("{}; the monitor is switched off (`enabled: false`)", decision.why());
    Decision::HeldBack { retrain, by: Hold::Switch, until: None, why }
}
