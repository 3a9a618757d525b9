//! The version in service, asked over HTTP by the Open Inference Protocol.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use slipway_causes::{chain, without_password};
use slipway_drift::Distance;
use slipway_http::{Client, Url, client_of};
use slipway_names::output::{FEATURES, MOST_FEATURES};
use slipway_names::request::MEASURING;

use crate::{Answers, Classify, Error, Pictures, Result};

/// For one request; a server that hangs must not hang whoever watches.
const REQUEST: Duration = Duration::from_secs(30);
/// Pictures in a request: the most that a built-in network takes at once.
const ROWS: usize = 64;
/// How often a server that is busy is asked again, and after how long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
/// The header that says how long the JSON is before binary tensors.
const JSON_LENGTH: &str = "Inference-Header-Content-Length";

/// A version of a model at a server.
#[derive(Clone, Debug)]
pub struct Served {
    client: Client,
    /// Of the version.
    url: Url,
    server: String,
    name: String,
}

/// What a version takes and gives.
#[derive(Debug, Deserialize)]
struct Signature {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

#[derive(Clone, Debug, Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    shape: Vec<usize>,
    data: Vec<f32>,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Output>,
}

impl Served {
    /// A version of a model at a server, such as `http://server.serving:8081`. Asks nothing yet.
    ///
    /// # Errors
    /// If it is not an HTTP address.
    pub fn new(server: &str, model: &str, version: u64) -> Result<Self> {
        let name = format!("{model} version {version}");
        // its login is nobody's business: errors stand in logs and in pull requests
        let shown = without_password(server);
        let wrong = |reason: String| Error::Model { url: shown.clone(), model: name.clone(), reason };
        let mut url = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
        let client = client_of(&url).timeout(REQUEST).build().map_err(|error| wrong(chain(&error)))?;
        let number = version.to_string();
        url.path_segments_mut()
            .map_err(|()| wrong("it is not an address of HTTP".to_owned()))?
            .pop_if_empty()
            .extend(["v2", "models", model, "versions", number.as_str()]);
        Ok(Self { client, url, server: shown, name })
    }

    /// What the number of a pixel that is all ink is in a sample of the requests, which has the numbers as they were sent. The sample has the first output
    /// of each answer, so that must be the one that is asked for here.
    ///
    /// # Errors
    /// [`Error::Model`] if it is not, or the version takes no such pictures, or does not answer.
    pub(crate) async fn ink(&self, shape: [usize; 2]) -> Result<f32> {
        let signature = self.signature().await?;
        let (input, output) = self.tensors(&signature, shape)?;
        match signature.outputs.first() {
            Some(first) if first.name == output.name => Ok(if input.datatype == "UINT8" { 255.0 } else { 1.0 }),
            _ => {
                Err(self.wrong(format!("a sample of its requests has its first output, which is not {}", output.name)))
            }
        }
    }

    async fn signature(&self) -> Result<Signature> {
        let answer = self.client.get(self.url.clone()).send().await.map_err(|error| self.unreached(error))?;
        self.read(answer).await
    }

    /// The tensor that takes pictures of this shape and the one that gives probabilities.
    fn tensors(&self, signature: &Signature, [height, width]: [usize; 2]) -> Result<(Tensor, Tensor)> {
        let size = [height as i64, width as i64];
        let takes = |tensor: &Tensor| {
            let [first, rest @ ..] = tensor.shape.as_slice() else { return false };
            let pictures = rest == size || rest == [1, size[0], size[1]];
            // a dimension of any size
            *first == -1 && pictures && matches!(tensor.datatype.as_str(), "FP32" | "UINT8")
        };
        let [input] = signature.inputs.as_slice() else {
            return Err(self.wrong(format!("it takes {} tensors, not pictures alone", signature.inputs.len())));
        };
        if !takes(input) {
            let (datatype, shape) = (&input.datatype, &input.shape);
            return Err(
                self.wrong(format!("it takes {datatype} of {shape:?}, not grey pictures of {height} × {width}"))
            );
        }
        let gives = |tensor: &&Tensor| tensor.datatype == "FP32" && tensor.shape.len() == 2;
        let named = signature.outputs.iter().find(|tensor| gives(tensor) && tensor.name == "probabilities");
        let output = named.or_else(|| signature.outputs.iter().find(gives));
        let output =
            output.ok_or_else(|| self.wrong("it gives no FP32 tensor with a number for each class".to_owned()))?;
        Ok((input.clone(), output.clone()))
    }

