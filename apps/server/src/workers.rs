//! The threads that run models, and the queue before them.
//!
//! A request that finds an idle worker runs at once and alone. Requests that wait while every worker is busy are taken together, as one
//! batch for one model. No request ever waits for a batch to fill.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::loaded::{Loaded, MOST_IMAGES};
use crate::metrics::Metrics;

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The queue is full.
    #[error("the server is busy: {0} requests are waiting")]
    Busy(usize),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Ending,
    /// The model failed.
    #[error("the model failed: {0}")]
    Model(String),
}

type Answer = Result<Vec<f32>, NoAnswer>;

struct Request {
    model: Arc<Loaded>,
    pixels: Vec<f32>,
    images: usize,
    answer: oneshot::Sender<Answer>,
    since: Instant,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Request>,
    /// Workers that wait for a request.
    idle: usize,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    capacity: usize,
    metrics: Metrics,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while the lock is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads. When dropped, they finish the waiting requests and end.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads with a queue of at most `capacity` requests.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(count: usize, capacity: usize, metrics: Metrics) -> std::io::Result<Self> {
        // For the threads that only load and warm up.
        tch::set_num_threads(1);
        metrics.workers.set(i64::try_from(count).unwrap_or(i64::MAX));
        let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Condvar::new(), capacity, metrics });
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("model-{index}"));
            threads.push(thread.spawn(move || work(&shared, index))?);
        }
        Ok(Self { shared, threads })
    }

    /// The probabilities of `images` images.
    ///
    /// # Errors
    /// [`NoAnswer`] when the queue is full, the server is shutting down or the model fails.
    pub async fn ask(&self, model: Arc<Loaded>, pixels: Vec<f32>, images: usize) -> Answer {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            let waiting = queue.waiting.len();
            if queue.closed {
                return Err(NoAnswer::Ending);
            }
            if waiting >= self.shared.capacity {
                return Err(NoAnswer::Busy(waiting));
            }
            queue.waiting.push_back(Request { model, pixels, images, answer, since: Instant::now() });
            self.shared.metrics.waiting.set(i64::try_from(waiting + 1).unwrap_or(i64::MAX));
        }
        self.shared.arrived.notify_one();
        answered.await.unwrap_or_else(|_| Err(NoAnswer::Model("its thread has ended".to_owned())))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, index: usize) {
    // One core for each worker: more threads inside one call would only take cores from the other workers. OpenMP keeps this number
    // for each thread.
    tch::set_num_threads(1);
    while let Some(batch) = next(shared) {
        run(shared, index, batch);
    }
}

/// The next batch; `None` once the queue is closed and empty.
fn next(shared: &Shared) -> Option<Vec<Request>> {
    let mut queue = shared.queue();
    loop {
        if let Some(first) = queue.waiting.pop_front() {
            let mut batch = vec![first];
            // While another worker is idle, it is about to take the waiting requests.
            if queue.idle == 0 {
                let mut images = batch[0].images;
                let mut at = 0;
                while at < queue.waiting.len() && images < MOST_IMAGES {
                    let other = &queue.waiting[at];
                    if Arc::ptr_eq(&other.model, &batch[0].model) && images + other.images <= MOST_IMAGES {
                        images += other.images;
                        batch.extend(queue.waiting.remove(at));
                    } else {
                        at += 1;
                    }
                }
            }
            shared.metrics.waiting.set(i64::try_from(queue.waiting.len()).unwrap_or(i64::MAX));
            return Some(batch);
        }
        if queue.closed {
            return None;
        }
        queue.idle += 1;
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
    }
}

