//! Whether data have changed, whether that matters, and which of two models is better: decisions that are looked at again and again, with
//! promises that survive it. Pure: no clock, no network, no randomness; the same windows give the same verdicts.
//!
//! - [`Monitor`] watches windows of observations against a [`Reference`] and raises an alarm; a [`Promise`] such as `once in 5 years` says
//!   how rarely one is false. [`Classifier`] says what to watch of a classifier.
//! - [`classical`] has the statistics that people know. They describe; they raise no alarm.
//! - [`Calibration`] estimates the accuracy without labels, [`Outlook`] does so after having seen examples of drift.
//! - [`Paired`] compares champion and challenger on the same requests, [`Canary`] finds one that fails more often.
//!
//! # How the monitor works
//!
//! Each stream of the reference is cut into *events*: the answer is a 7, the confidence is below a value that only one answer of fifty was
//! below. For each event the reference gives an upper confidence bound u of its probability ([`upper_bound`]). That something has become
//! rarer is the event that it does not happen.
//!
//! On each event there are bets that it has become more frequent. A bet on the probability q > u pays, for a window in which the event
//! happened m times in n observations, the likelihood ratio ((q/u)^m ((1-q)/(1-u))^(n-m))^(1/D) for each staked unit. The capital of a bet
//! goes on from window to window, and each window adds a stake to every bet: its time divided by the promised period. The total is the
//! mean of all capitals, weighted. It is an alarm when the total reaches 1.
//!
//! # What is promised
//!
//! **No drift** ([`NoDrift`]). Let F be all that is known before a window: the reference and the windows before. The observations of the
//! window can be divided into at most D parts (the dispersion; nobody needs to know how), so that for each event, and for each observation
//! of a part, the probability of the event given F and the part's earlier observations is at most
//!
//! > s + (1 - s) max(p, (1 - r) p + r f)
//!
//! where p is the event's probability in the data from which the reference is drawn, f its share in the window before, r the serial
//! correlation and s the stray share. For D = 1, r = 0, s = 0 this is: the observations are independent, and no event is more frequent
//! than in the reference. D parts allow that observations come in clumps of D. The term r f allows that up to that share of a window is
//! like the window before. The share s may be anything.
//!
//! **Theorem.** Suppose that the reference's observations are independent, and that time passes independently of what the observations
//! say. If there is no drift, then within any time t an alarm is raised with probability at most t / T + a, where T is the promised period
//! and a the risk of the reference. Except with probability a over the draw of the reference, the mean time to an alarm is at least T. This
//! holds however many streams there are, however they depend on each other, and however large and frequent the windows are.
//!
//! *Proof.* (1) Each bound u is below the event's p with probability at most its part of a, by Clopper and Pearson, or for events that are
//! cut at order statistics by the beta distribution of those; the parts sum to a. Suppose from here that all bounds hold. (2) In place of
//! u the bet uses the largest probability that the class allows after f, with u for p; this is known before the window. With it, the
//! likelihood ratio of one part of the window has mean at most 1 given F, factor by factor: a factor is increasing in the indicator of the
//! event, and has mean 1 at that probability. Of the D parts, the payoff is the geometric mean, so by Hölder's inequality its mean given F
//! is at most 1 as well. (3) So each capital minus the stakes so far is a supermartingale, and so is their weighted mean: dependence
//! between streams does not matter, because all are known in the same F. (4) The total is not negative and starts at 0; stopped at the
//! first alarm, its mean is at most the stakes until then. By Markov's inequality the probability of an alarm within t is at most the
//! stakes within t, which are t / T. And at an alarm the total is at least 1, so the stakes until an alarm have mean at least 1: a time
//! of T. ∎ A state that starts anew after each alarm gives up a capital of at least 1 each time, so by the same argument the mean number of
//! false alarms within t is at most t / T, when the bounds hold.
//!
//! Steps 3 and 4 are the e-detector of Shin, Ramdas and Rinaldo (2024) in the form of Shiryaev and Roberts, with stakes in place of ones.
//! The class with its three terms, and the reference of finite size, are what is added here. What the theorem does not cover is measured
//! in docs/continuous-training.md: shares that wander from window to window without following it, and observations that repeat the one
//! before.
//!
//! A drift that is smaller than what the reference leaves open, about 4.5 standard errors of it, is never found: it cannot be told from a
//! reference that was a little unlucky. A larger reference is the remedy.

mod accuracy;
mod bound;
mod canary;
pub mod classical;
mod classifier;
mod detector;
mod difference;
mod error;
mod monitor;
mod paired;
mod promise;
mod reference;

pub use accuracy::{Calibration, Estimate, Example, Outlook};
pub use bound::upper_bound;
pub use canary::Canary;
pub use classifier::{Answer, Classifier, Distance, most, picture};
pub use detector::{Count, Detector, Event, Evidence, Form, NoDrift, State};
pub use difference::paired_difference;
pub use error::{Error, Result};
pub use monitor::{Contribution, Monitor, Verdict};
pub use paired::{Decision, Paired};
pub use promise::Promise;
pub use reference::{Comparison, Reference, Region, Stream, Summary, Watched};
