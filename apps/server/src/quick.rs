//! Models that answer in less time than a hand-over to another thread takes: the threads that answer requests run them themselves.
//!
//! A request that is alone is answered at once. Otherwise the first of several lets its thread read those that have arrived as well, and
//! then answers all of them as one batch, while other threads read on. So batches grow with the load, and nothing waits for one to fill. What
//! needs several calls lets its thread do other things between them: answers are sent, and who comes too late is refused.
//!
//! What is not answered yet is bounded by the time that it takes: more requests than can be answered are refused at once, most of them before they are read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slipway_model::{Inference, Prepared};
use tokio::sync::oneshot;

use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::tensor::Array;
use crate::workers::{Answer, NoAnswer, Request, run};

/// How long one call may keep a thread that answers requests.
const LONGEST: Duration = Duration::from_millis(1);
/// What so many such calls answer may be there at once. A refused client is told to come back after a second, so a burst that is answered much
/// sooner than that is not refused.
const CALLS: usize = 100;
/// So few requests may always be there: with many rows in each, or a slower model, they are still no crowd.
const FEW: usize = 64;

/// What makes a model quick.
#[derive(Debug)]
pub(crate) struct Quick {
    pub(crate) inference: Arc<Inference>,
    /// The most rows of one call.
    rows: usize,
    waiting: Mutex<Waiting>,
}

/// What waits to be answered.
#[derive(Debug, Default)]
struct Waiting {
    /// Those that nobody has taken yet.
    requests: VecDeque<Request>,
    /// How many there are with those that were taken and are not answered yet.
    unanswered: usize,
    /// The rows of all these.
    rows: usize,
}

impl Quick {
    /// A network that any number of threads may run at once, with at most so many rows a call.
    pub(crate) fn new(inference: Arc<Inference>, rows: usize) -> Self {
        Self { inference, rows, waiting: Mutex::default() }
    }

    /// `None` if one row takes too long.
    pub(crate) fn of(prepared: &Prepared) -> Option<Self> {
        let inference = prepared.inference()?;
        let each = prepared.measured().one.fastest().as_nanos().max(1);
        let rows = usize::try_from(LONGEST.as_nanos() / each).unwrap_or(usize::MAX);
        (rows > 0).then(|| Self::new(inference, rows))
    }

    /// Whether a request of so many rows is answered here.
    pub(crate) fn takes(&self, rows: usize) -> bool {
        rows <= self.rows
    }

    /// How many requests wait, if they are `capacity`, or so many that one more would wait too long.
    pub(crate) fn is_crowded(&self, capacity: usize) -> Option<usize> {
        self.is_crowded_by(&self.waiting(), capacity)
    }

    fn is_crowded_by(&self, waiting: &Waiting, capacity: usize) -> Option<usize> {
        let Waiting { unanswered, rows, .. } = *waiting;
        let takes_long = unanswered >= FEW && rows >= self.rows.saturating_mul(CALLS);
        (unanswered >= capacity || takes_long).then_some(unanswered)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while the lock is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first requests, as many as one call may have.
    fn batch(&self, waiting: &mut VecDeque<Request>) -> Vec<Request> {
        let mut rows = 0;
        let fitting = waiting.iter().take_while(|request| {
            rows += request.rows;
            rows <= self.rows
        });
        let count = fitting.count().max(1);
        waiting.drain(..count.min(waiting.len())).collect()
    }
}

/// Answers a request for a model that is quick, if fewer than `capacity` others wait, and those not for too long.
///
/// # Errors
/// [`NoAnswer`] when too many wait or the model fails.
pub(crate) async fn ask(
    model: Arc<Loaded>,
    inputs: Vec<Array>,
    rows: usize,
    features: bool,
    capacity: usize,
    metrics: &Metrics,
) -> Answer {
    // Declared before the channel, and so dropped after it: who leaves is then known to have gone.
    let mut first = None;
    let (answer, answered) = oneshot::channel();
    let is_first = {
        let Some(quick) = &model.quick else { return Err(NoAnswer::Model("it is not quick".to_owned())) };
        let mut waiting = quick.waiting();
        if let Some(others) = quick.is_crowded_by(&waiting, capacity) {
            return Err(NoAnswer::Busy(others));
        }
        let is_first = waiting.requests.is_empty();
        let request = Request { model: Arc::clone(&model), inputs, rows, features, answer, since: Instant::now() };
        waiting.requests.push_back(request);
        waiting.unanswered += 1;
        waiting.rows += rows;
        is_first
    };
    if is_first {
        let first = first.insert(First { model: &model, metrics, taken: None });
        if metrics.in_flight.get() > 1 {
            tokio::task::yield_now().await;
        }
        while first.answers_some() {
            tokio::task::yield_now().await;
        }
    }
    drop(first);
    answered.await.unwrap_or_else(|_| Err(NoAnswer::Model("its thread has ended".to_owned())))
}

/// The first of the requests that wait. It answers all of them, also if its own client leaves before.
struct First<'a> {
    model: &'a Loaded,
    metrics: &'a Metrics,
    /// Those that it has taken and not answered yet; `None` before it has taken any. Who comes after that has a first of its own.
    taken: Option<VecDeque<Request>>,
}

