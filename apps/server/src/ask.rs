//! What is done with a request once it is read, whatever protocol brought it.

use std::sync::Arc;

use slipway_names::request::MEASURING;

use crate::address::App;
use crate::loaded::Loaded;
use crate::sampling;
use crate::tensor::Array;
use crate::workers::NoAnswer;

/// A request that was read.
#[derive(Debug)]
pub struct Asked<'a> {
    /// What the client calls it.
    pub id: Option<&'a str>,
    /// The inputs, as the model takes them.
    pub inputs: Vec<Array>,
    /// Their rows; 1 if the model is not batched.
    pub rows: usize,
    /// Whether the client named the version.
    pub named: bool,
    /// Whether the features are wanted as well.
    pub features: bool,
}

/// The version that answered, and its outputs; the features are the last one if they are wanted.
pub type Answered = (Arc<Loaded>, Vec<Array>);

impl App {
    /// Answers a request for a version in service, or for one that was named.
    ///
    /// # Errors
    /// [`NoAnswer`] when the queue is full, the server is shutting down or the model fails.
    pub async fn ask(&self, model: &Arc<Loaded>, mut asked: Asked<'_>) -> Result<Answered, NoAnswer> {
        // the features of another version say nothing about this one
        asked.named |= asked.features;
        if asked.id == Some(MEASURING) {
            if let Some(sampler) = &self.sampler {
                sampler.leave_out();
            }
            if asked.named {
                // what that version answers; nobody's request is no reason to compare it with another one
                return self.answer_alone(model, asked).await;
            }
            // all of them have this id, so it must choose no version
            asked.id = None;
            return self.answer(model, asked).await;
        }
        let place = self.sampler.as_ref().and_then(|sampler| sampler.draw(sampling::bytes(&asked.inputs)));
        let Some(place) = place else { return self.answer(model, asked).await };
        let (id, rows, inputs) = (asked.id.unwrap_or_default().to_owned(), asked.rows, asked.inputs.clone());
        // whoever reads the sample wants them
        asked.features = true;
        let (model, outputs) = self.answer(model, asked).await?;
        sampling::fill(place, &model, id, rows, inputs, &outputs);
        Ok((model, outputs))
    }

    async fn answer(&self, model: &Arc<Loaded>, asked: Asked<'_>) -> Result<Answered, NoAnswer> {
        match model.challenger() {
            None => self.answer_alone(model, asked).await,
            Some(challenger) => challenger.answer(model, &self.workers, asked).await,
        }
    }

    /// The answer of this version and of no other.
    async fn answer_alone(&self, model: &Arc<Loaded>, asked: Asked<'_>) -> Result<Answered, NoAnswer> {
        let Asked { inputs, rows, features, .. } = asked;
        let outputs = self.workers.ask(Arc::clone(model), inputs, rows, features).await?;
        Ok((Arc::clone(model), outputs))
    }
}
