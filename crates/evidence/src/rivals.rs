//! Champion and challenger that were trained on different data: both are asked about what neither was trained on.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use slipway_dataset::{Dataset as Stored, Store};
use slipway_digest::Digest;
use slipway_drift::{Decision, Paired, paired_difference};
use slipway_experiment::Dataset;
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag;
use slipway_project::{Project, Tree, serving};
use slipway_proposal::best_version;

use crate::material::{computed, of, results};
use crate::{Answers, Classify, Error, Pictures, Result};

/// An equal challenger is said to be better on what is new with at most this probability, and worse on what was there before.
const LEVEL: f64 = 0.01;
/// The most pictures of each kind that both are asked about: those with the smallest digests.
const MOST_ASKED: usize = 10_000;
/// What the table of a duel begins with.
const ASKED: &str = "Both versions were asked about the test split of what version";

/// A version in service that was trained on something else than what git pins.
#[derive(Clone, Debug)]
pub struct Incumbent {
    champion: ModelVersion,
    trained_on: [Digest; 2],
    /// The files of the experiments that promote `never`.
    never: BTreeSet<String>,
}

/// A version that was trained on what git pins, beside one in service that was trained on something else.
#[derive(Clone, Debug)]
pub struct Rival {
    /// The version in service.
    pub champion: ModelVersion,
    /// The best version that was trained on what is pinned.
    pub challenger: ModelVersion,
    /// What the one and the other were trained on.
    pub trained_on: [Digest; 2],
    /// The other versions that were trained on what is pinned.
    pub others: Vec<u64>,
}

/// The versions in service that a version trained on what is pinned may replace: those of the models that experiments on the dataset register, but for
/// experiments that promote `never`, if they were trained on something else. A model of which the registry does not say it has its failure, and the others are
/// found all the same. It comes to the same as long as git does.
///
/// # Errors
/// [`Error::Reference`] if git does not say it.
pub async fn incumbents(
    tree: &Tree,
    environment: &str,
    declaration: &Dataset,
    mlflow: &Client,
) -> Result<Vec<Result<Incumbent>>> {
    let pinned = declaration.spec.digest.as_ref().and_then(|digest| digest.parse::<Digest>().ok());
    let Some(pinned) = pinned else { return Ok(Vec::new()) };
    let project = Project::read(&tree.limited_to(&["clusters", "datasets", "experiments", "trainers"]));
    let pins = serving::read(tree, environment)
        .map_err(|finding| Error::Reference { dataset: declaration.name.clone(), reason: finding.to_string() })?;
    let on_it = project.experiments.iter().filter(|source| source.experiment.spec.dataset == declaration.name);
    let proposing = on_it.filter(|source| source.experiment.spec.promote.proposes());
    let models: BTreeSet<&str> =
        proposing.filter_map(|source| Some(source.experiment.spec.register.as_ref()?.model.as_str())).collect();
    let never = project.experiments.iter().filter(|source| !source.experiment.spec.promote.proposes());
    let never: BTreeSet<String> = never.map(|source| source.file.clone()).collect();
    let mut found = Vec::new();
    for model in models {
        let Some(pin) = pins.get(model) else { continue };
        match mlflow.get_model_version(model, &pin.version.to_string()).await {
            Ok(champion) => {
                let Ok(before) = champion.tag(tag::DATASET_DIGEST).parse::<Digest>() else { continue };
                if before != pinned {
                    let trained_on = [before, pinned];
                    found.push(Ok(Incumbent { champion, trained_on, never: never.clone() }));
                }
            }
            Err(error) => found.push(Err(unknown(&declaration.name, model, &error))),
        }
    }
    Ok(found)
}

impl Incumbent {
    /// What may replace it: the best version that was trained on what is pinned; `None` as long as there is none.
    ///
    /// # Errors
    /// [`Error::Reference`] if the registry does not say it.
    pub async fn rival(&self, dataset: &str, mlflow: &Client) -> Result<Option<Rival>> {
        let Self { champion, trained_on, never } = self;
        let model = champion.name.as_str();
        let versions = mlflow.search_model_versions(model).await.map_err(|error| unknown(dataset, model, &error))?;
        let pinned = trained_on[1].to_string();
        let same: Vec<ModelVersion> =
            versions.into_iter().filter(|version| version.tag(tag::DATASET_DIGEST) == pinned).collect();
        // there is none yet, or no server runs it
        let Ok(best) = best_version(model, &same) else { return Ok(None) };
        // of several experiments with one model, each has its say about its own versions
        if never.contains(best.tag(tag::EXPERIMENT_FILE)) {
            return Ok(None);
        }
        let others = same.iter().map(ModelVersion::number).filter(|number| *number != best.number()).collect();
        Ok(Some(Rival { champion: champion.clone(), challenger: best.clone(), trained_on: *trained_on, others }))
    }
}

