//! How a dataset is watched, and what may be done about it: `spec.monitor`.

use serde::Serialize;
use slipway_drift::{NoDrift, Promise};
use slipway_source::{Node, Scalar, Value, excerpt};

use super::optional;
use super::pipeline::{Pipeline, Publication, millionths};
use crate::parse::names;
use crate::reader::{Fields, Reader};
use crate::{Deadline, fields};

/// How a dataset is watched, and what may be done about it. What the words mean is in docs/continuous-training.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    /// Whether anything is opened. If not, `slipway drift` still says what would have been.
    pub enabled: bool,
    /// How often the head and the landing prefixes are looked at.
    pub every: Deadline,
    /// How rarely an alarm may be false.
    pub false_alarms: Promise,
    /// Serial correlation between neighbouring windows, in millionths.
    pub serial: u32,
    /// How much more the counts of a window vary than those of independent observations, in millionths.
    pub dispersion: u32,
    /// The share of observations that may be anything, in millionths.
    pub stray: u32,
    /// How long after a retrain pull request no other one is opened.
    pub cooldown: Deadline,
    /// The most retrain pull requests within 30 days.
    pub budget: u32,
    /// What is retrained, and when; `None` if nothing is, and only issues are opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrain: Option<Retrain>,
    /// How the sample of the requests is watched; `None` if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
}

/// What is retrained, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retrain {
    /// Experiments that train on the dataset.
    pub experiments: Vec<String>,
    /// So many new labelled items are a reason by themselves; `None` if they never are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_labelled: Option<u32>,
    /// The loss of accuracy that matters, in millionths.
    pub loss: u32,
}

/// How the sample of the requests is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// What is opened if the requests have changed and that matters.
    pub matters: Opens,
}

/// What is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Opens {
    /// An issue.
    Issue,
    /// The retrain pull request.
    Retrain,
}

/// A loss of accuracy matters from two points on.
const LOSS: u32 = 20_000;
/// Retrain pull requests within 30 days.
const BUDGET: u32 = 4;

impl Monitor {
    /// How a dataset is watched whose declaration says nothing of it: by the defaults, and nothing is opened.
    #[must_use]
    pub fn undeclared() -> Self {
        let usual = NoDrift::default();
        Self {
            enabled: false,
            every: Deadline::MINUTE,
            false_alarms: once_in_five_years(),
            serial: millionths(usual.serial),
            dispersion: millionths(usual.dispersion),
            stray: millionths(usual.stray),
            cooldown: Deadline::DAY,
            budget: BUDGET,
            retrain: None,
            requests: None,
        }
    }

    /// What is not a drift.
    #[must_use]
    pub fn no_drift(&self) -> NoDrift {
        NoDrift { serial: share(self.serial), stray: share(self.stray), dispersion: share(self.dispersion) }
    }
}

impl Retrain {
    /// The loss of accuracy that matters, from 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        share(self.loss)
    }
}

/// The monitor of a declaration: `Some(None)` if it has none.
pub(super) fn monitor(
    reader: &Reader<'_>,
    spec: &Fields<'_>,
    pipeline: Option<&Option<Pipeline>>,
) -> Option<Option<Monitor>> {
    let Some(node) = spec.optional("monitor") else { return Some(None) };
    let allowed = [
        "enabled",
        "every",
        "falseAlarms",
        "serial",
        "dispersion",
        "stray",
        "cooldown",
        "budget",
        "retrain",
        "requests",
    ];
    let fields = reader.map(node, "spec.monitor", &allowed)?;
    match pipeline {
        // it has findings of its own
        None => return None,
        Some(None) => {
            let help = "add `pipeline: {}`: what a build publishes is what is watched";
            reader.add(node.at, "missing-field", "spec.pipeline is not declared, so nothing changes", help);
            return None;
        }
        Some(Some(Pipeline {
            publish: publish @ (Publication::Images | Publication::Csv | Publication::Parquet),
            ..
        })) => {
            let help = match publish {
                Publication::Images => "publish `idx`, or remove spec.monitor",
                _ => "remove spec.monitor: the pipeline as a job builds the dataset (docs/continuous-training.md)",
            };
            reader.add(node.at, "wrong-value", "spec.monitor is for grey images in IDX files", help);
            return None;
        }
        Some(Some(_)) => {}
    }
    let enabled = optional(&fields, "enabled", |node| boolean(reader, node, &fields.at("enabled")));
    let time = |name: &'static str| optional(&fields, name, |node| fields::deadline(reader, node, &fields.at(name)));
    let (every, cooldown) = (time("every"), time("cooldown"));
    let false_alarms = optional(&fields, "falseAlarms", |node| promise(reader, node, &fields.at("falseAlarms")));
    let part = |name: &'static str| {
        let fits = |value: f64| (0.0..1.0).contains(&value);
        let read = |node: &Node| reader.number(node, &fields.at(name), fits, "a share from 0 to less than 1");
        optional(&fields, name, |node| read(node).map(millionths))
    };
    let (serial, stray) = (part("serial"), part("stray"));
    let dispersion = optional(&fields, "dispersion", |node| {
        let fits = |value: f64| (1.0..=1000.0).contains(&value);
        reader.number(node, &fields.at("dispersion"), fits, "a number from 1 to 1000").map(millionths)
    });
    let budget = optional(&fields, "budget", |node| reader.integer32(node, &fields.at("budget"), 0..=1000));
    let retrain = optional(&fields, "retrain", |node| retrain(reader, node));
    let requests = optional(&fields, "requests", |node| requests(reader, node, fields.has("retrain")));
    let usual = Monitor::undeclared();
    Some(Some(Monitor {
        enabled: enabled?.unwrap_or(true),
        every: every?.unwrap_or(usual.every),
        false_alarms: false_alarms?.unwrap_or(usual.false_alarms),
        serial: serial?.unwrap_or(usual.serial),
        dispersion: dispersion?.unwrap_or(usual.dispersion),
        stray: stray?.unwrap_or(usual.stray),
        cooldown: cooldown?.unwrap_or(usual.cooldown),
        budget: budget?.unwrap_or(usual.budget),
        retrain: retrain?,
        requests: requests?,
    }))
}