    /// The answer with these outputs for at most [`ROWS`] pictures.
    async fn ask(&self, input: &Tensor, outputs: &[&Tensor], levels: &[u8], rows: usize) -> Result<Answer> {
        let bytes: Vec<u8> = match input.datatype.as_str() {
            "UINT8" => levels.to_vec(),
            _ => levels.iter().flat_map(|level| (f32::from(*level) / 255.0).to_le_bytes()).collect(),
        };
        let mut shape = input.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows as i64;
        }
        let wanted = |output: &&Tensor| json!({"name": output.name, "parameters": {"binary_data": false}});
        let head = json!({
            "id": MEASURING,
            "inputs": [{"name": input.name, "datatype": input.datatype, "shape": shape,
                        "parameters": {"binary_data_size": bytes.len()}}],
            "outputs": outputs.iter().map(wanted).collect::<Vec<_>>(),
        })
        .to_string();
        let length = head.len();
        let body = [head.into_bytes(), bytes].concat();
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("infer");
        }
        let mut tries = 0;
        let answer = loop {
            let request = self.client.post(url.clone()).header(JSON_LENGTH, length);
            let answer = request.header("Content-Type", "application/octet-stream").body(body.clone()).send().await;
            let is_busy = !answer.as_ref().is_ok_and(|answer| answer.status().as_u16() != 503);
            if !is_busy || tries >= TRIES {
                break answer.map_err(|error| self.unreached(error))?;
            }
            tries += 1;
            tokio::time::sleep(PAUSE * tries).await;
        };
        self.read(answer).await
    }

    /// An output of an answer for so many pictures, and how many numbers it has for each. It is taken out.
    fn take(&self, answer: &mut Answer, output: &Tensor, rows: usize) -> Result<(usize, Vec<f32>)> {
        let at = answer.outputs.iter().position(|found| found.name == output.name);
        let at = at.ok_or_else(|| self.wrong(format!("its answer lacks {}", output.name)))?;
        let found = answer.outputs.swap_remove(at);
        match found.shape.as_slice() {
            [count, width] if *count == rows && found.data.len() == count * width => Ok((*width, found.data)),
            shape => Err(self.wrong(format!("its answer for {rows} pictures has the shape {shape:?}"))),
        }
    }

    async fn read<T: for<'a> Deserialize<'a>>(&self, answer: reqwest::Response) -> Result<T> {
        let status = answer.status();
        let text = answer.text().await.map_err(|error| self.unreached(error))?;
        if !status.is_success() {
            let object: Option<Value> = serde_json::from_str(&text).ok();
            let said = object.as_ref().and_then(|object| object.get("error")?.as_str()).unwrap_or(&text);
            let said: String = said.chars().take(300).collect();
            return Err(self.wrong(format!("it answers {status}: {said}")));
        }
        serde_json::from_str(&text)
            .map_err(|error| self.wrong(format!("it does not answer as a model server does: {error}")))
    }

    fn unreached(&self, error: reqwest::Error) -> Error {
        self.wrong(chain(&error.without_url()))
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Model { url: self.server.clone(), model: self.name.clone(), reason }
    }
}

impl Classify for Served {
    async fn features(&self, pictures: &Pictures) -> Result<Option<Vec<Vec<f32>>>> {
        let signature = self.signature().await?;
        let (input, output) = self.tensors(&signature, pictures.shape)?;
        let Some(offered) = features(&signature, &output) else { return Ok(None) };
        let mut features = Vec::with_capacity(pictures.len());
        let size = pictures.size().max(1);
        for levels in pictures.levels.chunks(ROWS * size) {
            let rows = levels.len() / size;
            let mut answer = self.ask(&input, &[offered], levels, rows).await?;
            let (width, numbers) = self.take(&mut answer, offered, rows)?;
            features.extend(numbers.chunks_exact(width.max(1)).map(<[f32]>::to_vec));
        }
        Ok(Some(features))
    }

