//! Champion and challenger in one process.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use slipway_digest::Digest;
use slipway_drift::Decision;
use slipway_model::Bundle;
use slipway_serving::{Challenger as Declared, Mode, Pin, Share};

use super::truths::Truth;
use super::*;
use crate::ask::Asked;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::tensor::{Array, Elements};
use crate::workers::Workers;

/// Two quick versions, of which the second one is tried.
struct Trial {
    champion: Arc<Loaded>,
    model: Arc<Loaded>,
    bundles: [Bundle; 2],
    challenger: Arc<Challenger>,
    workers: Workers,
}

fn trial(mode: Mode, share: f64) -> Trial {
    let metrics = Metrics::new().unwrap();
    let [(champion, first), (model, second)] = [1, 2].map(|seed| Loaded::quick(seed, 4));
    let (champion, model) = (Arc::new(champion), Arc::new(model));
    let pin = Pin { name: "mnist".to_owned(), version: 2, digest: Digest::of("2") };
    let declared = Declared { pin, mode, share: Share::new(share).unwrap() };
    let challenger = Arc::new(Challenger::new(&declared, &champion, &metrics).unwrap());
    challenger.start(&champion, Arc::clone(&model), (1, 8), &metrics).unwrap();
    let workers = Workers::start(1, 8, metrics).unwrap();
    Trial { champion, model, bundles: [first, second], challenger, workers }
}

fn picture(of: usize) -> Vec<f32> {
    (0..784).map(|i| ((i * 31 + of * 7) % 101) as f32 / 101.0).collect()
}

fn asked(id: &str, of: usize) -> Asked<'_> {
    let inputs = vec![Array { shape: vec![1, 1, 28, 28], elements: Elements::Fp32(picture(of)) }];
    Asked { id: Some(id), inputs, rows: 1, named: false, features: false }
}

impl Trial {
    /// The version that answers a request.
    async fn answered_by(&self, id: &str, of: usize) -> String {
        let answer = self.challenger.answer(&self.champion, &self.workers, asked(id, of)).await;
        answer.unwrap().0.version.clone()
    }

    /// The class that a version says, the champion 0 and the challenger 1.
    fn class(&self, version: usize, of: usize) -> i64 {
        let probabilities = self.bundles[version].probabilities(&picture(of), 1).unwrap();
        (1..10).fold(0, |best, at| if probabilities[at] > probabilities[best] { at } else { best }) as i64
    }

