//! Labels against the declared classes.

use slipway_experiment::DatasetSpec;

use crate::{Error, Result};

/// The declared classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes<'a> {
    pub(crate) count: u32,
    names: Option<&'a [String]>,
    /// The label of the first class.
    first: u32,
    /// The field that says which class is the first.
    first_field: &'a str,
}

impl<'a> Classes<'a> {
    /// `None` if no classes are declared.
    pub(crate) fn of(spec: &'a DatasetSpec, first: u32, first_field: &'a str) -> Option<Self> {
        Some(Self { count: spec.classes?, names: spec.labels.as_deref(), first, first_field })
    }

    fn field(&self) -> &'static str {
        if self.names.is_some() { "spec.labels" } else { "spec.classes" }
    }

    /// The class of a named label.
    pub(crate) fn named(&self, label: &str) -> Option<u32> {
        let place = self.names?.iter().position(|name| name == label)?;
        u32::try_from(place).ok()
    }

    /// What the source calls a class, if it has numbers.
    pub(crate) fn number_of(&self, class: u32) -> i64 {
        i64::from(class) + i64::from(self.first)
    }

    /// The class of a number that was checked.
    pub(crate) fn of_number(&self, number: i64) -> i64 {
        number - i64::from(self.first)
    }

    /// What a class is called in messages: `3 (trouser)`.
    fn shown(&self, class: u32) -> String {
        match self.names.and_then(|names| names.get(class as usize)) {
            Some(name) => format!("{class} ({name})"),
            None => class.to_string(),
        }
    }

    /// The classes of labels that are numbers. `place` says where the label with an index is.
    pub(crate) fn numbered(&self, labels: &[i64], place: impl Fn(usize) -> String) -> Result<Vec<u32>> {
        let first = i64::from(self.first);
        let class = |label: &i64| u32::try_from(*label - first).ok().filter(|class| *class < self.count);
        let Some(wrong) = labels.iter().position(|label| class(label).is_none()) else {
            return Ok(labels.iter().filter_map(class).collect());
        };
        let (least, most) = (labels.iter().min().copied().unwrap_or(0), labels.iter().max().copied().unwrap_or(0));
        let last = first + i64::from(self.count) - 1;
        let message = format!(
            "{} has the label {}, but {} classes are declared: {first} to {last}",
            place(wrong),
            labels[wrong],
            self.count
        );
        if least != first && most - least < i64::from(self.count) && (0..=255).contains(&least) {
            let help = format!("the labels run from {least} to {most}: declare `firstLabel: {least}`");
            return Err(Error::problem(self.first_field, "label-offset", message, help));
        }
        let help = match self.names {
            Some(_) => format!("the labels run from {least} to {most}: name every class, or correct the data"),
            None => format!("the labels run from {least} to {most}: correct the number of classes, or the data"),
        };
        Err(Error::problem(self.field(), "unknown-label", message, help))
    }

    /// Whether each class has an example to train on.
    pub(crate) fn complete(&self, all: &[u32], train: &[u32]) -> Result<()> {
        let counts = |labels: &[u32]| {
            let mut counts = vec![0_u64; self.count as usize];
            labels.iter().for_each(|label| counts[*label as usize] += 1);
            counts
        };
        let (all, train) = (counts(all), counts(train));
        let empty: Vec<String> =
            (0..self.count).filter(|class| all[*class as usize] == 0).map(|class| self.shown(class)).collect();
        if !empty.is_empty() {
            let message = format!("no example has the class {}", empty.join(", "));
            let help = "take the class out of the declaration, or add examples of it";
            return Err(Error::problem(self.field(), "empty-class", message, help));
        }
        let Some(class) = (0..self.count).find(|class| train[*class as usize] == 0) else { return Ok(()) };
        let message = format!(
            "class {} has {} examples, and the split leaves none to train on",
            self.shown(class),
            all[class as usize]
        );
        Err(Error::problem(
            "spec.split",
            "too-few-examples",
            message,
            "add examples of it, or make the other parts smaller",
        ))
    }
}
