//! A dataset that is shaped like Fashion-MNIST and learned in seconds, and the example program on it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_dataset::idx::{write_images, write_labels};

/// The declaration, relative to the project.
pub const DECLARATION: &str = "datasets/squares.yaml";

const DATASET: &str = "\
apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: squares}
spec:
  source:
    idx:
      train: {images: squares/train-images-idx3-ubyte, labels: squares/train-labels-idx1-ubyte}
      test: {images: squares/t10k-images-idx3-ubyte, labels: squares/t10k-labels-idx1-ubyte}
  classes: 10
  split: {validation: 200, seed: 0}
";

/// Writes images of ten classes and their declaration into a project. Each class has its own bright square.
///
/// # Errors
/// If a file cannot be written.
pub fn declare(project: &Path) -> Result<()> {
    let folder = project.join("squares");
    std::fs::create_dir_all(&folder)?;
    for (part, count) in [("train", 2000_u32), ("t10k", 400)] {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for index in 0..count {
            let label = index % 10;
            pixels.extend(image(label, index));
            labels.push(label as u8);
        }
        let files = [("images-idx3", write_images(28, 28, &pixels)?), ("labels-idx1", write_labels(&labels)?)];
        for (kind, content) in files {
            std::fs::write(folder.join(format!("{part}-{kind}-ubyte")), content)?;
        }
    }
    Ok(std::fs::write(project.join(DECLARATION), DATASET)?)
}

/// An image that is in no dataset, as an inference request.
#[must_use]
pub fn request(label: u32) -> Value {
    let pixels: Vec<f64> = image(label, 4001).into_iter().map(|pixel| f64::from(pixel) / 255.0).collect();
    json!({"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": pixels}]})
}

fn image(label: u32, noise: u32) -> Vec<u8> {
    let (top, left) = (label / 5 * 14 + 2, label % 5 * 5 + 1);
    let inside = |row: u32, column: u32| (top..top + 8).contains(&row) && (left..left + 5).contains(&column);
    let pixel = |at: u32| if inside(at / 28, at % 28) { 200 } else { (at * 7 + noise * 13) % 40 };
    (0..28 * 28).map(|at| pixel(at) as u8).collect()
}

/// `examples/torch-cnn` on this dataset, with another name and one learning rate.
///
/// # Errors
/// If the example does not have the lines that are changed.
pub fn torch_cnn(project: &Path, name: &str) -> Result<String> {
    let example = std::fs::read_to_string(project.join("examples/torch-cnn/experiment.yaml"))?;
    let (before, rest) = example.split_once("  sweep:\n").context("the example has a sweep")?;
    let (_, after) = rest.split_once('\n').context("the sweep has one line")?;
    let text = replaced(&format!("{before}{after}"), "name: torch-cnn", &format!("name: {name}"))?;
    replaced(&text, "dataset: fashion-mnist", "dataset: squares")
}

/// Replaces the first place of a text that must be there.
///
/// # Errors
/// If it is not there.
pub fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "there is no `{from}` in:\n{text}");
    Ok(text.replacen(from, to, 1))
}
