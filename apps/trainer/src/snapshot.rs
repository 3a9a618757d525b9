//! A training between two steps: everything that the next step depends on, as bytes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipway_c10d::OptimizerState;
use slipway_job::Record;

/// The format that is written; others are not read.
const FORMAT: u32 = 1;

/// The parts of a snapshot, each a shard of its checkpoint. Numbers are little-endian floats, parameters in the order of their memory.
pub(crate) const PARTS: [&str; 5] = ["state.json", "parameters", "first", "second", "best"];
/// The content of each part; empty if there is none.
pub(crate) type Parts = [Vec<u8>; PARTS.len()];

/// A training between two steps. All workers have the same.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) position: Position,
    pub(crate) parameters: Vec<f32>,
    pub(crate) optimizer: OptimizerState,
    /// The parameters after the best epoch, if the training may stop early.
    pub(crate) best: Option<Arc<[f32]>>,
}

/// How far a training is. Which images come next follows from it and from the plan's seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Position {
    /// Completed steps, over all epochs.
    pub(crate) step: usize,
    /// The epoch that is under way, from 0; as many as there are once all is done.
    pub(crate) epoch: usize,
    /// Its completed steps.
    pub(crate) in_epoch: usize,
    /// What this epoch's steps have taken, and what those of all epochs before it have.
    pub(crate) epoch_time: Duration,
    pub(crate) spent: Duration,
    /// On the validation split, after the last epoch.
    pub(crate) validation_accuracy: Option<Bits>,
    /// If the training may stop early: the epochs since the best one, and that one.
    pub(crate) waited: usize,
    pub(crate) best_epoch: Option<(usize, Bits)>,
}

/// A number that is kept to the bit, NaN as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bits(u64);

impl From<f64> for Bits {
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(bits: Bits) -> Self {
        Self::from_bits(bits.0)
    }
}

/// What is in the part `state.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    format: u32,
    position: Position,
    optimizer_steps: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
}

impl Snapshot {
    /// Its name, for messages.
    pub(crate) fn name(&self) -> String {
        format!("step-{}", self.position.step)
    }

    /// Says why a training with so many parameters, whose optimizer has the state `own` before its first step, cannot go on from here.
    pub(crate) fn fits(&self, parameters: usize, own: &OptimizerState) -> Result<(), String> {
        let best = self.best.as_ref().map_or(parameters, |best| best.len());
        for (what, found, needed) in [
            ("parameters", self.parameters.len(), parameters),
            ("first moments", self.optimizer.first.len(), own.first.len()),
            ("second moments", self.optimizer.second.len(), own.second.len()),
            ("parameters of the best epoch", best, parameters),
        ] {
            if found != needed {
                return Err(format!("it is not one of this trial: it has {found} {what} instead of {needed}"));
            }
        }
        Ok(())
    }

    /// As parts, with what MLflow has of this training.
    pub(crate) fn encode(&self, record: Option<Record>) -> serde_json::Result<Parts> {
        let state =
            State { format: FORMAT, position: self.position.clone(), optimizer_steps: self.optimizer.steps, record };
        Ok([
            serde_json::to_vec(&state)?,
            bytes(&self.parameters),
            bytes(&self.optimizer.first),
            bytes(&self.optimizer.second),
            self.best.as_deref().map(bytes).unwrap_or_default(),
        ])
    }

    /// Reads what [`Self::encode`] wrote, or says what is wrong with it.
    pub(crate) fn decode([state, parameters, first, second, best]: &Parts) -> Result<(Self, Option<Record>), String> {
        let state: State = serde_json::from_slice(state).map_err(|error| format!("{}: {error}", PARTS[0]))?;
        if state.format != FORMAT {
            return Err(format!("its format is {}, and this release reads {FORMAT}", state.format));
        }
        let optimizer = OptimizerState { first: floats(first)?, second: floats(second)?, steps: state.optimizer_steps };
        let parameters = floats(parameters)?;
        let best = if best.is_empty() { None } else { Some(floats(best)?.into()) };
        if state.position.best_epoch.is_some() != best.is_some() {
            return Err("the parameters of the best epoch are missing".to_owned());
        }
        Ok((Self { position: state.position, parameters, optimizer, best }, state.record))
    }
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are not a whole number of floats", bytes.len()));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests {
    use slipway_mlflow::Metric;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            position: Position {
                step: 70,
                epoch: 2,
                in_epoch: 10,
                epoch_time: Duration::from_nanos(12_345_678_901),
                spent: Duration::from_millis(7),
                validation_accuracy: Some(f64::NAN.into()),
                waited: 1,
                best_epoch: Some((0, (1.0 / 3.0).into())),
            },
            parameters: vec![1.5, -0.0, f32::NAN],
            optimizer: OptimizerState { first: vec![1e-30; 3], second: vec![], steps: 70.0 },
            best: Some(Arc::from([0.1, 0.2, 0.3])),
        }
    }

    #[test]
    fn it_is_read_back_to_the_bit() {
        let metric = Metric::new("loss", 0.1 + 0.2, 1_800_000_000_000, 69);
        let record = Record { run_id: Some("r".to_owned()), unsent: vec![metric] };
        let (read, found) = Snapshot::decode(&snapshot().encode(Some(record.clone())).unwrap()).unwrap();
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!((read.position, found), (snapshot().position, Some(record)));
        assert_eq!(bits(&read.parameters), bits(&snapshot().parameters));
        assert_eq!((read.optimizer, read.best), (snapshot().optimizer, snapshot().best));
    }

    #[test]
    fn it_fits_to_as_many_numbers_as_it_has() {
        let own = OptimizerState { first: vec![0.0; 3], second: vec![], steps: 0.0 };
        assert_eq!(snapshot().fits(3, &own), Ok(()));
        assert!(snapshot().fits(4, &own).unwrap_err().contains("3 parameters instead of 4"));
        let adam = OptimizerState { second: vec![0.0; 3], ..own.clone() };
        assert!(snapshot().fits(3, &adam).unwrap_err().contains("0 second moments instead of 3"));
        let other = Snapshot { best: Some(Arc::from([0.1])), ..snapshot() };
        assert!(other.fits(3, &own).unwrap_err().contains("best epoch"));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        let damage = |change: fn(&mut Parts)| {
            let mut parts = snapshot().encode(None).unwrap();
            change(&mut parts);
            Snapshot::decode(&parts).unwrap_err()
        };
        assert!(damage(|parts| parts[0].clear()).contains("state.json"));
        assert!(
            damage(|parts| {
                parts[1].pop();
            })
            .contains("11 bytes")
        );
        assert!(damage(|parts| parts[4].clear()).contains("best epoch"));
        let newer = damage(|parts| {
            parts[0] = String::from_utf8(parts[0].clone()).unwrap().replace("\"format\":1", "\"format\":2").into();
        });
        assert!(newer.contains("this release reads 1"), "{newer}");
    }
}
