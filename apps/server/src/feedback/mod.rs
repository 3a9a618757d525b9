//! What people say about answers: the right class for an image, kept where a pipeline finds labelled images.
//!
//! ```text
//! POST …/feedback?label=7   picture (levels)   rate (tokens)   answer (of the version)   note   landing (S3)
//! the request again       -> as it was asked -> or 429        -> what was wrong         -> JSON -> <label>/<id>.png, .json
//! ```
//!
//! Off unless a setting names a bucket. What a client says is its label, its request id and its image; everything else in a note is
//! what this server found itself.

mod answer;
mod landing;
mod note;
mod picture;
mod rate;
mod route;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use prometheus::IntCounterVec;
use slipway_dataset::{RetryBudget, Store};
use tokio::sync::Semaphore;

use crate::fatal::Fatal;
use crate::metrics::Metrics;

pub use answer::{Answered, answered};
pub use landing::{Kept, Landing, Place};
pub use note::Note;
pub use picture::Picture;
pub use rate::{Rate, client};
pub use route::routes;
pub use settings::FeedbackSettings;

/// What the server's metadata lists among the protocol's extensions while an address takes feedback.
pub const EXTENSION: &str = "feedback";
/// Feedback that is written at once; more is refused, since each may wait for the store.
const AT_ONCE: usize = 8;

/// What takes feedback.
#[derive(Debug)]
pub struct Feedback {
    settings: FeedbackSettings,
    landing: Landing,
    rate: Mutex<Rate>,
    writing: Arc<Semaphore>,
    counted: IntCounterVec,
}

impl Feedback {
    /// Takes feedback as the settings say, into the store that AWS's variables name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Fatal::Input`] if those variables are malformed.
    pub async fn new(settings: FeedbackSettings, metrics: &Metrics) -> Result<Self, Fatal> {
        let store = Store::from_env(RetryBudget::Interactive).await.map_err(|error| Fatal::Input(error.to_string()))?;
        let unexpected = |error: prometheus::Error| Fatal::Unexpected(error.to_string());
        let counted = metrics.counters("feedback_total", "Feedback by model and HTTP status", &["model", "code"]);
        Ok(Self {
            landing: Landing::new(store, settings.bucket.clone()),
            rate: Mutex::new(Rate::new(settings.per_minute, settings.per_address, Instant::now())),
            writing: Arc::new(Semaphore::new(AT_ONCE)),
            counted: counted.map_err(unexpected)?,
            settings,
        })
    }

    /// Whether the address for everybody takes it, too.
    pub fn is_public(&self) -> bool {
        self.settings.public
    }

    /// Takes a token for a request with these headers.
    ///
    /// # Errors
    /// How long to wait.
    fn token(&self, headers: &HeaderMap) -> Result<(), Duration> {
        let client = self.settings.address.as_ref().and_then(|name| client(headers, name));
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(client, Instant::now())
    }

    /// `model` is one that was found: names that clients make up would create metrics without bound.
    fn count(&self, model: &str, status: StatusCode) {
        self.counted.with_label_values(&[model, status.as_str()]).inc();
    }
}