/// Runs a batch and gives each request its part.
fn run(shared: &Shared, index: usize, mut batch: Vec<Request>) {
    // A request whose client is gone needs no answer.
    batch.retain(|request| !request.answer.is_closed());
    let Some(first) = batch.first() else { return };
    let model = Arc::clone(&first.model);
    let images: usize = batch.iter().map(|request| request.images).sum();
    let begun = Instant::now();
    for request in &batch {
        shared.metrics.waited.observe((begun - request.since).as_secs_f64());
    }
    shared.metrics.batch.observe(images as f64);
    let mut joined;
    let pixels: &[f32] = if let [alone] = batch.as_slice() {
        &alone.pixels
    } else {
        joined = Vec::with_capacity(batch.iter().map(|request| request.pixels.len()).sum());
        batch.iter().for_each(|request| joined.extend_from_slice(&request.pixels));
        &joined
    };
    // A panic of libtorch's binding must not take the server with it.
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| model.probabilities(index, pixels, images)));
    shared.metrics.inference.observe(begun.elapsed().as_secs_f64());
    let done = done.map_or_else(
        |_| Err(NoAnswer::Model("it panicked; the log says where".to_owned())),
        |result| match result {
            Ok(probabilities) if probabilities.iter().all(|p| p.is_finite()) => Ok(probabilities),
            Ok(_) => Err(NoAnswer::Model("it returned numbers that are not finite".to_owned())),
            Err(error) => Err(NoAnswer::Model(error.to_string())),
        },
    );
    if let Err(error) = &done {
        tracing::error!(event = "model_failed", model = model.name, version = model.version, "{error}");
    }
    match done {
        Ok(probabilities) => {
            let classes = probabilities.len() / images.max(1);
            let mut begin = 0;
            for request in batch {
                let end = begin + request.images * classes;
                let _ = request.answer.send(Ok(probabilities[begin..end].to_vec()));
                begin = end;
            }
        }
        Err(error) => {
            for request in batch {
                let _ = request.answer.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::await_holding_lock, reason = "a held model is a busy worker; nothing here awaits the lock")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn picture(of: u32, images: usize) -> Vec<f32> {
        (0..images as u32 * 784).map(|i| ((i * 31 + of * 7) % 101) as f32 / 101.0).collect()
    }

    fn workers(count: usize, capacity: usize) -> (Arc<Workers>, Metrics) {
        let metrics = Metrics::new().unwrap();
        (Arc::new(Workers::start(count, capacity, metrics.clone()).unwrap()), metrics)
    }

    type Asked = tokio::task::JoinHandle<Answer>;

    /// Asks and returns once the request waits or is being answered, as `reached` says.
    async fn ask(
        workers: &Arc<Workers>,
        model: &Arc<Loaded>,
        of: u32,
        images: usize,
        reached: impl Fn() -> bool,
    ) -> Asked {
        let (workers, model) = (Arc::clone(workers), Arc::clone(model));
        let asked = tokio::spawn(async move { workers.ask(model, picture(of, images), images).await });
        until(reached).await;
        asked
    }

    async fn until(reached: impl Fn() -> bool) {
        let wait = async {
            while !reached() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[tokio::test]
    async fn a_lone_request_is_answered_as_the_bundle_does() {
        let (model, bundle) = Loaded::fresh(1, 2);
        let (workers, metrics) = workers(2, 8);
        let got = workers.ask(Arc::new(model), picture(3, 2), 2).await.unwrap();
        // As many threads as a worker uses: sums are then the same to the last bit.
        tch::set_num_threads(1);
        assert_eq!(got, bundle.probabilities(&picture(3, 2), 2).unwrap());
        assert_eq!((metrics.batch.get_sample_count(), metrics.batch.get_sample_sum()), (1, 2.0));
    }

    #[tokio::test]
    async fn what_waits_while_the_worker_is_busy_is_one_batch_and_each_gets_its_own() {
        let (model, bundle) = Loaded::fresh(1, 1);
        let (other, other_bundle) = Loaded::fresh(2, 1);
        let (model, other) = (Arc::new(model), Arc::new(other));
        let (workers, metrics) = workers(1, 64);
        let waiting = |n: i64| {
            let metrics = metrics.clone();
            move || metrics.waiting.get() == n
        };
        let held = model.hold(0);
        // Counted when the worker has taken it.
        let count = || metrics.batch.get_sample_count();
        let first = ask(&workers, &model, 0, 1, || count() == 1).await;
        let mut asked = Vec::new();
        for (at, images) in [1, 3, 1, 60, 2].into_iter().enumerate() {
            asked.push((ask(&workers, &model, at as u32, images, waiting(at as i64 + 1)).await, at, images));
        }
        let of_other = ask(&workers, &other, 9, 1, waiting(6)).await;
        drop(held);
        assert!(close(&first.await.unwrap().unwrap(), &bundle.probabilities(&picture(0, 1), 1).unwrap()));
        for (asked, at, images) in asked {
            let want = bundle.probabilities(&picture(at as u32, images), images).unwrap();
            assert!(close(&asked.await.unwrap().unwrap(), &want), "{at}");
        }
        let want = other_bundle.probabilities(&picture(9, 1), 1).unwrap();
        assert!(close(&of_other.await.unwrap().unwrap(), &want));
        // Alone; 1 + 3 + 1 + 2, past the 60 that would be too many; the 60; the other model.
        assert_eq!((count(), metrics.batch.get_sample_sum()), (4, 69.0));
        assert_eq!(metrics.waiting.get(), 0);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_whose_client_has_gone_is_skipped() {
        let (model, _) = Loaded::fresh(1, 1);
        let model = Arc::new(model);
        let (workers, metrics) = workers(1, 2);
        let held = model.hold(0);
        let first = ask(&workers, &model, 0, 1, || metrics.batch.get_sample_count() == 1).await;
        let gone = ask(&workers, &model, 1, 5, || metrics.waiting.get() == 1).await;
        let second = ask(&workers, &model, 2, 2, || metrics.waiting.get() == 2).await;
        assert_eq!(workers.ask(Arc::clone(&model), picture(3, 1), 1).await, Err(NoAnswer::Busy(2)));
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(held);
        assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
        assert_eq!((metrics.batch.get_sample_count(), metrics.batch.get_sample_sum()), (2, 3.0));
    }

    #[tokio::test]
    async fn a_panic_ends_one_request_and_no_worker() {
        // A model without a copy for any worker cannot choose one.
        let (broken, _) = Loaded::fresh(1, 0);
        let (whole, _) = Loaded::fresh(1, 1);
        let (workers, _) = workers(1, 8);
        let error = workers.ask(Arc::new(broken), picture(0, 1), 1).await.unwrap_err();
        assert!(matches!(error, NoAnswer::Model(_)), "{error}");
        assert!(workers.ask(Arc::new(whole), picture(0, 1), 1).await.is_ok());
    }
}