fn unknown(dataset: &str, model: &str, error: &slipway_mlflow::Error) -> Error {
    let reason = format!("the registry does not say what versions of {model} were trained on: {error}");
    Error::Reference { dataset: dataset.to_owned(), reason }
}

/// What came of asking both about the test split of what the challenger was trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duel {
    /// On what the champion's dataset does not have.
    pub new: Bout,
    /// On what it has, but for what the champion was trained on.
    pub old: Bout,
    /// The loss of accuracy that matters: as much must certainly not be lost on what is old.
    pub margin: f64,
}

/// How both answered for the same pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bout {
    /// Pictures.
    pub of: u64,
    /// For how many the champion and the challenger were right.
    pub right: [u64; 2],
    /// For how many the champion alone and the challenger alone was right.
    pub alone: [u64; 2],
    /// How much more often the challenger is right, as a share: an interval that holds the truth with 95 % ([`paired_difference`]).
    pub difference: (f64, f64),
    /// What the paired test says, at a level of 0.01.
    pub decision: Decision,
}

impl Bout {
    /// From whether the champion and the challenger were right, picture by picture.
    ///
    /// # Errors
    /// Never: the level is a constant.
    pub fn new(right: impl IntoIterator<Item = [bool; 2]>) -> Result<Self> {
        let mut test = Paired::new(LEVEL)?;
        let mut each = [0, 0];
        for [champion, challenger] in right {
            test.observe_answers(challenger, champion);
            each[0] += u64::from(champion);
            each[1] += u64::from(challenger);
        }
        let (wins, losses, ties) = test.counts();
        let of = wins + losses + ties;
        let difference = paired_difference(wins, losses, of);
        Ok(Self { of, right: each, alone: [losses, wins], difference, decision: test.decision() })
    }

    /// The accuracies of the champion and the challenger, 0 to 1; 0 of no picture.
    #[must_use]
    pub fn accuracies(&self) -> [f64; 2] {
        self.right.map(|right| right as f64 / self.of.max(1) as f64)
    }
}

impl Duel {
    /// Whether the challenger is to replace the champion: it is better on what is new, and not worse on what is old. The first is said by the paired test and by
    /// the counts; the second if that test does not say that it is worse, and if the lower end of the interval of the difference is above a loss that matters.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.is_better_on_the_new() && self.keeps_the_old()
    }

    /// The test stays with what it found somewhere in the order of the digests; at the end the counts must say it too.
    fn is_better_on_the_new(&self) -> bool {
        let [champion, challenger] = self.new.alone;
        self.new.decision == Decision::Better && challenger > champion
    }

    fn keeps_the_old(&self) -> bool {
        self.old.decision != Decision::Worse && self.old.difference.0 > -self.margin
    }

    /// Why, for a person.
    #[must_use]
    pub fn why(&self) -> String {
        let points = 100.0 * self.margin;
        let new = match self.new.decision {
            Decision::Better if self.is_better_on_the_new() => "better on what is new",
            Decision::Worse => "worse on what is new",
            Decision::Better | Decision::Open => "on what is new nothing is certain",
        };
        let old = if self.keeps_the_old() {
            format!("on what is old it certainly loses less than {points:.1} points")
        } else {
            format!("on what is old it is not certain that it loses less than {points:.1} points")
        };
        format!("{new} ({}), and {old} ({})", said(&self.new), said(&self.old))
    }

    /// The same as a table in Markdown, for a pull request that puts the challenger into service. It has numbers alone.
    #[must_use]
    pub fn table(&self, [champion, challenger]: [u64; 2]) -> String {
        let row = |what: &str, bout: &Bout| {
            let [one, other] = bout.accuracies().map(|accuracy| format!("{:.1} %", 100.0 * accuracy));
            let ([champion, challenger], (low, high)) = (bout.alone, bout.difference);
            let (low, high) = (100.0 * low, 100.0 * high);
            format!(
                "| {what} | {} | {one} | {other} | {champion} | {challenger} | {low:+.1} to {high:+.1} |\n",
                bout.of
            )
        };
        format!(
            "{ASKED} {challenger} was trained on, without what version {champion} was trained on.\n\n\
             | test items | | version {champion} right | version {challenger} right | only {champion} right | only {challenger} right | difference in points, 95 % |\n\
             |---|---|---|---|---|---|---|\n{}{}\n\
             Better on what is new: a paired test at a level of {LEVEL}. Not worse on what is old: the difference is certainly above {:+.1} points.\n",
            row("new", &self.new),
            row("old", &self.old),
            -100.0 * self.margin
        )
    }

    /// Whether a pull request's body begins with such a table.
    #[must_use]
    pub fn is_told(body: &str) -> bool {
        body.starts_with(ASKED)
    }
}

