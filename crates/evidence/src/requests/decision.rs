//! What to do about the requests. Pure, as what is done about a head.

use slipway_experiment::{Monitor, Opens};

use super::Evidence;
use super::watch::IN_A_ROW;
use crate::decision::{retrain, unless_off};
use crate::{Decision, Reason, Situation};

/// Decides what to do. The same arguments give the same decision.
pub(super) fn decide(situation: &Situation<'_>, evidence: &Evidence) -> Decision {
    let Situation { monitor, pinned, .. } = *situation;
    let issue = |why: String| unless_off(monitor, false, Decision::Issue { why });
    let Some(alarm) = &evidence.change.alarm else {
        return Decision::Nothing { why: quiet(evidence).to_owned() };
    };
    let changed = format!("the requests have changed (after {} of the sample)", alarm.after);
    let loss = match &evidence.loss {
        Some(loss) if loss.matters => loss,
        Some(_) => {
            return issue(format!(
                "{changed}, but by the estimate it is not certain that the version in service loses as much as would matter"
            ));
        }
        None => return issue(format!("{changed}, and whether that matters is not known")),
    };
    let points = 100.0 * loss.loss;
    let why = format!("{changed}, and by the estimate the version in service loses {points:.1} points on them");
    if !retrains(monitor) {
        return issue(why);
    }
    // neither on what git asks for already nor on what the version was trained on
    if evidence.head.is_none() || evidence.head == pinned || evidence.head == Some(evidence.reference.digest) {
        return issue(format!("{why}; but the dataset has nothing new to train on: give it labelled ones like these"));
    }
    if evidence.in_a_row < IN_A_ROW {
        return issue(format!("{why}; the retrain pull request waits until that was so in {IN_A_ROW} hours in a row"));
    }
    retrain(situation, Reason::Requests, why)
}

/// Why there is nothing to do without an alarm.
fn quiet(evidence: &Evidence) -> &'static str {
    match *evidence {
        Evidence { hours: 0, left_out: 1.., .. } => "none of the sampled rows could be compared",
        Evidence { hours: 0, unread: 1.., .. } => "no file of the sample could be read",
        Evidence { hours: 0, .. } => {
            "the sample has no requests of this version: does the server keep one, in this bucket?"
        }
        Evidence { hours: 1, .. } => "one hour of the sample says nothing yet: the bets begin with the next one",
        _ => "the requests are like the reference as far as anybody can tell",
    }
}

/// Whether requests that have changed are answered by the retrain pull request, if that matters.
fn retrains(monitor: &Monitor) -> bool {
    monitor.retrain.is_some() && monitor.requests.is_some_and(|requests| requests.matters == Opens::Retrain)
}

#[cfg(test)]
mod tests {
    use slipway_digest::Digest;
    use slipway_experiment::{Requests, Retrain};

    use super::*;
    use crate::{Alarm, Change, Estimated, Hold, Loss, Measured, Model, PastRetraining, ReferenceData};

    const NOW: i64 = 1_800_000_000;

    fn monitor(matters: Opens) -> Monitor {
        let retrain = Retrain { experiments: vec!["a".to_owned()], new_labelled: None, loss: 20_000 };
        let requests = Some(Requests { matters });
        Monitor { enabled: true, retrain: Some(retrain), requests, ..Monitor::undeclared() }
    }

    /// Evidence with an alarm if there is an estimate of the accuracy, which was 0.9.
    fn evidence(estimate: Option<f64>) -> Evidence {
        let alarm = estimate.map(|_| Alarm { after: 300, at: NOW - 3600, capital: 9.0, from: 0 });
        let reference = Measured::new(900, 1000).unwrap();
        let estimated = |accuracy: f64| {
            let interval = (accuracy - 0.1, accuracy + 0.1);
            Estimated { of: 200, accuracy, interval, learned: false }
        };
        let change = Change {
            alarm,
            capital: 9.0,
            windows: 2,
            observations: 300,
            waiting: 0,
            closes: None,
            untimed: 0,
            promise: "once in 5 years".to_owned(),
            streams: Vec::new(),
            comparisons: Vec::new(),
        };
        Evidence {
            dataset: "d".to_owned(),
            head: Some(Digest::of("head")),
            model: Model { name: "m".to_owned(), version: 3 },
            reference: ReferenceData { digest: Digest::of("before"), items: 9, held_out: 3 },
            answers: Vec::new(),
            change,
            hours: 2,
            in_a_row: 3,
            loss: Loss::new(reference, 200, None, estimate.map(estimated), 0.02),
            left_out: 0,
            unread: 0,
            late: 0,
            unknown: Vec::new(),
        }
    }

