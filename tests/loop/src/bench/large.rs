//! A network that takes longer for an image than a request takes to be read and refused, as networks do that are overloaded. The loop trains smaller ones.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use slipway_experiment::Architecture;

/// What it is called.
pub const NAME: &str = "large";
/// Pixels along each side of its images.
pub const SIDE: u32 = 56;
const CLASSES: i64 = 10;

/// Puts it into a server's cache, with weights that nobody has trained. Returns the list of models that has it alone.
pub fn put(cache: &Path) -> Result<String> {
    let models = cache.join("models");
    let folder = models.join(NAME);
    std::fs::create_dir_all(&folder)?;
    let input = [1, i64::from(SIDE), i64::from(SIDE)];
    let config = json!({
        "architecture": Architecture::Resnet,
        "dropout": 0.0,
        "input": input,
        "classes": CLASSES,
        "preprocessing": {"mean": 0.1307, "std": 0.3081},
    });
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let weights = Architecture::Resnet.parameters(input, CLASSES).into_iter().map(|one| (one.name, one.shape));
    std::fs::write(folder.join("model.safetensors"), safetensors(weights))?;
    let digest = slipway_signature::digest(&folder).context("the larger network's digest")?;
    std::fs::rename(folder, models.join(format!("sha256-{}", digest.hex())))?;
    Ok(format!("models:\n  - name: {NAME}\n    version: \"1\"\n    digest: {digest}\n"))
}

/// A file of tensors: the length of its head, the head as JSON, and all numbers. Weights are as large as they are before training, so that no answer is
/// certain; those of one number a channel are 1/2.
fn safetensors(tensors: impl Iterator<Item = (String, Vec<i64>)>) -> Vec<u8> {
    let (mut head, mut numbers) = (Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = numbers.len();
        let inputs = shape[1..].iter().product::<i64>();
        for at in 0..shape[0] * inputs {
            let uniform = ((at * 31 % 101) as f32 - 50.0) / 50.0;
            let number = if shape.len() > 1 { uniform / (inputs as f32).sqrt() } else { 0.5 };
            numbers.extend_from_slice(&number.to_le_bytes());
        }
        head.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, numbers.len()]}));
    }
    let head = Value::from(head).to_string();
    [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &numbers].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_what_is_in_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let list = put(cache.path()).unwrap();
        let (_, digest) = list.trim_end().split_once("digest: sha256:").unwrap();
        let folder = cache.path().join("models").join(format!("sha256-{digest}"));
        assert_eq!(slipway_signature::digest(&folder).unwrap().hex(), digest);
        // the head, and four bytes for each number of a layer
        let file = std::fs::read(folder.join("model.safetensors")).unwrap();
        let (length, rest) = file.split_first_chunk::<8>().unwrap();
        let (head, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let head: Value = serde_json::from_slice(head).unwrap();
        // a quarter of the side, twice, and 64 channels
        assert_eq!(head["fc.weight"]["shape"], json!([CLASSES, 64 * 14 * 14]));
        let ends = head.as_object().unwrap().values().map(|tensor| tensor["data_offsets"][1].as_u64().unwrap());
        assert_eq!(ends.max(), Some(numbers.len() as u64));
    }
}
