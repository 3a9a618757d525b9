//! One row of a request, with its answer.

use slipway_digest::Digest;

/// The longest id that is kept, in bytes; the rest of a longer one is cut off.
const LONGEST_ID: usize = 256;
/// What a sample takes beside its numbers and its id, in bytes.
const FIXED: usize = 192;

/// One row of a request, with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When it was answered: milliseconds since 1970, UTC.
    pub time: i64,
    /// What the client called its request; empty if it did not. At most 256 bytes.
    pub request_id: String,
    /// Which row of the request, from 0.
    pub row: u32,
    /// The version of the model that answered.
    pub version: u64,
    /// The digest of the inputs as little-endian float32.
    pub digest: Digest,
    /// The numbers of all inputs, in the order of the model's signature.
    pub inputs: Vec<f32>,
    /// The numbers of the model's first output.
    pub outputs: Vec<f32>,
    /// The model's features, if it gives any that are few enough: of a built-in network what its last fully connected layer took.
    pub features: Option<Vec<f32>>,
}

impl Sample {
    /// A row that was answered at this time, in milliseconds since 1970. The digest is computed.
    #[must_use]
    pub fn new(time: i64, request_id: &str, row: u32, version: u64, inputs: Vec<f32>, outputs: Vec<f32>) -> Self {
        let end = (0..=LONGEST_ID.min(request_id.len())).rev().find(|end| request_id.is_char_boundary(*end));
        let request_id = request_id[..end.unwrap_or_default()].to_owned();
        let digest = digest(&inputs);
        Self { time, request_id, row, version, digest, inputs, outputs, features: None }
    }

    /// The same, with its features.
    #[must_use]
    pub fn with_features(mut self, features: Vec<f32>) -> Self {
        self.features = Some(features);
        self
    }

    /// Whether the digest is that of the inputs.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.digest == digest(&self.inputs)
    }

    /// The memory that it takes, in bytes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let numbers = self.inputs.len() + self.outputs.len() + self.features.as_ref().map_or(0, Vec::len);
        FIXED + self.request_id.len() + numbers * size_of::<f32>()
    }
}

fn digest(inputs: &[f32]) -> Digest {
    let bytes: Vec<u8> = inputs.iter().flat_map(|number| number.to_le_bytes()).collect();
    Digest::of(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_are_cut_between_characters() {
        let id = |text: &str| Sample::new(0, text, 0, 1, Vec::new(), Vec::new()).request_id;
        assert_eq!(id("7"), "7");
        assert_eq!(id(&"a".repeat(300)), "a".repeat(256));
        assert_eq!(id(&format!("a{}", "é".repeat(200))).len(), 255);
    }

    #[test]
    fn the_digest_is_that_of_the_numbers() {
        let mut sample = Sample::new(0, "", 0, 1, vec![0.5, -1.0], vec![1.0]);
        assert!(sample.is_intact());
        assert_eq!(sample.digest, Digest::of([0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf]));
        sample.inputs[0] = 0.25;
        assert!(!sample.is_intact());
    }
}