    fn decided(monitor: &Monitor, evidence: &Evidence) -> Decision {
        let pinned = Some(Digest::of("before"));
        decide(&Situation { monitor, pinned, now: NOW, past: &[], of_head: None }, evidence)
    }

    #[test]
    fn a_change_alone_is_an_issue_and_one_that_matters_is_what_was_declared() {
        let (issue, retrain) = (monitor(Opens::Issue), monitor(Opens::Retrain));
        let quiet = evidence(None);
        assert!(matches!(decided(&retrain, &quiet), Decision::Nothing { .. }));
        let harmless = decided(&retrain, &evidence(Some(0.85)));
        assert!(matches!(&harmless, Decision::Issue { why } if why.contains("not certain")), "{harmless:?}");
        let unknown = decided(&retrain, &Evidence { loss: None, ..evidence(Some(0.5)) });
        assert!(matches!(&unknown, Decision::Issue { why } if why.contains("is not known")), "{unknown:?}");
        let matters = evidence(Some(0.5));
        let chosen = decided(&retrain, &matters);
        assert!(
            matches!(&chosen, Decision::Retrain { reason: Reason::Requests, why } if why.contains("40.0 points")),
            "{chosen:?}"
        );
        assert!(matches!(decided(&issue, &matters), Decision::Issue { .. }));
        let undeclared = Monitor { requests: None, ..retrain };
        assert!(matches!(decided(&undeclared, &matters), Decision::Issue { .. }));
    }

    #[test]
    fn without_an_hour_it_is_said_why() {
        let why = |left_out: usize, unread: usize| {
            let evidence = Evidence { hours: 0, left_out, unread, ..evidence(None) };
            decided(&monitor(Opens::Issue), &evidence).why().to_owned()
        };
        assert_eq!(why(7, 1), "none of the sampled rows could be compared");
        assert_eq!(why(0, 1), "no file of the sample could be read");
        assert!(why(0, 0).contains("does the server keep one, in this bucket?"));
    }

    #[test]
    fn nothing_is_retrained_on_what_is_pinned_or_was_opened_or_is_held_back() {
        let monitor = monitor(Opens::Retrain);
        let matters = evidence(Some(0.5));
        let trained_on = ReferenceData { digest: Digest::of("trained on"), ..matters.reference };
        for head in [None, Some(Digest::of("before")), Some(trained_on.digest)] {
            let chosen = decided(&monitor, &Evidence { head, reference: trained_on, ..matters.clone() });
            assert!(
                matches!(&chosen, Decision::Issue { why } if why.contains("nothing new to train on")),
                "{chosen:?}"
            );
        }
        let once = decided(&monitor, &Evidence { in_a_row: 2, ..matters.clone() });
        assert!(matches!(&once, Decision::Issue { why } if why.contains("3 hours in a row")), "{once:?}");
        let past = [PastRetraining { number: 7, opened_at: Some(NOW - 60) }];
        let situation = Situation { monitor: &monitor, pinned: None, now: NOW, past: &past, of_head: None };
        assert!(matches!(decide(&situation, &matters), Decision::HeldBack { retrain: true, by: Hold::Cooldown, .. }));
        let opened = Situation { of_head: Some(7), ..situation };
        assert!(matches!(decide(&opened, &matters), Decision::Opened { number: 7, .. }));
        let off = Monitor { enabled: false, ..monitor.clone() };
        assert!(matches!(decided(&off, &matters), Decision::HeldBack { retrain: true, by: Hold::Switch, .. }));
    }
}
