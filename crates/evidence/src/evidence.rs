//! All that is said about a dataset's head.

use serde::Serialize;
use slipway_digest::Digest;
use slipway_drift::Distance;
use slipway_experiment::Monitor;
use slipway_pipeline::{Counts, ReasonCount, Report};

use crate::change::change;
use crate::distance::distance;
use crate::loss::{about, loss, threshold};
use crate::loudest::loudest;
use crate::streams::Streams;
use crate::{Answers, Change, Classify, Error, Feed, Loss, Loud, Material, Pictures, Result};

/// All that is said about a dataset's head: numbers, no decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The dataset.
    pub dataset: String,
    /// The digest of its head.
    pub head: Digest,
    /// What the head is compared with.
    pub reference: ReferenceData,
    /// The version in service that was asked; `None` if there is none.
    pub model: Option<Model>,
    /// What the build says of the quality of its data.
    pub quality: Quality,
    /// What has landed last.
    pub feed: Feed,
    /// Items of the head that the reference dataset does not have.
    pub new: usize,
    /// Items of the head that git's digest does not have: with labels, since the pipeline publishes no others.
    pub unpinned: usize,
    /// How the classes were distributed, and how they are in what is new.
    pub classes: Vec<ClassShare>,
    /// Has it changed?
    pub change: Change,
    /// Does it matter? `None` without a version in service that answers.
    pub loss: Option<Loss>,
    /// The new pictures that speak loudest.
    pub loudest: Vec<Loud>,
    /// What could not be found out, and why.
    pub unknown: Vec<String>,
    /// Since when the version in service has not answered, in seconds since 1970; `None` if it does, or there is none. The detector lacks its answers then,
    /// and is another one than with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<i64>,
    /// The pictures of [`loudest`](Self::loudest), in its order.
    #[serde(skip)]
    pub pictures: Pictures,
}

/// What the head is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceData {
    /// The dataset that the version in service was trained on; without one, the one that is pinned.
    pub digest: Digest,
    /// Its items.
    pub items: usize,
    /// Those that nothing was trained on, which are what is usual.
    pub held_out: usize,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Its name in the registry.
    pub name: String,
    /// Its number.
    pub version: u64,
}

/// What the build says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// Items of all sources.
    pub items: u64,
    /// What is published.
    pub counts: Counts,
    /// Items that are set aside.
    pub set_aside: u64,
    /// Why.
    pub reasons: Vec<ReasonCount>,
    /// The first ones, with the reason.
    pub first: Vec<String>,
}

/// The share of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassShare {
    /// The class.
    pub label: String,
    /// Its share of the reference, 0 to 1.
    pub usual: f64,
    /// Its share of what is new; 0 if nothing is.
    pub new: f64,
}

/// Examines what is new. `model` is the version in service, with what asks it; if it does not answer, what is known without it is said, with
/// the reason. `now` is the time, in seconds since 1970: it decides whether the last window has ended.
///
/// # Errors
/// If the reference has no items, or an answer does not fit.
pub async fn examine(
    material: &Material,
    model: Option<(Model, &(impl Classify + Sync))>,
    monitor: &Monitor,
    now: i64,
) -> Result<Evidence> {
    let mut unknown = Vec::new();
    let (mut asked, mut silent) = (None, None);
    if let Some((name, model)) = model {
        match answers(model, material).await {
            Ok((distance, answers)) => asked = Some((name, model, distance, answers)),
            Err(error) => {
                silent = matches!(error, Error::Model { .. }).then_some(now);
                unknown.push(error.to_string());
            }
        }
    } else {
        unknown
            .push("no version in service was trained on this dataset, so nobody knows what it would answer".to_owned());
    }
    let has_distance = asked.as_ref().is_some_and(|(_, _, distance, _)| distance.is_some());
    let streams = Streams::new(material.classes, asked.is_some(), has_distance);
    let known = asked.as_ref().map(|(.., [known, _])| known);
    let answers = asked.as_ref().map(|(.., [_, answers])| answers);
    let reference = streams.rows(&material.usual, known)?;
    let new = streams.rows(&material.new, answers)?;
    let change = change(&streams, &reference, &new, material, monitor, now)?;
    let loudest = loudest(&streams, &reference, &new, material, answers);
    let threshold = threshold(monitor);
    let mut lost = None;
    if let Some((_, model, distance, [known, answers])) = &asked {
        let of = about(material.new.len(), change.alarm.as_ref().map(|alarm| alarm.from));
        let pictures = [&material.usual, &material.new];
        match loss(*model, distance.as_ref(), pictures, [known, answers], of, threshold).await {
            Ok(found) => lost = found,
            Err(error) => {
                silent = matches!(error, Error::Model { .. }).then_some(now);
                unknown.push(error.to_string());
            }
        }
    }
    let mut pictures = Pictures::new(material.new.shape);
    for loud in &loudest {
        pictures.push(material.new.get(loud.number), material.new.labels.get(loud.number).copied().flatten());
    }
    Ok(Evidence {
        dataset: material.dataset.clone(),
        head: material.head,
        reference: ReferenceData {
            digest: material.basis.trained_on,
            items: material.known,
            held_out: material.usual.len(),
        },
        model: asked.map(|(name, ..)| name),
        quality: Quality::from(&material.report),
        feed: material.feed,
        new: material.earlier + material.new.len(),
        unpinned: material.unpinned,
        classes: classes(material),
        change,
        loss: lost,
        loudest,
        unknown,
        silent,
        pictures,
    })
}

/// The model's answers to what is usual and to what is new, and by which distance its features were measured, if it gives any.
async fn answers(model: &(impl Classify + Sync), material: &Material) -> Result<(Option<Distance>, [Answers; 2])> {
    let Material { dataset, classes, trained, .. } = material;
    let distance = distance(model, trained, *classes).await?;
    let mut both = [Answers::default(), Answers::default()];
    for (answers, pictures) in both.iter_mut().zip([&material.usual, &material.new]) {
        *answers = Answers::of(model, pictures, distance.as_ref(), dataset, *classes).await?;
    }
    Ok((distance, both))
}

fn classes(material: &Material) -> Vec<ClassShare> {
    let counted = |pictures: &Pictures| {
        let mut counts = vec![0_usize; material.classes];
        for label in pictures.labels.iter().flatten() {
            if let Some(count) = counts.get_mut(usize::from(*label)) {
                *count += 1;
            }
        }
        let all = counts.iter().sum::<usize>().max(1) as f64;
        counts.into_iter().map(|count| count as f64 / all).collect::<Vec<f64>>()
    };
    let shares = counted(&material.usual).into_iter().zip(counted(&material.new));
    shares.enumerate().map(|(class, (usual, new))| ClassShare { label: material.label(class), usual, new }).collect()
}

impl From<&Report> for Quality {
    fn from(report: &Report) -> Self {
        let first = report.set_aside.first.iter();
        Self {
            items: report.items,
            counts: report.counts,
            set_aside: report.set_aside.count,
            reasons: report.set_aside.reasons.clone(),
            first: first.map(|item| format!("{}: {}", item.item, item.reason.name())).collect(),
        }
    }
}
