//! Where feedback lands: `feedback-<model>/<label>/<request id>.png`, with a note `.json` beside it.
//!
//! The first object of a request is its claim, `feedback-<model>/<request id>.json`: a copy of the note, created only if there is none. It
//! decides what a request says, whichever of several servers is asked, and whatever label comes second. Pipelines read no `.json`.
//! Then come the note and, last, the image, so that no image is without its note. Whoever is interrupted sends the same again.

use slipway_dataset::{Error, Store};

use super::note::Note;
use crate::refusal::Refusal;

/// A claim is not larger: a note of a thousand classes with long names is a tenth of it.
const CLAIM: usize = 1 << 20;
/// Bytes of a name that becomes a part of a key.
const LONGEST: usize = 128;
/// Letters of a request id.
const LONGEST_ID: usize = 64;

/// The bucket that feedback goes to.
#[derive(Clone, Debug)]
pub struct Landing {
    store: Store,
    bucket: String,
}

/// Where the feedback of one request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    prefix: String,
    label: String,
    id: String,
}

/// Feedback that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where its image is.
    pub uri: String,
    /// Whether it was not there before.
    pub new: bool,
}

impl Place {
    /// The place for a request's feedback on a model.
    ///
    /// # Errors
    /// 400 if one of them cannot be a part of a key.
    pub fn new(model: &str, label: &str, id: Option<&str>) -> Result<Self, Refusal> {
        let id = id.ok_or_else(|| {
            Refusal::request("the request has no `id`; give the one that the answer had, or any other that is unique")
        })?;
        let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(fits) || !id.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(Refusal::request(format!(
                "`id` is not well formed; give 1 to {LONGEST_ID} letters, digits and `._-` that start with a letter or digit"
            )));
        }
        for (what, name) in [("model", model), ("class", label)] {
            if !is_folder(name) {
                return Err(Refusal::request(format!(
                    "the {what}'s name cannot be that of a folder, so no feedback is kept for it: it has a `/` or a control character, or more than {LONGEST} bytes"
                )));
            }
        }
        Ok(Self { prefix: format!("feedback-{model}"), label: label.to_owned(), id: id.to_owned() })
    }

    fn claim(&self) -> String {
        format!("{}/{}.json", self.prefix, self.id)
    }

    fn beside(&self, ending: &str) -> String {
        format!("{}/{}/{}.{ending}", self.prefix, self.label, self.id)
    }
}

/// Whether a pipeline finds the label that an image is in a folder of.
fn is_folder(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.chars().any(|letter| letter == '/' || letter.is_control())
}

impl Landing {
    /// A bucket of a store.
    pub fn new(store: Store, bucket: String) -> Self {
        Self { store, bucket }
    }

    /// Keeps an image with its note. The same feedback of a request is kept once.
    ///
    /// # Errors
    /// 409 if the request has another feedback; 503 if the store cannot be reached or refuses, and the log says why.
    pub async fn keep(&self, place: &Place, note: &Note, image: Vec<u8>) -> Result<Kept, Refusal> {
        let claim = place.claim();
        let mut bytes = serde_json::to_vec_pretty(note).map_err(|error| Refusal::unexpected(error.to_string()))?;
        bytes.push(b'\n');
        if !self.create(&claim, &bytes, "application/json").await? {
            let found =
                self.store.read_object(&self.bucket, &claim, CLAIM).await.map_err(|error| unavailable(&error))?;
            let found =
                found.ok_or_else(|| Refusal::unavailable("this feedback was removed at this moment; send it again"))?;
            let there = serde_json::from_slice::<Note>(&found).map_err(|error| {
                tracing::error!(event = "not_a_note", "s3://{}/{claim}: {error}", self.bucket);
                Refusal::unavailable("the store does not take the feedback now")
            })?;
            if !there.agrees(note) {
                let reason = if there.image == note.image { "another class" } else { "another image" };
                return Err(Refusal {
                    status: axum::http::StatusCode::CONFLICT,
                    message: format!(
                        "there is feedback with {reason} for the request {} already, and the first one counts; ask again with a new id",
                        place.id
                    ),
                });
            }
            bytes = found.into();
        }
        self.create(&place.beside("json"), &bytes, "application/json").await?;
        let key = place.beside("png");
        let new = self.create(&key, &image, "image/png").await?;
        Ok(Kept { uri: format!("s3://{}/{key}", self.bucket), new })
    }

    async fn create(&self, key: &str, bytes: &[u8], content_type: &str) -> Result<bool, Refusal> {
        let created = self.store.create_object(&self.bucket, key, bytes, content_type).await;
        created.map_err(|error| unavailable(&error))
    }
}

/// What a store says is for the server's own people.
fn unavailable(error: &Error) -> Refusal {
    tracing::error!(event = "feedback_not_kept", "{error}");
    Refusal::unavailable("the store does not take the feedback now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        let place = Place::new("mnist", "Ankle boot", Some("a-1.b_2")).unwrap();
        assert_eq!(place.claim(), "feedback-mnist/a-1.b_2.json");
        assert_eq!(place.beside("png"), "feedback-mnist/Ankle boot/a-1.b_2.png");
        let long = "a".repeat(65);
        for id in
            [None, Some(""), Some(".."), Some("-a"), Some("a/b"), Some("a b"), Some("ä"), Some("a\n"), Some(&*long)]
        {
            assert_eq!(Place::new("m", "7", id).unwrap_err().status, 400, "{id:?}");
        }
        let longer = "a".repeat(129);
        for name in ["", ".", "..", "a/b", "a\nb", "a\0", &longer] {
            assert_eq!(Place::new("m", name, Some("a")).unwrap_err().status, 400, "{name:?}");
            assert_eq!(Place::new(name, "7", Some("a")).unwrap_err().status, 400, "{name:?}");
        }
    }
}