fn said(bout: &Bout) -> String {
    let [champion, challenger] = bout.accuracies().map(|accuracy| 100.0 * accuracy);
    format!("{challenger:.1} % in place of {champion:.1} % of {} test items", bout.of)
}

/// Asks both versions, each with what it was trained on. The datasets are read through `cache`.
///
/// # Errors
/// [`Error::Unlike`] if the datasets cannot be compared; if the store cannot be reached; if one of the versions does not answer.
pub async fn duel(
    dataset: &str,
    (before, champion): (&Digest, &(impl Classify + Sync)),
    (after, challenger): (&Digest, &(impl Classify + Sync)),
    (store, cache): (&Store, &Path),
    margin: f64,
) -> Result<Duel> {
    // one after the other, so that one dataset is in memory at a time
    let before = store.fetch(before, cache).await?;
    let known = computed(move || Known::of(&before)).await?;
    let after = store.fetch(after, cache).await?;
    let name = dataset.to_owned();
    let held = computed(move || known.held_out(&name, &after)).await??;
    let Held { classes, new, old } = &held;
    let new = bout(dataset, *classes, new, champion, challenger).await?;
    let old = bout(dataset, *classes, old, champion, challenger).await?;
    Ok(Duel { new, old, margin })
}

async fn bout(
    dataset: &str,
    classes: usize,
    pictures: &Pictures,
    champion: &(impl Classify + Sync),
    challenger: &(impl Classify + Sync),
) -> Result<Bout> {
    let one = Answers::of(champion, pictures, None, dataset, classes).await?;
    let other = Answers::of(challenger, pictures, None, dataset, classes).await?;
    let labelled = pictures.labels.iter().enumerate();
    Bout::new(labelled.filter_map(|(number, label)| {
        let label = (*label)?;
        Some([one.is_right(number, label), other.is_right(number, label)])
    }))
}

/// What is needed of the champion's dataset.
struct Known {
    shape: [usize; 2],
    classes: usize,
    trained: HashSet<Digest>,
    all: HashSet<Digest>,
}

/// Test items that neither version was trained on, by whether the champion's dataset has them.
struct Held {
    classes: usize,
    new: Pictures,
    old: Pictures,
}

impl Known {
    fn of(dataset: &Stored) -> Self {
        let trained = of(dataset.shape, &dataset.train).map(|(result, ..)| result).collect();
        Self { shape: dataset.shape, classes: dataset.classes, trained, all: results(dataset) }
    }

    fn held_out(&self, dataset: &str, after: &Stored) -> Result<Held> {
        let unlike = |what: &'static str, now: String, before: String| Error::Unlike {
            dataset: dataset.to_owned(),
            what,
            now,
            before,
        };
        if self.shape != after.shape {
            let size = |[height, width]: [usize; 2]| format!("of {height} × {width} pixels");
            return Err(unlike("pictures", size(after.shape), size(self.shape)));
        }
        if self.classes != after.classes {
            return Err(unlike("classes", after.classes.to_string(), self.classes.to_string()));
        }
        let trained: HashSet<Digest> = of(after.shape, &after.train).map(|(result, ..)| result).collect();
        let mut tests: Vec<(Digest, &[u8], u8)> = of(after.shape, &after.test).collect();
        // the paired test depends on the order, which must not depend on what is shown
        tests.sort_unstable_by_key(|(result, ..)| *result);
        let [mut new, mut old] = [Pictures::new(after.shape), Pictures::new(after.shape)];
        for (result, levels, label) in tests {
            if trained.contains(&result) || self.trained.contains(&result) {
                continue;
            }
            let pictures = if self.all.contains(&result) { &mut old } else { &mut new };
            if pictures.len() < MOST_ASKED {
                pictures.push(levels, Some(label));
            }
        }
        Ok(Held { classes: after.classes, new, old })
    }
}

