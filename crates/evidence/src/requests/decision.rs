//! What to do about the requests. Pure, as what is done about a head.

use slipway_experiment::{Monitor, Opens};

use super::Evidence;
use crate::decision::{retrain, unless_off};
use crate::{Decision, Reason, Situation};

/// Decides what to do. The same arguments give the same decision.
pub(super) fn decide(situation: &Situation<'_>, evidence: &Evidence) -> Decision {
    let Situation { monitor, pinned, .. } = *situation;
    let issue = |why: String| unless_off(monitor, false, Decision::Issue { why });
    let Some(alarm) = &evidence.change.alarm else {
        let why = match evidence.change.windows {
            0 => "no hour of the sample had requests yet",
            _ => "the requests are like the reference as far as anybody can tell",
        };
        return Decision::Nothing { why: why.to_owned() };
    };
    let changed = format!("the requests have changed (after {} of the sample)", alarm.after);
    let loss = match &evidence.loss {
        Some(loss) if loss.matters => loss,
        Some(_) => {
            return issue(format!(
                "{changed}, but by the estimate the version in service loses less than would matter"
            ));
        }
        None => return issue(format!("{changed}, and whether that matters is not known")),
    };
    let points = 100.0 * loss.loss;
    let why = format!("{changed}, and by the estimate the version in service loses {points:.1} points on them");
    if !retrains(monitor) {
        return issue(why);
    }
    if evidence.head.is_none() || evidence.head == pinned {
        return issue(format!("{why}; but the dataset has nothing new to train on: give it labelled ones like these"));
    }
    retrain(situation, Reason::Requests, why)
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
            loss: Loss::new(reference, 200, None, estimate.map(estimated), 0.02),
            left_out: 0,
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
        assert!(matches!(&harmless, Decision::Issue { why } if why.contains("less than would matter")), "{harmless:?}");
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
    fn nothing_is_retrained_on_what_is_pinned_or_was_opened_or_is_held_back() {
        let monitor = monitor(Opens::Retrain);
        let matters = evidence(Some(0.5));
        for head in [None, Some(Digest::of("before"))] {
            let chosen = decided(&monitor, &Evidence { head, ..matters.clone() });
            assert!(
                matches!(&chosen, Decision::Issue { why } if why.contains("nothing new to train on")),
                "{chosen:?}"
            );
        }
        let past = [PastRetraining { number: 7, opened_at: Some(NOW - 60) }];
        let situation = Situation { monitor: &monitor, pinned: None, now: NOW, past: &past, of_head: None };
        assert!(matches!(decide(&situation, &matters), Decision::HeldBack { retrain: true, by: Hold::Cooldown, .. }));
        let opened = Situation { of_head: Some(7), ..situation };
        assert!(matches!(decide(&opened, &matters), Decision::Opened { number: 7, .. }));
        let off = Monitor { enabled: false, ..monitor.clone() };
        assert!(matches!(decided(&off, &matters), Decision::HeldBack { retrain: true, by: Hold::Switch, .. }));
    }
}