fn retrain(reader: &Reader<'_>, node: &Node) -> Option<Retrain> {
    const HELP: &str = "names of experiments that train on this dataset, such as [mnist-cnn]";
    let fields = reader.map(node, "spec.monitor.retrain", &["experiments", "newLabelled", "loss"])?;
    let experiments = reader.required(&fields, "experiments").and_then(|node| {
        let path = fields.at("experiments");
        let experiments = names(reader, node, &path, HELP)?;
        if experiments.is_empty() {
            reader.add(node.at, "wrong-value", format!("{path} is empty"), HELP);
            return None;
        }
        Some(experiments)
    });
    let new_labelled =
        optional(&fields, "newLabelled", |node| reader.integer32(node, &fields.at("newLabelled"), 1..=1_000_000_000));
    let loss = optional(&fields, "loss", |node| {
        let fits = |value: f64| (0.0..1.0).contains(&value);
        reader.number(node, &fields.at("loss"), fits, "a share from 0 to less than 1, such as 0.02").map(millionths)
    });
    Some(Retrain { experiments: experiments?, new_labelled: new_labelled?, loss: loss?.unwrap_or(LOSS) })
}

/// How requests are watched. `retrains` is whether the monitor says what is retrained.
fn requests(reader: &Reader<'_>, node: &Node, retrains: bool) -> Option<Requests> {
    let fields = reader.map(node, "spec.monitor.requests", &["matters"])?;
    let matters = optional(&fields, "matters", |node| {
        let path = fields.at("matters");
        let opens = reader.word(node, &path, &[("issue", Opens::Issue), ("retrain", Opens::Retrain)])?;
        if opens == Opens::Retrain && !retrains {
            let message = format!("{path} is `retrain`, but spec.monitor.retrain names no experiment");
            let help = "add `retrain: {experiments: […]}` to spec.monitor, or write `issue`";
            reader.add(node.at, "wrong-value", message, help);
            return None;
        }
        Some(opens)
    });
    Some(Requests { matters: matters?.unwrap_or(Opens::Issue) })
}

fn boolean(reader: &Reader<'_>, node: &Node, path: &str) -> Option<bool> {
    match &node.value {
        Value::Scalar { meaning: Scalar::Bool(value), .. } => Some(*value),
        _ => reader.wrong_type(node, path, "true or false", "write `true` or `false`"),
    }
}

fn promise(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Promise> {
    let text = reader.text(node, path)?;
    let promise = text.parse::<Promise>().ok();
    if promise.is_none() {
        let message = format!("{path} `{}` is not a rate of false alarms", excerpt(text));
        let help = "such as `once in 5 years`, with hours, days, weeks, months or years";
        reader.add(node.at, "wrong-value", message, help);
    }
    promise
}

fn once_in_five_years() -> Promise {
    "once in 5 years".parse().unwrap_or_else(|_| unreachable!("it is a promise"))
}

fn share(millionths: u32) -> f64 {
    f64::from(millionths) / 1e6
}