    /// Waits until the shadow has answered so many requests.
    async fn until(&self, answered: u64) {
        let reached = async {
            while self.challenger.report().requests.challenger.answered < answered {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap();
    }
}

#[tokio::test]
async fn truths_decide_which_version_is_better() {
    let trial = trial(Mode::Shadow, 1.0);
    let mut better = 0;
    for of in 0..60 {
        let id = of.to_string();
        assert_eq!(trial.answered_by(&id, of).await, "1");
        trial.until(of as u64 + 1).await;
        // the challenger is always right
        assert_eq!(trial.challenger.truth(&id, trial.class(1, of)), Truth::Counted);
        assert_eq!(trial.challenger.truth(&id, trial.class(1, of)), Truth::Unknown);
        better += u64::from(trial.class(0, of) != trial.class(1, of));
    }
    let report = trial.challenger.report();
    assert_eq!((report.truth.known, report.truth.better, report.truth.worse), (60, better, 0));
    assert_eq!((report.agreement.agreed, report.agreement.disagreed), (60 - better, better));
    assert!(better >= 12 && report.truth.decision == Decision::Better, "{report:?}");
    assert!(report.truth.evidence.e_value >= report.truth.evidence.decides_at, "{report:?}");
    assert!(report.truth.difference[0] > 0.0, "{report:?}");
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "a model that stands still is what this is about")]
async fn nobody_waits_for_a_shadow() {
    let trial = trial(Mode::Shadow, 1.0);
    let stands_still = trial.model.hold(0);
    for at in 0..70 {
        let id = at.to_string();
        let mut answer = Box::pin(trial.challenger.answer(&trial.champion, &trial.workers, asked(&id, 0)));
        let Poll::Ready(Ok((model, _))) = poll!(&mut answer) else { panic!("it waits") };
        assert_eq!(model.version, "1");
    }
    let requests = trial.challenger.report().requests;
    assert_eq!((requests.champion.answered, requests.challenger.answered, requests.dropped), (70, 0, 6));
    drop(stands_still);
    trial.until(64).await;
}

#[tokio::test]
async fn a_canary_is_asked_once_it_is_known_how_quick_its_champion_is() {
    let trial = trial(Mode::Canary, 0.5);
    let chosen = |of: usize| {
        let salt = super::pick::salt("mnist", &Digest::of("2"));
        trial.challenger.declared.share.has(super::pick::hash(salt, Some(&of.to_string()), &[]))
    };
    for of in 0..32 {
        assert_eq!(trial.answered_by(&of.to_string(), of).await, "1");
    }
    for of in 32..100 {
        assert_eq!(trial.answered_by(&of.to_string(), of).await == "2", chosen(of), "{of}");
    }
    // it is the version that is named, and what does not fit is not chosen
    let named = Asked { named: true, ..asked("40", 0) };
    let (model, _) = trial.challenger.answer(&trial.champion, &trial.workers, named).await.unwrap();
    assert_eq!(model.version, "1");
    trial.challenger.stop("it is not declared any more".to_owned());
    for of in 32..100 {
        assert_eq!(trial.answered_by(&of.to_string(), of).await, "1");
    }
    assert_eq!(trial.challenger.report().state, "waiting");
}

/// A canary that answers half of the requests, now that it is known how quick its champion is.
async fn half() -> Trial {
    let trial = trial(Mode::Canary, 0.5);
    for of in 0..32 {
        assert_eq!(trial.answered_by(&format!("early-{of}"), of).await, "1");
    }
    trial
}

#[tokio::test]
async fn truths_about_a_canarys_answers_and_its_champions_decide_which_version_is_better() {
    let trial = half().await;
    // what was answered before the canary was asked at all is not compared with what it answers
    assert_eq!(trial.challenger.truth("early-1", 0), Truth::Unknown);
    for of in 0..300 {
        let id = of.to_string();
        trial.answered_by(&id, of).await;
        // the canary is always right; what the champion has answered for it does not count
        trial.challenger.truth(&id, trial.class(1, of));
        assert_eq!(trial.challenger.truth(&id, trial.class(1, of)), Truth::Unknown);
    }
    let report = trial.challenger.report();
    assert!(report.truth.known >= 50 && report.truth.worse == 0, "{report:?}");
    assert!(report.truth.better >= 12 && report.truth.decision == Decision::Better, "{report:?}");
    assert_eq!(report.state, "running");
}

#[tokio::test]
async fn a_canary_whose_answers_people_correct_more_often_is_switched_off() {
    let trial = half().await;
    // of both versions alike
    for of in 0..100 {
        let id = format!("alike-{of}");
        let version = usize::from(trial.answered_by(&id, of).await == "2");
        let said = trial.class(version, of);
        trial.challenger.corrected(&id, said);
        trial.challenger.corrected(&id, (said + 1) % 10);
        trial.challenger.corrected(&id, (said + 2) % 10);
        trial.challenger.corrected("somebody else's", 0);
    }
    let report = trial.challenger.report();
    assert!(report.state == "running" && report.tests.corrections.e_value < 20.0, "{report:?}");

    let trial = half().await;
    let mut corrected = 0;
    for of in 0..100 {
        let id = of.to_string();
        if trial.answered_by(&id, of).await == "2" {
            trial.challenger.corrected(&id, (trial.class(1, of) + 1) % 10);
            corrected += 1;
        }
        if trial.challenger.model().is_none() {
            break;
        }
    }
    let report = trial.challenger.report();
    assert_eq!((report.state, report.because, corrected), ("switched_off", Some("corrections"), 10), "{report:?}");
    let why = "of 10 answers that people have corrected 10 are its own, which is more than its share of the requests";
    assert_eq!(report.reason.as_deref(), Some(why));
    assert!(report.tests.corrections.e_value >= report.tests.corrections.decides_at, "{report:?}");
}

#[tokio::test]
async fn a_canary_whose_queue_is_full_is_not_accused() {
    let trial = trial(Mode::Canary, 1.0);
    // until it is known how quick the champion is
    for of in 0..32 {
        assert_eq!(trial.answered_by(&of.to_string(), of).await, "1");
    }
    // nobody may wait there
    let full = Workers::start(1, 0, Metrics::new().unwrap()).unwrap();
    for of in 0..200 {
        let (canary, champion) = ((&trial.model, &full), (&trial.champion, &trial.workers));
        let (inputs, limit) = (asked("", of).inputs, Duration::from_secs(10));
        let answer = super::canary::canary(&trial.challenger, canary, champion, inputs, (1, false), limit).await;
        assert_eq!(answer.unwrap().0.version, "1");
    }
    let requests = trial.challenger.report().requests;
    assert_eq!((requests.challenger.answered, requests.challenger.failed), (0, 0));
    assert!(trial.challenger.model().is_some(), "it is switched off");
}