    async fn answers(&self, pictures: &Pictures, distance: Option<&Distance>) -> Result<Answers> {
        if pictures.is_empty() {
            return Ok(Answers::default());
        }
        let signature = self.signature().await?;
        let (input, output) = self.tensors(&signature, pictures.shape)?;
        let measured = match (features(&signature, &output), distance) {
            (Some(offered), Some(distance)) => Some((offered, distance)),
            // while servers are updated, an older one may answer
            (None, Some(_)) => return Err(self.wrong("it no longer gives features".to_owned())),
            (_, None) => None,
        };
        let outputs: Vec<&Tensor> = std::iter::once(&output).chain(measured.map(|(offered, _)| offered)).collect();
        let mut answers = Answers::default();
        let size = pictures.size().max(1);
        for levels in pictures.levels.chunks(ROWS * size) {
            let rows = levels.len() / size;
            let mut answer = self.ask(&input, &outputs, levels, rows).await?;
            let (classes, numbers) = self.take(&mut answer, &output, rows)?;
            if let Some((offered, distance)) = measured {
                let (width, features) = self.take(&mut answer, offered, rows)?;
                for features in features.chunks_exact(width.max(1)) {
                    let found = distance.of(features).map_err(|error| self.wrong(format!("its features: {error}")))?;
                    answers.distances.push(found);
                }
            }
            if answers.classes != 0 && answers.classes != classes {
                return Err(self.wrong("its answers have different numbers of classes".to_owned()));
            }
            answers.classes = classes;
            answers.probabilities.extend(numbers);
        }
        normalise(&mut answers);
        Ok(answers)
    }
}

/// The features that a version offers beside its answers, if they are few enough to be watched.
fn features<'a>(signature: &'a Signature, output: &Tensor) -> Option<&'a Tensor> {
    let few = |tensor: &&Tensor| {
        tensor.name == FEATURES
            && tensor.datatype == "FP32"
            && matches!(tensor.shape.as_slice(), [-1, 1..=MOST_FEATURES])
    };
    signature.outputs.iter().find(few).filter(|found| found.name != output.name)
}

/// Numbers that are not probabilities are taken for logits.
fn normalise(answers: &mut Answers) {
    let classes = answers.classes.max(1);
    answers.logits = !answers.probabilities.chunks(classes).all(is_distribution);
    if answers.logits {
        answers.probabilities.chunks_mut(classes).for_each(softmax);
    }
}

/// Whether these are probabilities of all classes.
pub(crate) fn is_distribution(row: &[f32]) -> bool {
    let sum: f32 = row.iter().sum();
    (sum - 1.0).abs() < 1e-2 && row.iter().all(|value| (-1e-6..=1.0 + 1e-3).contains(value))
}

/// Makes logits probabilities.
pub(crate) fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - most).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_sees_the_login_of_a_server() {
        let pictures = Pictures { shape: [1, 1], levels: vec![0], labels: vec![None] };
        let away = Served::new("http://ann:secret@127.0.0.1:1", "digits", 3).unwrap();
        let wrong = Served::new("http://ann:secret@127.0.0.1:port", "digits", 3).unwrap_err();
        for error in [away.answers(&pictures, None).await.unwrap_err(), wrong] {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn logits_become_probabilities_and_probabilities_stay() {
        let answers = |probabilities: [f32; 4]| Answers {
            classes: 2,
            probabilities: probabilities.to_vec(),
            ..Answers::default()
        };
        let mut probabilities = answers([0.25, 0.75, 0.5, 0.5]);
        normalise(&mut probabilities);
        assert_eq!((probabilities.probabilities, probabilities.logits), (vec![0.25, 0.75, 0.5, 0.5], false));
        let mut logits = answers([0.0, 0.0, 1000.0, 0.0]);
        normalise(&mut logits);
        assert_eq!((logits.probabilities, logits.logits), (vec![0.5, 0.5, 1.0, 0.0], true));
    }
}
