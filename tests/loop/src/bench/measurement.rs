//! Measurements, their samples and their table.

use std::fmt::{self, Write};

use serde::Serialize;

/// What a figure should reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
}

impl Goal {
    /// Whether a figure reaches it.
    pub fn is_reached(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

/// One measurement over all rounds.
#[derive(Debug, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub name: String,
    /// Its unit: `images/s`, `requests/s`, `ms` or `s`; empty for a share.
    pub unit: &'static str,
    /// Smallest sample.
    pub minimum: f64,
    /// Middle sample; the mean of the middle two if the number of samples is even.
    pub median: f64,
    /// Largest sample.
    pub maximum: f64,
    /// Every sample, in the order of the rounds.
    pub samples: Vec<f64>,
    /// What the median should reach, if somebody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// All measurements of a benchmark, in the order of their first sample.
#[derive(Debug, Default)]
pub struct Measurements(Vec<Measurement>);

impl Measurements {
    /// Adds a sample to a measurement without a goal.
    pub fn add(&mut self, name: &str, unit: &'static str, sample: f64) {
        self.add_to(name, unit, None, sample);
    }

    /// Adds a sample to a measurement with a goal.
    pub fn add_for(&mut self, name: &str, unit: &'static str, goal: Goal, sample: f64) {
        self.add_to(name, unit, Some(goal), sample);
    }

    /// Adds a sample to a measurement, which may have a goal.
    pub fn add_to(&mut self, name: &str, unit: &'static str, goal: Option<Goal>, sample: f64) {
        let existing = self.0.iter().position(|measurement| measurement.name == name);
        let index = existing.unwrap_or_else(|| {
            let name = name.to_owned();
            self.0.push(Measurement { name, unit, minimum: 0.0, median: 0.0, maximum: 0.0, samples: Vec::new(), goal });
            self.0.len() - 1
        });
        let measurement = &mut self.0[index];
        measurement.samples.push(sample);
        let mut sorted = measurement.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        measurement.minimum = sorted[0];
        measurement.maximum = sorted[sorted.len() - 1];
        measurement.median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    }

    /// Every measurement.
    pub fn all(&self) -> &[Measurement] {
        &self.0
    }

    /// The middle sample of a measurement, if there is one of this name.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|measurement| measurement.name == name).map(|measurement| measurement.median)
    }

    /// A table in Markdown. Goals are for the medians.
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| figure | unit | min | median | max | goal | reached |\n|---|---|---:|---:|---:|---:|---|\n",
        );
        for m in &self.0 {
            let digits = match m.median.abs() {
                median if median >= 100.0 => 0,
                median if median >= 0.1 => 2,
                _ => 4,
            };
            let goal = m.goal.map(|goal| goal.to_string()).unwrap_or_default();
            let reached = m.goal.map_or("", |goal| if goal.is_reached(m.median) { "yes" } else { "no" });
            // writing into a String cannot fail
            let _ = writeln!(
                table,
                "| {} | {} | {:.digits$} | {:.digits$} | {:.digits$} | {goal} | {reached} |",
                m.name, m.unit, m.minimum, m.median, m.maximum
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers_of_samples() {
        let mut figures = Measurements::default();
        for sample in [3.0, 1.0, 2.0] {
            figures.add("odd", "s", sample);
        }
        for sample in [4.0, 1.0, 2.0, 3.0] {
            figures.add("even", "s", sample);
        }
        assert_eq!((figures.median("even"), figures.median("none")), (Some(2.5), None));
        let [odd, even] = figures.all() else { panic!("two figures") };
        assert_eq!((odd.minimum, odd.median, odd.maximum), (1.0, 2.0, 3.0));
        assert_eq!((even.minimum, even.median, even.maximum), (1.0, 2.5, 4.0));
        assert!(figures.table().contains("| odd | s | 1.00 | 2.00 | 3.00 |"));
    }

    #[test]
    fn a_goal_is_for_the_median() {
        let mut figures = Measurements::default();
        for sample in [1.0, 2.0, 30.0] {
            figures.add_for("rate", "images/s", Goal::AtLeast(3.0), sample);
            figures.add_for("time", "s", Goal::AtMost(2.5), sample);
        }
        let table = figures.table();
        assert!(table.contains("| rate | images/s | 1.00 | 2.00 | 30.00 | ≥ 3 | no |"), "{table}");
        assert!(table.contains("| time | s | 1.00 | 2.00 | 30.00 | ≤ 2.5 | yes |"), "{table}");
    }
}