#[cfg(test)]
mod tests {
    use slipway_dataset::Split;

    use super::*;

    /// Pictures on which the champion alone, the challenger alone, and both are right.
    fn bout(champion: usize, challenger: usize, both: usize) -> Bout {
        let alone = [[true, false]].repeat(champion);
        let right = alone.into_iter().chain([[false, true]].repeat(challenger)).chain([[true, true]].repeat(both));
        Bout::new(right).unwrap()
    }

    fn is_better(new: Bout, old: Bout) -> bool {
        Duel { new, old, margin: 0.02 }.is_better()
    }

    #[test]
    fn a_challenger_must_be_better_on_the_new_and_not_worse_on_the_old() {
        let (better, equal) = (bout(2, 30, 28), bout(9, 9, 582));
        assert!(is_better(better, equal));
        assert!(is_better(better, bout(0, 0, 400)));
        // better on nothing, or not certainly
        for new in [bout(0, 0, 0), bout(0, 0, 300), bout(3, 6, 50), bout(30, 2, 28)] {
            assert!(!is_better(new, equal), "{new:?}");
        }
        // four points worse, of few and of many; one that is worse by less, and certainly so; one of which too little is known
        for old in [bout(29, 5, 566), bout(10, 2, 188), bout(290, 50, 5660), bout(300, 200, 9500), bout(0, 0, 50)] {
            assert!(!is_better(better, old), "{old:?}");
        }
        assert!(!is_better(better, bout(0, 0, 0)), "nothing is known of what is old");
        // the test had decided before it was wrong more often
        let turned = [[false, true]].repeat(12).into_iter().chain([[true, false]].repeat(20));
        let turned = Bout::new(turned).unwrap();
        assert_eq!(turned.decision, Decision::Better);
        let duel = Duel { new: turned, old: equal, margin: 0.02 };
        assert!(!duel.is_better() && duel.why().starts_with("on what is new nothing is certain"), "{}", duel.why());
        let loses = bout(300, 200, 9500);
        assert!(loses.difference.0 > -0.02 && loses.decision == Decision::Worse, "{loses:?}");
    }

    #[test]
    fn it_says_both_in_numbers() {
        let duel = Duel { new: bout(2, 30, 28), old: bout(29, 5, 566), margin: 0.02 };
        assert_eq!(bout(2, 30, 28).accuracies(), [0.5, 58.0 / 60.0]);
        let why = duel.why();
        assert!(why.contains("better on what is new (96.7 % in place of 50.0 % of 60 test items)"), "{why}");
        assert!(
            why.contains("it is not certain that it loses less than 2.0 points (95.2 % in place of 99.2 %"),
            "{why}"
        );
        let table = duel.table([3, 4]);
        assert!(Duel::is_told(&table) && !Duel::is_told("| | |\n"), "{table}");
        assert!(table.contains("| new | 60 | 50.0 % | 96.7 % | 2 | 30 |"), "{table}");
        assert!(table.contains("| old | 600 | 99.2 % | 95.2 % | 29 | 5 |"), "{table}");
    }

    #[test]
    fn neither_is_asked_about_what_it_was_trained_on() {
        let split = |levels: &[u8]| Split {
            images: levels.to_vec(),
            labels: levels.iter().map(|level| level % 2).collect(),
            count: levels.len(),
        };
        let dataset = |train: &[u8], validation: &[u8], test: &[u8]| Stored {
            name: "d".to_owned(),
            digest: Digest::of(train),
            shape: [1, 1],
            classes: 2,
            train: split(train),
            validation: split(validation),
            test: split(test),
        };
        let known = Known::of(&dataset(&[1, 2, 3], &[4], &[5, 6]));
        // 1 was learned by the champion, 9 by the challenger
        let after = dataset(&[3, 9], &[8], &[1, 4, 5, 7, 9, 10]);
        let held = known.held_out("d", &after).unwrap();
        let sorted = |pictures: &Pictures| {
            let mut levels = pictures.levels.clone();
            levels.sort_unstable();
            levels
        };
        assert_eq!((sorted(&held.old), sorted(&held.new)), (vec![4, 5], vec![7, 10]));
        let other = Stored { classes: 3, ..after };
        assert!(matches!(known.held_out("d", &other), Err(Error::Unlike { what: "classes", .. })));
    }
}
