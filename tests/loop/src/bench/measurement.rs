//! Measurements, their samples and their table.

use std::fmt::Write;

use serde::Serialize;

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
}

/// All measurements of a benchmark, in the order of their first sample.
#[derive(Debug, Default)]
pub struct Measurements(Vec<Measurement>);

impl Measurements {
    /// Adds a sample to a measurement.
    pub fn add(&mut self, name: &str, unit: &'static str, sample: f64) {
        let existing = self.0.iter().position(|measurement| measurement.name == name);
        let index = existing.unwrap_or_else(|| {
            let name = name.to_owned();
            self.0.push(Measurement { name, unit, minimum: 0.0, median: 0.0, maximum: 0.0, samples: Vec::new() });
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

    /// A table in Markdown.
    pub fn table(&self) -> String {
        let mut table = String::from("| figure | unit | min | median | max |\n|---|---|---:|---:|---:|\n");
        for m in &self.0 {
            let digits = if m.median >= 100.0 { 0 } else { 2 };
            // writing into a String cannot fail
            let _ = writeln!(
                table,
                "| {} | {} | {:.digits$} | {:.digits$} | {:.digits$} |",
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
        let [odd, even] = figures.all() else { panic!("two figures") };
        assert_eq!((odd.minimum, odd.median, odd.maximum), (1.0, 2.0, 3.0));
        assert_eq!((even.minimum, even.median, even.maximum), (1.0, 2.5, 4.0));
        assert!(figures.table().contains("| odd | s | 1.00 | 2.00 | 3.00 |"));
    }
}