impl First<'_> {
    /// Answers what one call may have. Returns whether there is more.
    fn answers_some(&mut self) -> bool {
        let Some(quick) = &self.model.quick else { return false };
        let taken = self.taken.get_or_insert_with(|| std::mem::take(&mut quick.waiting().requests));
        let batch = quick.batch(taken);
        let (requests, rows) = (batch.len(), batch.iter().map(|request| request.rows).sum::<usize>());
        run(self.metrics, batch, &|model, inputs, features| model.run_here(inputs, features));
        let mut waiting = quick.waiting();
        waiting.unanswered -= requests;
        waiting.rows -= rows;
        !taken.is_empty()
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        let is_done = self.taken.as_ref().is_some_and(VecDeque::is_empty);
        while !is_done && self.answers_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;

    use super::*;
    use crate::tensor::Elements;

    /// Requests that may wait.
    const CAPACITY: usize = 8;

    fn picture(of: u32, images: usize) -> Vec<f32> {
        (0..images as u32 * 784).map(|i| ((i * 31 + of * 7) % 101) as f32 / 101.0).collect()
    }

    fn input(of: u32, images: usize) -> Vec<Array> {
        vec![Array { shape: vec![images as i64, 1, 28, 28], elements: Elements::Fp32(picture(of, images)) }]
    }

    fn is(answer: &Answer, want: &[f32]) -> bool {
        let Ok([Array { elements: Elements::Fp32(found), .. }, _]) = answer.as_deref() else { return false };
        found.len() == want.len() && found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[tokio::test]
    async fn a_lone_request_is_answered_without_a_pause() {
        let (model, bundle) = Loaded::quick(1, 4);
        let metrics = Metrics::new().unwrap();
        metrics.in_flight.set(1);
        let mut asked = Box::pin(ask(Arc::new(model), input(3, 1), 1, false, CAPACITY, &metrics));
        let Poll::Ready(answer) = poll!(&mut asked) else { panic!("it waits") };
        assert!(is(&answer, &bundle.probabilities(&picture(3, 1), 1).unwrap()));
    }

    #[tokio::test]
    async fn what_has_arrived_is_answered_in_batches_and_each_gets_its_own() {
        let (model, bundle) = Loaded::quick(1, 4);
        let (model, metrics) = (Arc::new(model), Metrics::new().unwrap());
        metrics.in_flight.set(2);
        let images = [1, 2, 1, 3, 1, 4];
        let asked = (0..)
            .zip(images)
            .map(|(of, rows)| ask(Arc::clone(&model), input(of, rows), rows, false, CAPACITY, &metrics));
        let answers = futures::future::join_all(asked).await;
        for ((of, images), answer) in (0..).zip(images).zip(&answers) {
            assert!(is(answer, &bundle.probabilities(&picture(of, images), images).unwrap()), "{of}");
        }
        // 1 + 2 + 1, 3 + 1, 4
        assert_eq!((metrics.batch.get_sample_count(), metrics.batch.get_sample_sum()), (3, 12.0));
    }

    #[tokio::test]
    async fn features_are_for_whoever_wants_them_although_others_are_in_the_batch() {
        let (model, bundle) = Loaded::quick(1, 4);
        let (model, metrics) = (Arc::new(model), Metrics::new().unwrap());
        metrics.in_flight.set(2);
        let wanted = [false, true, false];
        let asked = (0..).zip(wanted).map(|(of, features)| {
            let inputs = input(of, 1);
            ask(Arc::clone(&model), inputs, 1, features, CAPACITY, &metrics)
        });
        let answers = futures::future::join_all(asked).await;
        assert_eq!(metrics.batch.get_sample_count(), 1);
        for ((of, features), answer) in (0..).zip(wanted).zip(&answers) {
            let answer = answer.as_deref().unwrap();
            assert_eq!(answer.len(), if features { 3 } else { 2 }, "{of}");
            let mut want = Vec::new();
            bundle.answer(&picture(of, 1), 1, Some(&mut want)).unwrap();
            if let Some(Array { shape, elements: Elements::Fp32(found) }) = answer.get(2) {
                assert_eq!(shape, &[1, 128]);
                assert_eq!(found.len(), want.len());
                assert!(found.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-5), "{of}");
            }
        }
    }

    #[tokio::test]
    async fn others_are_answered_although_the_first_one_has_gone() {
        let (model, bundle) = Loaded::quick(1, 4);
        let (model, metrics) = (Arc::new(model), Metrics::new().unwrap());
        metrics.in_flight.set(2);
        let mut first = Box::pin(ask(Arc::clone(&model), input(0, 1), 1, false, CAPACITY, &metrics));
        let mut second = Box::pin(ask(Arc::clone(&model), input(1, 1), 1, false, CAPACITY, &metrics));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        assert!(is(&second.await, &bundle.probabilities(&picture(1, 1), 1).unwrap()));
        assert_eq!(metrics.batch.get_sample_sum(), 1.0);
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused() {
        let (model, _) = Loaded::quick(1, 4);
        let (model, metrics) = (Arc::new(model), Metrics::new().unwrap());
        metrics.in_flight.set(2);
        let mut asked: Vec<_> =
            (0..3).map(|of| Box::pin(ask(Arc::clone(&model), input(of, 1), 1, false, 2, &metrics))).collect();
        let mut third = asked.remove(2);
        for waits in &mut asked {
            assert!(poll!(waits).is_pending());
        }
        // who asks over HTTP is told so before the request is read
        assert_eq!(model.quick.as_ref().unwrap().is_crowded(2), Some(2));
        assert_eq!(poll!(&mut third), Poll::Ready(Err(NoAnswer::Busy(2))));
        assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn more_than_can_be_answered_soon_are_refused_until_the_others_are_answered() {
        let (model, _) = Loaded::quick(1, 8);
        let (model, metrics) = (Arc::new(model), Metrics::new().unwrap());
        metrics.in_flight.set(2);
        let crowd = || model.quick.as_ref().unwrap().is_crowded(1024);
        let ask_for = |images| ask(Arc::clone(&model), input(0, images), images, false, 1024, &metrics);
        // as many rows as a hundred calls take
        let mut asked: Vec<_> = (0..CALLS).map(|_| Box::pin(ask_for(8))).collect();
        for waits in &mut asked {
            assert_eq!(crowd(), None);
            assert!(poll!(waits).is_pending());
        }
        assert_eq!(crowd(), Some(CALLS));
        assert_eq!(poll!(Box::pin(ask_for(1))), Poll::Ready(Err(NoAnswer::Busy(CALLS))));
        // The first has taken all of them, and has answered what fits into one call.
        assert!(poll!(&mut asked[0]).is_pending());
        assert_eq!(crowd(), None);
        assert!(poll!(Box::pin(ask_for(8))).is_pending());
        assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
        assert!(ask_for(1).await.is_ok());
        // enough requests, and fewer rows
        let (model, _) = Loaded::quick(1, 32);
        let model = Arc::new(model);
        let mut asked: Vec<_> =
            (0..FEW + 1).map(|_| Box::pin(ask(Arc::clone(&model), input(0, 1), 1, false, 1024, &metrics))).collect();
        for waits in &mut asked {
            assert!(poll!(waits).is_pending());
        }
        assert_eq!(model.quick.as_ref().unwrap().is_crowded(1024), None);
        assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
    }
}
